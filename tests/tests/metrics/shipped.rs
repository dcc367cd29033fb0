//! The dashboard, the alerts and the page about them name what exists, and each alert is told and explained.

use crate::{
    scrape::{METRICS, get},
    stage::with_metrics,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Host, POOL_NETWORK};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the project begins.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn file(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("{path} cannot be read"))
}

pub(crate) const RULES: &str = "monitoring/slash32.rules.yml";
const DASHBOARD: &str = "monitoring/slash32.json";
const PAGE: &str = "docs/monitoring.md";

/// The metrics of an agent, by the names that queries use, and whether each is a histogram.
fn exported() -> Result<Vec<(String, bool)>> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    let text = get(host.namespace(), METRICS, "/metrics")?;
    let mut metrics = Vec::new();
    for line in text.lines() {
        let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let help = format!("# HELP {name} ");
        let help = text.lines().find_map(|line| line.strip_prefix(&help));
        ensure!(
            help.is_some_and(|help| help.len() > 10),
            "{name} has no HELP"
        );
        metrics.push((format!("{name}{suffix}"), kind == "histogram"));
    }
    Ok(metrics)
}

/// The words of a text that begin as the name of a metric does.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(move |c: char| !is_part(c));
    words.filter(|word| word.starts_with("slash32_")).collect()
}

/// The queries of the dashboard's panels.
pub(crate) fn queries() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&file(DASHBOARD)?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str());
    queries
        .map(|query| query.map(str::to_owned).context("a panel without a query"))
        .collect()
}

/// The names of all alerts.
fn alerts() -> Result<Vec<String>> {
    let rules = file(RULES)?;
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<String> = alerts.map(str::to_owned).collect();
    ensure!(alerts.len() > 10, "{alerts:?}");
    Ok(alerts)
}

#[test]
fn every_name_that_is_shipped_is_that_of_a_metric() -> Result<()> {
    let exported = exported()?;
    let exists = |name: &str| {
        exported.iter().any(|(metric, histogram)| {
            let parts = ["_bucket", "_count", "_sum"];
            let is_part = |rest| *histogram && parts.contains(&rest);
            name.strip_prefix(&**metric)
                .is_some_and(|rest| rest.is_empty() || is_part(rest))
        })
    };
    for (path, least) in [(RULES, 10), (DASHBOARD, 15), (PAGE, 20)] {
        let text = file(path)?;
        let names = names(&text);
        ensure!(names.len() >= least, "{path} names only {names:?}");
        for name in names {
            ensure!(exists(name), "{path}: there is no metric {name}");
        }
    }
    Ok(())
}

#[test]
fn the_page_explains_every_metric_and_the_dashboard_shows_it() -> Result<()> {
    let (page, dashboard) = (file(PAGE)?, file(DASHBOARD)?);
    for (metric, _) in exported()? {
        ensure!(
            page.contains(&format!("\n| `{metric}` |")),
            "{PAGE} has no row about {metric}"
        );
        ensure!(
            dashboard.contains(&metric),
            "{DASHBOARD} does not show {metric}"
        );
    }
    Ok(())
}

#[test]
fn every_alert_says_what_to_do_and_is_explained() -> Result<()> {
    let (rules, page) = (file(RULES)?, file(PAGE)?);
    let mut headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    for alert in alerts()? {
        let (_, rule) = rules
            .split_once(&format!("- alert: {alert}\n"))
            .context("no rule")?;
        let rule = rule.split("- alert:").next().unwrap_or_default();
        let summary = rule.split_once("summary: ").context("no summary")?.1;
        let summary = summary.lines().next().unwrap_or_default();
        // An agent that is not there has no name.
        ensure!(
            summary.contains("{{ $labels.instance }}: ") || alert == "Slash32NoAgent",
            "{alert}: {summary}"
        );
        let anchor = format!("runbook: \"docs/monitoring.md#{}\"", alert.to_lowercase());
        ensure!(rule.contains(&anchor), "{alert} has no {anchor}");
        ensure!(
            headings.contains(&&*alert),
            "{PAGE} does not explain {alert}"
        );
        headings.retain(|heading| *heading != alert);
    }
    ensure!(
        headings.is_empty(),
        "{PAGE} explains what is no alert: {headings:?}"
    );
    Ok(())
}

#[test]
fn promtool_accepts_the_alerts_and_each_of_them_fires_when_it_should() -> Result<()> {
    const CASES: &str = "tests/tests/metrics/alerts.yml";
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(root())
            .output()
            .context("promtool, of the Debian package prometheus, cannot be started")?;
        ensure!(
            output.status.success(),
            "promtool {arguments:?}: {output:?}"
        );
        Ok(())
    };
    promtool(&["check", "rules", RULES])?;
    promtool(&["test", "rules", CASES])?;
    let cases = file(CASES)?;
    for alert in alerts()? {
        // Once when it fires, and once when it does not.
        let asked = cases.matches(&format!("alertname: {alert}\n")).count();
        let quiet = cases.contains(&format!("alertname: {alert}\n        exp_alerts: []"));
        ensure!(
            asked >= 2 && quiet,
            "{CASES} does not try {alert} both ways"
        );
    }
    Ok(())
}
