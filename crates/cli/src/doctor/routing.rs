//! Whether the host routes are known by name, and taken up by the routing daemon.

use super::Found;
use super::facts::Facts;
use std::path::Path;

/// The number of slash32 in /etc/iproute2/rt_protos, unless the config says another.
const PROTOCOL: u8 = 132;

fn protocol(facts: &Facts) -> u8 {
    facts
        .config
        .as_ref()
        .map_or(PROTOCOL, |config| config.route.protocol)
}

pub(super) fn protocol_name(facts: &Facts, found: &mut Found) {
    let number = protocol(facts).to_string();
    let is_named = facts.protocol_names.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().next() == Some(&number)
    });
    if !is_named {
        found.hint(
            "/etc/iproute2/rt_protos.d",
            format!("`ip route` shows our routes as proto {number}, without a name."),
            format!("mkdir -p /etc/iproute2/rt_protos.d && echo '{number} slash32' >/etc/iproute2/rt_protos.d/slash32.conf"),
        );
    }
}

pub(super) fn daemon(facts: &Facts, found: &mut Found) {
    if let Some((file, text)) = &facts.bird {
        match text {
            Ok(text) => bird(&uncommented(text), file, protocol(facts), found),
            Err(why) => found.unknown(
                file.display().to_string(),
                format!("BIRD runs, and its config is not known: {why}."),
                "run slash32 doctor as root",
            ),
        }
    }
    if let Some((file, text)) = &facts.frr {
        match text {
            Ok(text) if text.contains("redistribute kernel") => {}
            Ok(_) => found.hint(
                file.display().to_string(),
                "FRR takes the host routes for kernel routes, and does not redistribute them: the fabric may not learn where \
                 the VMs are.",
                "redistribute kernel in router bgp, with a route-map that takes the VMs' blocks only",
            ),
            Err(why) => found.unknown(
                file.display().to_string(),
                format!("FRR runs, and its config is not known: {why}."),
                "run slash32 doctor as root",
            ),
        }
    }
}

/// BIRD 2: what `protocol kernel` and `protocol direct` have to say.
fn bird(text: &str, file: &Path, number: u8, found: &mut Found) {
    let file = file.display().to_string();
    let kernels: Vec<&str> = protocols(text, "kernel")
        .filter(|body| !body.contains("ipv6"))
        .collect();
    if !kernels.iter().any(|body| has_words(body, &["learn"])) {
        found.error(
            &file,
            "No `protocol kernel` of BIRD learns routes of others: the fabric does not learn where the VMs are.",
            format!("learn; in protocol kernel, with the import filter `if krt_source = {number} then accept; reject;`"),
        );
    } else if !has_words(text, &["krt_source", "=", &number.to_string()]) {
        found.hint(
            &file,
            format!("BIRD's import filter does not ask for krt_source = {number}: it takes up other programs' routes as well."),
            format!("import filter {{ if krt_source = {number} then accept; reject; }}; in protocol kernel"),
        );
    }
    if !kernels.is_empty()
        && !kernels
            .iter()
            .any(|body| body.contains("netlink rx buffer"))
    {
        found.warning(
            &file,
            "BIRD reads the kernel's messages through a small buffer: when many VMs come at once it misses some, and the fabric \
             learns of those VMs up to a scan time later.",
            "netlink rx buffer 16777216; in protocol kernel",
        );
    }
    if protocols(text, "bgp").next().is_some() && protocols(text, "direct").next().is_none() {
        found.warning(
            &file,
            "BIRD has no `protocol direct`: next hops of BGP on the host's own links do not resolve, and their routes are \
             unreachable.",
            "protocol direct { ipv4; }",
        );
    }
}

/// The bodies of `protocol KIND ... { ... }`.
fn protocols<'t>(text: &'t str, kind: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices("protocol")
        .filter_map(move |(at, word)| {
            let rest = &text[at + word.len()..];
            let head = &rest[..rest.find('{')?];
            (head.split_whitespace().next()? == kind).then(|| body(&rest[head.len()..]))
        })
}

/// From a `{` to the `}` that ends it, or to the end.
fn body(text: &str) -> &str {
    let mut depth = 0u32;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return &text[..at],
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text
}

/// `words` stand one after the other in `text`.
fn has_words(text: &str, words: &[&str]) -> bool {
    let spaced = text.replace('=', " = ");
    let own: Vec<&str> = spaced
        .split(|c: char| c.is_whitespace() || "{};()[],".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    own.windows(words.len()).any(|window| window == words)
}

/// `text` without `#` and `/* */` comments.
fn uncommented(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        lines.push_str(line.split('#').next().unwrap_or_default());
        lines.push('\n');
    }
    let mut clean = String::new();
    let mut rest = lines.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        clean.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        protocol direct { ipv4; } # the next hops
        protocol kernel k4 {
            learn; netlink rx buffer 16777216;
            ipv4 { import filter { if krt_source=132 then accept; reject; }; export all; };
        }
        protocol kernel k6 { ipv6 { export all; }; }
        protocol bgp rr0 { ipv4 { import all; }; }";

    #[test]
    fn what_bird_lacks_is_named() {
        let table: &[(&str, &str, &[&str])] = &[
            ("", "", &[]),
            ("learn; ", "", &["No `protocol kernel` of BIRD learns"]),
            (
                "learn; ",
                "/* learn; */",
                &["No `protocol kernel` of BIRD learns"],
            ),
            (
                "krt_source=132",
                "krt_source = 3",
                &["does not ask for krt_source = 132"],
            ),
            (
                "netlink rx buffer 16777216;",
                "",
                &["through a small buffer"],
            ),
            ("protocol direct", "#", &["no `protocol direct`"]),
            ("protocol direct { ipv4; }", "", &["no `protocol direct`"]),
        ];
        for (old, new, expected) in table {
            let text = if old.is_empty() {
                GOOD.to_owned()
            } else {
                GOOD.replace(old, new)
            };
            let mut found = Found::by("routing-daemon");
            bird(&uncommented(&text), Path::new("bird.conf"), 132, &mut found);
            let findings = found.into_findings();
            assert_eq!(findings.len(), expected.len(), "{old}: {findings:?}");
            for (finding, part) in findings.iter().zip(*expected) {
                assert!(finding.finding.contains(part), "{finding:?}");
            }
        }
    }
}
