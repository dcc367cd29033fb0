use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// What pid 1 of a namespace does: private /proc, /sys, /run, /var/lib and /etc/resolv.conf, then it echoes its input until
/// that ends. A child that it inherits is reaped by the kernel, because it ignores SIGCHLD by then.
const INIT: &str = r#"
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/lock /var/lib/dhcp /var/lib/dhcpcd
touch /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
hostname "$1"
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
exec env --ignore-signal=CHLD cat
"#;

/// Where programs are looked for inside: a caller's PATH often lacks the sbin folders.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A machine of its own as far as links, mounts, processes and the host name go (network, mount, pid and UTS namespaces).
///
/// IPv6 is off in it unless a case switches it on. It ends, with everything that runs inside, when it is dropped or when
/// the process that made it is gone.
pub struct Namespace {
    name: String,
    init: Child,
    lifeline: Option<ChildStdin>,
    network: File,
    mounts: File,
    pids: File,
    uts: File,
}

/// A program that runs inside a [`Namespace`]. Dropping it kills it.
pub struct Process {
    child: Child,
}

impl Namespace {
    /// Makes a namespace whose host name is `name`. Errors: not root, or a kernel without namespaces.
    pub fn new(name: &str) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!("network namespaces need root; run this with sudo");
        }
        let mut command = Command::new("sh");
        command
            .args(["-c", INIT, "init", name])
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut init = in_a_thread(|| {
            unshare(
                CloneFlags::CLONE_NEWNET
                    | CloneFlags::CLONE_NEWNS
                    | CloneFlags::CLONE_NEWPID
                    | CloneFlags::CLONE_NEWUTS,
            )
            .context("cannot make namespaces")?;
            command
                .spawn()
                .context("cannot start sh as the first process of a namespace")
        })?;
        let mut lifeline = init.stdin.take();
        let mut line = String::new();
        if let (Some(stdin), Some(stdout)) = (&mut lifeline, init.stdout.take()) {
            // An error means that it has ended, which its missing echo says as well.
            let _ = stdin.write_all(b"ready\n");
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line != "ready\n" {
            let mut complaint = String::new();
            if let Some(mut stderr) = init.stderr.take() {
                stderr.read_to_string(&mut complaint)?;
            }
            let _ = init.wait();
            bail!("cannot set up the namespace {name}: {}", complaint.trim());
        }
        let pid = init.id();
        let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}"));
        Ok(Self {
            name: name.to_owned(),
            lifeline,
            network: open("net")?,
            mounts: open("mnt")?,
            pids: open("pid")?,
            uts: open("uts")?,
            init,
        })
    }

    /// The host name inside.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pid of the namespace's first process as the caller sees it: for `ip link set … netns PID`.
    pub fn pid(&self) -> u32 {
        self.init.id()
    }

    /// Runs `work` in a thread that is in the network namespace (only in that one), so that the sockets it opens and
    /// the `/proc/sys/net` it writes are this namespace's.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_a_thread(|| {
            setns(&self.network, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Starts `command` in all the namespaces. Its pid (and the pid of what it starts) is known inside by another number.
    pub fn spawn(&self, command: &mut Command) -> Result<Process> {
        let name = command.get_program().to_owned();
        let child = self.within(|| Ok(command.env("PATH", PATH).spawn()?));
        child
            .map(Process::from)
            .with_context(|| format!("cannot start {} in {}", name.display(), self.name))
    }

    /// Runs `work` in a thread that is in all the namespaces: programs that it starts are, too, and paths are those inside.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.network, CloneFlags::CLONE_NEWNET)?;
            setns(&self.uts, CloneFlags::CLONE_NEWUTS)?;
            setns(&self.pids, CloneFlags::CLONE_NEWPID)?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
            work()
        })
    }

    /// Runs a program to its end, in all the namespaces.
    pub fn output(&self, command: &mut Command) -> Result<Output> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.spawn(command)?.output()
    }

    /// Runs a program that must succeed, in all the namespaces. Returns what it printed.
    ///
    /// Errors: what it complained, when it did not succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(Command::new(program).args(arguments))?;
        finished(
            &format!("{program} {} in {}", arguments.join(" "), self.name),
            output,
        )
    }

    /// `ip ARGUMENTS`, split at white space. Pids in the arguments are the caller's.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        let output = self.inside(|| {
            Ok(Command::new("ip")
                .args(arguments.split_whitespace())
                .env("PATH", PATH)
                .stdin(Stdio::null())
                .output()?)
        })?;
        finished(&format!("ip {arguments} in {}", self.name), output)
    }

    /// `ip -json ARGUMENTS`: the array that it prints.
    pub fn ip_json(&self, arguments: &str) -> Result<Vec<serde_json::Value>> {
        let text = self.ip(&format!("-json {arguments}"))?;
        Ok(if text.trim().is_empty() {
            Vec::new()
        } else {
            serde_json::from_str(&text)?
        })
    }

    /// `ip -batch` with a command a line: the quick way to many links.
    pub fn ip_batch(&self, commands: &str) -> Result<()> {
        let output = self.inside(|| {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .env("PATH", PATH)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = ip.stdin.take() {
                stdin.write_all(commands.as_bytes())?;
            }
            Ok(ip.wait_with_output()?)
        })?;
        finished(&format!("ip -batch in {}", self.name), output).map(drop)
    }

    /// Writes `/proc/sys/net/KEY`, for example `ipv4/ip_forward`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.inside(|| fs::write(&path, value).with_context(|| format!("cannot write {path}")))
    }

    /// Reads `/proc/sys/net/KEY` without the line's end.
    pub fn get(&self, key: &str) -> Result<String> {
        let path = format!("/proc/sys/net/{key}");
        let text = self
            .inside(|| fs::read_to_string(&path).with_context(|| format!("cannot read {path}")))?;
        Ok(text.trim().to_owned())
    }

    /// A path inside, as the caller can open it.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        Path::new(&format!("/proc/{}/root", self.pid()))
            .join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Sends a signal (`KILL`, `STOP`, `CONT`, …) to a process by the pid that it has inside.
    pub fn signal(&self, pid: u64, signal: &str) -> Result<()> {
        self.run("sh", &["-c", &format!("kill -{signal} {pid}")])
            .map(drop)
    }

    /// A process with this pid exists inside.
    pub fn has_process(&self, pid: u64) -> bool {
        self.path(format!("/proc/{pid}/stat")).exists()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let start = Instant::now();
        while matches!(self.init.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = self.init.kill();
                let _ = self.init.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Process {
    /// The pid as the caller sees it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid as the processes of its namespace see it (`NSpid`). Errors: it is gone.
    pub fn inner_pid(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let pid = line
            .and_then(|line| line.split_whitespace().last())
            .context("no NSpid in its status")?;
        Ok(pid.parse()?)
    }

    /// Sends a signal to it, and to it alone.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid())?);
        nix::sys::signal::kill(pid, signal)
            .with_context(|| format!("cannot send {signal} to pid {pid}"))
    }

    /// It has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, at most for `bound`. Returns its exit code, or `None` when a signal ended it.
    pub fn wait(&mut self, bound: Duration) -> Result<Option<i32>> {
        crate::until("a process to end", bound, || {
            Ok(self.child.try_wait()?.map(|status| status.code()))
        })
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end and returns what it printed.
    fn output(mut self) -> Result<Output> {
        let mut output = Output {
            status: Default::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let stderr = self.child.stderr.take();
        std::thread::scope(|scope| {
            let errors = scope.spawn(|| {
                let mut bytes = Vec::new();
                stderr
                    .map(|mut pipe| pipe.read_to_end(&mut bytes))
                    .transpose()
                    .map(|_| bytes)
            });
            if let Some(mut stdout) = self.child.stdout.take() {
                stdout.read_to_end(&mut output.stdout)?;
            }
            output.stderr = errors
                .join()
                .map_err(|_| anyhow::anyhow!("a reader panicked"))??;
            anyhow::Ok(())
        })?;
        output.status = self.child.wait()?;
        Ok(output)
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self { child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `output` printed. Errors: it did not succeed; the sentence names `what` and holds what it said on stderr.
fn finished(what: &str, output: Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    bail!(
        "{what}: {}: {}",
        output.status,
        String::from_utf8_lossy(said).trim()
    );
}

/// Runs `work` in a thread of its own: namespaces are a property of the thread, and the caller keeps its own.
fn in_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Fails with a sentence when one of `programs` is not installed.
pub(crate) fn require(programs: &[&str]) -> Result<()> {
    for program in programs {
        let found = PATH
            .split(':')
            .any(|folder| Path::new(folder).join(OsStr::new(program)).exists());
        if !found {
            bail!("{program} is not installed, and this case needs it");
        }
    }
    Ok(())
}
