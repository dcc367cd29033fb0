//! What a case leaves for Wireshark: with `SLASH32_KEEP=FOLDER` every frame of every VM link of a [`Host`](crate::Host)
//! (a bridge, or a bare tap) is written to `FOLDER/TEST BINARY/CASE/LINK.pcap`.
//!
//! One packet socket hears all links of the host, so that a link is heard from its first frame on, whoever made it and
//! how often; one thread writes each frame as it comes, so that nothing is lost when the case panics or is killed.
//! The socket hears a frame once on each link that it crosses, whether it came in or the host sent it: of a VM behind a
//! bridge the bridge counts, not its port. A link that is made again gets a file of its own, `LINK-2.pcap`.
//!
//! As everywhere here, a VLAN tag that the kernel took off a frame is not in it, and a checksum that a sender in another
//! namespace left to its NIC is not finished.

use crate::{Namespace, PacketSocket, link_monitor::LinkMonitor, pcap::PcapWriter};
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    io::{PipeReader, PipeWriter},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
};

/// The variable that names the folder.
const VARIABLE: &str = "SLASH32_KEEP";
/// How the names of those cases begin that keep nothing. They send thousands of frames a second and judge how the rest
/// of the machine bears it: writing hundreds of megabytes would be part of what they measure.
const LOAD: &str = "load_";

/// Writes down what a host's VM links carry, until it is dropped.
pub(crate) struct Keep {
    end: Option<PipeWriter>,
    writer: Option<JoinHandle<Result<()>>>,
}

impl Keep {
    /// Starts with the next frame on any link of `host`; `None` when nothing is to be kept of this case.
    pub(crate) fn start(host: &Namespace) -> Result<Option<Self>> {
        let Some(folder) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        let thread = std::thread::current();
        let case = thread.name().unwrap_or("unnamed");
        if case.starts_with(LOAD) {
            return Ok(None);
        }
        let folder = Path::new(&folder)
            .join(file_name(&test_binary()?))
            .join(file_name(case));
        make_room(&folder)
            .with_context(|| format!("cannot keep captures in {}", folder.display()))?;
        // First, so that it knows each link that is heard.
        let links = LinkMonitor::open(host)?;
        let socket = PacketSocket::open_all(host)?;
        let (ended, end) = io::pipe()?;
        let mut files = Files {
            folder,
            links,
            open: HashMap::new(),
        };
        Ok(Some(Self {
            end: Some(end),
            writer: Some(std::thread::spawn(move || files.write(&socket, &ended))),
        }))
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(Ok(Err(error))) = self.writer.take().map(JoinHandle::join) {
            eprintln!("captures are not complete: {error:#}");
        }
    }
}

/// The files of one case, by the index of the link.
struct Files {
    folder: PathBuf,
    links: LinkMonitor,
    /// `None`: a link that is no VM link.
    open: HashMap<u32, Option<PcapWriter>>,
}

impl Files {
    /// Writes what `socket` hears until the other end of `ended` is closed, and what it has heard by then.
    fn write(&mut self, socket: &PacketSocket, ended: &PipeReader) -> Result<()> {
        let mut buffer = vec![0; 65_536];
        loop {
            let mut waiting = [
                PollFd::new(socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(ended.as_fd(), PollFlags::empty()),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let over = waiting[1].any() == Some(true);
            while let Some(heard) = socket.receive_into(&mut buffer)? {
                if !self.open.contains_key(&heard.ifindex) {
                    let file = self.file(heard.ifindex)?;
                    self.open.insert(heard.ifindex, file);
                }
                if let Some(Some(file)) = self.open.get_mut(&heard.ifindex) {
                    file.write(heard.at, &buffer[..heard.length])?;
                }
            }
            if over {
                return Ok(());
            }
        }
    }

    /// A new file for this link, when it is a VM link.
    fn file(&mut self, ifindex: u32) -> Result<Option<PcapWriter>> {
        let Some(name) = self.links.vm_link(ifindex)?.map(file_name) else {
            return Ok(None);
        };
        let mut path = self.folder.join(format!("{name}.pcap"));
        for number in 2.. {
            match PcapWriter::create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path = self.folder.join(format!("{name}-{number}.pcap"));
                }
                result => {
                    let file =
                        result.with_context(|| format!("cannot write {}", path.display()))?;
                    return Ok(Some(file));
                }
            }
        }
        Ok(None)
    }
}

/// Makes the folder of a case and, for the first host of the case, takes away what an earlier run left there.
fn make_room(folder: &Path) -> Result<()> {
    static MADE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if !made.get_or_insert_default().insert(folder.to_owned()) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pcap")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The name of the running program without the hash that cargo puts behind it.
fn test_binary() -> Result<String> {
    let program = std::env::current_exe()?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Ok(without_hash(&name).to_owned())
}

fn without_hash(name: &str) -> &str {
    let is_hash = |end: &str| end.len() == 16 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once('-') {
        Some((start, end)) if is_hash(end) => start,
        _ => name,
    }
}

/// `name` as one part of a path: letters, digits, `_` and `-`, and `.` not in front.
fn file_name(name: &str) -> String {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || "_-.".contains(byte);
    let name: String = name
        .chars()
        .map(|byte| if plain(byte) { byte } else { '-' })
        .collect();
    if name.starts_with('.') || name.is_empty() {
        return format!("_{name}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for (name, expected) in [
            ("a_case", "a_case"),
            ("links::a_case", "links--a_case"),
            ("virbr1.100", "virbr1.100"),
            ("../../etc", "_..-..-etc"),
            ("..", "_.."),
            ("", "_"),
            ("tap/é\n", "tap---"),
        ] {
            assert_eq!(file_name(name), expected);
        }
    }

    #[test]
    fn the_hash_of_cargo_is_no_part_of_a_binarys_name() {
        assert_eq!(without_hash("clients-0123456789abcdef"), "clients");
        assert_eq!(without_hash("allocation_modes"), "allocation_modes");
        assert_eq!(without_hash("two-words"), "two-words");
    }
}
