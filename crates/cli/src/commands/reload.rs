use crate::output::{self, clean};
use crate::table::or_empty;
use anyhow::bail;
use slash32_control::{Client, ClientError, LinkRow, ReloadError, ReloadReport};
use std::io::Write;
use std::path::Path;

pub(crate) async fn run(socket: &Path, force: bool, as_json: bool) -> anyhow::Result<()> {
    let report = match Client::connect(socket).await?.reload(force).await {
        Ok(report) => report,
        Err(ClientError::Reload(ReloadError::Config { text })) => {
            // Many lines, unlike any other error: each error with its line of the config.
            let lines: String = text
                .lines()
                .map(|line| format!("{}\n", clean(line)))
                .collect();
            let _ = std::io::stderr().write_all(lines.as_bytes());
            bail!("the config has errors, and the running one stays in force");
        }
        Err(error) => bail!(error),
    };
    if as_json {
        output::print_json(&report)?;
    } else {
        output::print(&page(&report))?;
    }
    Ok(())
}

fn page(report: &ReloadReport) -> String {
    if report.changed.is_empty() && report.lost.is_empty() {
        return "the config is in force; nothing is different for the VMs that run\n".to_owned();
    }
    let changed = report.changed.iter().cloned();
    changed
        .chain(report.lost.iter().map(lost))
        .map(|sentence| format!("{}\n", clean(&sentence)))
        .collect()
}

fn lost(link: &LinkRow) -> String {
    let name = &link.link;
    let vm = match &link.vm {
        Some(vm) => format!(" ({vm})"),
        None => String::new(),
    };
    format!("{name}{vm} has lost {}", or_empty(&link.address))
}
