//! How the metrics are asked for, and what becomes of who asks otherwise.

use crate::{
    scrape::{METRICS, connect, scrape, talk},
    stage::{BOUND, with_metrics},
};
use anyhow::{Result, ensure};
use slash32_tests::{Agent, Host, POOL_NETWORK, until};
use std::{
    io::{Read, Write},
    net::TcpListener,
};

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n";

#[test]
fn metrics_come_as_open_metrics_and_anything_else_gets_a_sentence() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    let ask = |request: &[u8]| talk(host.namespace(), METRICS, request);
    let got = ask(GET)?;
    ensure!(got.status == "200 OK", "{}", got.status);
    ensure!(
        got.fields["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    ensure!(got.fields["content-length"] == got.body.len().to_string());
    ensure!(
        got.body.contains("# TYPE slash32_links gauge\n"),
        "{}",
        got.body
    );
    let head = ask(b"HEAD /metrics HTTP/1.1\r\nHost: agent\r\n\r\n")?;
    ensure!(
        head.status == "200 OK" && head.body.is_empty(),
        "{}",
        head.body
    );
    ensure!(head.fields["content-type"] == got.fields["content-type"]);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    let others: [(&[u8], &str, &str); 4] = [
        (
            b"GET / HTTP/1.1\r\n\r\n",
            "404 Not Found",
            "are at /metrics",
        ),
        (
            b"POST /metrics HTTP/1.1\r\n\r\n",
            "405 Method Not Allowed",
            "only be read",
        ),
        (
            b"\x16\x03\x01\r\n\r\n",
            "400 Bad Request",
            "no HTTP request",
        ),
        (
            long.as_bytes(),
            "431 Request Header Fields Too Large",
            "longer than",
        ),
    ];
    for (request, status, sentence) in others {
        let got = ask(request)?;
        ensure!(got.status == status, "{} instead of {status}", got.status);
        ensure!(
            got.body.contains(sentence) && got.body.ends_with(".\n"),
            "{}",
            got.body
        );
    }
    Ok(())
}

#[test]
fn an_address_that_is_taken_costs_no_vm_anything_and_is_tried_again() -> Result<()> {
    let host = Host::new()?;
    let taken = host
        .namespace()
        .inside(|| Ok(TcpListener::bind(METRICS)?))?;
    let agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    let mut vm = host.raw_vm(1)?;
    vm.bind()?;
    let complaint = "metrics cannot be served at 127.0.0.1:9132";
    let complaints = || agent.log().matches(complaint).count();
    until("the agent to say so", BOUND, || {
        Ok((complaints() > 0).then_some(()))
    })?;
    drop(taken);
    until("the metrics to be served", BOUND, || {
        Ok(scrape(host.namespace()).ok())
    })?;
    ensure!(complaints() == 1, "{}", agent.log());
    let line = agent.log();
    let line = line.lines().find(|line| line.contains(complaint));
    ensure!(
        line.is_some_and(|line| line.contains("ERROR") && line.contains("set metrics in [agent]")),
        "{line:?}"
    );
    Ok(())
}

#[test]
fn an_address_of_a_link_that_comes_later_is_served_then() -> Result<()> {
    let host = Host::new()?;
    let config = with_metrics(POOL_NETWORK).replace("127.0.0.1", "192.0.2.1");
    let _agent = Agent::start(&host, &config)?;
    let _fabric = host.fabric()?;
    let request = "GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n".as_bytes();
    let got = until("the metrics to be served", BOUND, || {
        Ok(talk(host.namespace(), "192.0.2.1:9132", request).ok())
    })?;
    ensure!(got.status == "200 OK", "{}", got.status);
    Ok(())
}

#[test]
fn clients_that_hang_keep_nobody_from_a_scrape_for_long() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    let mut idle = Vec::new();
    for number in 0..40 {
        let mut client = connect(host.namespace(), METRICS)?;
        if number % 2 == 0 {
            client.write_all(b"GET /met")?;
        }
        idle.push(client);
    }
    // They are many more than are served at a time. VMs do not notice, and an operator does not.
    let mut vm = host.raw_vm(1)?;
    vm.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    // Each of them has its time, and is out of it.
    let closed = |client: &mut std::net::TcpStream| matches!(client.read(&mut [0; 1]), Ok(0));
    ensure!(closed(&mut idle[0]), "the first one is still there");
    drop(idle);
    until("a scrape", BOUND, || Ok(scrape(host.namespace()).ok()))?;
    Ok(())
}

#[test]
fn without_the_key_nothing_listens() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let sockets = host
        .namespace()
        .inside(|| Ok(std::fs::read_to_string("/proc/thread-self/net/tcp")?))?;
    ensure!(sockets.lines().count() == 1, "{sockets}");
    ensure!(!agent.log().contains("metrics"), "{}", agent.log());
    Ok(())
}
