//! One command a file.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod show;
pub(crate) mod version;
pub(crate) mod wait;
