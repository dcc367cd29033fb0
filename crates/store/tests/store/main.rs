//! What every store promises (`conformance`), and what the one of one host promises beyond that.

#![allow(clippy::unwrap_used)]

mod conformance;
mod crash;
mod damage;
mod disk;
mod embedded;
mod exports;
mod sample;
mod versions;
