use super::*;
use proptest::prelude::*;
use slash32_binding::{Binding, Prefix};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

fn route(ifindex: u32, address: Ipv4Addr) -> HostRoute {
    HostRoute {
        prefix: Prefix::host(address),
        ifindex,
        table: 254,
        protocol: 132,
        metric: 1,
        source: None,
    }
}

fn serve(generation: u64, address: Ipv4Addr) -> Serve {
    Serve {
        generation: Generation(generation),
        binding: EncodedBinding::new(&Binding::new(address, GATEWAY)),
    }
}

fn desired_link(serve: Option<Serve>, route: Option<HostRoute>) -> DesiredLink {
    DesiredLink {
        gateway: GATEWAY,
        keep_addresses: false,
        ipv6_disabled: true,
        serve,
        route,
    }
}

fn gateway_of_ours() -> LinkAddress {
    LinkAddress {
        address: GATEWAY,
        prefix_length: 32,
        ours: true,
    }
}

/// A link that has everything a VM link gets.
fn prepared_link() -> ObservedLink {
    ObservedLink {
        up: true,
        addresses: BTreeSet::from([gateway_of_ours()]),
        ipv4: Some(Ipv4Settings::VM_LINK),
        ipv6: Some(Ipv6Settings {
            disabled: true,
            accept_ra: false,
        }),
    }
}

fn bare_link() -> ObservedLink {
    let ipv4 = Ipv4Settings {
        rp_filter: 0,
        ..Ipv4Settings::VM_LINK
    };
    let ipv6 = Ipv6Settings {
        disabled: false,
        accept_ra: true,
    };
    ObservedLink {
        up: true,
        addresses: BTreeSet::new(),
        ipv4: Some(ipv4),
        ipv6: Some(ipv6),
    }
}

fn responder(
    generation: u64,
    binding: Option<EncodedBinding>,
    confirmed: bool,
) -> ObservedResponder {
    ObservedResponder {
        generation: Generation(generation),
        binding,
        confirmed,
    }
}

fn one(link: DesiredLink) -> Desired {
    Desired {
        links: BTreeMap::from([(7, link)]),
    }
}

fn seen(
    link: ObservedLink,
    responder: Option<ObservedResponder>,
    routes: &[HostRoute],
) -> Observed {
    Observed {
        links: BTreeMap::from([(7, link)]),
        routes: routes.iter().copied().collect(),
        responders: responder
            .map(|responder| (7, responder))
            .into_iter()
            .collect(),
    }
}

