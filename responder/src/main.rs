//! The responder: one process for one VM link. It answers that VM's DHCP and can do nothing else.
//!
//! Its standard input is a *listening* `SOCK_SEQPACKET` socket, made by the agent or by a systemd socket unit; it cannot
//! tell the difference. Whoever connects last is the agent. It starts with nothing, is told its binding and given its two
//! sockets ([`slash32_ipc::ToResponder::Hello`]), and goes on answering when the agent is gone.
//!
//! Files: [`isolate`] is what it takes away from itself, [`serve`] the loop, [`generation`] one VM's time on the link,
//! [`seen`] what is kept of it for `slash32 show`.
//! Only this file uses std; nothing allocates once [`serve::serve`] runs, and nothing wakes it but a descriptor, or the time
//! at which the agent is to be told what a guest has done.

mod generation;
mod isolate;
mod seen;
mod serve;

use slash32_sys::seqpacket;
use std::process::ExitCode;

const HELP: &str = "\
slash32-responder: answers the DHCP of one VM link.

It is started by slash32-agent or by slash32-responder@LINK.service, with a listening SOCK_SEQPACKET unix socket as its
standard input. There is nothing to be done with it by hand: see slash32 list.

Options:
  --user UID:GID   become this user (when started as root; default 65534:65534)
  --version        print the version
  --help           print this";

struct Arguments {
    uid: u32,
    gid: u32,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("slash32-responder: {sentence}; see --help");
            return ExitCode::from(2);
        }
    };
    let listener = seqpacket::standard_input();
    if !seqpacket::is_listening(listener) {
        eprintln!(
            "slash32-responder: standard input is no listening SOCK_SEQPACKET unix socket, as slash32-agent or \
             slash32-responder@LINK.socket gives it; see --help"
        );
        return ExitCode::FAILURE;
    }
    if let Err((stage, error)) = isolate::isolate(listener, arguments.uid, arguments.gid) {
        eprintln!("slash32-responder: cannot isolate itself ({stage}): {error}");
        return ExitCode::FAILURE;
    }
    // From here on nothing can be said on stderr.
    match serve::serve(listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments {
        uid: 65534,
        gid: 65534,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--version" => {
                println!("slash32-responder {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            "--user" => {
                let value = words.next().ok_or("--user needs UID:GID")?;
                let ids = value
                    .split_once(':')
                    .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
                (arguments.uid, arguments.gid) =
                    ids.ok_or_else(|| format!("--user {value}: not UID:GID"))?;
            }
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(Some(arguments))
}
