//! The program from its arguments to its exit code: 0, 1 when it cannot serve, 2 for arguments that it does not know.

use crate::{isolate, serve};
use core::fmt;
use slash32_bare::{say, seqpacket};

const HELP: &str = "\
slash32-responder: answers the DHCP of one VM link.

It is started by slash32-agent or by slash32-responder@LINK.service, with a listening SOCK_SEQPACKET unix socket as its
standard input. There is nothing to be done with it by hand: see slash32 list.

Options:
  --user UID:GID   become this user (when started as root; default 65534:65534)
  --version        print the version
  --help           print this";

/// What the arguments ask for.
enum Order {
    Serve { uid: u32, gid: u32 },
    Say(&'static str),
}

/// Arguments that are not understood.
enum Unknown<'a> {
    Argument(&'a str),
    NoUser,
    User(&'a str),
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(word) => write!(f, "unknown argument {word}"),
            Self::NoUser => f.write_str("--user needs UID:GID"),
            Self::User(value) => write!(f, "--user {value}: not UID:GID"),
        }
    }
}

/// Serves until the agent says Quit.
pub(crate) fn run<'a>(words: impl Iterator<Item = &'a str>) -> u8 {
    let (uid, gid) = match parse(words) {
        Ok(Order::Serve { uid, gid }) => (uid, gid),
        Ok(Order::Say(text)) => {
            say::text(say::OUTPUT, text);
            return 0;
        }
        Err(unknown) => {
            say::line(
                say::ERROR,
                format_args!("slash32-responder: {unknown}; see --help"),
            );
            return 2;
        }
    };
    let listener = seqpacket::standard_input();
    if !seqpacket::is_listening(listener) {
        say::line(
            say::ERROR,
            format_args!(
                "slash32-responder: standard input is no listening SOCK_SEQPACKET unix socket, as slash32-agent or \
                 slash32-responder@LINK.socket gives it; see --help"
            ),
        );
        return 1;
    }
    if let Err((stage, error)) = isolate::isolate(listener, uid, gid) {
        say::line(
            say::ERROR,
            format_args!("slash32-responder: cannot isolate itself ({stage}): {error}"),
        );
        return 1;
    }
    // From here on nothing can be said on stderr, but to a pipe, as the agent gives it: there a panic is heard.
    u8::from(serve::serve(listener).is_err())
}

fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Order, Unknown<'a>> {
    let (mut uid, mut gid) = (65534, 65534);
    while let Some(word) = words.next() {
        match word {
            "--help" => return Ok(Order::Say(HELP)),
            "--version" => {
                let version = concat!("slash32-responder ", env!("CARGO_PKG_VERSION"));
                return Ok(Order::Say(version));
            }
            "--user" => {
                let value = words.next().ok_or(Unknown::NoUser)?;
                let ids = value
                    .split_once(':')
                    .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
                (uid, gid) = ids.ok_or(Unknown::User(value))?;
            }
            _ => return Err(Unknown::Argument(word)),
        }
    }
    Ok(Order::Serve { uid, gid })
}
