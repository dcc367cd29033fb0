//! The protocol core from outside: frames in, frames out. `item_NN_` names a row of the project's RFC checklist.
#![allow(clippy::unwrap_used)]

mod answer;
mod captures;
mod checklist;
mod client;
mod cve;
mod delivery;
mod differential;
mod extensions;
mod frames;
mod intent;
mod limits;
mod meant;
mod messages;
mod mutated;
mod oracle;
mod overlays;
mod owner;
mod replies;
mod valid;
