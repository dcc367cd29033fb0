//! The host's rules, and what becomes of a packet of which only some is known.
//!
//! A match is true, false, open (it depends on what is not known of the packet) or unread (it is written in a way that is
//! not understood here). A chain lets a packet pass when a rule that is true or open accepts it, or when it gets to the end
//! of a chain whose policy is to accept. [`Firewall::stopped`] tells the first chain of a hook that does not.

pub(crate) mod iptables;
pub(crate) mod nft;
mod packet;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use packet::{Packet, Side};
pub(crate) use walk::{Certainty, Stop};

use std::net::Ipv4Addr;

/// All rules that could be read.
#[derive(Default)]
pub(crate) struct Firewall {
    pub(crate) chains: Vec<Chain>,
    /// What could not be read: the object, why, and what to do about it.
    pub(crate) unread: Vec<[String; 3]>,
}

/// What reads the rules, and is told to mend them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Nft,
    /// iptables of the kernel before nftables, as `iptables-legacy` shows it.
    Iptables,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// `ip` and `inet`.
    Ip,
    Bridge,
    Arp,
    Netdev,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) source: Source,
    pub(crate) family: Family,
    /// The family and the table as `nft` takes them, `inet filter`; iptables' table alone, `filter`.
    pub(crate) table: String,
    pub(crate) name: String,
    /// `None` when other chains jump to it only.
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) hook: Hook,
    pub(crate) drops: bool,
    /// The links of an ingress or egress hook.
    pub(crate) devices: Vec<String>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Rule {
    /// What tells it from the others of its chain: `handle 7`, or iptables' own line.
    pub(crate) label: String,
    pub(crate) matches: Vec<Match>,
    pub(crate) action: Action,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Match {
    pub(crate) negated: bool,
    pub(crate) field: Field,
}

/// What a match compares, with the values that it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// The link it came in on; `virbr*` is a pattern.
    Input(Vec<String>),
    /// The link it goes out of.
    Output(Vec<String>),
    /// The bridge of the link it came in on.
    InputBridge(Vec<String>),
    /// The bridge of the link it goes out of.
    OutputBridge(Vec<String>),
    /// The first and the last address of each range.
    Source(Vec<(Ipv4Addr, Ipv4Addr)>),
    Destination(Vec<(Ipv4Addr, Ipv4Addr)>),
    /// `ip`, `arp`, `ip6`: what the frame carries.
    EtherType(Vec<String>),
    /// `tcp`, `udp`, ...
    Protocol(Vec<String>),
    SourcePort(Vec<(u16, u16)>),
    DestinationPort(Vec<(u16, u16)>),
    /// conntrack's states: `new`, `established`, ...
    Connection(Vec<String>),
    /// It is not understood.
    Unread,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Action {
    /// It goes on with the next rule.
    #[default]
    Continue,
    Accept,
    Drop,
    /// Dropped, and its sender is told.
    Reject,
    Jump(String),
    Goto(String),
    Return,
    /// Somebody else decides: a queue, a map that is not understood.
    Unread,
}

impl Match {
    pub(crate) fn new(field: Field) -> Self {
        Self {
            negated: false,
            field,
        }
    }
}

impl Chain {
    /// `chain forward of inet filter`, `chain FORWARD of iptables' filter`.
    pub(crate) fn describe(&self) -> String {
        match self.source {
            Source::Nft => format!("chain {} of {}", self.name, self.table),
            Source::Iptables => format!("chain {} of iptables-legacy's {}", self.name, self.table),
        }
    }
}
