//! The agent: watches the host's links, decides what each VM gets, and is the only program here that changes the host.
//!
//! It never parses a byte that a guest has sent: guests talk to responders, one unprivileged process for each link, and a
//! responder says no more than "somebody asked, generation 7". Read on in [`reconcile`] (the one task that acts), [`plan`]
//! (what it does, decided purely), [`presence`] (which link is a VM's), [`kernel`] (rtnetlink), [`responders`] (the
//! processes), [`conversation`] (what they may say), [`hypervisor`] (what libvirt tells), [`publish`] (what operators see) and [`once`] (one link, without
//! staying). [`isolate`] is what the agent takes away from itself.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod arrival;
mod clean;
mod config;
mod conversation;
mod history;
mod hypervisor;
mod isolate;
mod kernel;
mod leases;
mod log;
mod metrics;
mod moment;
mod notify;
mod occupant;
mod once;
mod operator;
mod presence;
mod probe;
mod publish;
mod reconcile;
mod responders;
mod standalone;
mod vm;

use access::Access;
use anyhow::{Context, Result, bail};
use clap::Parser;
use hypervisor::Hypervisor;
use metrics::Exporter;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Group;
use publish::Published;
use reconcile::{Parts, Reconciler};
use responders::{Responders, Setup};
use slash32_agent::{encoded, link, plan, route};
use slash32_policy::Config;
use slash32_store::{Embedded, Opened, Store};
use slash32_sys::descriptors;
use slash32_sys::process::leave_children_to_the_kernel;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Gives every virtual machine its own /32: serves the DHCP of each VM link and keeps the host's routes to the VMs.
#[derive(Parser)]
#[command(name = "slash32-agent", version)]
struct Arguments {
    /// The config; files in conf.d beside it are read too.
    #[arg(long, value_name = "FILE", default_value = "/etc/slash32/slash32.toml")]
    config: PathBuf,
    /// Only check the config: print what is wrong with it, and exit.
    #[arg(long)]
    check: bool,
    /// Serve one link without an agent: prepare it as links/LINK.toml beside the config says, hand it to the responder that
    /// listens in the runtime folder (slash32-responder@LINK.service), and exit.
    #[arg(long, value_name = "LINK", conflicts_with = "check")]
    once: Option<String>,
    /// With --once: take back what was done to the host for LINK; after a crash of its responder (SERVICE_RESULT, as systemd
    /// sets it) leave all for the next one. Alone: end every responder that an agent has left, and take back everything.
    #[arg(long, conflicts_with = "check")]
    withdraw: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slash32-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.once.is_some() || arguments.withdraw {
        return event_loop()?.block_on(once::run(
            &arguments.config,
            arguments.once.as_deref(),
            arguments.withdraw,
        ));
    }
    if arguments.check {
        let config = config::load(&arguments.config)?;
        Access::of(&config.agent)?;
        println!("{}: ok", arguments.config.display());
        return Ok(());
    }
    slash32_sys::memory::keep_little();
    let journal = log::start();
    allow_descriptors();
    leave_children_to_the_kernel().context("cannot leave ended responders to the kernel")?;
    isolate::keep_to_start()?;
    let config = config::load(&arguments.config)?;
    event_loop()?.block_on(async {
        if let Some(journal) = journal {
            tokio::spawn(async move { journal.keep_up().await });
        }
        serve(arguments.config.clone(), config).await
    })
}

/// Each link takes three descriptors, and systemd and shells start programs with 1,024: as many as the hard limit allows.
///
/// The kernel makes room for them by doubling, and in a process with threads it waits for a grace period of RCU each time,
/// 10 ms and more in which no VM is answered. So there is room for 5,000 links before the first thread is started: 128 KiB
/// of the kernel's memory.
fn allow_descriptors() {
    const ROOM: u64 = 16_384;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(u32::try_from(hard.min(ROOM)).unwrap_or(u32::MAX))
    });
    match raised {
        // Without it everything takes its time.
        Ok(room) => drop(descriptors::reserve(room)),
        Err(error) => {
            tracing::warn!("cannot raise the limit of open files (RLIMIT_NOFILE): {error}");
        }
    }
}

fn event_loop() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")
}

