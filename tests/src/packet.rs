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
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
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

/// What is known of a frame that stands in the reader's buffer.
pub(crate) struct Heard {
    /// The link on which it was heard.
    pub(crate) ifindex: u32,
    pub(crate) length: usize,
    /// As in [`Frame`].
    pub(crate) at: SystemTime,
    pub(crate) outgoing: bool,
}

impl PacketSocket {
    /// Opens one on `link`. Errors: there is no such link in `namespace`.
    pub fn open(namespace: &Namespace, link: &str) -> Result<Self> {
        namespace.inside(|| {
            let address = link_address(link)?;
            let socket = hear_all()?;
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

    /// Opens one that hears every link of `namespace`, those too that are made later. It cannot send.
    pub(crate) fn open_all(namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            socket: namespace.inside(hear_all)?,
            address: [0; 6],
        })
    }

    /// Reads the next frame into `buffer`, without waiting; `None` when there is none.
    pub(crate) fn receive_into(&self, buffer: &mut [u8]) -> Result<Option<Heard>> {
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = match recvmsg::<LinkAddr>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::ENETDOWN) => return Ok(None),
            Err(error) => return Err(error).context("cannot receive a frame"),
        };
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(UNIX_EPOCH + Duration::from(stamp)),
            _ => None,
        });
        let from = message.address;
        Ok(Some(Heard {
            ifindex: from.map_or(0, |from| from.ifindex() as u32),
            length: message.bytes,
            at: stamp.unwrap_or_else(SystemTime::now),
            outgoing: from.is_some_and(|from| from.pkttype() == PACKET_OUTGOING),
        }))
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
        let Some(heard) = self.receive_into(&mut bytes)? else {
            return Ok(None);
        };
        bytes.truncate(heard.length);
        Ok(Some(Frame {
            at: heard.at,
            bytes,
            outgoing: heard.outgoing,
        }))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A packet socket on every link of the thread's network namespace.
fn hear_all() -> Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    Ok(socket)
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
