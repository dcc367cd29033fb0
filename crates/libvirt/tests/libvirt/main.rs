//! The crate as the agent uses it. One program, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod calls;
mod common;
mod hostile;
mod knowledge;
mod life;
mod metadata;
mod model;
mod recent;
mod samples;
