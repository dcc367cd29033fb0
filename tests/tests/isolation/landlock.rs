//! The landlock stage alone: what it takes away even from root, in one thread, without any other stage.

use crate::responder::NOBODY;
use anyhow::{Context, Result, ensure};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use slash32_sys::isolate;
use slash32_tests::Host;
use std::{
    fs::File,
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixListener, UnixStream},
};

/// Each thing that landlock denies, tried once: what the kernel said.
struct Tried {
    read: Result<(), Errno>,
    write: Result<(), Errno>,
    bind: Result<(), Errno>,
    connect: Result<(), Errno>,
    abstract_socket: Result<(), Errno>,
    signal: Result<(), Errno>,
}

/// The ABI from which on all of them are denied; what an older kernel cannot deny is left to the syscall filter.
const OUTSIDE: usize = 6;

#[test]
fn landlock_alone_denies_files_tcp_signals_and_abstract_sockets() -> Result<()> {
    let host = Host::new()?;
    let outside = Pid::from_raw(host.namespace().pid().try_into()?);
    host.namespace().inside(|| {
        let name = SocketAddr::from_abstract_name(b"slash32")?;
        let _abstract = UnixListener::bind_addr(&name)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let attempt = || Tried {
            read: errno(File::open("/etc/passwd")),
            write: errno(File::options().write(true).open("/dev/null")),
            bind: errno(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))),
            connect: errno(TcpStream::connect((Ipv4Addr::LOCALHOST, port))),
            abstract_socket: errno(UnixStream::connect_addr(&name)),
            signal: kill(outside, None),
        };
        let before = attempt();
        for (what, result) in before.named() {
            ensure!(result == Ok(()), "before the stage, {what}: {result:?}");
        }
        isolate::no_new_privileges()?;
        let abi = isolate::landlock::deny_all()?;
        ensure!(
            abi >= OUTSIDE,
            "landlock ABI {abi}: this case needs a kernel with ABI {OUTSIDE}, Linux 6.12"
        );
        let after = attempt();
        for (what, result) in after.named() {
            let expected = match what {
                "a signal" | "an abstract socket" => Errno::EPERM,
                _ => Errno::EACCES,
            };
            ensure!(
                result == Err(expected),
                "after the stage, {what}: {result:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn landlock_needs_that_no_privilege_can_be_gained() -> Result<()> {
    let host = Host::new()?;
    host.namespace().inside(|| {
        // Without a capability, so that only no_new_privs could allow it.
        isolate::drop_identity(NOBODY, NOBODY)?;
        let refused = isolate::landlock::deny_all();
        ensure!(refused == Err(slash32_bare::Errno::PERM), "{refused:?}");
        isolate::no_new_privileges()?;
        isolate::landlock::deny_all().context("with no_new_privs")?;
        Ok(())
    })
}

impl Tried {
    fn named(&self) -> [(&'static str, Result<(), Errno>); 6] {
        [
            ("reading a file", self.read),
            ("writing to a file", self.write),
            ("binding TCP", self.bind),
            ("connecting TCP", self.connect),
            ("an abstract socket", self.abstract_socket),
            ("a signal", self.signal),
        ]
    }
}

fn errno<T>(result: io::Result<T>) -> Result<(), Errno> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}
