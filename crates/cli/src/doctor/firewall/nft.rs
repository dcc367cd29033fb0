//! What `nft --json list ruleset` prints (libnftables-json(5)).

use super::{Action, Base, Chain, Family, Field, Firewall, Hook, Match, Rule, Source};
use serde_json::Value;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Statements that let every packet go on.
const WITHOUT_MEANING: &[&str] = &[
    "counter",
    "log",
    "mangle",
    "notrack",
    "ct helper",
    "ct timeout",
    "flow",
    "set",
    "comment",
    "last",
    "secmark",
];

/// The sets and maps with a name, by their table and name.
type Named = HashMap<(String, String), Value>;

impl Firewall {
    /// Adds the chains of each family but IPv6. Those of type `nat` are left out: they drop nothing.
    ///
    /// Errors: the text is not what nft prints.
    pub(crate) fn add_nft(&mut self, text: &str) -> Result<(), String> {
        let ruleset: Value =
            serde_json::from_str(text).map_err(|error| format!("nft printed no JSON: {error}"))?;
        let objects = ruleset["nftables"]
            .as_array()
            .ok_or("nft printed JSON that is no ruleset")?;
        let mut named = Named::new();
        for object in objects {
            for kind in ["set", "map"] {
                if let Some(set) = object.get(kind) {
                    named.insert((table(set), text_of(&set["name"])), set["elem"].clone());
                }
            }
        }
        for object in objects {
            if let Some(chain) = object.get("chain")
                && let Some(family) = family(chain)
                && chain["type"] != "nat"
            {
                self.chains.push(Chain {
                    source: Source::Nft,
                    family,
                    table: table(chain),
                    name: text_of(&chain["name"]),
                    base: base(chain),
                    rules: Vec::new(),
                });
            } else if let Some(rule) = object.get("rule") {
                let (table, name) = (table(rule), text_of(&rule["chain"]));
                let rules = read(rule, &table, &named);
                if let Some(chain) = self.chains.iter_mut().find(|chain| {
                    chain.source == Source::Nft && chain.table == table && chain.name == name
                }) {
                    chain.rules.extend(rules);
                }
            }
        }
        Ok(())
    }

    /// Chains of an ingress or egress hook of which nft did not say the links: `nft --json` leaves them out up to 1.0.6.
    pub(crate) fn lacks_devices(&self) -> bool {
        self.chains.iter().any(|chain| {
            let base = chain.base.as_ref();
            chain.family == Family::Netdev && base.is_some_and(|base| base.devices.is_empty())
        })
    }

