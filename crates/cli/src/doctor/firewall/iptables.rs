//! What `iptables-legacy-save` prints.

use super::{Action, Base, Chain, Family, Field, Firewall, Hook, Match, Rule, Source};
use std::net::Ipv4Addr;

/// Matches whose own options say everything.
const WITHOUT_MEANING: &[&str] = &["tcp", "udp", "multiport", "conntrack", "state", "comment"];

impl Firewall {
    /// Adds the chains of each table but `nat`, which drops nothing.
    pub(crate) fn add_iptables(&mut self, text: &str) {
        let mut table = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name.trim().to_owned();
            } else if table == "nat" {
            } else if let Some(declaration) = line.strip_prefix(':') {
                let mut words = declaration.split_whitespace();
                let (Some(name), Some(policy)) = (words.next(), words.next()) else {
                    continue;
                };
                self.chains.push(Chain {
                    source: Source::Iptables,
                    family: Family::Ip,
                    table: table.clone(),
                    name: name.to_owned(),
                    base: hook(name).filter(|_| policy != "-").map(|hook| Base {
                        hook,
                        drops: policy == "DROP",
                        devices: Vec::new(),
                    }),
                    rules: Vec::new(),
                });
            } else if line.starts_with("-A ") {
                self.append(&table, line);
            }
        }
    }

    fn append(&mut self, table: &str, line: &str) {
        let words = words(line);
        let Some(name) = words.get(1) else { return };
        let is_chain = |chain: &Chain, name: &str| {
            chain.source == Source::Iptables && chain.table == table && chain.name == name
        };
        let is_jump = |name: &str| self.chains.iter().any(|chain| is_chain(chain, name));
        let mut rule = read(&words[2..], is_jump);
        rule.label = line.to_owned();
        if let Some(chain) = self.chains.iter_mut().find(|chain| is_chain(chain, name)) {
            chain.rules.push(rule);
        }
    }
}

fn hook(chain: &str) -> Option<Hook> {
    Some(match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    })
}

/// The rule after `-A CHAIN`.
fn read(words: &[String], is_chain: impl Fn(&str) -> bool) -> Rule {
    let mut rule = Rule::default();
    let mut words = words.iter().map(String::as_str);
    let mut negated = false;
    while let Some(option) = words.next() {
        if option == "!" {
            negated = true;
            continue;
        }
        let mut argument = || words.next().unwrap_or_default();
        let field = match option {
            "-i" => Some(Field::Input(vec![pattern(argument())])),
            "-o" => Some(Field::Output(vec![pattern(argument())])),
            "-s" => Some(ranges(argument()).map_or(Field::Unread, Field::Source)),
            "-d" => Some(ranges(argument()).map_or(Field::Unread, Field::Destination)),
            "-p" => Some(Field::Protocol(vec![argument().to_owned()])),
            "--sport" | "--sports" => {
                Some(ports(argument()).map_or(Field::Unread, Field::SourcePort))
            }
            "--dport" | "--dports" => {
                Some(ports(argument()).map_or(Field::Unread, Field::DestinationPort))
            }
            "--ctstate" | "--state" => Some(Field::Connection(
                argument().split(',').map(str::to_ascii_lowercase).collect(),
            )),
            "--comment" => {
                argument();
                None
            }
            "-m" => (!WITHOUT_MEANING.contains(&argument())).then_some(Field::Unread),
            "-j" | "-g" => {
                rule.action = match argument() {
                    "ACCEPT" => Action::Accept,
                    "DROP" => Action::Drop,
                    "REJECT" => Action::Reject,
                    "RETURN" => Action::Return,
                    "NFQUEUE" | "QUEUE" => Action::Unread,
                    name if is_chain(name) && option == "-g" => Action::Goto(name.to_owned()),
                    name if is_chain(name) => Action::Jump(name.to_owned()),
                    _ => Action::Continue,
                };
                // What follows are the target's own options.
                break;
            }
            // An option of a match that is not understood: `-m` has said so already, or it is of one that is.
            _ if option.starts_with('-') => Some(Field::Unread),
            _ => None,
        };
        if let Some(field) = field {
            rule.matches.push(Match { negated, field });
            negated = false;
        }
    }
    rule
}

/// `virbr+` is every name that begins so.
fn pattern(name: &str) -> String {
    match name.strip_suffix('+') {
        Some(beginning) => format!("{beginning}*"),
        None => name.to_owned(),
    }
}

/// `198.51.100.0/24`, `198.51.100.7/32`.
fn ranges(text: &str) -> Option<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    Some(vec![super::nft::block(
        address.parse().ok()?,
        length.parse().ok()?,
    )])
}

/// `53`, `67:68`, `53,67:68`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let port = |text: &str| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.split(',').map(port).collect()
}

/// The words of a line, where `"` holds several together and `\` keeps the next character.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' => word.extend(characters.next()),
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
