//! Prometheus itself, and what it makes of an agent.

use crate::{
    scrape::get,
    shipped::{RULES, file, queries},
    stage::{BOUND, with_metrics},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Host, Namespace, POOL_NETWORK, until};
use std::{
    fmt::Write,
    fs,
    process::{Command, Stdio},
};

const ADDRESS: &str = "127.0.0.1:9090";
const CONFIG: &str = "global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs:
  - job_name: slash32
    static_configs: [{ targets: ['127.0.0.1:9132'] }]
";

#[test]
fn prometheus_scrapes_an_agent_and_every_alert_and_panel_can_be_asked() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    let mut vm = host.raw_vm(1)?;
    vm.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
    fs::write(folder.path().join("prometheus.yml"), CONFIG)?;
    fs::write(folder.path().join("rules.yml"), file(RULES)?)?;
    let mut command = Command::new("prometheus");
    command
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={ADDRESS}"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log"))?);
    let _prometheus = host
        .namespace()
        .spawn(&mut command)
        .context("prometheus, of the Debian package of that name, cannot be started")?;
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let ask = |target: &str| ask(host.namespace(), target);

    let scraped = until("Prometheus to scrape the agent", BOUND, || {
        let Ok(answer) = ask("/api/v1/targets") else {
            return Ok(None);
        };
        let target = answer["activeTargets"][0].clone();
        ensure!(
            target["lastError"].as_str().unwrap_or_default().is_empty(),
            "{target}"
        );
        Ok((target["health"] == "up").then_some(target))
    });
    scraped.with_context(log)?;
    // It takes the types from the text.
    let types = ask("/api/v1/metadata")?;
    for (metric, kind) in [
        ("slash32_links", "gauge"),
        ("slash32_replies", "counter"),
        ("slash32_claim_seconds", "histogram"),
        ("slash32_build", "info"),
    ] {
        ensure!(
            types[metric][0]["type"] == kind,
            "{metric}: {}",
            types[metric]
        );
    }
    // An agent that is well; but the first look at the rules was before the first scrape.
    until(
        "every rule to be evaluated, and none to fire",
        BOUND,
        || {
            let groups = ask("/api/v1/rules")?["groups"].take();
            let rules = groups[0]["rules"].as_array().cloned().unwrap_or_default();
            let wrong = rules.iter().find(|rule| rule["health"] == "err");
            ensure!(wrong.is_none(), "{wrong:?}");
            let is_well = |rule: &Value| rule["health"] == "ok" && rule["state"] == "inactive";
            Ok((!rules.is_empty() && rules.iter().all(is_well)).then_some(()))
        },
    )?;
    for query in queries()? {
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*");
        let result = ask(&format!("/api/v1/query?query={}", encoded(&query)))
            .with_context(|| query.clone())?;
        // What compares may have nothing to show, and a rate wants two samples.
        let may_be_empty = query.contains("> 0") || query.contains("[1m]");
        let is_empty = result["result"].as_array().is_none_or(Vec::is_empty);
        ensure!(may_be_empty || !is_empty, "nothing is shown for {query}");
    }
    Ok(())
}

/// The data of an answer of Prometheus' API. Errors: it is none, or tells of a fault.
fn ask(namespace: &Namespace, target: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(&get(namespace, ADDRESS, target)?)?;
    ensure!(answer["status"] == "success", "{answer}");
    Ok(answer["data"].clone())
}

/// Percent-encoded (RFC 3986), all but letters and digits.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
