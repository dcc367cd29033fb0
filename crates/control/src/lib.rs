//! What an operator's program and the agent say to each other: the varlink interface `io.slash32.Agent` on a unix socket.
//!
//! # Theory of operation
//!
//! The agent publishes snapshots; this crate reads them. [`serve`] runs one task for each client, and each task asks the
//! [`Operator`] for the newest snapshot whenever its client calls: nobody waits for a reconcile, and the reconcile waits for
//! nobody. `Wait` sleeps on [`Operator::changes`] and looks again at each tick; `Watch` sends every link again at each tick,
//! at most ten times a second; `Events` forwards a broadcast channel.
//!
//! A call either reads or changes; one function of the server (`changes`, in `methods.rs`) tells which. A change is made by the
//! task that changes the host, and its reply is sent when it is durable.
//!
//! On the wire a message is a JSON object and a NUL byte, in both directions (<https://varlink.org/Method-Call>). The
//! interface is described in `io.slash32.Agent.varlink`, which `GetInterfaceDescription` returns, so `varlinkctl` can call
//! the agent too.
//!
//! # Invariants
//!
//! - A client cannot delay another one: calls of one client are answered in their order by its own task, which is the only
//!   one that waits when the client does not read.
//! - A client cannot make the agent hold more than [`CALL_LIMIT`] bytes of a call, nor more than [`CLIENT_LIMIT`]
//!   connections: one more is told `Busy` and closed. An idle connection costs a task and is never closed. Only who may
//!   change something may send up to [`DOCUMENT_LIMIT`], for `Import`.
//! - A change that was begun is finished, also when its caller hangs up; a read is dropped then.
//! - A client that reads events too slowly is told how many it missed (`Missed`) and its stream ends; the agent never waits.
//! - A call that is valid JSON gets an answer, an error of `org.varlink.service` included. What is no varlink message, or is
//!   too long (which is said: `TooLong`), closes the connection of its sender and nothing else.
//! - Whoever may open the socket may read everything: the agent decides with the group and the mode of the socket file. Only
//!   root, the agent's own user and whom [`Operator::may_change`] names may change something; others are told who may
//!   (`NotPermitted`). The kernel says who they are (`SO_PEERCRED`, `SO_PEERGROUPS`).
//! - Every text that comes from outside is for the agent to sanitise before it publishes it; JSON escapes the rest.
//!
//! # Why not a varlink crate
//!
//! `zlink` 0.8 serves all clients from one task and awaits both the method and the write of its reply there: a `Wait`, or a
//! client that stopped reading, would hold everybody. It also closes the connection on an unknown method instead of
//! answering `MethodNotFound`, and its server future is not `Send`. The server here is small enough to be read; `zlink`
//! calls it in the tests, as an independent client.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod call;
mod client;
mod explanation;
mod fault;
mod framing;
mod key;
mod methods;
mod operation;
mod operator;
mod server;
mod streams;
mod types;

pub use client::{Client, ClientError, Events, Watch};
pub use explanation::{
    ExplainedAddress, ExplainedNetwork, ExplainedOption, Explanation, OverriddenOption,
};
pub use key::{ShowError, resolve, resolve_all};
pub use operation::{Done, NextMac, NotPermitted, PoolRow, Refused, ReloadError, ReloadReport};
pub use operator::Operator;
pub use server::{CLIENT_LIMIT, serve};
pub use types::{
    Event, EventKind, HistoryEntry, Lease, LinkDetail, LinkRow, ParseStateError, Port, Responder,
    SeenFrame, State, Version,
};

/// The name of the varlink interface.
pub const INTERFACE: &str = "io.slash32.Agent";

/// The varlink description of [`INTERFACE`], as `org.varlink.service.GetInterfaceDescription` returns it.
pub const DESCRIPTION: &str = include_str!("io.slash32.Agent.varlink");

/// The version of [`INTERFACE`], counted up when a program written for the last one could misread an answer.
pub const PROTOCOL: u32 = 1;

/// Where the agent listens unless its config or the operator says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/slash32/agent.sock";

/// The most bytes that a call may have, its NUL not counted.
pub const CALL_LIMIT: usize = 64 * 1024;

/// The group whose members may open the agent's socket.
pub const GROUP: &str = "slash32";

/// The most bytes that a call of somebody who may change things may have: a store of some 300,000 allocations.
pub const DOCUMENT_LIMIT: usize = 64 * 1024 * 1024;
