use crate::{Host, Process, namespace::require};
use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::NamedTempFile;

/// The variable that names the folder of the Debian system to boot and of the packages to install in it. `cargo xtask test`
/// fills the folder and sets it.
pub const CONTAINER_FILES_VARIABLE: &str = "SLASH32_CONTAINER_FILES";

/// It boots in 3 s; the machine may be busy with other cases.
const BOOT: Duration = Duration::from_secs(90);

/// What becomes systemd-nspawn: `$1` is the system, `$2` a name that no other container has.
///
/// The system is never written to: what changes goes to a tmpfs that ends with the namespace. systemd needs a cgroup of its
/// own; it gets one of the unified hierarchy, whose controllers are the machine's and stay off. What systemd-nspawn would deny
/// and a machine allows: bpf, for `IPAddressDeny=`, and landlock.
const BOOT_SCRIPT: &str = r#"
set -e
mkdir -p /run/system/upper /run/system/work /run/system/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/run/system/upper,workdir=/run/system/work" /run/system/root
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$2"
echo $$ >"/sys/fs/cgroup/$2/cgroup.procs"
exec systemd-nspawn --quiet --directory=/run/system/root --boot --machine=hypervisor --register=no --keep-unit \
    --network-namespace-path=/proc/self/ns/net --capability=all --bind=/dev/net/tun \
    --system-call-filter="bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self" --console=pipe
"#;

/// The Debian system that containers and QEMU guests boot, and the packages for it.
pub struct ContainerFiles {
    folder: PathBuf,
}

/// Debian under systemd, booted in the namespaces of a [`Host`]: the host's links are its links. Nothing that it does
/// outlives it.
///
/// What its units logged goes to stderr when it is dropped (test runners show that for failed cases only).
pub struct Container<'h> {
    host: &'h Host,
    /// systemd's pid, as the caller sees it.
    init: u32,
    cgroup: String,
    console: NamedTempFile,
    process: Option<Process>,
}

impl ContainerFiles {
    /// Those that [`CONTAINER_FILES_VARIABLE`] names. Errors: it names none.
    pub fn prepared() -> Result<Self> {
        let folder = std::env::var_os(CONTAINER_FILES_VARIABLE).with_context(|| {
            format!(
                "{CONTAINER_FILES_VARIABLE} names no folder with a system to boot, and this case needs it; \
                 `cargo xtask test` prepares one"
            )
        })?;
        Ok(Self {
            folder: folder.into(),
        })
    }

    /// The root file system.
    pub fn root(&self) -> Result<PathBuf> {
        self.path("root")
    }

    /// The package with the programs under test.
    pub fn package(&self) -> Result<PathBuf> {
        self.path("slash32.deb")
    }

    /// The same programs in a package of an earlier version.
    pub fn previous_package(&self) -> Result<PathBuf> {
        self.path("slash32-previous.deb")
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        ensure!(
            path.exists(),
            "{} is missing, and this case boots it",
            path.display()
        );
        Ok(path)
    }
}

impl<'h> Container<'h> {
    /// Boots it, and waits until every unit that starts by itself has started.
    ///
    /// Errors: a program is missing, or a unit failed; the error names it.
    pub fn boot(host: &'h Host, files: &ContainerFiles) -> Result<Self> {
        require(&["systemd-nspawn", "nsenter"])?;
        let console = NamedTempFile::new()?;
        let cgroup = format!(
            "slash32-test-{}-{}",
            std::process::id(),
            host.namespace().pid()
        );
        let mut nspawn = Command::new("sh");
        nspawn
            .args(["-c", BOOT_SCRIPT, "boot"])
            .arg(files.root()?)
            .arg(&cgroup)
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(console.reopen()?)
            .stderr(console.reopen()?);
        let process = host.namespace().spawn(&mut nspawn)?;
        let mut container = Self {
            host,
            init: 0,
            cgroup,
            console,
            process: Some(process),
        };
        container.wait_booted().with_context(|| {
            let said = fs::read_to_string(container.console.path()).unwrap_or_default();
            format!("the container said:\n{said}")
        })?;
        Ok(container)
    }

