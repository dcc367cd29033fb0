//! Whatever happens on a host, in an order that libvirt allows: a NIC that is there is found, and one that is gone is not.

use crate::common::{Host, defined, domain, mac, network, plugged, port, tap_mac};
use proptest::prelude::*;
use slash32_libvirt::{Fact, Knowledge, Nic, Place, domain_status};

const VMS: usize = 3;
/// One network for the first NIC of each VM, and one for all the others.
const NETWORKS: usize = VMS + 1;
const SHARED: usize = VMS;

/// What happens; what cannot happen just now does not.
#[derive(Clone, Copy, Debug)]
enum Event {
    NetStart(usize),
    NetDestroy(usize),
    Start(usize, Kind),
    FailToStart(usize),
    Stop(usize),
    /// The guest's first frame.
    Frame(usize),
    Attach(usize),
    Detach(usize, usize),
    SetLink(usize, usize),
    Move(usize, usize, usize),
    /// libvirtd is restarted.
    Restart,
    /// The agent reads the state file.
    Status(usize),
    Rename(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Boot,
    Restore,
    Migrate,
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![Just(Kind::Boot), Just(Kind::Restore), Just(Kind::Migrate)];
    prop_oneof![
        4 => (0..NETWORKS).prop_map(Event::NetStart),
        1 => (0..NETWORKS).prop_map(Event::NetDestroy),
        4 => (0..VMS, kind).prop_map(|(vm, kind)| Event::Start(vm, kind)),
        1 => (0..VMS).prop_map(Event::FailToStart),
        2 => (0..VMS).prop_map(Event::Stop),
        1 => (0..VMS).prop_map(Event::Frame),
        2 => (0..VMS).prop_map(Event::Attach),
        2 => (0..VMS, 0..4usize).prop_map(|(vm, nic)| Event::Detach(vm, nic)),
        2 => (0..VMS, 0..4usize).prop_map(|(vm, nic)| Event::SetLink(vm, nic)),
        2 => (0..VMS, 0..4usize, 0..NETWORKS).prop_map(|(vm, nic, to)| Event::Move(vm, nic, to)),
        1 => Just(Event::Restart),
        1 => (0..VMS).prop_map(Event::Status),
        1 => (0..VMS).prop_map(Event::Rename),
    ]
}

/// A NIC that is there.
#[derive(Clone, Debug)]
struct Card {
    number: u8,
    network: usize,
    port: String,
    tap: String,
    /// Its bridge went: the tap is in none.
    alone: bool,
    incoming: bool,
    resumed: bool,
}

/// The host as it is, and what its agent knows.
#[derive(Default)]
struct Model {
    agent: Host,
    /// The networks that run.
    networks: [bool; NETWORKS],
    /// The NICs of the VMs that run.
    vms: [Option<Vec<Card>>; VMS],
    renamed: [bool; VMS],
    /// Every fact comes twice: an agent that was killed reads a file again.
    twice: bool,
    ports: usize,
    taps: usize,
    /// Where NICs were: VM, number, bridge, tap.
    gone: Vec<(usize, u8, String, String)>,
}

impl Model {
    fn run(&mut self, event: Event) {
        match event {
            Event::NetStart(net) if !self.networks[net] => {
                self.networks[net] = true;
                self.network("start", &xml(net));
                self.network("started", &xml(net));
            }
            Event::NetDestroy(net) if self.networks[net] => {
                self.networks[net] = false;
                self.network("stopped", &xml(net));
                let cards = self.vms.iter_mut().flatten().flatten();
                for card in cards.filter(|card| card.network == net) {
                    card.alone = true;
                }
            }
            Event::Start(vm, kind) if self.vms[vm].is_none() && self.can_start(vm) => {
                self.start(vm, kind);
            }
            Event::FailToStart(vm) if self.vms[vm].is_none() && self.can_start(vm) => {
                self.qemu("prepare", &self.defined(vm));
                let port = self.port();
                self.port_hook("port-created", vm, &number(vm, 0), vm, &port);
                self.qemu("stopped", &self.defined(vm));
                self.port_hook("port-deleted", vm, &number(vm, 0), vm, &port);
                self.qemu("release", &self.defined(vm));
            }
            Event::Stop(vm) => self.stop(vm),
            Event::Frame(vm) => self.frame(vm),
            Event::Attach(vm) => self.attach(vm),
            Event::Detach(vm, nic) => {
                if let Some(card) = self.card(vm, nic) {
                    self.port_hook("port-deleted", vm, &card.number, card.network, &card.port);
                    let place = (vm, card.number, bridge(card.network), card.tap);
                    self.gone.push(place);
                    let cards = self.vms[vm].as_mut().unwrap();
                    cards.retain(|other| other.number != card.number);
                }
            }
            Event::SetLink(vm, nic) => {
                if let Some(card) = self.card(vm, nic) {
                    let port = self.port();
                    for operation in ["port-created", "port-deleted"] {
                        self.port_hook(operation, vm, &card.number, card.network, &port);
                        self.check();
                    }
                }
            }
            Event::Move(vm, nic, to) if self.networks[to] => {
                if let Some(card) = self.card(vm, nic) {
                    let port = self.port();
                    self.port_hook("port-created", vm, &card.number, to, &port);
                    self.port_hook("port-deleted", vm, &card.number, card.network, &card.port);
                    let cards = self.vms[vm].as_mut().unwrap().iter_mut();
                    for card in cards.filter(|other| other.number == card.number) {
                        (card.network, card.port) = (to, port.clone());
                    }
                }
            }
            Event::Restart => self.restart(),
            Event::Status(vm) if self.vms[vm].is_some() => {
                let xml = format!("<domstatus>{}</domstatus>", self.running(vm));
                self.learn(domain_status(&xml).unwrap());
            }
            Event::Rename(vm) if self.vms[vm].is_none() => self.renamed[vm] ^= true,
            _ => {}
        }
        self.agent.learn(Vec::new());
        self.check();
    }

