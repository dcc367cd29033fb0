use crate::{Change, Embedded, Records, Store, StoreError};

/// Stands in for a store that cannot be used, so that the agent can run without one: whatever is bound stays served, and
/// nothing new is decided, because [`Store::commit`] always fails with the reason.
///
/// It does not mend itself: what it has loaded may be less than what the file holds, so whoever repairs the file restarts
/// the agent. Where [`Unavailable::has_records`] is false, an empty `load` means "not known": a running responder without a
/// record is then to be left alone, not dismissed.
#[derive(Clone, Debug)]
pub struct Unavailable {
    reason: StoreError,
    records: Option<Records>,
}

impl Unavailable {
    /// `records` is everything that the store has, when only writing is impossible; else `None`.
    pub fn new(reason: StoreError, records: Option<Records>) -> Self {
        Self { reason, records }
    }

    /// Why there is no store.
    pub fn reason(&self) -> &StoreError {
        &self.reason
    }

    /// What `load` gives is what the store has: it can be read, and not written.
    pub fn has_records(&self) -> bool {
        self.records.is_some()
    }
}

impl Store for Unavailable {
    fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.clone().unwrap_or_default())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            Ok(())
        } else {
            Err(self.reason.clone())
        }
    }
}

/// What [`Embedded::open_or_explain`] came to.
pub enum Opened {
    /// The store.
    Usable(Embedded),
    /// No store; [`Unavailable::reason`] is to be told to the operator.
    Degraded(Unavailable),
}