    fn wait_booted(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it has ended")?;
        let nspawn = process.pid();
        self.init = crate::until("systemd-nspawn to start systemd", BOOT, || {
            ensure!(process.is_running(), "systemd-nspawn ended");
            let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children"))?;
            let child = children.split_whitespace().next();
            let is_systemd = |pid: &&str| {
                fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name.trim() == "systemd")
            };
            Ok(child.filter(is_systemd).map(str::parse).transpose()?)
        })?;
        crate::until("the container to boot", BOOT, || {
            let state = self.output("systemctl", &["is-system-running", "--wait"])?;
            match String::from_utf8_lossy(&state.stdout).trim() {
                "running" => Ok(Some(())),
                "degraded" => bail!("failed units: {}", self.sh("systemctl --failed --plain")?),
                // Its bus is not there yet.
                _ => Ok(None),
            }
        })
    }

    /// Runs a program in it to its end.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.enter(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("cannot start nsenter")
    }

    /// Runs a program in it that must succeed. Returns what it printed.
    ///
    /// Errors: what it complained, when it did not succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(program, arguments)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(
            output.status.success(),
            "{program} {} in the container: {}: {} {}",
            arguments.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a line of shell in it that must succeed. Returns what it printed, without the last line's end.
    pub fn sh(&self, line: &str) -> Result<String> {
        Ok(self.run("sh", &["-c", line])?.trim_end().to_owned())
    }

    /// Installs a package, whose dependencies are there, by dpkg.
    pub fn install(&self, package: &Path) -> Result<()> {
        let name = package.file_name().unwrap_or(OsStr::new("package.deb"));
        let inside = Path::new("/root").join(name);
        fs::copy(package, self.path(&inside))?;
        let installed = self.run("dpkg", &["--install", &inside.to_string_lossy()]);
        fs::remove_file(self.path(&inside))?;
        installed.map(drop)
    }

    /// `slash32 --json ARGUMENTS` in it.
    pub fn slash32(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.run("slash32", &[&["--json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("this is no JSON: {text}"))
    }

    /// The row of `slash32 list` about `link`, when `state` is its state, waited for at most for `bound`.
    pub fn wait_link(&self, link: &str, state: &str, bound: Duration) -> Result<serde_json::Value> {
        let mut last = String::new();
        crate::until(&format!("{link} to be {state}"), bound, || {
            // An agent that has just been started does not answer yet.
            let rows = match self.slash32(&["list"]) {
                Ok(rows) => rows.as_array().cloned().unwrap_or_default(),
                Err(error) => {
                    last = error.to_string();
                    return Ok(None);
                }
            };
            last = format!("{rows:?}");
            let mut rows = rows.into_iter();
            Ok(rows.find(|row| row["link"] == link && row["state"] == state))
        })
        .with_context(|| format!("the last answer: {last}"))
    }

    /// A property of a unit, as `systemctl show` prints it.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.sh(&format!(
            "systemctl show --value --property={name} '{unit}'"
        ))
    }

    /// The unit is active.
    pub fn is_active(&self, unit: &str) -> Result<bool> {
        Ok(self.property(unit, "ActiveState")? == "active")
    }

    /// A path inside, as the caller can open it.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        Path::new(&format!("/proc/{}/root", self.init))
            .join(inside.strip_prefix("/").unwrap_or(inside))
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.init.to_string())
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(["--", program])
            .env("PATH", crate::namespace::PATH)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("SLASH32_SOCKET");
        command
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if self.init != 0 {
            let journal = self.sh("journalctl --no-pager --output=short-monotonic _TRANSPORT=stdout + _TRANSPORT=journal");
            eprintln!(
                "--- the container's journal:\n{}",
                journal.unwrap_or_default()
            );
        }
        // The first process of a pid namespace takes all the others with it. It outlives systemd-nspawn, so it goes first.
        if let Ok(pid) = i32::try_from(self.init)
            && pid > 1
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        drop(self.process.take());
        let ended = crate::until("the container to end", Duration::from_secs(10), || {
            let system = Path::new("/proc").join(self.init.to_string());
            Ok((self.init == 0 || !system.exists()).then_some(()))
        });
        let removed = ended.and_then(|()| self.remove_cgroups());
        if let Err(error) = removed {
            eprintln!("the container's cgroups stay: {error:#}");
        }
    }
}

impl Container<'_> {
    /// Ended processes leave empty cgroups behind. Those of a process that is being ended are not empty yet.
    fn remove_cgroups(&self) -> Result<()> {
        let folder = format!("/sys/fs/cgroup/{}", self.cgroup);
        let remove = format!(
            "find {folder} -depth -type d -exec rmdir {{}} + 2>/dev/null; [ ! -e {folder} ]"
        );
        crate::until("its cgroups to be empty", Duration::from_secs(10), || {
            Ok(self.host.namespace().run("sh", &["-c", &remove]).ok())
        })
        .map(drop)
    }
}
