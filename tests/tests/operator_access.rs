//! Who may ask the agent, and who may have it change something.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{Agent, Host, POOL_NETWORK, binary, static_network};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Users and groups of these tests; no machine's.
const USER: u32 = 41_000;
const EVERYBODY: u32 = 41_001;
const SLASH32: u32 = 41_002;
const ADMIN: u32 = 41_003;

const ADMIN_GROUP: &str = "admin-group = \"slash32-admin\"\n";

/// Everything that asks, and everything that changes, with a document on standard input where one is read.
const ASKS: [&[&str]; 8] = [
    &["list"],
    &["show", "virbr7"],
    &["explain", "virbr7"],
    &["pools"],
    &["wait", "virbr7", "--state", "idle", "--timeout", "10s"],
    &["watch", "--json"],
    &["events"],
    &["store", "export", "-"],
];
const CHANGES: [&[&str]; 5] = [
    &["bind", "virbr8", "203.0.113.15"],
    &["unbind", "virbr8"],
    &["release", "virbr8"],
    &["reload"],
    &["store", "import", "-"],
];

#[test]
fn a_member_of_the_group_may_ask_everything_and_change_nothing() -> Result<()> {
    let host = host_with_groups(true)?;
    host.bridge("virbr7")?;
    let agent = reachable(&host, "", POOL_NETWORK)?;
    let member = Caller::of(&agent, SLASH32, &[])?;
    for arguments in ASKS {
        member.is_answered(arguments)?;
    }
    ensure!(member.run(&["version"])?.status.success());
    for arguments in CHANGES {
        let said = member.fails(arguments)?;
        ensure!(
            said.contains(
                "only root may change anything: run this with sudo, or set admin-group in [agent]"
            ),
            "{arguments:?}: {said}"
        );
    }
    // Nothing was changed, and root may.
    ensure!(
        agent
            .succeeds(&["bind", "virbr8", "203.0.113.15"])?
            .contains("203.0.113.15")
    );
    Ok(())
}

#[test]
fn the_socket_belongs_to_the_group_and_nobody_else_can_connect() -> Result<()> {
    let host = host_with_groups(true)?;
    let agent = reachable(&host, "", POOL_NETWORK)?;
    let socket = fs::metadata(agent.socket())?;
    ensure!(
        (socket.uid(), socket.gid(), socket.mode() & 0o7777) == (0, SLASH32, 0o660),
        "{socket:?}"
    );
    let said = Caller::of(&agent, EVERYBODY, &[])?.fails(&["list"])?;
    let expected = "you are not in its group, which is slash32: run this with sudo, or become a member (usermod -aG slash32 USER)";
    ensure!(said.contains(expected), "{said}");
    Ok(())
}

