//! What the walk makes of rules, in tables.

use super::*;

/// The first packet of a VM behind virbr1 to somebody beyond eth0.
fn outwards() -> Packet {
    Packet {
        input: Side::Link("virbr1".into()),
        output: Side::Link("eth0".into()),
        source: Some(Ipv4Addr::new(203, 0, 113, 7)),
        ether_type: "ip",
        protocol: Some("tcp"),
        connection: "new",
        ..Packet::default()
    }
}

/// How surely the forward hook stops it, and by which rule; the policy where it is no rule.
fn stopped(firewall: &Firewall) -> Option<(Certainty, &str)> {
    firewall
        .stopped(Family::Ip, Hook::Forward, None, &outwards())
        .map(|stop| {
            (
                stop.certainty,
                stop.by.map_or("policy", |(_, rule)| &rule.label),
            )
        })
}

#[test]
fn rules_of_iptables() {
    use Certainty::{Maybe, Sure};
    let policy = Some((Sure, "policy"));
    type Case<'c> = (&'c str, &'c [&'c str], Option<(Certainty, &'c str)>);
    let table: &[Case<'_>] = &[
        ("ACCEPT", &[], None),
        ("DROP", &[], policy),
        ("DROP", &["-A FORWARD -i virbr1 -j ACCEPT"], None),
        ("DROP", &["-A FORWARD -i virbr+ -o eth0 -j ACCEPT"], None),
        ("DROP", &["-A FORWARD -i virbr10 -j ACCEPT"], policy),
        ("DROP", &["-A FORWARD ! -i docker0 -j ACCEPT"], None),
        ("DROP", &["-A FORWARD ! -i virbr1 -j ACCEPT"], policy),
        ("DROP", &["-A FORWARD -s 203.0.113.0/24 -j ACCEPT"], None),
        ("DROP", &["-A FORWARD -s 203.0.113.8/30 -j ACCEPT"], policy),
        // The destination is open, and so is the port: some of it passes.
        ("DROP", &["-A FORWARD -d 198.51.100.0/24 -j ACCEPT"], None),
        (
            "DROP",
            &["-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT"],
            None,
        ),
        (
            "DROP",
            &["-A FORWARD -p tcp -m multiport --dports 80,443:445 -j ACCEPT"],
            None,
        ),
        (
            "ACCEPT",
            &["-A FORWARD -p tcp -m tcp --dport 25 -j DROP"],
            None,
        ),
        ("DROP", &["-A FORWARD -p icmp -j ACCEPT"], policy),
        (
            "DROP",
            &["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
            policy,
        ),
        (
            "DROP",
            &["-A FORWARD -m conntrack --ctstate NEW -j ACCEPT"],
            None,
        ),
        (
            "DROP",
            &["-A FORWARD -m comment --comment \"-j DROP of \\\"all\\\"\" -j ACCEPT"],
            None,
        ),
        // What is not understood may let it pass, and is not taken for a wall.
        (
            "DROP",
            &["-A FORWARD -m set --match-set vms src -j ACCEPT"],
            Some((Maybe, "policy")),
        ),
        (
            "ACCEPT",
            &["-A FORWARD -m set --match-set bad src -j DROP"],
            None,
        ),
        (
            "ACCEPT",
            &["-A FORWARD -i virbr1 -j REJECT"],
            Some((Sure, "-A FORWARD -i virbr1 -j REJECT")),
        ),
        ("ACCEPT", &["-A FORWARD -j LOG", "-A FORWARD -j X"], None),
        (
            "ACCEPT",
            &["-A FORWARD -j X", "-A X -j DROP"],
            Some((Sure, "-A X -j DROP")),
        ),
        ("DROP", &["-A FORWARD -j X", "-A X -j RETURN"], policy),
        (
            "DROP",
            &[
                "-A FORWARD -j X",
                "-A FORWARD -j ACCEPT",
                "-A X -i eth0 -j DROP",
            ],
            None,
        ),
        (
            "DROP",
            &[
                "-A FORWARD -g X",
                "-A FORWARD -j ACCEPT",
                "-A X -i eth0 -j DROP",
            ],
            policy,
        ),
        ("DROP", &["-A FORWARD -j X", "-A X -j X"], None),
    ];
    for (default, rules, expected) in table {
        let text = format!(
            "*nat\n:PREROUTING DROP [0:0]\nCOMMIT\n*filter\n:FORWARD {default} [0:0]\n:X - [0:0]\n{}\nCOMMIT\n",
            rules.join("\n")
        );
        let mut firewall = Firewall::default();
        firewall.add_iptables(&text);
        let expected_by = expected.map(|(certainty, by)| (certainty, by.to_owned()));
        let stop = stopped(&firewall).map(|(certainty, by)| (certainty, by.to_owned()));
        assert_eq!(stop, expected_by, "{default} {rules:?}");
    }
}

/// A ruleset of one chain at the forward hook, whose rule has these statements.
fn nft(policy: &str, statements: &str) -> Firewall {
    let text = format!(
        r#"{{"nftables": [{{"metainfo": {{}}}}, {{"table": {{"family": "inet", "name": "t"}}}},
        {{"set": {{"family": "inet", "table": "t", "name": "vms", "elem": [{{"prefix": {{"addr": "203.0.113.0", "len": 24}}}}]}}}},
        {{"map": {{"family": "inet", "table": "t", "name": "who", "elem": [["virbr1", {{"accept": null}}]]}}}},
        {{"chain": {{"family": "inet", "table": "t", "name": "f", "type": "filter", "hook": "forward", "policy": "{policy}"}}}},
        {{"rule": {{"family": "inet", "table": "t", "chain": "f", "handle": 7, "expr": [{statements}]}}}}]}}"#
    );
    let mut firewall = Firewall::default();
    firewall.add_nft(&text).unwrap();
    firewall
}

