//! The crate as the agent and `slash32 check` use it. One program, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod allocation;
mod binding;
mod classes;
mod common;
mod config;
mod events;
mod examples;
mod explain;
mod identity;
mod link_file;
mod metadata;
mod modes;
mod refused_classes;
mod refused_networks;
mod refused_values;
mod requirements;
