//! libvirt's hooks, as an operator sees them.

use crate::arguments::{HookArguments, HookCommand};
use crate::hook::{Called, Runtime};
use crate::output::{self, clean};
use crate::shim::{self, Libvirt, State, Status};
use crate::table;
use slash32_libvirt::Hook;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub(crate) async fn run(hook: HookArguments, as_json: bool) -> anyhow::Result<ExitCode> {
    let (runtime, folder) = (hook.runtime(), &std::path::absolute(&hook.hooks_dir)?);
    match hook.command {
        HookCommand::Install => install(folder, runtime.as_ref(), as_json).await,
        HookCommand::Uninstall => uninstall(folder, as_json).await,
        HookCommand::Status => status(folder, as_json).await,
        HookCommand::Network { arguments } => Ok(call(Hook::Network, runtime, &arguments)),
        HookCommand::Qemu { arguments } => Ok(call(Hook::Qemu, runtime, &arguments)),
    }
}

/// A call with options of the program before it, which libvirt does not make.
fn call(hook: Hook, runtime: Option<Runtime>, arguments: &[OsString]) -> ExitCode {
    Called {
        runtime: runtime.unwrap_or_default(),
        hook,
        arguments: arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }
    .serve();
    ExitCode::SUCCESS
}

/// Exit codes as of [`status`].
async fn install(
    folder: &Path,
    runtime: Option<&Runtime>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let libvirt = Libvirt::found().await;
    shim::install(folder, runtime, &libvirt)?;
    print(&shim::status(folder, &libvirt), as_json)
}

/// Prints what is gone; with `--json`, what [`status`] prints now.
async fn uninstall(folder: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let gone = shim::uninstall(folder)?;
    if as_json {
        let status = shim::status(folder, &Libvirt::found().await);
        output::print_json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines = gone
        .iter()
        .map(|path| format!("{}: removed\n", clean(&path.to_string_lossy())));
    let text: String = lines.collect();
    let nothing = "nothing was installed\n".to_owned();
    output::print(&if gone.is_empty() { nothing } else { text })?;
    Ok(ExitCode::SUCCESS)
}

/// Exit codes: 0 libvirt calls both, or will when it was restarted; 1 it does not.
async fn status(folder: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let libvirt = Libvirt::found().await;
    print(&shim::status(folder, &libvirt), as_json)
}

fn print(all: &[Status], as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        output::print_json(&all)?;
    } else {
        output::print(&page(all))?;
    }
    let is_installed = all.iter().all(|one| one.state == State::Installed);
    Ok(if is_installed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A row a hook, then a line for each thing to know, the restarts last.
fn page(all: &[Status]) -> String {
    let row = |one: &Status| {
        let path = one.path.to_string_lossy().into_owned();
        [
            one.hook.name().to_owned(),
            one.state.name().to_owned(),
            path,
        ]
    };
    let head = ["HOOK", "STATE", "PATH"].map(str::to_owned);
    let mut text = table::columns([head].into_iter().chain(all.iter().map(row)));
    for one in all {
        if let Some(detail) = &one.detail {
            text += &format!("{}: {}\n", one.hook.name(), clean(detail));
        }
    }
    let mut units: Vec<&str> = all.iter().filter_map(|one| one.restart).collect();
    units.dedup();
    for unit in units {
        text += &format!(
            "{unit} runs since before, and may not call them yet: systemctl restart {unit}, which leaves VMs running\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_of_both_hooks_is_restarted_once() {
        let status = |hook: Hook, detail: Option<&str>| Status {
            hook,
            path: format!("/etc/libvirt/hooks/{}.d/slash32", hook.name()).into(),
            state: State::Installed,
            detail: detail.map(str::to_owned),
            restart: Some("libvirtd"),
        };
        let other = "/etc/libvirt/hooks/qemu is called as before, and first";
        let page = page(&[status(Hook::Network, None), status(Hook::Qemu, Some(other))]);
        assert_eq!(
            page,
            "\
HOOK     STATE      PATH
network  installed  /etc/libvirt/hooks/network.d/slash32
qemu     installed  /etc/libvirt/hooks/qemu.d/slash32
qemu: /etc/libvirt/hooks/qemu is called as before, and first
libvirtd runs since before, and may not call them yet: systemctl restart libvirtd, which leaves VMs running
"
        );
    }
}