    fn can_start(&self, vm: usize) -> bool {
        self.networks[vm] && self.networks[SHARED]
    }

    fn start(&mut self, vm: usize, kind: Kind) {
        let defined = self.defined(vm);
        match kind {
            Kind::Boot => {}
            Kind::Restore => self.qemu("restore", &defined),
            Kind::Migrate => self.qemu("migrate", &defined),
        }
        self.qemu("prepare", &defined);
        let mut cards = Vec::new();
        for (nic, network) in [vm, SHARED].into_iter().enumerate() {
            let port = self.port();
            self.port_hook("port-created", vm, &number(vm, nic), network, &port);
            self.taps += 1;
            cards.push(Card {
                number: number(vm, nic),
                network,
                port,
                tap: format!("vnet{}", self.taps),
                alone: false,
                incoming: kind == Kind::Migrate,
                resumed: kind != Kind::Boot,
            });
        }
        self.vms[vm] = Some(cards);
        // The taps are in their bridges before the hook that names them is called.
        self.check();
        self.qemu("start", &self.running(vm));
        self.check();
        self.qemu("started", &self.running(vm));
    }

    fn stop(&mut self, vm: usize) {
        let Some(cards) = self.vms[vm].take() else {
            return;
        };
        self.qemu("stopped", &self.defined(vm));
        for card in cards {
            if !card.alone {
                self.port_hook("port-deleted", vm, &card.number, card.network, &card.port);
            }
            let link = if card.alone {
                card.tap.clone()
            } else {
                bridge(card.network)
            };
            self.gone.push((vm, card.number, link, card.tap));
        }
        self.check();
        self.qemu("release", &self.defined(vm));
    }

    fn frame(&mut self, vm: usize) {
        for card in self.vms[vm].iter_mut().flatten() {
            let arrived = self.agent.0.arrived(&uuid(vm), mac(card.number));
            assert_eq!(arrived, card.incoming);
            card.incoming = false;
        }
    }

    fn attach(&mut self, vm: usize) {
        let Some(cards) = &self.vms[vm] else {
            return;
        };
        let free = (2..4).find(|nic| cards.iter().all(|card| card.number != number(vm, *nic)));
        let Some(nic) = free.filter(|_| self.networks[SHARED]) else {
            return;
        };
        let port = self.port();
        self.port_hook("port-created", vm, &number(vm, nic), SHARED, &port);
        self.taps += 1;
        let card = Card {
            number: number(vm, nic),
            network: SHARED,
            port,
            tap: format!("vnet{}", self.taps),
            alone: false,
            incoming: false,
            resumed: false,
        };
        self.vms[vm].as_mut().unwrap().push(card);
    }

    fn restart(&mut self) {
        for vm in 0..VMS {
            for card in self.vms[vm].clone().into_iter().flatten() {
                if !card.alone {
                    self.port_hook("port-created", vm, &card.number, card.network, &card.port);
                }
            }
        }
        for vm in 0..VMS {
            if self.vms[vm].is_some() {
                self.qemu("reconnect", &self.running(vm));
            }
        }
    }

    /// A NIC of a VM that runs, in a network that runs.
    fn card(&self, vm: usize, nic: usize) -> Option<Card> {
        let card = self.vms[vm].as_ref()?.get(nic)?;
        (!card.alone).then(|| card.clone())
    }

