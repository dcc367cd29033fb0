//! What on this host would keep VMs from their address, for people in blocks and for programs as an array.

use crate::doctor::{CHECKS, Facts, Finding, Severity, gather, judge};
use crate::output::{self, clean};
use crate::table;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// How many objects, and how many ways to mend them, are named of one finding.
const NAMED: usize = 6;

/// Exit codes: 0 no error, 1 an error, 2 no error in what was checked, and something was not.
pub(crate) async fn run(socket: &Path, config: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let facts = gather(socket, config).await?;
    let findings = judge(&facts);
    if as_json {
        output::print_json(&findings)?;
    } else {
        output::print(&page(&findings, &facts))?;
    }
    let has = |severity| {
        findings
            .iter()
            .any(|finding: &Finding| finding.severity == severity)
    };
    Ok(if has(Severity::Error) {
        ExitCode::FAILURE
    } else if has(Severity::Unknown) {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

/// Prints the name of each check and what it looks for.
pub(crate) fn list(as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let checks: Vec<Value> = CHECKS
            .iter()
            .map(|check| json!({ "check": check.name, "about": check.about }))
            .collect();
        output::print_json(&checks)?;
    } else {
        let rows = CHECKS
            .iter()
            .map(|check| [check.name.to_owned(), check.about.to_owned()]);
        output::print(&table::columns(rows))?;
    }
    Ok(())
}

/// A block a finding, the worst first, and a line with the counts.
fn page(findings: &[Finding], facts: &Facts) -> String {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let same = groups.iter_mut().find(|group| {
            let first = group[0];
            (first.check, first.severity, &first.finding)
                == (finding.check, finding.severity, &finding.finding)
        });
        match same {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.sort_by_key(|group| group[0].severity);
    let blocks: String = groups.iter().map(|group| block(group)).collect();
    blocks + &counts(&groups, facts)
}

fn block(group: &[&Finding]) -> String {
    let first = group[0];
    let mut objects: Vec<String> = group
        .iter()
        .take(NAMED)
        .map(|finding| clean(&finding.object))
        .collect();
    if group.len() > NAMED {
        objects.push(format!("and {} more", group.len() - NAMED));
    }
    let mut mends: Vec<&str> = Vec::new();
    for finding in group {
        if !mends.contains(&finding.mend.as_str()) {
            mends.push(&finding.mend);
        }
        if mends.len() > NAMED {
            break;
        }
    }
    let all = mends.len() <= NAMED;
    let mut text = format!(
        "{:<8} {}: {}\n  {}\n",
        first.severity.name(),
        first.check,
        objects.join(", "),
        clean(&first.finding)
    );
    let shown = if all { mends.len() } else { 1 };
    for mend in &mends[..shown] {
        text += &format!("  mend: {}\n", clean(mend));
    }
    if !all {
        text += "        and likewise for the others\n";
    }
    text + "\n"
}

fn counts(groups: &[Vec<&Finding>], facts: &Facts) -> String {
    let count = |severity| {
        groups
            .iter()
            .filter(|group| group[0].severity == severity)
            .count()
    };
    let links = facts.vm_links().count();
    let links = format!("{links} VM {}", if links == 1 { "link" } else { "links" });
    let parts: Vec<String> = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Hint, "hint", "hints"),
        (Severity::Unknown, "check not made", "checks not made"),
    ]
    .into_iter()
    .filter_map(|(severity, one, many)| match count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    })
    .collect();
    if parts.is_empty() {
        format!("nothing found, {links}\n")
    } else {
        format!("{}, {links}\n", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(object: &str, severity: Severity, text: &str) -> Finding {
        Finding {
            check: "mtu",
            severity,
            object: object.to_owned(),
            finding: text.to_owned(),
            mend: format!("ip link set {object} mtu 1500"),
        }
    }

    #[test]
    fn the_worst_is_told_first_and_the_same_of_many_once() {
        let findings = [
            finding("virbr1", Severity::Warning, "It is too large."),
            finding("virbr2", Severity::Error, "It is too small."),
            finding("virbr3", Severity::Warning, "It is too large."),
        ];
        let expected = "\
error    mtu: virbr2
  It is too small.
  mend: ip link set virbr2 mtu 1500

warning  mtu: virbr1, virbr3
  It is too large.
  mend: ip link set virbr1 mtu 1500
  mend: ip link set virbr3 mtu 1500

1 error, 1 warning, 1 VM link
";
        assert_eq!(page(&findings, &Facts::healthy()), expected);
    }

    #[test]
    fn names_from_outside_cannot_move_the_cursor() {
        let findings = [finding("a\u{1b}[2J", Severity::Hint, "by \u{1b}[31m")];
        let page = page(&findings, &Facts::healthy());
        assert!(!page.contains('\u{1b}'), "{page:?}");
        assert!(page.contains("a\\u{1b}[2J"), "{page:?}");
    }
}