#[test]
fn a_new_vm_gets_its_link_prepared_then_a_responder_then_its_binding_and_no_route_yet() {
    let steps = plan(
        &one(desired_link(Some(serve(1, VM)), None)),
        &seen(bare_link(), None, &[]),
    );
    let hello = Step::Hello {
        ifindex: 7,
        serve: serve(1, VM),
        sockets: true,
        confirmed: false,
    };
    let expected = [
        Step::AddAddress {
            ifindex: 7,
            address: GATEWAY,
        },
        Step::SetIpv4 { ifindex: 7 },
        Step::SetIpv6 {
            ifindex: 7,
            disabled: true,
        },
        Step::Start { ifindex: 7 },
        hello,
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_claim_is_answered_by_the_route_and_then_by_the_confirm() {
    let serve = serve(1, VM);
    let now = seen(
        prepared_link(),
        Some(responder(1, Some(serve.binding.clone()), false)),
        &[],
    );
    let steps = plan(&one(desired_link(Some(serve), Some(route(7, VM)))), &now);
    let confirm = Step::Confirm {
        ifindex: 7,
        generation: Generation(1),
    };
    assert_eq!(steps, [Step::AddRoute(route(7, VM)), confirm]);
}

#[test]
fn a_vm_that_comes_back_gets_its_route_before_its_binding() {
    let steps = plan(
        &one(desired_link(Some(serve(2, VM)), Some(route(7, VM)))),
        &seen(prepared_link(), Some(responder(0, None, false)), &[]),
    );
    let hello = Step::Hello {
        ifindex: 7,
        serve: serve(2, VM),
        sockets: true,
        confirmed: true,
    };
    assert_eq!(steps, [Step::AddRoute(route(7, VM)), hello]);
}

#[test]
fn an_adopted_responder_is_told_its_binding_without_new_sockets_and_the_route_stays() {
    let steps = plan(
        &one(desired_link(Some(serve(1, VM)), Some(route(7, VM)))),
        &seen(
            prepared_link(),
            Some(responder(1, None, true)),
            &[route(7, VM)],
        ),
    );
    let hello = Step::Hello {
        ifindex: 7,
        serve: serve(1, VM),
        sockets: false,
        confirmed: true,
    };
    assert_eq!(steps, [hello]);
}

#[test]
fn a_vm_that_leaves_loses_its_route_first_and_then_its_generation() {
    let now = seen(
        prepared_link(),
        Some(responder(1, Some(serve(1, VM).binding), true)),
        &[route(7, VM)],
    );
    let steps = plan(&one(desired_link(None, None)), &now);
    let end = Step::End {
        ifindex: 7,
        generation: Generation(1),
    };
    assert_eq!(steps, [Step::RemoveRoute(route(7, VM)), end]);
}

#[test]
fn a_link_that_is_not_ours_any_more_gives_back_what_we_gave_it_and_keeps_the_rest() {
    let foreign = LinkAddress {
        address: Ipv4Addr::new(10, 0, 0, 1),
        prefix_length: 24,
        ours: false,
    };
    let mut link = prepared_link();
    link.addresses.insert(foreign);
    let now = seen(link, Some(responder(1, None, true)), &[route(7, VM)]);
    let address = gateway_of_ours();
    assert_eq!(
        plan(&Desired::default(), &now),
        [
            Step::RemoveRoute(route(7, VM)),
            Step::Stop { ifindex: 7 },
            Step::RemoveAddress {
                ifindex: 7,
                address
            }
        ]
    );
}

#[test]
fn an_address_that_moves_leaves_the_old_link_before_it_comes_to_the_new_one() {
    let desired = Desired {
        links: BTreeMap::from([
            (3, desired_link(Some(serve(1, VM)), Some(route(3, VM)))),
            (7, desired_link(None, None)),
        ]),
    };
    let now = Observed {
        links: BTreeMap::from([(3, prepared_link()), (7, prepared_link())]),
        routes: BTreeSet::from([route(7, VM)]),
        responders: BTreeMap::new(),
    };
    let steps = plan(&desired, &now);
    let place = |step: &Step| steps.iter().position(|s| s == step).unwrap();
    assert!(place(&Step::RemoveRoute(route(7, VM))) < place(&Step::AddRoute(route(3, VM))));
}

/// `count` VMs on links that nobody has prepared, all of which have asked.
fn many(count: u32) -> Vec<Step> {
    let address = |ifindex| Ipv4Addr::from_bits(VM.to_bits() + ifindex);
    let link = |ifindex| {
        let (serve, route) = (serve(1, address(ifindex)), route(ifindex, address(ifindex)));
        (ifindex, desired_link(Some(serve), Some(route)))
    };
    let desired = Desired {
        links: (1..=count).map(link).collect(),
    };
    let now = Observed {
        links: (1..=count).map(|ifindex| (ifindex, bare_link())).collect(),
        ..Observed::default()
    };
    plan(&desired, &now)
}

#[test]
fn the_settings_of_every_link_come_before_anything_that_brings_a_packet_socket() {
    let steps = many(200);
    let is_setting = |step: &Step| {
        matches!(
            step,
            Step::AddAddress { .. } | Step::SetIpv4 { .. } | Step::SetIpv6 { .. }
        )
    };
    assert!(steps[..600].iter().all(is_setting));
    assert!(!steps[600..].iter().any(is_setting));
}

#[test]
fn steps_of_one_sort_stand_together_and_the_first_vm_does_not_wait_for_the_last() {
    let steps = many(200);
    let sort = |step: &Step| std::mem::discriminant(step);
    let sorts = steps.chunk_by(|a, b| sort(a) == sort(b)).count();
    // Three sorts of settings, then responders, routes and bindings of four groups.
    assert_eq!(sorts, 3 + 4 * 3);
    let greets = |step: &Step| matches!(step, Step::Hello { .. });
    let first = steps.iter().position(greets).unwrap();
    let last_start = Step::Start { ifindex: 200 };
    let last_start = steps.iter().position(|step| *step == last_start).unwrap();
    assert!(first < last_start);
}

#[test]
fn a_changed_gateway_replaces_the_address_that_we_put_on_the_link() {
    let old = LinkAddress {
        address: Ipv4Addr::new(172, 31, 1, 1),
        prefix_length: 32,
        ours: true,
    };
    let link = ObservedLink {
        addresses: BTreeSet::from([old]),
        ..prepared_link()
    };
    assert_eq!(
        plan(&one(desired_link(None, None)), &seen(link, None, &[])),
        [
            Step::RemoveAddress {
                ifindex: 7,
                address: old
            },
            Step::AddAddress {
                ifindex: 7,
                address: GATEWAY
            }
        ]
    );
}

#[test]
fn the_gateway_waits_until_the_maker_of_an_empty_link_has_set_it_up() {
    let down = ObservedLink {
        up: false,
        addresses: BTreeSet::new(),
        ..prepared_link()
    };
    let steps = |serve| {
        plan(
            &one(desired_link(serve, None)),
            &seen(down.clone(), None, &[]),
        )
    };
    assert_eq!(steps(None), []);
    let gateway = Step::AddAddress {
        ifindex: 7,
        address: GATEWAY,
    };
    assert!(steps(Some(serve(1, VM))).contains(&gateway));
}

#[test]
fn a_gateway_that_a_running_vm_still_uses_stays_beside_the_new_one() {
    let old = LinkAddress {
        address: Ipv4Addr::new(172, 31, 1, 1),
        prefix_length: 32,
        ours: true,
    };
    let link = ObservedLink {
        addresses: BTreeSet::from([old]),
        ..prepared_link()
    };
    let desired = DesiredLink {
        keep_addresses: true,
        ..desired_link(None, None)
    };
    let address = GATEWAY;
    assert_eq!(
        plan(&one(desired), &seen(link, None, &[])),
        [Step::AddAddress {
            ifindex: 7,
            address
        }]
    );
}

#[test]
fn another_gateway_needs_another_idle_socket_in_the_same_generation() {
    let mut old = serve(1, VM).binding.decode();
    old.gateway = Ipv4Addr::new(172, 31, 1, 1);
    let old_address = LinkAddress {
        address: old.gateway,
        prefix_length: 32,
        ours: true,
    };
    let mut link = prepared_link();
    link.addresses.insert(old_address);
    let desired = DesiredLink {
        keep_addresses: true,
        ..desired_link(Some(serve(1, VM)), Some(route(7, VM)))
    };
    for known in [Some(EncodedBinding::new(&old)), None] {
        let now = seen(
            link.clone(),
            Some(responder(1, known, true)),
            &[route(7, VM)],
        );
        let steps = plan(&one(desired.clone()), &now);
        assert!(
            matches!(
                steps[..],
                [Step::Hello {
                    sockets: true,
                    confirmed: true,
                    ..
                }]
            ),
            "{steps:?}"
        );
    }
}

#[test]
fn foreign_ipv6_only_needs_router_advertisements_to_be_off() {
    for (disabled, accept_ra, steps) in [(false, false, 0), (false, true, 1), (true, true, 0)] {
        let link = ObservedLink {
            ipv6: Some(Ipv6Settings {
                disabled,
                accept_ra,
            }),
            ..prepared_link()
        };
        let desired = DesiredLink {
            ipv6_disabled: false,
            ..desired_link(None, None)
        };
        assert_eq!(
            plan(&one(desired), &seen(link, None, &[])).len(),
            steps,
            "{disabled} {accept_ra}"
        );
    }
}

/// What the host is after a step, if the step does what it says.
fn carry_out(step: &Step, observed: &mut Observed) {
    match step {
        Step::RemoveRoute(route) => assert!(
            observed.routes.remove(route),
            "removes a route that is not there"
        ),
        Step::AddRoute(route) => {
            let same_prefix = |other: &HostRoute| other.prefix == route.prefix;
            assert!(
                !observed.routes.iter().any(same_prefix),
                "the kernel refuses a second route with the same key"
            );
            observed.routes.insert(*route);
        }
        Step::RemoveAddress { ifindex, address } => {
            assert!(address.ours, "removes a foreign address");
            observed
                .links
                .get_mut(ifindex)
                .unwrap()
                .addresses
                .remove(address);
        }
        Step::AddAddress { ifindex, address } => {
            let address = LinkAddress {
                address: *address,
                prefix_length: 32,
                ours: true,
            };
            observed
                .links
                .get_mut(ifindex)
                .unwrap()
                .addresses
                .insert(address);
        }
        Step::SetIpv4 { ifindex } => {
            observed.links.get_mut(ifindex).unwrap().ipv4 = Some(Ipv4Settings::VM_LINK)
        }
        Step::SetIpv6 { ifindex, disabled } => {
            observed.links.get_mut(ifindex).unwrap().ipv6 = Some(Ipv6Settings {
                disabled: *disabled,
                accept_ra: false,
            });
        }
        Step::Start { ifindex } => {
            assert!(
                observed
                    .responders
                    .insert(*ifindex, responder(0, None, false))
                    .is_none()
            );
        }
        Step::Stop { ifindex } => assert!(observed.responders.remove(ifindex).is_some()),
        Step::End {
            ifindex,
            generation,
        } => {
            let serving = observed
                .responders
                .insert(*ifindex, responder(0, None, false))
                .unwrap();
            assert_eq!(serving.generation, *generation);
        }
        Step::Hello {
            ifindex,
            serve,
            sockets,
            confirmed,
        } => {
            let before = &observed.responders[ifindex];
            assert!(
                *sockets || before.generation == serve.generation,
                "a new generation without its sockets"
            );
            let host_route = route(*ifindex, serve.binding.decode().address);
            assert!(
                !confirmed || observed.routes.contains(&host_route),
                "confirmed before the route is there"
            );
            let told = responder(serve.generation.0, Some(serve.binding.clone()), *confirmed);
            observed.responders.insert(*ifindex, told);
        }
        Step::Confirm {
            ifindex,
            generation,
        } => {
            let responder = observed.responders.get_mut(ifindex).unwrap();
            assert_eq!(responder.generation, *generation);
            let binding = responder.binding.as_ref().unwrap().decode();
            let host_route = route(*ifindex, binding.address);
            assert!(
                observed.routes.contains(&host_route),
                "confirmed before the route is there"
            );
            responder.confirmed = true;
        }
    }
}

const LINKS: std::ops::Range<u32> = 1..5;

/// Addresses differ from link to link, as policy guarantees, but any link may have had any of them before.
fn desired() -> impl Strategy<Value = Desired> {
    let link = (1_u64..3, 0_u8..3, any::<bool>());
    proptest::collection::btree_map(LINKS, link, 0..5).prop_map(|links| {
        let link = |(ifindex, (generation, want, ipv6_disabled)): (u32, (u64, u8, bool))| {
            let address = Ipv4Addr::new(203, 0, 113, ifindex as u8);
            let serve = (want > 0).then(|| serve(generation, address));
            let route = (want > 1).then(|| route(ifindex, address));
            (
                ifindex,
                DesiredLink {
                    ipv6_disabled,
                    ..desired_link(serve, route)
                },
            )
        };
        Desired {
            links: links.into_iter().map(link).collect(),
        }
    })
}

fn observed() -> impl Strategy<Value = Observed> {
    let link = (any::<bool>(), any::<bool>());
    let responder_seen = (0_u64..3, LINKS, any::<bool>(), any::<bool>());
    (
        proptest::collection::vec(link, 4),
        proptest::collection::btree_map(LINKS, LINKS, 0..5),
        proptest::collection::btree_map(LINKS, responder_seen, 0..5),
    )
        .prop_map(|(links, routes, responders)| {
            let link = |(index, (prepared, foreign)): (u32, (bool, bool))| {
                let mut link = if prepared {
                    prepared_link()
                } else {
                    bare_link()
                };
                if foreign {
                    let address = Ipv4Addr::new(10, 0, 0, 1);
                    link.addresses.insert(LinkAddress {
                        address,
                        prefix_length: 24,
                        ours: false,
                    });
                }
                (index, link)
            };
            let address = |of: u32| Ipv4Addr::new(203, 0, 113, of as u8);
            let responder_of =
                |(ifindex, (generation, of, known, confirmed)): (u32, (u64, u32, bool, bool))| {
                    let binding =
                        (known && generation > 0).then(|| serve(generation, address(of)).binding);
                    (ifindex, responder(generation, binding, confirmed))
                };
            Observed {
                links: LINKS.zip(links).map(link).collect(),
                // By address, so that no prefix is there twice.
                routes: routes
                    .into_iter()
                    .map(|(of, ifindex)| route(ifindex, address(of)))
                    .collect(),
                responders: responders.into_iter().map(responder_of).collect(),
            }
        })
}

proptest! {
    #[test]
    fn whatever_the_host_is_the_plan_makes_it_what_it_should_be_and_then_has_nothing_to_do(
        desired in desired(),
        mut observed in observed(),
    ) {
        let foreign: Vec<_> = observed.links.values().flat_map(|l| &l.addresses).filter(|a| !a.ours).copied().collect();
        for step in plan(&desired, &observed) {
            carry_out(&step, &mut observed);
        }
        prop_assert_eq!(plan(&desired, &observed), []);
        let wanted: BTreeSet<_> = desired.links.values().filter_map(|link| link.route).collect();
        prop_assert_eq!(&observed.routes, &wanted);
        let kept: Vec<_> = observed.links.values().flat_map(|l| &l.addresses).filter(|a| !a.ours).copied().collect();
        prop_assert_eq!(kept, foreign);
    }
}