#[test]
fn without_the_group_only_root_can_connect_and_others_are_told_how_to_make_it() -> Result<()> {
    let host = host_with_groups(false)?;
    let agent = reachable(&host, "", POOL_NETWORK)?;
    let socket = fs::metadata(agent.socket())?;
    ensure!(
        (socket.gid(), socket.mode() & 0o7777) == (0, 0o660),
        "{socket:?}"
    );
    let said = Caller::of(&agent, EVERYBODY, &[])?.fails(&["list"])?;
    ensure!(
        said.contains("only root may: run this with sudo, or make the group slash32 (groupadd --system slash32)"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_member_of_the_admin_group_may_change_things_and_others_are_told_its_name() -> Result<()> {
    let host = host_with_groups(true)?;
    let agent = reachable(&host, ADMIN_GROUP, POOL_NETWORK)?;
    let bind = ["bind", "virbr8", "203.0.113.15"];
    let said = Caller::of(&agent, SLASH32, &[])?.fails(&bind)?;
    ensure!(
        said.contains("only root and members of the group slash32-admin may change anything: run this with sudo, or become"),
        "{said}"
    );
    // By the group of the process, and by one of the others.
    for (group, others) in [(ADMIN, [SLASH32]), (SLASH32, [ADMIN])] {
        let admin = Caller::of(&agent, group, &others)?;
        for arguments in [&bind[..], &["unbind", "virbr8"], &["reload"]] {
            let output = admin.run(arguments)?;
            ensure!(output.status.success(), "{arguments:?}: {output:?}");
        }
        let document = agent.succeeds(&["store", "export", "-"])?;
        let output = admin.run_with(&["store", "import", "-"], &document)?;
        ensure!(output.status.success(), "{output:?}");
    }
    // A group that is his among a hundred others.
    let many: Vec<u32> = (50_000..50_100).chain([SLASH32, ADMIN]).collect();
    let output = Caller::of(&agent, EVERYBODY, &many)?.run(&["reload"])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

#[test]
fn an_admin_group_that_does_not_exist_is_told_by_its_name_and_keeps_no_vm_from_its_agent()
-> Result<()> {
    let host = host_with_groups(false)?;
    let mut agent = Agent::prepare(&host, &static_network(&[], ""))?;
    in_table_agent(&agent, ADMIN_GROUP)?;
    agent.restart()?;
    let expected = "slash32-agent: [agent] admin-group: there is no group slash32-admin on this host: make it \
                    (groupadd --system slash32-admin), or name another";
    let sentence = expected.trim_start_matches("slash32-agent: ");
    ensure!(agent.log().contains(sentence), "{}", agent.log());
    let check = host.namespace().output(
        Command::new(binary("slash32-agent")?)
            .arg("--check")
            .arg("--config")
            .arg(agent.config_file()),
    )?;
    let said = String::from_utf8_lossy(&check.stderr);
    ensure!(
        !check.status.success() && said.trim_end() == expected,
        "{check:?}"
    );
    Ok(())
}

/// A host with an /etc/group of its own: with the groups of slash32, or without.
fn host_with_groups(exist: bool) -> Result<Host> {
    let host = Host::new()?;
    let groups = if exist {
        format!("slash32:x:{SLASH32}:\nslash32-admin:x:{ADMIN}:\n")
    } else {
        String::new()
    };
    fs::write(
        host.namespace().path("/run/group"),
        format!("root:x:0:\n{groups}"),
    )?;
    host.namespace()
        .run("mount", &["--bind", "/run/group", "/etc/group"])?;
    Ok(host)
}

/// An agent with these lines in its table `[agent]`, in folders that other users may pass through.
fn reachable<'h>(host: &'h Host, lines: &str, config: &str) -> Result<Agent<'h>> {
    let mut agent = Agent::prepare(host, config)?;
    in_table_agent(&agent, lines)?;
    fs::set_permissions(folder(&agent)?, fs::Permissions::from_mode(0o711))?;
    // This machine's copy may be where other users cannot go.
    fs::copy(binary("slash32")?, folder(&agent)?.join("slash32"))?;
    agent.restart()?;
    Ok(agent)
}

fn folder(agent: &Agent<'_>) -> Result<PathBuf> {
    let file = agent.config_file();
    Ok(file.parent().context("a folder")?.to_owned())
}

fn in_table_agent(agent: &Agent<'_>, lines: &str) -> Result<()> {
    let file = agent.config_file();
    let text = fs::read_to_string(&file)?.replacen("[agent]\n", &format!("[agent]\n{lines}"), 1);
    Ok(fs::write(file, text)?)
}

/// Somebody who is not root.
struct Caller {
    command: Vec<String>,
}

impl Caller {
    fn of(agent: &Agent<'_>, group: u32, others: &[u32]) -> Result<Self> {
        let others = if others.is_empty() {
            "--clear-groups".to_owned()
        } else {
            let others: Vec<String> = others.iter().map(u32::to_string).collect();
            format!("--groups={}", others.join(","))
        };
        let text = |path: &Path| path.display().to_string();
        let command = vec![
            "setpriv".into(),
            format!("--reuid={USER}"),
            format!("--regid={group}"),
            others,
            text(&folder(agent)?.join("slash32")),
            "--socket".into(),
            text(&agent.socket()),
        ];
        Ok(Self { command })
    }

    fn start(&self, arguments: &[&str], stdin: Stdio) -> Result<std::process::Child> {
        Ok(Command::new(&self.command[0])
            .args(&self.command[1..])
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.start(arguments, Stdio::null())?.wait_with_output()?)
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = self.start(arguments, Stdio::piped())?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        std::io::Write::write_all(&mut stdin, input.as_bytes())?;
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    /// It fails, with one sentence, which is returned.
    fn fails(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_sentence = said.lines().count() == 1 && output.stdout.is_empty();
        if output.status.code() != Some(1) || !is_sentence {
            bail!("{arguments:?}: {output:?}");
        }
        Ok(said)
    }

    /// The agent answers: what is printed at once, or what a stream begins with.
    fn is_answered(&self, arguments: &[&str]) -> Result<()> {
        let streams = ["watch", "events"].contains(&arguments[0]);
        if !streams {
            let output = self.run(arguments)?;
            ensure!(output.status.success(), "{arguments:?}: {output:?}");
            return Ok(());
        }
        let mut child = self.start(arguments, Stdio::null())?;
        if arguments[0] == "watch" {
            let mut byte = [0];
            let stdout = child.stdout.as_mut().context("a pipe")?;
            std::io::Read::read_exact(stdout, &mut byte).context("watch printed nothing")?;
        }
        // Events has nothing to print; it goes on listening, where a refusal would end it.
        ensure!(child.try_wait()?.is_none(), "{arguments:?} ended");
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}
