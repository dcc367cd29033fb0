//! HTTP/1.1 (RFC 9112) as far as firmware speaks it: GET and HEAD of whole files, over connections that stay open.

use crate::file_server::{Shared, TICK};
use std::{
    io::{BufRead, BufReader, ErrorKind, Result, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

/// How long a client may keep the server waiting: its machine may be an emulated one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers each connection in a thread of its own, until the server is over.
pub(crate) fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over() {
        match listener.accept() {
            Ok((stream, from)) => {
                let shared = shared.clone();
                // It ends with its client: the namespace takes the connection down.
                std::thread::spawn(move || converse(&stream, from, &shared));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TICK),
            Err(_) => return,
        }
    }
}

/// Answers requests until the client closes its connection, or says what is not understood.
fn converse(stream: &TcpStream, from: SocketAddr, shared: &Shared) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next().transpose()? {
        let mut words = line.split(' ');
        let (method, target) = (words.next(), words.next().unwrap_or("/"));
        let method = match method {
            Some("GET") => "GET",
            Some("HEAD") => "HEAD",
            _ => return Ok(()),
        };
        let path = target.strip_prefix('/').unwrap_or(target);
        // The header fields end with an empty line; none of them changes the answer.
        for field in lines.by_ref() {
            if field?.is_empty() {
                break;
            }
        }
        let file = shared.file(path);
        let sent = answer(stream, file, method == "GET");
        shared.note(method, path, from, sent.is_ok() && file.is_some());
        sent?;
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, file: Option<&[u8]>, with_body: bool) -> Result<()> {
    let status = if file.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = file.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(body)?;
    }
    stream.flush()
}