    /// Adds the links of those chains, from what `nft list chains` prints.
    pub(crate) fn add_devices(&mut self, text: &str) {
        let (mut table, mut name) = (String::new(), "");
        for line in text.lines() {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("table ") {
                table = rest.trim_end_matches([' ', '{']).to_owned();
            } else if let Some(rest) = line.strip_prefix("chain ") {
                name = rest.trim_end_matches([' ', '{']);
            } else if let Some((_, rest)) = line.split_once(" device") {
                // `device "eth0" priority ...`, `devices = { "eth0", "eth1" } priority ...`
                let list = rest.split(" priority").next().unwrap_or_default();
                let devices = list
                    .trim_start_matches('s')
                    .split(|c: char| c.is_whitespace() || "=,{}\"".contains(c))
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned);
                let chain = self.chains.iter_mut().find(|chain| {
                    chain.source == Source::Nft && chain.table == table && chain.name == name
                });
                if let Some(base) = chain.and_then(|chain| chain.base.as_mut()) {
                    base.devices = devices.collect();
                }
            }
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn table(object: &Value) -> String {
    let table = object.get("table").unwrap_or(&object["name"]);
    format!("{} {}", text_of(&object["family"]), text_of(table))
}

fn family(object: &Value) -> Option<Family> {
    Some(match object["family"].as_str()? {
        "ip" | "inet" => Family::Ip,
        "bridge" => Family::Bridge,
        "arp" => Family::Arp,
        "netdev" => Family::Netdev,
        _ => return None,
    })
}

fn base(chain: &Value) -> Option<Base> {
    let hook = match chain["hook"].as_str()? {
        "ingress" => Hook::Ingress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        "egress" => Hook::Egress,
        _ => return None,
    };
    Some(Base {
        hook,
        drops: chain["policy"] == "drop",
        devices: listed(&chain["dev"])
            .iter()
            .map(|name| text_of(name))
            .collect(),
    })
}

/// One rule, or one for each element of the map that it looks its verdict up in.
fn read(rule: &Value, table: &str, named: &Named) -> Vec<Rule> {
    let label = format!("handle {}", rule["handle"]);
    let mut read = Rule {
        label: label.clone(),
        ..Rule::default()
    };
    for statement in rule["expr"].as_array().into_iter().flatten() {
        let Some((kind, body)) = statement
            .as_object()
            .and_then(|object| object.iter().next())
        else {
            continue;
        };
        if let Some(action) = verdict(kind, body) {
            read.action = action;
            break;
        }
        match kind.as_str() {
            "match" => {
                let right = resolved(&body["right"], table, named);
                let field = field(&body["left"], &right);
                read.matches.extend(implied(&body["left"]));
                let negated = match body["op"].as_str() {
                    Some("==" | "in") => false,
                    Some("!=") => true,
                    _ => {
                        read.matches.push(Match::new(Field::Unread));
                        continue;
                    }
                };
                read.matches.push(Match { negated, field });
            }
            "vmap" => return mapped(&read, body, table, named),
            kind if WITHOUT_MEANING.contains(&kind) => {}
            _ => read.matches.push(Match::new(Field::Unread)),
        }
    }
    vec![read]
}

fn verdict(kind: &str, body: &Value) -> Option<Action> {
    let target = || text_of(&body["target"]);
    Some(match kind {
        "accept" => Action::Accept,
        "drop" => Action::Drop,
        "reject" => Action::Reject,
        "return" => Action::Return,
        "jump" => Action::Jump(target()),
        "goto" => Action::Goto(target()),
        "continue" => Action::Continue,
        "queue" => Action::Unread,
        // A target of iptables, which iptables-nft leaves as it is.
        "xt" if body["type"] == "target" => match body["name"].as_str() {
            Some("REJECT") => Action::Reject,
            Some("NFQUEUE") => Action::Unread,
            _ => Action::Continue,
        },
        _ => return None,
    })
}

/// `rule` with the verdict of each element of its map.
fn mapped(rule: &Rule, map: &Value, table: &str, named: &Named) -> Vec<Rule> {
    let elements = resolved(&map["data"], table, named);
    let with = |element: &Value| {
        let mut rule = rule.clone();
        let pair = element.as_array().filter(|pair| pair.len() == 2);
        let parts = pair.and_then(|pair| {
            let (kind, body) = pair[1].as_object()?.iter().next()?;
            Some((field(&map["key"], &[&pair[0]]), verdict(kind, body)?))
        });
        rule.matches.extend(implied(&map["key"]));
        let (field, action) = parts.unwrap_or((Field::Unread, Action::Unread));
        rule.matches.push(Match::new(field));
        rule.action = action;
        rule
    };
    elements.into_iter().map(with).collect()
}

/// A value as the list of what it stands for: the elements of a set, whether it stands there or has a name.
fn resolved<'v>(value: &'v Value, table: &str, named: &'v Named) -> Vec<&'v Value> {
    let set = match value.as_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => named.get(&(table.to_owned(), name.to_owned())),
        None => value.get("set").or(Some(value)),
    };
    set.map(listed).unwrap_or_default()
}

/// The elements of a list, or the one thing that is none. An element may be wrapped, with a comment or a timeout.
fn listed(value: &Value) -> Vec<&Value> {
    fn unwrapped(element: &Value) -> &Value {
        element.get("elem").map_or(element, |elem| &elem["val"])
    }
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().map(unwrapped).collect(),
        one => vec![one],
    }
}

