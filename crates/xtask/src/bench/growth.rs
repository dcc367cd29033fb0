//! Case i: what deciding and planning cost without a kernel, by the number of links, and with which power of it that grows: 1 is
//! as many times as long for as many times the links, 0 is the same however many there are.

use super::extent::Extent;
use super::report::{Figure, Key, Report, Subject, Unit};
use crate::{cargo, step};
use anyhow::{Context, Result};
use std::path::Path;

/// The numbers of links that the benches measure, as they have them.
const LINKS: [u32; 3] = [1_000, 10_000, 100_000];

/// What is measured: criterion's group and function, in what it is told, and what it is.
const COSTS: [(&str, &str, Unit, [&str; 2]); 6] = [
    (
        "decide",
        "all",
        Unit::Milliseconds,
        [
            "deciding about all links",
            "growth of deciding about all links",
        ],
    ),
    (
        "decide",
        "again",
        Unit::Microseconds,
        [
            "deciding about one link again",
            "growth of deciding about one link again",
        ],
    ),
    (
        "decide",
        "returns",
        Unit::Microseconds,
        [
            "a VM leaves and another comes",
            "growth of a VM that leaves and another that comes",
        ],
    ),
    (
        "plan",
        "all",
        Unit::Milliseconds,
        ["planning for all links", "growth of planning for all links"],
    ),
    (
        "plan",
        "nothing",
        Unit::Milliseconds,
        [
            "planning where nothing is to be done",
            "growth of planning where nothing is to be done",
        ],
    ),
    (
        "plan",
        "one",
        Unit::Microseconds,
        [
            "planning for one link among all",
            "growth of planning for one link among all",
        ],
    ),
];

/// Runs the benches and takes in what criterion found.
///
/// # Errors
/// [`step::Failed`] when they fail, after their messages were shown; else when their results are not where they ought to be.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let mut bench = cargo::cargo();
    bench.args(["bench", "--package", "slash32-policy", "--bench", "decide"]);
    bench.args(["--package", "slash32-agent", "--bench", "plan"]);
    bench.args(["--", "--noplot"]);
    match extent {
        Extent::Quick => bench.arg("--quick"),
        // Seconds; the bench has three runs of them.
        Extent::Standard | Extent::Full => {
            bench.args(["--warm-up-time", "0.3", "--measurement-time", "1"])
        }
    };
    step::command("planning and allocation, without a kernel", &mut bench)?;
    let results = cargo::target()?.join("criterion");
    for (group, function, unit, [name, growth]) in COSTS {
        let mut times = Vec::new();
        for links in LINKS {
            let nanoseconds = median(&results.join(format!("{group}/{function}/{links}")))?;
            let figure = Figure {
                case: 'i',
                name,
                unit,
            };
            report.take(run, key(figure, links), in_unit(nanoseconds, unit));
            times.push((f64::from(links), nanoseconds));
        }
        let figure = Figure {
            case: 'i',
            name: growth,
            unit: Unit::Ratio,
        };
        report.take(run, key(figure, LINKS[LINKS.len() - 1]), exponent(&times));
    }
    Ok(())
}

fn key(figure: Figure, links: u32) -> Key {
    Key {
        figure,
        links,
        subject: Subject::Slash32,
    }
}

fn in_unit(nanoseconds: f64, unit: Unit) -> f64 {
    match unit {
        Unit::Milliseconds => nanoseconds / 1e6,
        _ => nanoseconds / 1e3,
    }
}

/// The median that criterion found, in nanoseconds.
fn median(result: &Path) -> Result<f64> {
    let file = result.join("new/estimates.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("criterion has left no {}", file.display()))?;
    let estimates: serde_json::Value = serde_json::from_str(&text)?;
    estimates["median"]["point_estimate"]
        .as_f64()
        .with_context(|| format!("{}: no median", file.display()))
}

/// The slope of log time over log count (least squares).
fn exponent(times: &[(f64, f64)]) -> f64 {
    let count = times.len() as f64;
    let logs = || times.iter().map(|(links, time)| (links.ln(), time.ln()));
    let (x, y) = logs().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / count, y + b / count));
    let (xy, xx) = logs().fold((0.0, 0.0), |(xy, xx), (a, b)| {
        (xy + (a - x) * (b - y), xx + (a - x) * (a - x))
    });
    xy / xx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_is_the_power_of_the_growth() {
        for power in [0.0, 1.0, 2.0] {
            let time = |links: u32| (f64::from(links), 3.0 * f64::from(links).powf(power));
            let found = exponent(&LINKS.map(time));
            assert!((found - power).abs() < 1e-9, "{found} for {power}");
        }
    }
}
