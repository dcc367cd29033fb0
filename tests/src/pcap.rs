//! Capture files: the pcap format with times in nanoseconds, as Wireshark and tcpdump open it.

use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The magic number of a file with times in nanoseconds.
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The magic number of a file with times in microseconds.
const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// No frame is longer than this.
const SNAPLEN: u32 = 65_536;
/// `LINKTYPE_ETHERNET`
const ETHERNET: u32 = 1;
/// Bytes in front of the first record.
const FILE_HEADER: usize = 24;
/// Bytes in front of each frame: two of time, two of length, 32 bits each.
const RECORD_HEADER: usize = 16;

/// A capture file that is written as the frames come: it is valid after each of them, whatever ends the writer.
pub struct PcapWriter {
    file: File,
    record: Vec<u8>,
}

impl PcapWriter {
    /// Makes `path`. Errors: it is there already, or cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let mut file = File::create_new(path)?;
        let mut header = Vec::with_capacity(FILE_HEADER);
        header.extend(NANOSECONDS.to_le_bytes());
        header.extend([2, 0, 4, 0]); // version 2.4
        header.extend([0; 8]); // time zone, accuracy
        header.extend(SNAPLEN.to_le_bytes());
        header.extend(ETHERNET.to_le_bytes());
        file.write_all(&header)?;
        Ok(Self {
            file,
            record: Vec::new(),
        })
    }

    /// Adds a frame, in one write.
    pub fn write(&mut self, at: SystemTime, frame: &[u8]) -> std::io::Result<()> {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let length = frame.len() as u32;
        self.record.clear();
        for word in [since.as_secs() as u32, since.subsec_nanos(), length, length] {
            self.record.extend(word.to_le_bytes());
        }
        self.record.extend(frame);
        self.file.write_all(&self.record)
    }
}

/// The frames of a little-endian pcap file, without their times.
///
/// Errors: it is no such file, or a frame was cut.
pub fn read_pcap(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let word = |at: usize| {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| u32::from_le_bytes(*bytes))
    };
    if !matches!(word(0), Some(NANOSECONDS | MICROSECONDS)) || word(20) != Some(ETHERNET) {
        bail!("it is no little-endian pcap file of Ethernet frames");
    }
    let (mut frames, mut at) = (Vec::new(), FILE_HEADER);
    while at < bytes.len() {
        let (captured, length) = word(at + 8).zip(word(at + 12)).context("a cut record")?;
        let start = at + RECORD_HEADER;
        at = start + captured as usize;
        if captured != length {
            bail!("a frame of {length} bytes of which {captured} were kept");
        }
        frames.push(bytes.get(start..at).context("a cut frame")?.to_vec());
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("one.pcap");
        let mut writer = PcapWriter::create(&path)?;
        writer.write(SystemTime::now(), b"first")?;
        writer.write(SystemTime::now(), b"")?;
        writer.write(SystemTime::now(), b"third")?;
        let bytes = std::fs::read(&path)?;
        assert_eq!(read_pcap(&bytes)?, [&b"first"[..], b"", b"third"]);
        assert!(read_pcap(&bytes[..bytes.len() - 1]).is_err());
        assert!(PcapWriter::create(&path).is_err());
        Ok(())
    }
}
