//! recvmsg(2) and what comes beside the bytes: control messages (cmsg(3)).

use crate::Result;
use crate::fd::BorrowedFd;
use crate::syscall::call;
use core::mem::{align_of, offset_of, size_of};
use core::ptr::null_mut;
use linux_raw_sys::general::{__NR_recvmsg, iovec};
use linux_raw_sys::net::{MSG_DONTWAIT, MSG_TRUNC, cmsghdr, msghdr};

/// Room for control messages, aligned as the kernel needs it: one of `tpacket_auxdata`, or one of two descriptors.
#[repr(C, align(8))]
struct Control([u8; 40]);
const _: () = assert!(align_of::<Control>() >= align_of::<cmsghdr>());

/// What one recvmsg(2) gave.
pub(crate) struct Message {
    /// Bytes in the buffer.
    pub(crate) length: usize,
    /// There were more bytes than fit.
    pub(crate) truncated: bool,
    control: Control,
    control_length: usize,
}

/// Receives one message without waiting; `flags` are those of recvmsg(2), in addition to `MSG_DONTWAIT`.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: u32) -> Result<Message> {
    let mut control = Control([0; 40]);
    let mut vector = iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len() as u64,
    };
    let mut header = msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut vector).cast(),
        msg_iovlen: 1,
        msg_control: control.0.as_mut_ptr().cast(),
        msg_controllen: control.0.len(),
        msg_flags: 0,
    };
    let place = (&raw mut header).expose_provenance();
    let flags = (MSG_DONTWAIT | flags) as usize;
    // SAFETY: the header, its vector, and the buffers that both name are writable for the lengths given and outlive the call.
    let length = unsafe { call(__NR_recvmsg, [socket.argument(), place, flags, 0, 0, 0]) }?;
    Ok(Message {
        length: length.min(buffer.len()),
        truncated: header.msg_flags & MSG_TRUNC != 0,
        control_length: header.msg_controllen.min(control.0.len()),
        control,
    })
}

impl Message {
    /// Level, type and data of each control message.
    pub(crate) fn control(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        let mut rest = &self.control.0[..self.control_length];
        core::iter::from_fn(move || {
            let length = usize::from_ne_bytes(field(rest, offset_of!(cmsghdr, cmsg_len))?);
            let level = u32::from_ne_bytes(field(rest, offset_of!(cmsghdr, cmsg_level))?);
            let kind = u32::from_ne_bytes(field(rest, offset_of!(cmsghdr, cmsg_type))?);
            let data = rest.get(size_of::<cmsghdr>()..length)?;
            let next = length.next_multiple_of(align_of::<cmsghdr>());
            rest = rest.get(next..).unwrap_or_default();
            Some((level, kind, data))
        })
    }
}

/// The bytes of a field of a structure of the kernel.
pub(crate) fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}
