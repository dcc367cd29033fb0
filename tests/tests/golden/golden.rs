use anyhow::{Context, Result, ensure};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use slash32_dhcp::forget_udp_checksum;
use slash32_tests::{Frame, PcapWriter, dhcp::Message, read_pcap};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// One story of one client: its requests in order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Golden(pub(crate) Vec<Exchange>);

/// A request as the responder was given it, and the expected reply.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Option<Vec<u8>>,
}

/// Where the goldens are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

impl Golden {
    /// Reads a file of goldens. Errors: it holds no request, or a reply without one.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let frames = read_pcap(&fs::read(path)?)?;
        Self::pair(frames).with_context(|| path.display().to_string())
    }

    /// What the capture of a bridge holds: requests came in there, and replies went out.
    pub(crate) fn of_capture(frames: Vec<Frame>) -> Result<Self> {
        Self::pair(frames.into_iter().map(|frame| frame.bytes).collect())
    }

    /// Does to the requests what the responder does to those of which the kernel says so: a sender on this machine leaves
    /// the UDP checksum to a NIC that never comes. Nothing else here has a wrong one.
    pub(crate) fn forget_unfinished_checksums(&mut self) {
        for exchange in &mut self.0 {
            if !has_true_checksum(&exchange.request) {
                forget_udp_checksum(&mut exchange.request);
            }
        }
    }

    /// Takes the messages out of `frames`; a reply follows its request.
    fn pair(frames: Vec<Vec<u8>>) -> Result<Self> {
        let mut exchanges: Vec<Exchange> = Vec::new();
        for frame in frames {
            match Message::read(&frame) {
                Some(message) if message.op == 1 => exchanges.push(Exchange {
                    request: frame,
                    reply: None,
                }),
                Some(message) => {
                    let asked = exchanges.last_mut().filter(|exchange| {
                        let xid = Message::read(&exchange.request).map(|request| request.xid);
                        exchange.reply.is_none() && xid == Some(message.xid)
                    });
                    asked.context("a reply does not follow its request")?.reply = Some(frame);
                }
                None => {}
            }
        }
        ensure!(!exchanges.is_empty(), "there is no request");
        Ok(Self(exchanges))
    }

    /// Writes the file: a request each second, its reply a millisecond later, so that the same frames are the same file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let new = path.with_extension("pcap.tmp");
        let _ = fs::remove_file(&new);
        fs::create_dir_all(path.parent().context("a path without a folder")?)?;
        let mut file = PcapWriter::create(&new)?;
        for (second, exchange) in (0..).zip(&self.0) {
            let at = UNIX_EPOCH + Duration::from_secs(second);
            file.write(at, &exchange.request)?;
            if let Some(reply) = &exchange.reply {
                file.write(at + Duration::from_millis(1), reply)?;
            }
        }
        // Recording is root's work; what it made is whose the sources are, where that can be.
        let owner = fs::metadata(folder())?;
        for made in [path.parent().unwrap_or(path), &new] {
            let _ = chown(made, Some(owner.uid()), Some(owner.gid()));
        }
        Ok(fs::rename(new, path)?)
    }
}

/// A UDP checksum that is right, or 0: not computed.
fn has_true_checksum(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport)
    else {
        return false;
    };
    let (from, to) = (ip.header().source(), ip.header().destination());
    let sum = udp
        .to_header()
        .calc_checksum_ipv4_raw(from, to, udp.payload());
    udp.checksum() == 0 || sum.is_ok_and(|sum| sum == udp.checksum())
}

/// All files of goldens, each with the name of the binding that was served.
///
/// Errors: there is none, or a folder has no config.
pub(crate) fn files() -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for binding in folders(&folder())? {
        let name = binding.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        for client in folders(&binding)? {
            for entry in fs::read_dir(client)? {
                let path = entry?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "pcap")
                {
                    files.push((name.clone(), path));
                }
            }
        }
    }
    files.sort();
    ensure!(
        !files.is_empty(),
        "there is no golden in {}",
        folder().display()
    );
    Ok(files)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}
