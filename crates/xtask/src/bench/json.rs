//! A bench as JSON: everything that was read, by run, and what is quoted of it.

use super::outcome::Outcome;
use super::report::{Key, Quote, Report};
use super::target;
use serde_json::{Value, json};

/// `{extent, complete, machine, programs, runs, readings, targets, failures}`.
pub(crate) fn of(outcome: &Outcome) -> Value {
    let machine = &outcome.machine;
    let programs = outcome
        .programs
        .iter()
        .map(|one| json!({ "name": one.name, "version": one.version, "size_bytes": one.size }));
    let runs = outcome
        .runs
        .iter()
        .map(|run| json!({ "load_before": run.load_before, "load_after": run.load_after }));
    let readings = outcome
        .report
        .keys()
        .map(|key| reading(&outcome.report, key));
    let targets = target::judge(&outcome.report).into_iter().map(|row| {
        json!({
            "what": row.what,
            "wanted": row.wanted,
            "best_peer": row.best_peer,
            "measured": row.measured,
            "verdict": row.verdict.name(),
        })
    });
    let failures = outcome
        .failures
        .iter()
        .map(|one| json!({ "cases": one.letters, "run": one.run + 1, "error": one.error }));
    json!({
        "extent": outcome.extent.name(),
        "complete": outcome.complete,
        "machine": {
            "processor": machine.processor,
            "cores": machine.cores,
            "memory_kib": machine.memory,
            "kernel": machine.kernel,
            "system": machine.system,
        },
        "programs": programs.collect::<Vec<_>>(),
        "runs": runs.collect::<Vec<_>>(),
        "readings": readings.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
    })
}

fn reading(report: &Report, key: Key) -> Value {
    let ratio = report.to_slash32(key);
    json!({
        "case": key.figure.case,
        "figure": key.figure.name,
        "unit": key.figure.unit.symbol(),
        "links": key.links,
        "subject": key.subject.name(),
        "values": report.values(key),
        "quote": report.quote(key).map(quote),
        "ratio_to_slash32": ratio.map(quote),
    })
}

fn quote(quote: Quote) -> Value {
    json!({ "median": quote.median, "least": quote.least, "most": quote.most, "runs": quote.runs })
}
