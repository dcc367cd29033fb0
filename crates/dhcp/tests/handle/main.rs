//! The protocol core from outside: frames in, frames out. `item_NN_` names a row of the project's RFC checklist.
#![allow(clippy::unwrap_used)]

mod answer;
mod captures;
mod checklist;
mod client;
mod delivery;
mod extensions;
mod frames;
mod limits;
mod messages;
mod mutated;
mod overlays;
mod owner;
mod replies;
