//! The far end of a tap: what QEMU holds.
#![allow(unsafe_code)]

use crate::{Frame, Namespace, Wire, packet::readable};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    time::{Duration, SystemTime},
};

mod ioctl {
    nix::ioctl_write_ptr_bad!(
        /// `TUNSETIFF` of linux/if_tun.h: makes the link, or attaches to a persistent one.
        tunsetiff,
        nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
        libc::ifreq
    );
}

/// A tap link as its owner holds it: frames written here come out of the link, frames sent to the link are read here.
///
/// The link has carrier as long as this is held, and is gone with it.
pub struct Tap {
    file: File,
    name: String,
}

impl Tap {
    /// Makes the tap `name` in `namespace`, down, without a packet information header.
    ///
    /// Errors: the name is longer than 15 bytes or taken, or there is no /dev/net/tun.
    pub fn open(namespace: &Namespace, name: &str) -> Result<Self> {
        if name.len() >= libc::IFNAMSIZ {
            bail!("{name} is longer than a link's name can be");
        }
        let file = namespace.inside(|| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/net/tun")
                .context("cannot open /dev/net/tun")?;
            // SAFETY: ifreq is plain data, for which all zeroes is a value.
            let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
            for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
                *place = byte.cast_signed();
            }
            request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
            // SAFETY: the descriptor is open and `request` is a whole ifreq that outlives the call.
            unsafe { ioctl::tunsetiff(file.as_raw_fd(), &request) }
                .with_context(|| format!("cannot make the tap {name}"))?;
            Ok(file)
        })?;
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// The link's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Wire for Tap {
    fn send(&self, frame: &[u8]) -> Result<()> {
        (&self.file)
            .write_all(frame)
            .with_context(|| format!("cannot send a frame through {}", self.name))
    }

    fn receive(&self, bound: Duration) -> Result<Option<Frame>> {
        if !readable(&self.file, bound)? {
            return Ok(None);
        }
        let mut bytes = vec![0; 65_536];
        match (&self.file).read(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(Frame {
                    at: SystemTime::now(),
                    bytes,
                    outgoing: false,
                }))
            }
            Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read from {}", self.name)),
        }
    }

    fn discard(&self) -> Result<()> {
        // The rest of a longer frame is thrown away by the kernel.
        let mut bytes = [0; 64];
        loop {
            match (&self.file).read(&mut bytes) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read from {}", self.name));
                }
            }
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
