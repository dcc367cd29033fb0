//! What holds for every input, whoever wrote it: the fuzz targets of `tests/fuzz`, as plain functions over bytes.
//!
//! A function returns when everything held and panics when something did not. Which bytes there are is somebody else's
//! business: libFuzzer's, which looks for new ones, and that of `tests/replay.rs`, which hands in every seed and everything
//! that was ever found.
//!
//! | target | bytes | what holds |
//! |---|---|---|
//! | [`handle()`] | a binding and an owner in [`setup::LENGTH`] bytes, then a frame or a message | [`Expected`] of the frame is what it gets; a reply is what every [`Reply`] is; nothing else is written; once is as twice |
//! | [`options()`] | a message type and flags, `file`, `sname`, the options field | as above, and what was said in pieces is echoed whole |
//! | [`ipc()`] | a record | what decodes is written as the same bytes again, and its binding can be served |
//! | [`config()`] | files of TOML, with a NUL between two | what parses serves its links, and what does not says why |
//! | [`libvirt()`] | hook calls and state files, with a NUL between two | whoever was told of is found until its end, and then nothing is left |

mod config;
mod expected;
mod handle;
mod ipc;
mod libvirt;
mod options;
mod reply;
pub mod setup;
mod wire;

pub use config::config;
pub use expected::{Expected, Kind};
pub use handle::{check, handle};
pub use ipc::ipc;
pub use libvirt::libvirt;
pub use options::options;
pub use reply::Reply;
pub use wire::{Asked, Message, broadcast, mended, unicast};

/// A property over bytes: it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Each target by the name of its fuzz target, seeds and regressions.
pub const TARGETS: [(&str, Property); 5] = [
    ("handle", handle),
    ("options", options),
    ("ipc", ipc),
    ("config", config),
    ("libvirt", libvirt),
];
