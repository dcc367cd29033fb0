//! A socket that listens to what the kernel tells of its own accord.

use super::message::{Message, messages};
use super::socket::DATAGRAM;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// After so many datagrams others have their turn.
const TURN: usize = 64;

/// What a listening socket has heard.
#[derive(Debug)]
pub(super) enum Heard<'b> {
    Message(Message<'b>),
    /// The kernel could not tell everything (`ENOBUFS`).
    Overrun,
}

/// The open socket.
pub(super) struct Listening {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl Listening {
    /// Subscribes to multicast groups (`RTNLGRP_*`). `queue` is how many bytes the kernel is asked to keep while nobody reads;
    /// `None` is as it does by itself.
    pub(super) fn to(groups: &[u32], queue: Option<usize>) -> io::Result<Self> {
        use nix::sys::socket::{setsockopt, sockopt};
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        if let Some(queue) = queue
            // More than net.core.rmem_max where CAP_NET_ADMIN allows it; else as much as there is.
            && setsockopt(&socket, sockopt::RcvBufForce, &queue).is_err()
        {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &queue);
        }
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in groups {
            socket.add_membership(*group)?;
        }
        #[expect(
            deprecated,
            reason = "what took its place is unsafe, for types that do not own their descriptor; this one does"
        )]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Waits until the kernel has told something, and hands it to `take`: all of it, or as much as there is a turn for. Errors:
    /// the socket has failed.
    pub(super) async fn hear(&mut self, mut take: impl FnMut(Heard<'_>)) -> io::Result<()> {
        let mut ready = self.socket.readable().await?;
        for _ in 0..TURN {
            let buffer = &mut self.buffer;
            let read = |socket: &AsyncFd<Socket>| socket.get_ref().recv(&mut &mut buffer[..], 0);
            let Ok(received) = ready.try_io(read) else {
                return Ok(());
            };
            match received {
                Ok(length) => {
                    let length = length.min(DATAGRAM);
                    messages(&self.buffer[..length]).for_each(|one| take(Heard::Message(one)));
                }
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    take(Heard::Overrun);
                }
                Err(error) => return Err(error),
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
