//! The stages of [`slash32_bare::isolate`], in the order that its theory of operation gives.

use slash32_bare::fd::BorrowedFd;
use slash32_bare::{Errno, isolate, seqpacket};

/// Takes everything away that answering DHCP does not need. Errors: the stage that failed, and the kernel's reason.
///
/// As soon as it is of its own user it listens as that: whoever connects from then on can tell which process this is, even
/// when it does not answer, and that it is no other program's.
pub(crate) fn isolate(
    listener: BorrowedFd<'_>,
    uid: u32,
    gid: u32,
) -> Result<(), (&'static str, Errno)> {
    let stage = |name: &'static str| move |error| (name, error);
    isolate::close_descriptors().map_err(stage("close_range"))?;
    isolate::no_new_privileges().map_err(stage("no_new_privs"))?;
    isolate::drop_identity(uid, gid).map_err(stage("user and capabilities"))?;
    seqpacket::listen_as_oneself(listener).map_err(stage("listen"))?;
    isolate::not_dumpable().map_err(stage("dumpable"))?;
    isolate::landlock::deny_all().map_err(stage("landlock"))?;
    isolate::limit_resources().map_err(stage("resource limits"))?;
    isolate::syscalls::filter(cfg!(not(bare))).map_err(stage("seccomp"))
}
