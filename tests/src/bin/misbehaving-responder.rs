//! A responder as it is when a guest has taken it over: it begins like an honest one and then says what it cannot say.
//!
//! What it says is in the file `RUNTIME/misbehave-LINK`, where RUNTIME is the folder `run` beside the one of this program, and LINK
//! is in the name of the socket that it was given. The file is taken away, so that the next one is honest, unless its text
//! ends with `always`. Without the file, the program `slash32-responder` beside this one takes its place.

use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::sys::socket::{MsgFlags, SockFlag, UnixAddr, accept4, getsockname, recvmsg, send};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use slash32_binding::{Bytes, Generation, Outcome, Verdict};
use slash32_ipc::{
    Counters, Hello, Kept, KeptAs, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder, VERSION,
};
use std::io::{IoSliceMut, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<()> {
    let program = env::current_exe()?;
    let folder = program.parent().context("a program without a folder")?;
    let listener = std::io::stdin().as_raw_fd();
    let address: UnixAddr = getsockname(listener)?;
    let link = address
        .path()
        .and_then(Path::file_stem)
        .context("the standard input is no socket with a name")?;
    let order = folder
        .with_file_name("run")
        .join(format!("misbehave-{}", link.to_string_lossy()));
    let Ok(text) = fs::read_to_string(&order) else {
        let honest = folder.join("slash32-responder");
        return Err(Command::new(honest).args(env::args().skip(1)).exec().into());
    };
    if !text.ends_with("always") {
        fs::remove_file(&order)?;
    }
    become_user()?;
    let connection = accept4(listener, SockFlag::SOCK_CLOEXEC)?;
    let mode = text.split_whitespace().next().unwrap_or_default();
    misbehave(mode, connection)?;
    loop {
        std::thread::park();
    }
}

/// `--user UID:GID`: whoever ends this process must be allowed to end one of another user.
fn become_user() -> Result<()> {
    let ids = env::args().nth(2).context("--user UID:GID is missing")?;
    let (uid, gid) = ids.split_once(':').context("--user UID:GID is malformed")?;
    setgroups(&[])?;
    setgid(Gid::from_raw(gid.parse()?))?;
    setuid(Uid::from_raw(uid.parse()?))?;
    Ok(())
}

fn misbehave(mode: &str, agent: RawFd) -> Result<()> {
    let nothing = state(Generation::NONE, false);
    if mode == "silent" {
        return Ok(());
    }
    say(agent, &ToAgent::State(nothing))?;
    let hello = hello(agent)?;
    let at = hello.generation;
    let serving = state(at, hello.confirmed);
    let acknowledged = State {
        confirmed: true,
        last_ack_age: Some(0),
        lease_time: hello.binding.lease_time,
        told: 1,
        ..serving.clone()
    };
    say(agent, &ToAgent::State(serving.clone()))?;
    let lie = match mode {
        "ended" => std::process::exit(0),
        "panic" => {
            eprint!("\nthread 'main' panicked at \x1b[2J\"here\":\nno room\n");
            std::process::exit(101);
        }
        "garbage" => {
            // As much as it is let.
            let mut stderr = std::io::stderr();
            for _ in 0..256 {
                if stderr.write_all(&[0x1b; 4096]).is_err() {
                    break;
                }
            }
            std::process::exit(101);
        }
        "deaf" => return Ok(()),
        "version" => return send_bytes(agent, &(VERSION + 1).to_le_bytes()),
        "malformed" => {
            let bytes = [&VERSION.to_le_bytes()[..], &[0xff; 700]].concat();
            return send_bytes(agent, &bytes);
        }
        "generation" => ToAgent::State(state(at.next(), false)),
        "claim" => ToAgent::Claim(at),
        "confirmed" => ToAgent::State(State {
            confirmed: false,
            ..acknowledged
        }),
        "age" => ToAgent::State(State {
            last_ack_age: Some(3_600_000_000_000),
            ..acknowledged
        }),
        "lease" => ToAgent::State(State {
            lease_time: u32::MAX,
            ..acknowledged
        }),
        "counters" => {
            let mut more = serving.clone();
            more.counters.outcomes[0] = 5;
            say(agent, &ToAgent::State(more))?;
            ToAgent::State(serving)
        }
        "unasked" => {
            let kept = ToAgent::Kept(Kept {
                generation: at,
                kept_as: KeptAs::Request,
                age: 0,
                verdict: Verdict::Answered(Outcome::Offer),
                frame: Bytes::new(0),
            });
            // More than somebody who looks at the link meanwhile can have asked for.
            for _ in 0..20 {
                say(agent, &kept)?;
            }
            kept
        }
        "flood" => loop {
            say(agent, &ToAgent::State(serving.clone()))?;
        },
        _ => bail!("there is no mode {mode}"),
    };
    say(agent, &lie)
}

fn state(generation: Generation, confirmed: bool) -> State {
    State {
        generation,
        confirmed,
        last_ack_age: None,
        lease_time: 0,
        told: 0,
        released: false,
        asked: false,
        counters: Counters::ZERO,
    }
}

fn say(agent: RawFd, message: &ToAgent) -> Result<()> {
    let mut buffer = [0; MAX_UP];
    let length = message.encode(&mut buffer);
    send_bytes(agent, &buffer[..length])
}

fn send_bytes(agent: RawFd, bytes: &[u8]) -> Result<()> {
    send(agent, bytes, MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// Waits for the binding. The sockets that come with it stay open.
fn hello(agent: RawFd) -> Result<Hello> {
    loop {
        let mut buffer = [0; MAX_DOWN];
        let mut space = cmsg_space!([RawFd; 2]);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let length = recvmsg::<()>(agent, &mut parts, Some(&mut space), MsgFlags::empty())?.bytes;
        if let ToResponder::Hello(hello) = ToResponder::decode(&buffer[..length])? {
            return Ok(hello);
        }
    }
}
