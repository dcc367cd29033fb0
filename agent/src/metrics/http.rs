//! `GET /metrics` over HTTP/1.1 (RFC 9112), and nothing else.
//!
//! Who asks may be anybody who reaches the address, and this process may change the host's routes: so nothing of a request
//! is looked at but its first line. Header fields are skipped, there is no body, and each connection carries one request.
//! A library would bring a dozen crates, keep-alive, chunks and HTTP/1.0 to do that.
//!
//! Bounds: [`CONNECTIONS`] at a time, one more every [`PAUSE`], [`HEAD`] bytes, [`PATIENCE`] from the first byte to the last.

use super::Exporter;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// So many connections are served at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 8;
/// Between two connections that are accepted: what somebody asks for must not become work that VMs wait for.
const PAUSE: Duration = Duration::from_millis(10);
/// So long a request line and header fields may be, in bytes.
const HEAD: usize = 8 << 10;
/// So much of what comes behind that is thrown away before the connection is closed, in bytes.
const REST: usize = 64 << 10;
/// So long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to listen.
const RETRY: Duration = Duration::from_secs(2);

/// OpenMetrics 1.0, which Prometheus reads since version 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers whoever asks at `address`, for as long as the agent runs.
///
/// An address that cannot be listened at costs no VM anything: it is told once, and tried again until it can, as it may
/// belong to a link that comes later.
pub(crate) async fn serve(address: SocketAddr, exporter: Exporter) {
    let listener = listen(address).await;
    let exporter = Arc::new(exporter);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        // An error is that of one connection, or a want of descriptors that passes.
        if let Ok((connection, _)) = listener.accept().await {
            let exporter = Arc::clone(&exporter);
            tokio::spawn(async move {
                // Whoever asked and went away, or is too slow, gets no answer.
                let _ = timeout(PATIENCE, converse(connection, &exporter)).await;
                drop(place);
            });
        }
        sleep(PAUSE).await;
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!("metrics are served at http://{address}/metrics");
                return listener;
            }
            Err(error) if !told => {
                told = true;
                tracing::error!(
                    "metrics cannot be served at {address}: {error}; VMs are served all the same, and it is tried again; \
                     else set metrics in [agent] to a free port of an address of this host, and restart slash32-agent"
                );
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

/// Answers one request.
async fn converse(mut connection: TcpStream, exporter: &Exporter) -> io::Result<()> {
    let Some(answer) = read_head(&mut connection).await?.map(|head| answer(&head)) else {
        return Ok(());
    };
    let body = match answer.body {
        Body::Metrics => exporter.text(),
        Body::Sentence(sentence) => format!("{sentence}\n"),
    };
    let content_type = match answer.body {
        Body::Metrics => OPEN_METRICS,
        Body::Sentence(_) => PLAIN,
    };
    let mut reply = format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n",
        answer.status,
        body.len()
    );
    if !answer.head_only {
        reply.push_str(&body);
    }
    connection.write_all(reply.as_bytes()).await?;
    connection.shutdown().await?;
    // What was sent and not read would reset the connection before the answer is read.
    let mut rest = [0; 1024];
    for _ in 0..REST / rest.len() {
        if connection.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads up to the empty line behind the header fields, or as much of it as may be. `None`: nothing was asked.
async fn read_head(connection: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    let mut looked_at = 0;
    while !is_whole(&head[looked_at..]) && head.len() < HEAD {
        looked_at = head.len().saturating_sub(3);
        let room = (HEAD - head.len()) as u64;
        if (&mut *connection).take(room).read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

/// The empty line that ends a head is there. Lines may end without a carriage return (RFC 9112 §2.2).
fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// What a request gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Answer {
    status: &'static str,
    body: Body,
    /// The method was HEAD: the body is described, not sent.
    head_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    Metrics,
    Sentence(&'static str),
}

fn answer(head: &[u8]) -> Answer {
    let sentence = |status, sentence| Answer {
        status,
        body: Body::Sentence(sentence),
        head_only: false,
    };
    if !is_whole(head) {
        return sentence(
            "431 Request Header Fields Too Large",
            "The request is longer than 8192 bytes.",
        );
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return sentence("400 Bad Request", "This is no HTTP request.");
    };
    if !version.starts_with(b"HTTP/1.") {
        return sentence("505 HTTP Version Not Supported", "HTTP/1.1 is spoken here.");
    }
    let head_only = method == b"HEAD";
    if !head_only && method != b"GET" {
        return sentence(
            "405 Method Not Allowed",
            "The metrics can only be read: GET /metrics.",
        );
    }
    let path = target.split(|&byte| byte == b'?').next();
    let found = path == Some(b"/metrics");
    Answer {
        head_only,
        ..if found {
            Answer {
                status: "200 OK",
                body: Body::Metrics,
                head_only,
            }
        } else {
            sentence(
                "404 Not Found",
                "The metrics of slash32-agent are at /metrics.",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_or_head_of_metrics_is_answered_with_metrics() {
        let table = [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "200"),
            ("GET /metrics?name=links HTTP/1.1\r\n\r\n", "200"),
            ("GET /metrics HTTP/1.0\n\n", "200"),
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", "404"),
            ("GET /../metrics HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
            ("get /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /metrics HTTP/2\r\n\r\n", "505"),
            ("PRI * HTTP/2.0\r\n\r\n", "505"),
            ("GET  /metrics HTTP/1.1\r\n\r\n", "400"),
            ("GET /metrics\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", "431"),
        ];
        for (head, status) in table {
            let answer = answer(head.as_bytes());
            assert!(answer.status.starts_with(status), "{head:?}: {answer:?}");
            let is_metrics = answer.body == Body::Metrics;
            assert_eq!(is_metrics, status == "200", "{head:?}: {answer:?}");
        }
    }
}
