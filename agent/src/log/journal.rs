//! Lines as journald takes them: a datagram of named fields each (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! Never waits: a journal that does not read must not keep a VM from its address (a blocking send, as other writers have it,
//! stopped the agent after ten lines). What finds no room is kept, in its order, and sent by [`Journal::keep_up`]; of more
//! than [`BACKLOG`] lines the newest are lost, counted, and the count is told when there is room again.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

const SOCKET: &str = "/run/systemd/journal/socket";
const IDENTIFIER: &str = "slash32-agent";
/// So many lines are kept while the journal does not read.
const BACKLOG: usize = 4096;
/// So many bytes of a value are sent: a datagram of a few fields fits the socket's buffer.
const LONGEST: usize = 32 << 10;
/// Between two attempts to send what is kept.
const PAUSE: Duration = Duration::from_millis(50);

/// The way to journald.
pub(crate) struct Journal {
    socket: UnixDatagram,
    kept: Mutex<Kept>,
    behind: Notify,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Journal {
    /// Errors: nobody listens at journald's socket.
    pub(super) fn open() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let journal = Self {
            socket,
            kept: Mutex::default(),
            behind: Notify::new(),
        };
        // journald drops an empty datagram.
        match journal.send(&[]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(journal),
        }
    }

    /// By its path each time, so that a journal that was started anew is found.
    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, Path::new(SOCKET)).map(drop)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a line, or keeps it behind those that are kept.
    fn take(&self, line: Vec<u8>) {
        let mut kept = self.kept();
        if kept.lines.is_empty() && self.send(&line).is_ok() {
            return;
        }
        if kept.lines.len() < BACKLOG {
            kept.lines.push_back(line);
        } else {
            kept.lost += 1;
        }
        self.behind.notify_one();
    }

    /// Sends what is kept, as far as there is room. True when nothing is kept any more.
    fn flush(&self) -> bool {
        let mut kept = self.kept();
        while let Some(line) = kept.lines.front() {
            if self.send(line).is_err() {
                return false;
            }
            kept.lines.pop_front();
        }
        let lost = std::mem::take(&mut kept.lost);
        drop(kept);
        if lost > 0 {
            tracing::warn!("{lost} lines before this one are lost: the journal took none");
        }
        true
    }

    /// Sends what is kept whenever there is some, for as long as the agent runs.
    pub(crate) async fn keep_up(&self) {
        loop {
            self.behind.notified().await;
            while !self.flush() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A journal that all lines go to.
pub(super) struct Lines(pub(super) std::sync::Arc<Journal>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.take(line(event));
    }
}

fn line(event: &Event<'_>) -> Vec<u8> {
    let mut fields = Fields(Vec::with_capacity(512));
    // syslog(3)
    let priority = match *event.metadata().level() {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    };
    fields.put("PRIORITY", priority);
    fields.put("SYSLOG_IDENTIFIER", IDENTIFIER);
    event.record(&mut fields);
    fields.0
}

/// A datagram that is being written. A field has the name of ours in capital letters, which is all that journald allows.
struct Fields(Vec<u8>);

impl Fields {
    /// With the value's length before it, so that it may hold any byte.
    fn put(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        self.0
            .extend(name.bytes().map(|byte| byte.to_ascii_uppercase()));
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = write!(text, "{value:?}");
        self.put(field.name(), &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_any_byte_and_is_cut_at_a_character() {
        let mut fields = Fields(Vec::new());
        fields.put("vm", "a\nLINK=b\0");
        assert_eq!(fields.0, b"VM\n\x09\0\0\0\0\0\0\0a\nLINK=b\0\n");
        let mut fields = Fields(Vec::new());
        fields.put("vm", &format!("{}\u{fc}", "x".repeat(LONGEST - 1)));
        assert_eq!(fields.0.len(), "VM\n".len() + 8 + LONGEST - 1 + "\n".len());
    }
}
