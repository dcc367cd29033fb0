//! Where the agent's lines go: under systemd to the journal, each with the fields that it is found by; else to stderr.
//!
//! A line about a link names it first, and has these fields where they are known: `LINK`, `IFINDEX`, `VM` and `UUID`
//! (libvirt's), `ADDRESS`, and for an event, as `slash32 events` tells it, `EVENT`. So `journalctl LINK=virbr13` is the
//! story of one VM. No value is a guest's: the agent reads nothing that a guest has sent.
//!
//! Levels: error is what an operator has to do something about, warn what may cost one VM something, info what happens.

mod journal;

use crate::clean::clean;
use journal::{Journal, Lines};
use nix::sys::stat::fstat;
use std::fmt::{self, Debug};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// From here on everything is told. `SLASH32_LOG` says what is worth it, as `RUST_LOG` does elsewhere (`debug`, or
/// `info,slash32_agent::kernel=trace`; levels of targets, not of fields: those need regular expressions, half a megabyte of them);
/// `info` by default.
///
/// Returns the journal when the lines go there: somebody has to [keep up](Journal::keep_up) with it.
pub(crate) fn start() -> Option<Arc<Journal>> {
    let wanted = std::env::var("SLASH32_LOG").ok();
    let filter = wanted.and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let under_systemd = stderr_is_the_journal();
    // Where its socket is missing, stderr still leads there.
    let journal = under_systemd
        .then(Journal::open)
        .and_then(Result::ok)
        .map(Arc::new);
    let lines = match &journal {
        Some(journal) => Lines(Arc::clone(journal)).boxed(),
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .fmt_fields(MessageOnly)
                .with_writer(stderr)
                .with_ansi(stderr().is_terminal())
                .with_target(false);
            if under_systemd {
                // The journal has a time of its own.
                lines.without_time().boxed()
            } else {
                lines.boxed()
            }
        }
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    journal
}

/// systemd names the file that it made stderr of, by device and inode (systemd.exec(5)): a shell inside a service has the
/// variable, too, and another stderr.
fn stderr_is_the_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| {
        fstat(stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
    })
}

/// People read the message, which says what the fields say.
struct MessageOnly;

impl<'writer> FormatFields<'writer> for MessageOnly {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut message = Message(writer, Ok(()));
        fields.record(&mut message);
        message.1
    }
}

/// Writes the message and nothing else.
struct Message<'writer>(Writer<'writer>, fmt::Result);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.1 = self.0.write_str(&clean(&format!("{value:?}")));
        }
    }
}