/// What `left` compares, with the values `right`.
fn field(left: &Value, right: &[&Value]) -> Field {
    let key = |kind: &str| left[kind]["key"].as_str().unwrap_or_default();
    let texts = || -> Option<Vec<String>> {
        right
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect()
    };
    let payload = &left["payload"];
    let part = (
        payload["protocol"].as_str().unwrap_or_default(),
        payload["field"].as_str().unwrap_or_default(),
    );
    let field = match (key("meta"), key("ct"), part) {
        ("iifname" | "iif", ..) => texts().map(Field::Input),
        ("oifname" | "oif", ..) => texts().map(Field::Output),
        ("ibrname", ..) => texts().map(Field::InputBridge),
        ("obrname", ..) => texts().map(Field::OutputBridge),
        ("l4proto", ..) | (_, _, ("ip", "protocol")) => texts().map(Field::Protocol),
        ("nfproto", ..) => texts().map(|names| {
            let named = |name: String| match name.as_str() {
                "ipv4" => "ip".to_owned(),
                "ipv6" => "ip6".to_owned(),
                _ => name,
            };
            Field::EtherType(names.into_iter().map(named).collect())
        }),
        ("protocol", ..) | (_, _, ("ether", "type")) => texts().map(Field::EtherType),
        (_, "state", _) => texts().map(Field::Connection),
        // A VM's address is translated by nobody, and no state has such a name.
        (_, "status", _) => texts()
            .filter(|names| names.iter().all(|name| name == "dnat" || name == "snat"))
            .map(Field::Connection),
        (_, _, ("ip", "saddr")) => right
            .iter()
            .map(|value| addresses(value))
            .collect::<Option<_>>()
            .map(Field::Source),
        (_, _, ("ip", "daddr")) => right
            .iter()
            .map(|value| addresses(value))
            .collect::<Option<_>>()
            .map(Field::Destination),
        (_, _, ("ip6" | "icmpv6", _)) => Some(Field::EtherType(vec!["ip6".into()])),
        (_, _, ("tcp" | "udp" | "th", "sport")) => ports(right).map(Field::SourcePort),
        (_, _, ("tcp" | "udp" | "th", "dport")) => ports(right).map(Field::DestinationPort),
        _ => None,
    };
    field.unwrap_or(Field::Unread)
}

/// What a comparison of `left` says beside: `tcp dport 22` is of TCP only.
fn implied(left: &Value) -> Option<Match> {
    let protocol = left["payload"]["protocol"].as_str()?;
    let field = match protocol {
        "tcp" | "udp" | "icmp" => Field::Protocol(vec![protocol.to_owned()]),
        "ip" | "ip6" | "arp" => Field::EtherType(vec![protocol.to_owned()]),
        _ => return None,
    };
    Some(Match::new(field))
}

fn addresses(value: &Value) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let address = |value: &Value| value.as_str()?.parse::<Ipv4Addr>().ok();
    if let Some(prefix) = value.get("prefix") {
        let length = prefix["len"].as_u64()?;
        return Some(block(
            address(&prefix["addr"])?,
            u32::try_from(length).ok()?,
        ));
    }
    if let Some(range) = value.get("range") {
        return Some((address(&range[0])?, address(&range[1])?));
    }
    let one = address(value)?;
    Some((one, one))
}

/// The first and the last address of a block.
pub(super) fn block(address: Ipv4Addr, length: u32) -> (Ipv4Addr, Ipv4Addr) {
    let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
    let first = u32::from(address) & mask;
    (first.into(), (first | !mask).into())
}

fn ports(values: &[&Value]) -> Option<Vec<(u16, u16)>> {
    let port = |value: &Value| match value {
        Value::String(name) => service(name),
        _ => u16::try_from(value.as_u64()?).ok(),
    };
    let range = |value: &&Value| match value.get("range") {
        Some(range) => Some((port(&range[0])?, port(&range[1])?)),
        None => {
            let one = port(value)?;
            Some((one, one))
        }
    };
    values.iter().map(range).collect()
}

/// The services that matter here, for an nft that prints names.
fn service(name: &str) -> Option<u16> {
    Some(match name {
        "bootps" => 67,
        "bootpc" => 68,
        "domain" => 53,
        "ssh" => 22,
        _ => return name.parse().ok(),
    })
}
