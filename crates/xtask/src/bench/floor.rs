//! What the kernel takes for the two things that nobody who serves a VM can leave out: to start a program, and to add a route.

use super::figure;
use super::report::{Report, Subject};
use super::sample::Sample;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use slash32_tests::Namespace;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Measures each `times` times.
pub(super) fn measure(times: usize, run: usize, report: &mut Report) -> Result<()> {
    if let Some(program) = program() {
        let durations = spawned(&program, times)?;
        Sample::new(durations).take(report, run, Subject::Kernel, [Some(figure::SPAWN), None]);
    }
    let durations = routes_added(times)?;
    Sample::new(durations).take(
        report,
        run,
        Subject::Kernel,
        [Some(figure::ROUTE_ADD), None],
    );
    Ok(())
}

/// From before a program is started (posix_spawn(3), as std does it) until it is known to have ended.
fn spawned(program: &[u8], times: usize) -> Result<Vec<Duration>> {
    let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
    let file = folder.path().join("exit");
    fs::write(&file, program)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700))?;
    let mut command = Command::new(&file);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let call = |_| {
        let start = Instant::now();
        let status = command
            .status()
            .context("a static program cannot be started")?;
        let took = start.elapsed();
        ensure!(
            status.success(),
            "a static program that only ends: {status}"
        );
        Ok(took)
    };
    (0..times).map(call).collect()
}

/// The smallest static program: an ELF file whose one segment ends the process with 0. `None` for other processors.
fn program() -> Option<Vec<u8>> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    // xor edi, edi; mov eax, 60 (exit); syscall
    let code = [0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    let size = HEADERS + code.len() as u64;
    let mut elf = Vec::new();
    // 64 bits, little-endian, version 1.
    elf.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // ET_EXEC, EM_X86_64, version 1.
    elf.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers, no section headers.
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    // No flags; sizes: this header 64, one program header 56, no section headers.
    elf.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable: offset, virtual and physical address, sizes in file and memory, alignment.
    elf.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend_from_slice(&code);
    Some(elf)
}

/// From before RTM_NEWROUTE of a host route until its acknowledgement, one after the other.
fn routes_added(times: usize) -> Result<Vec<Duration>> {
    let namespace = Namespace::new("routes")?;
    namespace.ip_batch("link add virbr0 type bridge\nlink set virbr0 up\n")?;
    let ifindex = fs::read_to_string(namespace.path("/sys/class/net/virbr0/ifindex"))?;
    let ifindex: u32 = ifindex.trim().parse()?;
    let socket = namespace.inside(|| {
        let kind = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
        let socket = socket(
            AddressFamily::Netlink,
            kind.0,
            kind.1,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(socket)
    })?;
    let first = Ipv4Addr::new(203, 0, 112, 1).to_bits();
    (0..times)
        .map(|number| {
            let number = u32::try_from(number)?;
            let request = new_route(Ipv4Addr::from_bits(first + number), ifindex, number);
            let start = Instant::now();
            acknowledged(&socket, &request)?;
            Ok(start.elapsed())
        })
        .collect()
}

/// RTM_NEWROUTE of a /32 with link scope, as rtnetlink(7) has it, in the byte order of this machine.
fn new_route(to: Ipv4Addr, ifindex: u32, sequence: u32) -> Vec<u8> {
    const LENGTH: u32 = 44;
    const RTM_NEWROUTE: u16 = 24;
    /// NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE.
    const FLAGS: u16 = 0x1 | 0x4 | 0x400;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    let mut message = Vec::new();
    message.extend_from_slice(&LENGTH.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWROUTE.to_ne_bytes());
    message.extend_from_slice(&FLAGS.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    // struct rtmsg: AF_INET, /32, no source, no TOS, main table, protocol 132, scope link, unicast, no flags.
    message.extend_from_slice(&[2, 32, 0, 0, 254, 132, 253, 1, 0, 0, 0, 0]);
    for (kind, value) in [(RTA_DST, to.octets()), (RTA_OIF, ifindex.to_ne_bytes())] {
        message.extend_from_slice(&8_u16.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&value);
    }
    message
}

/// Sends a request and reads its NLMSG_ERROR, which is 0 when it was done.
fn acknowledged(socket: &OwnedFd, request: &[u8]) -> Result<()> {
    send(socket.as_raw_fd(), request, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    match answer[..length].get(16..20) {
        Some([0, 0, 0, 0]) => Ok(()),
        error => bail!("a route cannot be added: {error:?}"),
    }
}
