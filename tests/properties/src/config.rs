//! The operator's files, up to the bindings that they give.

use crate::handle::check;
use crate::setup::CLIENT;
use crate::wire::{broadcast, request};
use slash32_binding::{Binding, Generation, MacAddr};
use slash32_dhcp::MAX_FRAME;
use slash32_ipc::{Hello, MAX_DOWN, ToResponder};
use slash32_policy::{Allocations, Config, LinkFacts, LinkKind, Selector, Source};

/// See the table of the crate.
pub fn config(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else {
        return;
    };
    let sources: Vec<Source> = text
        .split('\0')
        .map(|text| Source {
            name: "fuzz.toml".into(),
            text: text.into(),
        })
        .collect();
    match Config::parse(&sources) {
        Ok(config) => serve(&config),
        Err(errors) => assert!(errors.to_string().contains("fuzz.toml:"), "{errors}"),
    }
}

/// Every link that a network claims gets a binding that can be sent, or a reason.
fn serve(config: &Config) {
    let mut allocations = Allocations::new(config, "boot", []);
    for link in links(config) {
        let Ok(Some(network)) = config.network_of(&link.name, &link.altnames) else {
            continue;
        };
        let assigned = allocations.assign(config, network, &link);
        let explained = config.explain(&link, assigned.as_ref());
        assert!(explained.is_ok_and(|explanation| explanation.is_some()));
        match assigned {
            Ok(assignment) => {
                let binding = config.binding(network, &assignment, &link);
                let times = [
                    binding.renewal_time,
                    binding.rebinding_time,
                    Some(binding.lease_time),
                ];
                let times: Vec<u32> = times.into_iter().flatten().collect();
                // Of two classes that set times each is judged alone.
                assert!(times.is_sorted() || config.classes.len() > 1, "{times:?}");
                let left_out = config.left_out(network, &assignment, &link).len();
                assert_eq!(left_out > 0, !link.metadata.options.is_empty());
                assert_eq!(binding.address, assignment.address);
                assert_eq!(binding.gateway, network.gateway);
                can_be_sent(binding);
                gets_an_offer(&binding, link.mac.unwrap_or(CLIENT));
            }
            Err(reason) => assert!(!reason.to_string().is_empty()),
        }
        allocations.next_candidates(network, 3);
        allocations.next_mac(network);
    }
    allocations.pools(config);
    allocations.take_changes();
}

fn can_be_sent(binding: Binding) {
    let hello = ToResponder::Hello(Hello {
        generation: Generation(1),
        confirmed: false,
        binding,
    });
    let mut out = [0; MAX_DOWN];
    let length = hello.encode(&mut out);
    assert_eq!(ToResponder::decode(&out[..length]), Ok(hello));
}

fn gets_an_offer(binding: &Binding, client: MacAddr) {
    let message = request(client, &[53, 1, 1, 255]);
    let reply = check(binding, None, &broadcast(&message, client), MAX_FRAME);
    assert!(reply.is_some());
}

/// What libvirt's metadata asks for every other link: some of it goes with one config and not with another.
const ASKED: [(&str, &str); 6] = [
    ("lease-time", "10m"),
    ("t1", "4m"),
    ("mtu", "auto"),
    ("dns", "gateway 192.0.2.53"),
    ("boot-file", "menu"),
    ("hostname", "not a name"),
];

/// Links of the names that people give them, and those that reservations name.
fn links(config: &Config) -> Vec<LinkFacts> {
    let usual = ["virbr13", "virbr0", "vnet7", "br-lab1", "tap0", "a"];
    let mut names: Vec<String> = usual.map(str::to_owned).to_vec();
    for reservation in config.networks.iter().flat_map(|n| &n.reservations) {
        for selector in &reservation.selectors {
            if let Selector::Link(name) = selector {
                names.push(name.clone());
            }
        }
    }
    let facts = |(i, name): (usize, String)| {
        let kind = if i % 2 == 0 {
            LinkKind::Bridge
        } else {
            LinkKind::Tap
        };
        let mut link = LinkFacts::new(name, kind);
        link.server_mac = MacAddr([0xfe, 0x54, 0, 0, 0, i as u8]);
        link.tap_mac = Some(link.server_mac);
        if i % 3 == 0 {
            link.vm = Some("web1".into());
            link.uuid = Some("4dea22b3-1d52-d8f3-2516-782e98ab3fa0".into());
            link.mac = Some(MacAddr([0x52, 0x54, 0, 0, 0, i as u8]));
            link.network = Some("public".into());
            link.metadata.tags = vec!["gold".into()];
        }
        if i % 2 == 0 {
            let asked = ASKED.map(|(key, value)| (key.to_owned(), value.to_owned()));
            link.metadata.options = asked.into();
        }
        link
    };
    names.into_iter().enumerate().map(facts).collect()
}
