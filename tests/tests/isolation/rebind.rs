//! Why `bind` and every call with an address are part of the wall: what the holder of a packet socket can do with them, when
//! all but the syscall filter is in place. That the filter refuses the same calls is shown by
//! [`calls`](crate::calls).

use crate::{
    BOUND,
    responder::{NOBODY, ifindex},
};
use anyhow::{Context, Result, ensure};
use nix::sys::socket::{LinkAddr, MsgFlags, bind, sendto};
use slash32_sys::{isolate, packet};
use slash32_tests::{Host, Tap, Wire, until};
use std::os::fd::AsRawFd;

#[test]
fn an_unprivileged_holder_without_the_filter_gets_to_another_link() -> Result<()> {
    let host = Host::new()?;
    let (own, other) = (host.tap("tap1", None)?, host.tap("tap2", None)?);
    let index = ifindex(&host, "tap1")?;
    host.namespace().inside(|| {
        let elsewhere = link_address("tap2")?;
        let socket = packet::open(index)?;
        isolate::no_new_privileges()?;
        isolate::drop_identity(NOBODY, NOBODY)?;
        isolate::landlock::deny_all()?;
        ensure!(
            packet::open(index).is_err(),
            "it may still open packet sockets"
        );

        let frame = [0x11; 64];
        nix::unistd::write(&socket, &frame)?;
        arrives(&own, &frame)?;

        let frame = [0x22; 64];
        sendto(socket.as_raw_fd(), &frame, &elsewhere, MsgFlags::empty())?;
        arrives(&other, &frame).context("sendto")?;

        let frame = [0x33; 64];
        bind(socket.as_raw_fd(), &elsewhere)?;
        nix::unistd::write(&socket, &frame)?;
        arrives(&other, &frame).context("bind and write")
    })
}

fn arrives(wire: &Tap, frame: &[u8]) -> Result<()> {
    until("a frame", BOUND, || {
        let seen = wire.receive(BOUND)?;
        Ok(seen.filter(|seen| seen.bytes == frame).map(drop))
    })
}

fn link_address(link: &str) -> Result<LinkAddr> {
    nix::ifaddrs::getifaddrs()?
        .filter(|one| one.interface_name == link)
        .find_map(|one| one.address?.as_link_addr().copied())
        .with_context(|| format!("there is no link {link}"))
}
