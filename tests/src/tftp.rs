//! TFTP (RFC 1350) for reading, with the options `blksize` (RFC 2348) and `tsize` (RFC 2349): one block at a time.

use crate::file_server::{Shared, TICK};
use std::{
    io::{Error, ErrorKind, Result},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

// Opcodes (RFC 1350 §5, RFC 2347).
const READ_REQUEST: u16 = 1;
const DATA: u16 = 3;
const ACKNOWLEDGMENT: u16 = 4;
const ERROR: u16 = 5;
const OPTION_ACKNOWLEDGMENT: u16 = 6;

/// The error code for a file that is not there.
const FILE_NOT_FOUND: u16 = 1;
/// The length of a block that nobody negotiated, in bytes.
const BLOCK: usize = 512;
/// After how long a packet without an answer is sent again, and after how long the client is given up.
const RETRANSMISSION: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers each read request in a thread and from a port of its own, until the server is over.
pub(crate) fn serve(socket: &UdpSocket, shared: &Arc<Shared>) {
    let mut packet = [0; 1024];
    while !shared.is_over() {
        // A time-out, or what the network says of an earlier answer.
        let Ok((length, client)) = socket.recv_from(&mut packet) else {
            continue;
        };
        let (Some(request), Ok(here)) = (Request::read(&packet[..length]), socket.local_addr())
        else {
            continue;
        };
        let shared = shared.clone();
        std::thread::spawn(move || {
            let complete = transfer(here, client, &request, &shared).is_ok();
            shared.note("RRQ", &request.path, client, complete);
        });
    }
}

/// A read request.
struct Request {
    path: String,
    /// What the client asks for, by lower-case name.
    options: Vec<(String, String)>,
}

impl Request {
    fn read(packet: &[u8]) -> Option<Self> {
        let strings = packet.strip_prefix(&READ_REQUEST.to_be_bytes())?;
        let mut strings = strings
            .split(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned());
        let path = strings.next()?.trim_start_matches('/').to_owned();
        let _mode = strings.next()?;
        let mut options = Vec::new();
        while let (Some(name), Some(value)) = (strings.next(), strings.next()) {
            options.push((name.to_lowercase(), value));
        }
        Some(Self { path, options })
    }

    /// What is agreed to of the options for a file of `size` bytes, and the length of a block.
    fn agreement(&self, size: usize) -> (Vec<(&str, String)>, usize) {
        let mut block = BLOCK;
        let mut agreed = Vec::new();
        for (name, value) in &self.options {
            match (name.as_str(), value.parse()) {
                ("blksize", Ok(length)) if (8..=1468).contains(&length) => {
                    block = length;
                    agreed.push(("blksize", length.to_string()));
                }
                ("tsize", _) => agreed.push(("tsize", size.to_string())),
                _ => {}
            }
        }
        (agreed, block)
    }
}

/// Sends a whole file. Errors: there is none, or the client stopped, or went away.
fn transfer(
    here: SocketAddr,
    client: SocketAddr,
    request: &Request,
    shared: &Shared,
) -> Result<()> {
    let socket = UdpSocket::bind((here.ip(), 0))?;
    socket.connect(client)?;
    socket.set_read_timeout(Some(TICK))?;
    let Some(file) = shared.file(&request.path) else {
        socket.send(&packet(ERROR, FILE_NOT_FOUND, b"no such file\0"))?;
        return Err(ErrorKind::NotFound.into());
    };
    let (agreed, block) = request.agreement(file.len());
    if !agreed.is_empty() {
        let mut bytes = OPTION_ACKNOWLEDGMENT.to_be_bytes().to_vec();
        for (name, value) in agreed {
            bytes.extend(format!("{name}\0{value}\0").bytes());
        }
        insist(&socket, &bytes, 0, shared)?;
    }
    // The last block is shorter than the others, be it empty.
    for number in 0..=file.len() / block {
        let start = number * block;
        let data = &file[start..file.len().min(start + block)];
        // The number of a block is 16 bits long, and goes on with 0.
        let number = (number + 1) as u16;
        insist(&socket, &packet(DATA, number, data), number, shared)?;
    }
    Ok(())
}

/// Sends `bytes`, again and again, until block `number` is acknowledged.
fn insist(socket: &UdpSocket, bytes: &[u8], number: u16, shared: &Shared) -> Result<()> {
    let start = Instant::now();
    let mut answer = [0; 1024];
    while start.elapsed() < PATIENCE && !shared.is_over() {
        socket.send(bytes)?;
        let sent = Instant::now();
        while sent.elapsed() < RETRANSMISSION && !shared.is_over() {
            let length = match socket.recv(&mut answer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if answer[..length].starts_with(&packet(ACKNOWLEDGMENT, number, b"")) {
                return Ok(());
            }
            if answer[..length].starts_with(&ERROR.to_be_bytes()) {
                return Err(Error::other("the client stopped"));
            }
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn packet(opcode: u16, number: u16, data: &[u8]) -> Vec<u8> {
    let head = [opcode.to_be_bytes(), number.to_be_bytes()].concat();
    [&head, data].concat()
}
