//! A real libvirtd on a [`Host`]: networks and VMs as an operator defines them, by `virsh`.
//!
//! It runs in the host's namespaces, without systemd and D-Bus. Its settings, its cache and its log are the namespace's own,
//! so that the machine's libvirt, if it has one, is neither seen nor touched. VMs are QEMU under TCG. They are children of
//! the namespace's first process: they outlive libvirtd, and end with the namespace.

mod definition;
mod serial;
mod stage;

pub use definition::{Domain, Nic, Source, bridge_network, escape, open_network};
pub use serial::Serial;
pub use stage::{BOUND, Stage};

use crate::{Agent, Host, Process, binary, linux::Linux, namespace::require};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::{
    fs::{self, File},
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tempfile::{NamedTempFile, TempDir};

/// Where libvirtd answers.
const SOCKET: &str = "/run/libvirt/libvirt-sock";
/// Where libvirt looks for hook scripts.
const HOOKS: &str = "/etc/libvirt/hooks";
/// Gives libvirt folders that are the namespace's own (`/run` and `/var/lib` are already), and the user whom it looks for
/// whatever its settings say: the package with its settings and units, which a test machine does without, brings it.
const PREPARE: &str = r#"
for folder in /etc/libvirt /var/cache /var/log; do
    mkdir -p "$folder"
    mount -t tmpfs tmpfs "$folder"
done
mkdir -p /var/log/libvirt /var/cache/libvirt /var/lib/libvirt/dnsmasq /run/serial
for file in passwd group; do
    grep -v '^libvirt-qemu:' "/etc/$file" >"/run/$file"
    mount --bind "/run/$file" "/etc/$file"
done
echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/bin/false' >>/run/passwd
echo 'libvirt-qemu:x:64055:' >>/run/group
"#;
/// How long it may take to start on a machine that is busy with other cases: 0.4 s on an idle one.
const START: Duration = Duration::from_secs(20);

/// Root's QEMU without security drivers, control groups and mounts of its own, none of which a namespace without
/// systemd has.
const QEMU_CONF: &str = r#"user = "root"
group = "root"
security_driver = "none"
security_default_confined = 0
cgroup_controllers = []
namespaces = []
remember_owner = 0
dynamic_ownership = 0
stdio_handler = "file"
"#;

/// TCP is for migration. Its host is known to others by an UUID, which cannot be the machine's: two hosts may be on one.
const LIBVIRTD_CONF: &str = r#"unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
log_outputs = "3:stderr"
"#;

/// A hypervisor on which libvirt is to run: its folders are there before the agent starts, as the package's tmpfiles.d makes
/// them at boot. Errors: as for [`Host::new`].
pub fn host() -> Result<Host> {
    let host = Host::new()?;
    for folder in ["/run/libvirt/qemu", "/run/libvirt/network"] {
        fs::create_dir_all(host.namespace().path(folder))?;
    }
    Ok(host)
}

/// The daemon. Dropping it kills it, and leaves its VMs.
///
/// What it logged goes to stderr when it is dropped (test runners show that for failed cases only), unless it was
/// [hushed](Libvirtd::hush).
pub struct Libvirtd<'h> {
    host: &'h Host,
    folder: TempDir,
    process: Option<Process>,
    hushed: AtomicBool,
}

impl<'h> Libvirtd<'h> {
    /// Starts it, and waits until it answers. It has no hooks.
    ///
    /// Errors: it is not installed, it ended, or did not answer within 20 s; what it logged is part of the error.
    pub fn start(host: &'h Host) -> Result<Self> {
        let mut libvirtd = Self::prepare(host)?;
        libvirtd.restart()?;
        Ok(libvirtd)
    }

    /// Starts it with our hooks, which tell `agent`, and waits until it answers. The agent need not run.
    pub fn start_with_hooks(host: &'h Host, agent: &Agent<'_>) -> Result<Self> {
        let mut libvirtd = Self::prepare(host)?;
        libvirtd.install_hooks(agent)?;
        libvirtd.restart()?;
        Ok(libvirtd)
    }

    /// Writes the settings of one that is not started yet. Once a host.
    pub fn prepare(host: &'h Host) -> Result<Self> {
        require(&["libvirtd", "virsh", "qemu-system-x86_64"])?;
        let namespace = host.namespace();
        namespace.run("sh", &["-ec", PREPARE])?;
        fs::write(namespace.path("/etc/libvirt/qemu.conf"), QEMU_CONF)?;
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let settings = format!("{LIBVIRTD_CONF}host_uuid = {:?}\n", uuid.trim());
        fs::write(namespace.path("/etc/libvirt/libvirtd.conf"), settings)?;
        let folder = tempfile::Builder::new()
            .prefix("slash32-libvirt-")
            .tempdir()?;
        Ok(Self {
            host,
            folder,
            process: None,
            hushed: AtomicBool::new(false),
        })
    }

    /// Puts our hook scripts where libvirt looks for them when it starts: they tell `agent`.
    pub fn install_hooks(&self, agent: &Agent<'_>) -> Result<()> {
        let program = binary("slash32")?;
        let runtime = agent.runtime_dir();
        for hook in ["network", "qemu"] {
            let script = format!(
                "#!/bin/sh\n{} hook --runtime-dir {} {hook} \"$@\" >/dev/null 2>&1 || true\n",
                program.display(),
                runtime.display()
            );
            self.install_hook(hook, "slash32", &script)?;
        }
        Ok(())
    }