    fn port(&mut self) -> String {
        self.ports += 1;
        format!("port{}", self.ports)
    }

    fn network(&mut self, operation: &str, xml: &str) {
        let facts = crate::common::facts(slash32_libvirt::Hook::Network, operation, xml);
        self.learn(facts);
    }

    fn qemu(&mut self, operation: &str, xml: &str) {
        let facts = crate::common::facts(slash32_libvirt::Hook::Qemu, operation, xml);
        self.learn(facts);
    }

    fn port_hook(&mut self, operation: &str, vm: usize, nic: &u8, net: usize, number: &str) {
        let owner = (self.name(vm), (vm + 1).to_string());
        let xml = port(
            &xml(net),
            number,
            (&owner.0, &owner.1),
            mac(*nic),
            &bridge(net),
        );
        self.network(operation, &xml);
    }

    fn learn(&mut self, facts: Vec<Fact>) {
        let times = if self.twice { 2 } else { 1 };
        for fact in (0..times).flat_map(|_| &facts) {
            self.agent.0.learn(fact.clone());
        }
    }

    fn name(&self, vm: usize) -> String {
        let suffix = if self.renamed[vm] { " (renamed)" } else { "" };
        format!("vm {vm}{suffix}")
    }

    fn defined(&self, vm: usize) -> String {
        let nics = [(0, vm), (1, SHARED)];
        let nics = nics.map(|(nic, net)| defined(mac(number(vm, nic)), &net_name(net)));
        domain(&self.name(vm), &(vm + 1).to_string(), "", &nics.concat())
    }

    fn running(&self, vm: usize) -> String {
        let cards = self.vms[vm].as_ref().unwrap().iter();
        let nics: String = cards
            .map(|card| {
                let (net, bridge) = (net_name(card.network), bridge(card.network));
                plugged(mac(card.number), &net, &card.port, &bridge, &card.tap)
            })
            .collect();
        domain(&self.name(vm), &(vm + 1).to_string(), "", &nics)
    }

    fn nic(&self, link: &str, port: &str, number: u8) -> Option<&Nic> {
        let port_mac = tap_mac(mac(number));
        self.agent.0.nic(Place {
            link,
            port,
            port_mac,
        })
    }

    /// What the agent knows is what is.
    fn check(&self) {
        for (vm, cards) in self.vms.iter().enumerate() {
            for card in cards.iter().flatten() {
                let bridge = bridge(card.network);
                let link = if card.alone { &card.tap } else { &bridge };
                let found = self.nic(link, &card.tap, card.number);
                let nic = found.unwrap_or_else(|| panic!("{card:?} is not found"));
                assert_eq!(nic.mac, mac(card.number));
                assert_eq!(nic.vm, self.name(vm));
                assert_eq!(nic.uuid, uuid(vm));
                assert_eq!(nic.network, Some(net_name(card.network)));
                assert_eq!(nic.incoming, card.incoming);
                assert_eq!(nic.resumed, card.resumed);
            }
        }
        for (vm, number, link, tap) in &self.gone {
            let cards = self.vms[*vm].as_ref();
            let back = cards.is_some_and(|cards| cards.iter().any(|card| card.number == *number));
            let found = self.nic(link, tap, *number);
            assert!(back || found.is_none(), "{found:?} is gone");
        }
        for net in 0..NETWORKS {
            let found = self.agent.0.network_of(&bridge(net));
            assert_eq!(found.is_some(), self.networks[net]);
        }
    }
}

fn number(vm: usize, nic: usize) -> u8 {
    u8::try_from(vm * 10 + nic).unwrap()
}

fn uuid(vm: usize) -> String {
    format!("22222222-0000-4000-8000-{:0>12}", vm + 1)
}

fn net_name(net: usize) -> String {
    format!("net{net}")
}

fn bridge(net: usize) -> String {
    format!("virbr{net}")
}

fn xml(net: usize) -> String {
    network(&net_name(net), &bridge(net), "")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_nic_that_is_there_is_found_and_one_that_is_gone_is_not(
        events in prop::collection::vec(event(), 0..60),
        twice: bool,
    ) {
        let mut model = Model { twice, ..Model::default() };
        for net in 0..NETWORKS {
            model.run(Event::NetStart(net));
        }
        for event in events {
            model.run(event);
        }
        for vm in 0..VMS {
            model.run(Event::Stop(vm));
        }
        for net in 0..NETWORKS {
            model.run(Event::NetDestroy(net));
        }
        prop_assert_eq!(&model.agent.0, &Knowledge::default());
    }
}