#[test]
fn rules_of_nftables() {
    use Certainty::{Maybe, Sure};
    let compared = |left: &str, right: &str| {
        format!(
            r#"{{"match": {{"op": "==", "left": {left}, "right": {right}}}}}, {{"accept": null}}"#
        )
    };
    let meta = |key: &str| format!(r#"{{"meta": {{"key": "{key}"}}}}"#);
    let ip = |field: &str| format!(r#"{{"payload": {{"protocol": "ip", "field": "{field}"}}}}"#);
    let tcp = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
    let udp = r#"{"payload": {"protocol": "udp", "field": "dport"}}"#;
    let state = r#"{"ct": {"key": "state"}}"#;
    let policy = Some((Sure, "policy"));
    let table = [
        (compared(&meta("iifname"), r#""virbr*""#), None),
        (
            compared(&meta("iifname"), r#"{"set": ["eth0", "virbr1"]}"#),
            None,
        ),
        (compared(&meta("iifname"), r#""eth0""#), policy),
        (compared(&ip("saddr"), r#""@vms""#), None),
        (
            compared(&ip("saddr"), r#"{"range": ["203.0.113.1", "203.0.113.6"]}"#),
            policy,
        ),
        (
            compared(
                &ip("saddr"),
                r#"{"set": [{"elem": {"val": "203.0.113.7", "comment": "web"}}]}"#,
            ),
            None,
        ),
        (compared(&meta("nfproto"), r#""ipv6""#), policy),
        (compared(tcp, "443"), None),
        (compared(udp, "443"), policy),
        (compared(state, r#"["established", "related"]"#), policy),
        (compared(state, r#"{"set": ["new", "established"]}"#), None),
        (compared(&meta("mark"), "7"), Some((Maybe, "policy"))),
        (r#"{"counter": {}}, {"accept": null}"#.to_owned(), None),
        (
            r#"{"limit": {"rate": 5}}, {"accept": null}"#.to_owned(),
            Some((Maybe, "policy")),
        ),
        (
            r#"{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@who"}}"#.to_owned(),
            None,
        ),
        (
            r#"{"vmap": {"key": {"meta": {"key": "oifname"}}, "data": "@who"}}"#.to_owned(),
            policy,
        ),
        (
            r#"{"xt": {"type": "target", "name": "REJECT"}}"#.to_owned(),
            Some((Sure, "handle 7")),
        ),
    ];
    for (statements, expected) in table {
        assert_eq!(stopped(&nft("drop", &statements)), expected, "{statements}");
    }
}

#[test]
fn the_links_of_an_ingress_hook_are_read_from_the_text_where_json_lacks_them() {
    let chain = r#"{"nftables": [{"chain": {"family": "netdev", "table": "t", "name": "in", "type": "filter",
        "hook": "ingress", "policy": "drop"}}]}"#;
    let printed = [
        "\t\ttype filter hook ingress device \"vnet1\" priority filter; policy drop;",
        "\t\ttype filter hook ingress devices = { \"vnet0\", vnet1 } priority filter; policy drop;",
    ];
    for line in printed {
        let mut firewall = Firewall::default();
        firewall.add_nft(chain).unwrap();
        assert!(firewall.lacks_devices());
        firewall.add_devices(&format!(
            "table netdev t {{\n\tchain in {{\n{line}\n\t}}\n}}\n"
        ));
        assert!(!firewall.lacks_devices());
        let stops = |device| {
            firewall
                .stopped(Family::Netdev, Hook::Ingress, Some(device), &outwards())
                .is_some()
        };
        assert!(stops("vnet1") && !stops("vnet2"), "{line}");
    }
}

#[test]
fn what_is_no_ruleset_is_an_error() {
    for text in ["", "{}", "nothing"] {
        assert!(Firewall::default().add_nft(text).is_err(), "{text:?}");
    }
}