    /// Puts the script `name` into the folder of scripts that libvirt runs for `hook`: `network` or `qemu`.
    pub fn install_hook(&self, hook: &str, name: &str, script: &str) -> Result<()> {
        let folder = self.host.namespace().path(format!("{HOOKS}/{hook}.d"));
        fs::create_dir_all(&folder)?;
        let file = folder.join(name);
        fs::write(&file, script)?;
        Ok(fs::set_permissions(file, PermissionsExt::from_mode(0o755))?)
    }

    /// Starts it again, or for the first time, and waits until it answers. Its VMs stay.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            self.stop(Signal::SIGTERM)?;
        }
        self.launch()?;
        let socket = self.host.namespace().path(SOCKET);
        crate::until("libvirtd to answer", START, || {
            if !self.process.as_mut().is_some_and(Process::is_running) {
                bail!("libvirtd ended");
            }
            Ok(UnixStream::connect(&socket).ok())
        })
        .with_context(|| format!("libvirtd said:\n{}", self.log()))
        .map(drop)
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = Command::new("libvirtd");
        command
            .arg("--listen")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.process = Some(self.host.namespace().spawn(&mut command)?);
        Ok(())
    }

    /// Ends it by `signal`, SIGTERM or SIGKILL, and waits for its end, at most 10 s. Its VMs stay.
    pub fn stop(&mut self, signal: Signal) -> Result<()> {
        let process = self.process.as_mut().context("libvirtd does not run")?;
        process.signal(signal)?;
        process.wait(Duration::from_secs(10))?;
        self.process = None;
        Ok(())
    }

    /// The host that it runs on.
    pub fn host(&self) -> &'h Host {
        self.host
    }

    /// `virsh ARGUMENTS`, ready to be run by the host's namespace.
    pub fn virsh_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("virsh");
        command
            .args(["--quiet", "--connect", "qemu:///system"])
            .args(arguments);
        command
    }

    /// Runs `virsh ARGUMENTS` to its end.
    pub fn try_virsh(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.virsh_command(arguments);
        self.host.namespace().output(&mut command)
    }

    /// What `virsh ARGUMENTS` printed. Errors: what it complained, when it did not succeed.
    pub fn virsh(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_virsh(arguments)?;
        if !output.status.success() {
            bail!(
                "virsh {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// `virsh ARGUMENTS FILE`, where the file holds `xml`.
    pub fn virsh_xml(&self, arguments: &[&str], xml: &str) -> Result<String> {
        let mut file = NamedTempFile::new_in(self.folder.path())?;
        file.write_all(xml.as_bytes())?;
        let path = file.path().to_str().context("a path that is no UTF-8")?;
        self.virsh(&[arguments, &[path]].concat())
            .with_context(|| format!("it was given:\n{xml}"))
    }

    /// Defines the network `name` of `xml`, and starts it.
    pub fn start_network(&self, name: &str, xml: &str) -> Result<()> {
        self.virsh_xml(&["net-define"], xml)?;
        self.virsh(&["net-start", name]).map(drop)
    }

    /// Defines a VM, or changes its definition, which counts from its next start.
    pub fn define(&self, domain: &Domain) -> Result<()> {
        self.virsh_xml(&["define"], &domain.xml()).map(drop)
    }

    /// Defines a VM and starts it without running it: its taps are there, with carrier, and its CPU stands still.
    pub fn start_paused(&self, domain: &Domain) -> Result<()> {
        self.define(domain)?;
        self.virsh(&["start", domain.name(), "--paused"]).map(drop)
    }

    /// Defines a VM that [boots Linux](Domain::boots_linux) and starts it. Returns the guest, which is not ready yet.
    pub fn start_linux(&self, domain: &Domain) -> Result<Linux<Serial>> {
        let serial = self.serial(domain)?;
        self.define(domain)?;
        self.virsh(&["start", domain.name()])?;
        Ok(Linux::on(serial))
    }

    /// The serial console of a VM on this host. It is there from now on, however often the VM is started here, and before a
    /// migration brings it. Once a VM.
    pub fn serial(&self, domain: &Domain) -> Result<Serial> {
        Serial::open(self.host.namespace(), domain)
    }

    /// The name of the tap (`vnetN`, `tapN`) of a running VM's NIC, as libvirt shows it.
    pub fn tap(&self, domain: &str, mac: crate::MacAddr) -> Result<String> {
        let list = self.virsh(&["domiflist", domain])?;
        let mac = mac.to_string();
        let row = list.lines().find(|row| row.contains(&mac));
        let tap = row.and_then(|row| row.split_whitespace().next());
        Ok(tap
            .with_context(|| format!("{domain} has no NIC {mac}:\n{list}"))?
            .to_owned())
    }

    /// The pid of the VM's QEMU, as processes of the host's namespace know it.
    pub fn qemu_pid(&self, domain: &str) -> Result<u64> {
        let file = format!("/run/libvirt/qemu/{domain}.pid");
        let text = fs::read_to_string(self.host.namespace().path(&file))
            .with_context(|| format!("cannot read {file}"))?;
        Ok(text.trim().parse()?)
    }

    /// The file that its stdout and stderr are.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What QEMU said of each VM, by libvirt's file.
    fn qemu_logs(&self) -> String {
        let folder = self.host.namespace().path("/var/log/libvirt/qemu");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        files
            .map(|file| format!("{:?}:\n{}", file.file_name(), text(&file.path())))
            .collect()
    }

    /// Keeps its log to itself when it is dropped.
    pub fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Libvirtd<'_> {
    fn drop(&mut self) {
        self.process = None;
        if !self.hushed.load(Ordering::Relaxed) {
            eprintln!("--- libvirtd said:\n{}", self.log());
            if std::thread::panicking() {
                eprintln!("--- QEMU said:\n{}", self.qemu_logs());
            }
        }
    }
}