async fn serve(config_file: PathBuf, config: Config) -> Result<()> {
    let runtime = config.agent.runtime_dir.clone();
    // VMs need an agent more than operators need their group.
    let access = Access::of(&config.agent).unwrap_or_else(|error| {
        tracing::error!(
            "{error}; until slash32-agent is restarted then, only root may change anything"
        );
        Access::default()
    });
    let folder = runtime.join("responder");
    make_folder(&runtime, 0o755)?;
    make_folder(&folder, 0o700)?;
    make_folder(&runtime.join(slash32_libvirt::spool::FOLDER), 0o700)?;
    make_folder(&config.agent.state_dir, 0o700)?;
    // Also keeps a second agent from starting on the same state.
    let (store, blind) = open_store(&config.agent.state_dir.join("slash32.redb"))?;
    let listener = listen(&runtime.join("agent.sock"))?;

    let (to_requests, requests) = mpsc::channel(64);
    let published = Arc::new(Published::new(to_requests, access));
    let (exporter, metrics) = Exporter::new(Arc::clone(&published));
    if let Some(address) = config.agent.metrics {
        tokio::spawn(metrics::serve(address, exporter));
    }
    let (uid, gid) = responder_user();
    let program = responder_program(&config)?;
    let setup = Setup {
        program: program.clone(),
        folder,
        uid,
        gid,
    };
    // Listen first, then dump: what changes in between is told.
    let changes = kernel::watch(config.route.protocol, config.route.table)
        .context("cannot watch the host's links")?;
    let reload = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read the boot id")?
        .trim()
        .to_owned();
    let hypervisor = Hypervisor::new(runtime.clone(), config.agent.libvirt_dir.clone(), &boot);
    let kernel =
        kernel::Kernel::connect().context("cannot talk to the kernel's routing (rtnetlink)")?;
    isolate::isolate(&isolate::Files {
        config: &config_file,
        runtime_dir: &runtime,
        state_dir: &config.agent.state_dir,
        libvirt_dir: &config.agent.libvirt_dir,
        responder: &program,
    })?;
    // Behind these walls, since its thread has them from this one.
    let responders = Responders::new(setup, Arc::clone(&metrics))
        .context("cannot make what starts responders")?;
    let parts = Parts {
        config_file,
        hypervisor,
        config,
        boot,
        kernel,
        store,
        blind,
        responders,
        published: Arc::clone(&published),
        metrics,
        changes,
        requests,
    };
    published.tell_store(parts.blind.as_deref());
    published.tell_networks(parts.config.networks.len());
    tokio::spawn(notify::show_status(Arc::clone(&published)));
    let api = tokio::spawn(slash32_control::serve(listener, published));
    let reconciler = tokio::select! {
        started = Reconciler::start(parts) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tracing::info!("in charge");
    notify::ready();
    tokio::select! {
        () = reconciler.run(reload) => bail!("the reconcile task ended"),
        ended = api => bail!("the operator API ended: {ended:?}"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    notify::stopping();
    // Responders go on serving; the next agent adopts them.
    tracing::info!("ends; the responders go on serving");
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

/// The store; or, where it cannot be used, a stand-in, so that bound VMs stay served: and then, if it cannot even be read,
/// why.
fn open_store(path: &Path) -> Result<(Box<dyn Store>, Option<String>)> {
    match Embedded::open_or_explain(path)? {
        Opened::Usable(store) => Ok((Box::new(store), None)),
        Opened::Degraded(unavailable) => {
            let reason = unavailable.reason().to_string();
            tracing::error!(
                "{reason}; bound VMs stay served, new ones wait; then restart slash32-agent"
            );
            let blind = (!unavailable.has_records()).then_some(reason);
            Ok((Box::new(unavailable), blind))
        }
    }
}

/// The operator API's socket. One that an ended agent has left is replaced.
fn listen(path: &Path) -> Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        bail!(
            "another slash32-agent answers at {}: end it, or give this one a runtime-dir of its own",
            path.display()
        );
    }
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    // Under systemd it is the group of the process already.
    if let Ok(Some(group)) = Group::from_name(slash32_control::GROUP)
        && let Err(error) = std::os::unix::fs::chown(path, None, Some(group.gid.as_raw()))
    {
        tracing::warn!(
            "cannot give {} to the group {}, so only root may ask: {error}",
            path.display(),
            group.name
        );
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(listener)
}

/// `responder = PATH`, or beside this program, or where the package puts it.
fn responder_program(config: &Config) -> Result<PathBuf> {
    const NAME: &str = "slash32-responder";
    let configured = config.agent.responder.clone();
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join(NAME)));
    let packaged = Path::new("/usr/libexec/slash32").join(NAME);
    let candidates: Vec<PathBuf> = match configured {
        Some(path) => vec![path],
        None => beside.into_iter().chain([packaged]).collect(),
    };
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.with_context(|| {
        let places = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(" or ");
        format!("no responder program at {places}: install it, or set responder in [agent]")
    })
}

/// The user that responders become: `slash32-responder`, or nobody where the package has not made it.
fn responder_user() -> (u32, u32) {
    match nix::unistd::User::from_name("slash32-responder") {
        Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw()),
        _ => (65534, 65534),
    }
}
