//! What may happen to a hypervisor while 50 VMs renew every second, and that none of them is the worse for it: no renewal is
//! refused, none waits longer than one retransmit, no host route blinks. Each event is a case; what it cost is
//! [recorded](slash32_tests::survival).
#![allow(missing_docs, clippy::unwrap_used)]

mod agent;
mod clock;
mod growth;
mod links;
mod responders;
mod stage;
mod store;
mod version;
