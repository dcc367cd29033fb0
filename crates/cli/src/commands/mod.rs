//! One command a file.

pub(crate) mod bind;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod hook;
pub(crate) mod list;
pub(crate) mod mac;
pub(crate) mod man;
pub(crate) mod pools;
pub(crate) mod reload;
pub(crate) mod show;
pub(crate) mod store;
pub(crate) mod version;
pub(crate) mod wait;
pub(crate) mod watch;
