use anyhow::Result;
use std::{
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

/// One Ethernet frame as it was seen.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When: the kernel's receive timestamp (`SO_TIMESTAMPNS`) where there is one, else the time of the read; both are
    /// on `CLOCK_REALTIME`.
    pub at: SystemTime,
    /// From the Ethernet destination on, without the frame check sequence and without a VLAN tag that the kernel
    /// took off.
    pub bytes: Vec<u8>,
    /// This host sent it (`PACKET_OUTGOING`); always false where that cannot be known.
    pub outgoing: bool,
}

/// Where a VM's frames go in and out: a packet socket on the VM's own link, or the far end of a tap. Its descriptor can be
/// waited on.
pub trait Wire: AsFd + Send {
    /// Puts one frame on the wire as it is. Errors: the link is down or gone.
    fn send(&self, frame: &[u8]) -> Result<()>;

    /// The next frame, or `None` when there was none for `bound` (zero: only what is already there).
    fn receive(&self, bound: Duration) -> Result<Option<Frame>>;

    /// Throws away what is already there.
    fn discard(&self) -> Result<()> {
        while self.receive(Duration::ZERO)?.is_some() {}
        Ok(())
    }
}
