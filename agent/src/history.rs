//! What happened on a link lately, for `slash32 show`.

use crate::vm::rfc3339;
use jiff::Timestamp;
use slash32_control::HistoryEntry;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many events of a link are kept.
const KEPT: usize = 32;

/// The last events of a link, the oldest first. A copy shares their words.
#[derive(Clone, Default, Debug)]
pub(crate) struct History(VecDeque<(Timestamp, Arc<str>)>);

impl History {
    /// Keeps an event, in place of the oldest one when there are many.
    pub(crate) fn remember(&mut self, time: Timestamp, event: &str) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((time, event.into()));
    }

    /// As they are shown.
    pub(crate) fn entries(&self) -> Vec<HistoryEntry> {
        let entry = |(time, event): &(Timestamp, Arc<str>)| HistoryEntry {
            time: rfc3339(*time),
            event: event.to_string(),
        };
        self.0.iter().map(entry).collect()
    }
}
