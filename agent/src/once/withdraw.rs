//! The way back: nothing of ours is left on the host.

use crate::kernel::{Kernel, Request};
use crate::responders::{connect, first_state, receive};
use crate::standalone::Standalone;
use anyhow::{Context, Result, bail};
use slash32_ipc::{MAX_DOWN, MAX_UP, ToResponder};
use slash32_policy::{Config, read_sources};
use slash32_sys::fd::AsFd;
use slash32_sys::process::Process;
use slash32_sys::seqpacket;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixDatagram;

/// How long a responder may take to say its first word, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes back what `--once` did for a link. After a crash nothing: the next responder goes on with it.
pub(super) async fn link(config_file: &Path, name: &str) -> Result<()> {
    let crashed = std::env::var("SERVICE_RESULT").is_ok_and(|result| result != "success");
    if crashed {
        return Ok(());
    }
    let standalone = Standalone::new(&config(config_file)?.agent.runtime_dir);
    let Some(record) = standalone.record(name) else {
        return Ok(());
    };
    // First: an agent that may have the link now hears of it by what follows.
    standalone.forget(&record);
    clear(record.protocol, record.table, |ifindex| {
        ifindex == record.ifindex
    })
    .with_context(|| format!("{name}: not everything is withdrawn"))
}

/// Ends every responder that an agent has left, and takes its routes and addresses off the host; but not those of links
/// that are served alone.
pub(super) async fn everything(config_file: &Path) -> Result<()> {
    let config = config(config_file)?;
    let runtime = &config.agent.runtime_dir;
    let agent = runtime.join("agent.sock");
    if std::os::unix::net::UnixStream::connect(&agent).is_ok() {
        bail!(
            "a slash32-agent answers at {}, and would start its responders again: end it first (systemctl stop slash32-agent)",
            agent.display()
        );
    }
    let sockets = match fs::read_dir(runtime.join("responder")) {
        Ok(entries) => entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("{}/responder cannot be read", runtime.display()));
        }
    };
    // All at once: a deaf one costs its patience once.
    let ended = futures_util::future::join_all(sockets.into_iter().map(end)).await;
    let alone: BTreeSet<u32> = Standalone::new(runtime).links().into_keys().collect();
    let route = &config.route;
    clear(route.protocol, route.table, |ifindex| {
        !alone.contains(&ifindex)
    })
    .context("not everything is withdrawn")?;
    ended.into_iter().collect()
}

/// The config, or, so that the way back is open whatever stands in it, none.
fn config(file: &Path) -> Result<Config> {
    if file.exists() {
        let read = read_sources(file).map_err(anyhow::Error::from);
        match read.and_then(|sources| Ok(Config::parse(&sources)?)) {
            Ok(config) => return Ok(config),
            Err(error) => {
                eprintln!("slash32-agent: goes on as if there were no config: {error:#}");
            }
        }
    }
    Ok(Config::parse(&[])?)
}

/// Removes every route of `protocol` in `table`, and every address that is marked with it, on the links that are `ours`.
fn clear(protocol: u8, table: u32, ours: impl Fn(u32) -> bool) -> Result<()> {
    let mut kernel =
        Kernel::connect().context("cannot talk to the kernel's routing (rtnetlink)")?;
    let mut first_error = None;
    for route in kernel.routes(protocol, table)? {
        if ours(route.ifindex)
            && let Err(error) = kernel.change_one(Request::RemoveRoute(route))
        {
            first_error.get_or_insert(error);
        }
    }
    for (ifindex, address) in kernel.addresses(protocol)? {
        if ours(ifindex)
            && address.ours
            && let Err(error) = kernel.change_one(Request::RemoveAddress { ifindex, address })
        {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), |error| Err(error.into()))
}

/// Ends the responder that listens at `path`: asks it, and kills one that does not hear.
async fn end(path: PathBuf) -> Result<()> {
    let asked = tokio::time::timeout(PATIENCE, ask_to_end(&path)).await;
    if asked.is_err() {
        kill(&path).with_context(|| {
            format!(
                "{}: the responder does not end, and cannot be killed",
                path.display()
            )
        })?;
    }
    let _ = fs::remove_file(&path);
    Ok(())
}

/// Returns when it has ended, or when nobody listens.
async fn ask_to_end(path: &Path) {
    let Some(socket) = path.to_str().and_then(|path| connect(path).ok()) else {
        return;
    };
    if first_state(&socket).await.is_none() {
        return;
    }
    let mut buffer = [0; MAX_DOWN];
    let length = ToResponder::Quit.encode(&mut buffer);
    if seqpacket::send(socket.as_fd(), &buffer[..length]).is_ok() {
        has_closed(&socket).await;
    } else {
        std::future::pending::<()>().await;
    }
}

async fn has_closed(socket: &UnixDatagram) {
    let mut buffer = [0; MAX_UP];
    while let Ok(record) = receive(socket, &mut buffer).await {
        if record.length == 0 {
            return;
        }
    }
}

/// Kills whoever has the listening socket at `path` as its standard input. A process that is stopped says nothing of itself,
/// so it is looked for.
fn kill(path: &Path) -> Result<()> {
    let inode = inode(path).context("nobody listens there any more")?;
    let held = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        fs::read_link(format!("/proc/{pid}/fd/0"))
            .is_ok_and(|file| file.as_os_str() == held.as_str())
    };
    let pids =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let pid = pids
        .into_iter()
        .find(|pid| holds(*pid))
        .context("no process has it as its standard input")?;
    let process = Process::open(pid)?;
    // Its number may have been another's in between.
    if holds(pid) {
        process.kill()?;
    }
    Ok(())
}

/// The inode of the listening socket at `path` (proc_pid_net(5), unix).
fn inode(path: &Path) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    table.lines().find_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path; the flag is __SO_ACCEPTCON.
        let words: Vec<_> = line.split_whitespace().collect();
        let listens = u32::from_str_radix(words.get(3)?, 16).ok()? & 0x1_0000 != 0;
        (listens && Path::new(words.get(7)?) == path)
            .then(|| words.get(6)?.parse().ok())
            .flatten()
    })
}
