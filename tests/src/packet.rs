use crate::{Frame, Namespace, Wire};
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
        bind, recvmsg, send, setsockopt, socket, sockopt,
    },
};
use std::{
    io::IoSliceMut,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Room for what arrives while nobody reads, in bytes.
const RECEIVE_BUFFER: usize = 16 << 20;
/// `sll_pkttype` of a frame that this host sent: `PACKET_OUTGOING` of linux/if_packet.h.
const PACKET_OUTGOING: u8 = 4;

/// A packet socket that sees every frame of one link, in both directions, with the kernel's timestamps.
pub struct PacketSocket {
    socket: OwnedFd,
    address: [u8; 6],
}

impl PacketSocket {
    /// Opens one on `link`. Errors: there is no such link in `namespace`.
    pub fn open(namespace: &Namespace, link: &str) -> Result<Self> {
        namespace.inside(|| {
            let address = link_address(link)?;
            let socket = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            bind(socket.as_raw_fd(), &address)
                .with_context(|| format!("cannot bind to the link {link}"))?;
            let opened = Self {
                socket,
                address: address.addr().unwrap_or_default(),
            };
            // What is queued now may have come from another link, before the bind took effect.
            while opened.receive(Duration::ZERO)?.is_some() {}
            Ok(opened)
        })
    }

    /// The link's own hardware address at the time it was opened.
    pub fn address(&self) -> crate::MacAddr {
        crate::MacAddr(self.address)
    }
}

impl Wire for PacketSocket {
    fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).context("cannot send a frame")?;
        Ok(())
    }

    fn receive(&self, bound: Duration) -> Result<Option<Frame>> {
        if !readable(&self.socket, bound)? {
            return Ok(None);
        }
        let mut bytes = vec![0; 65_536];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let (length, at, outgoing) = match recvmsg::<LinkAddr>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            flags,
        ) {
            Ok(message) => {
                let stamp = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(stamp) => {
                        Some(UNIX_EPOCH + Duration::from(stamp))
                    }
                    _ => None,
                });
                let outgoing = message
                    .address
                    .is_some_and(|from| from.pkttype() == PACKET_OUTGOING);
                (
                    message.bytes,
                    stamp.unwrap_or_else(SystemTime::now),
                    outgoing,
                )
            }
            Err(Errno::EAGAIN | Errno::ENETDOWN) => return Ok(None),
            Err(error) => return Err(error).context("cannot receive a frame"),
        };
        bytes.truncate(length);
        Ok(Some(Frame {
            at,
            bytes,
            outgoing,
        }))
    }
}

/// The link's index and hardware address in the thread's network namespace.
fn link_address(link: &str) -> Result<LinkAddr> {
    nix::ifaddrs::getifaddrs()?
        .filter(|one| one.interface_name == link)
        .find_map(|one| {
            one.address
                .and_then(|address| address.as_link_addr().copied())
        })
        .with_context(|| format!("there is no link {link}"))
}

/// Waits until `fd` can be read, at most for `bound`.
pub(crate) fn readable(fd: &impl AsFd, bound: Duration) -> Result<bool> {
    let timeout = PollTimeout::try_from(bound.as_millis()).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(count) => Ok(count > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
