//! What Prometheus gets from an agent: every metric can be reached, and every name that is shipped is one that exists.
#![allow(missing_docs, clippy::unwrap_used)]

mod http;
mod reach;
mod scrape;
mod served;
mod shipped;
mod stage;

use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// Each case, and the series that it is seen to move. Those of a histogram are moved by its count.
macro_rules! cases {
    ($($name:ident => [$($series:literal),* $(,)?];)*) => {
        $(#[test]
        fn $name() -> Result<()> {
            stage::check(&[$($series),*], reach::$name)
        })*
        const REACHED: &[&[&str]] = &[$(&[$($series),*]),*];
    };
}

cases! {
    a_vm_on_its_way_to_its_address => [
        "links{state=idle}", "links{state=ready}", "links{state=bound}", "responders", "routes",
        "responder_starts_total{result=ok}", "claims_total{result=ok}", "claim_seconds_count",
        "route_operations_total{operation=add,result=ok}", "route_operations_total{operation=remove,result=ok}",
        "pass_seconds_count", "store_commits_total{result=ok}", "store_commit_seconds_count",
        "kernel_dumps_total{result=ok}",
    ];
    a_link_that_cannot_be_served => ["links{state=unassigned}", "links{state=failed}"];
    every_kind_of_reply => [
        "replies_total{kind=offer}", "replies_total{kind=ack_rapid_commit}", "replies_total{kind=ack_selecting}",
        "replies_total{kind=ack_init_reboot}", "replies_total{kind=ack_renewing}", "replies_total{kind=ack_rebinding}",
        "replies_total{kind=ack_inform}", "replies_total{kind=nak_selecting}", "replies_total{kind=nak_init_reboot}",
        "replies_total{kind=nak_renewing}", "replies_total{kind=nak_rebinding}",
    ];
    frames_that_are_ignored => [
        "ignored_total{reason=bad_udp_checksum}", "ignored_total{reason=not_a_request}",
        "ignored_total{reason=bad_hardware_address}", "ignored_total{reason=bad_message_type}",
        "ignored_total{reason=relayed}", "ignored_total{reason=other_mac}", "ignored_total{reason=other_server}",
        "ignored_total{reason=other_servers_reply}", "ignored_total{reason=server_id_in_discover}",
        "ignored_total{reason=other_address}", "ignored_total{reason=decline}", "ignored_total{reason=release}",
    ];
    what_is_to_be_said_of_a_link => [
        "link_remarks{remark=several_ports}", "link_remarks{remark=second_mac}",
        "link_remarks{remark=other_dhcp_server}", "link_remarks{remark=older_options}",
        "link_remarks{remark=libvirt_dhcp}",
    ];
    a_route_that_is_in_the_way => [
        "claims_total{result=failed}", "route_operations_total{operation=add,result=failed}",
    ];
    a_responder_that_is_killed => ["responder_ends_total{reason=ended}"];
    a_responder_that_lies => [
        "responder_ends_total{reason=silent}", "responder_ends_total{reason=version}",
        "responder_ends_total{reason=malformed}",
        "responder_ends_total{reason=generation}", "responder_ends_total{reason=claim}",
        "responder_ends_total{reason=confirmed}", "responder_ends_total{reason=age}",
        "responder_ends_total{reason=lease}", "responder_ends_total{reason=counters}",
        "responder_ends_total{reason=unasked}", "responder_ends_total{reason=flood}",
    ];
    a_responder_that_does_not_read => ["responder_ends_total{reason=deaf}"];
    a_responder_that_cannot_be_started => ["responder_starts_total{result=failed}"];
    a_responder_that_is_adopted => ["responder_adoptions_total"];
    an_overrun_of_the_kernels_news => ["netlink_overruns_total"];
    a_store_without_room => ["store_commits_total{result=failed}"];
    a_config_that_is_reloaded => ["reloads_total{result=ok}", "config_loaded_timestamp_seconds"];
    a_config_that_is_refused => ["reloads_total{result=failed}", "last_reload_successful"];
    every_fate_of_an_address => [
        "pool_addresses{network=public,pool=203.0.113.10-203.0.113.19,state=free}",
        "pool_addresses{network=public,pool=203.0.113.10-203.0.113.19,state=used}",
        "pool_addresses{network=public,pool=203.0.113.10-203.0.113.19,state=reserved}",
        "pool_addresses{network=public,pool=203.0.113.10-203.0.113.19,state=set_aside}",
        "pool_addresses{network=public,pool=203.0.113.10-203.0.113.19,state=quarantined}",
    ];
}

/// What no case moves, and why.
const NOT_MOVED: &[(&str, &str)] = &[
    ("build_info", "it says what the agent is"),
    (
        "start_time_seconds",
        "it is the same as long as the agent runs",
    ),
    (
        "kernel_dumps_total{result=failed}",
        "the kernel refuses nobody to read links and routes",
    ),
    (
        "route_operations_total{operation=remove,result=failed}",
        "the kernel refuses us no removal: a route that is gone is removed",
    ),
    (
        "ignored_total{reason=",
        "hostile.rs reaches the other reasons, which come by the same way",
    ),
];

#[test]
fn every_series_of_an_agent_is_seen_to_move() -> Result<()> {
    let exported = stage::series_of_an_agent()?;
    let reached: BTreeSet<&str> = REACHED.iter().copied().flatten().copied().collect();
    for series in &exported {
        let excused = NOT_MOVED
            .iter()
            .any(|(prefix, _)| series.starts_with(prefix));
        ensure!(
            excused || reached.contains(&**series),
            "{series} is not shown to be reachable"
        );
    }
    for (prefix, _) in NOT_MOVED {
        ensure!(
            exported.iter().any(|series| series.starts_with(prefix)),
            "{prefix} is no metric"
        );
    }
    Ok(())
}

#[test]
fn every_kind_and_reason_is_exported_by_its_name() -> Result<()> {
    let exported = stage::series_of_an_agent()?;
    let labels = |metric: &str| {
        let label = |series: &String| {
            let rest = series.strip_prefix(metric)?.strip_suffix('}')?;
            rest.split_once('=').map(|(_, value)| value.to_owned())
        };
        exported.iter().filter_map(label).collect::<BTreeSet<_>>()
    };
    let kinds = slash32_binding::Outcome::ALL.iter().map(|kind| kind.name());
    let reasons = slash32_binding::Reason::ALL
        .iter()
        .map(|reason| reason.name());
    ensure!(labels("replies_total{") == kinds.map(str::to_owned).collect());
    ensure!(labels("ignored_total{") == reasons.map(str::to_owned).collect());
    Ok(())
}
