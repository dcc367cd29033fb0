use crate::{Namespace, route_monitor::split_message};
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
        setsockopt, socket, sockopt,
    },
};
use std::{
    collections::HashMap,
    os::fd::{AsRawFd, OwnedFd},
};

/// `RTMGRP_LINK` of linux/rtnetlink.h.
const LINKS: u32 = 1;
/// Room for what is told while nobody asks, in bytes.
const RECEIVE_BUFFER: usize = 32 << 20;

/// Knows the links that were made in a namespace since it was opened, those too that are gone again.
///
/// The kernel queues what it tells, so nothing runs in the background.
pub(crate) struct LinkMonitor {
    socket: OwnedFd,
    links: HashMap<u32, Link>,
}

#[derive(Default)]
struct Link {
    name: String,
    /// `IFLA_INFO_KIND`: "bridge", "tun", "veth".
    kind: String,
    /// It is or was the port of a bridge.
    is_port: bool,
}

impl LinkMonitor {
    /// Knows of every link that is made or changed from now on.
    pub(crate) fn open(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.inside(|| {
            let socket = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkRoute,
            )?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, LINKS))?;
            Ok(socket)
        })?;
        Ok(Self {
            socket,
            links: HashMap::new(),
        })
    }

    /// The last name of the link with this index, when it is a VM link: a bridge, or a tap that was never a port.
    pub(crate) fn vm_link(&mut self, ifindex: u32) -> Result<Option<&str>> {
        self.read()?;
        let link = self
            .links
            .get(&ifindex)
            .filter(|link| link.kind == "bridge" || (link.kind == "tun" && !link.is_port));
        Ok(link.map(|link| link.name.as_str()))
    }

    /// Reads all that was told by now.
    fn read(&mut self) -> Result<()> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error).context("cannot read link changes"),
            };
            let mut rest = &bytes[..length];
            while let Some((message, behind)) = split_message(rest) {
                self.note(message);
                rest = behind;
            }
        }
    }

    /// Takes an `nlmsghdr` (16 bytes), an `ifinfomsg` (16 bytes) and attributes; other messages are left alone.
    fn note(&mut self, message: &[u8]) -> Option<()> {
        if u16::from_ne_bytes([message[4], message[5]]) != libc::RTM_NEWLINK {
            return None;
        }
        let ifindex = u32::from_ne_bytes(*message.get(20..)?.first_chunk()?);
        let link = self.links.entry(ifindex).or_default();
        for (kind, value) in Attributes(message.get(32..)?) {
            match kind {
                libc::IFLA_IFNAME => link.name = text(value),
                libc::IFLA_MASTER => link.is_port = true,
                libc::IFLA_LINKINFO => {
                    let kinds = Attributes(value).filter(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                    kinds.for_each(|(_, value)| link.kind = text(value));
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// Netlink attributes (linux/netlink.h `nlattr`), one behind the other.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [a, b, c, d] = *self.0.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    }
}

/// A name that ends with a zero byte.
fn text(value: &[u8]) -> String {
    let end = value.strip_suffix(&[0]).unwrap_or(value);
    String::from_utf8_lossy(end).into_owned()
}
