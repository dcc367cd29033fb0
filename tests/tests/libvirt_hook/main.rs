//! `slash32 hook` as libvirt calls it, and as an operator installs it. No libvirt is needed: a hook knows none.
#![allow(missing_docs, clippy::unwrap_used)]

mod call;
mod install;
mod late;
mod shim;

use anyhow::{Context, Result, ensure};
use slash32_libvirt::{Call, spool};
use slash32_tests::{Namespace, binary, until};
use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

/// The agent's runtime folder in the namespace.
const RUNTIME: &str = "/run/slash32";
/// For one call; the machine may be busy with other cases.
const BOUND: Duration = Duration::from_secs(20);
/// Every pipe takes so much at once (PIPE_BUF).
const PIPE: usize = 4096;
/// Gives a namespace a /dev of its own, so that it has a log of its own.
const PREPARE: &str = "
mkdir /run/dev
for name in null zero full urandom; do
    touch /run/dev/$name
    mount --bind /dev/$name /run/dev/$name
done
mount --rbind /run/dev /dev";

/// A machine where hooks are called, with its log.
struct Stage {
    namespace: Namespace,
    log: UnixDatagram,
}

impl Stage {
    fn new() -> Result<Self> {
        let namespace = Namespace::new("host")?;
        namespace.run("sh", &["-ec", PREPARE])?;
        let log = UnixDatagram::bind(namespace.path("/run/dev/log"))?;
        log.set_nonblocking(true)?;
        Ok(Self { namespace, log })
    }

    /// `slash32 hook ARGUMENTS`, with the runtime folder named.
    fn hook(&self, arguments: &[impl AsRef<OsStr>]) -> Result<Command> {
        let mut command = Command::new(binary("slash32")?);
        command
            .args(["hook", "--runtime-dir", RUNTIME])
            .args(arguments);
        Ok(command)
    }

    /// Runs `command` with `xml` on its standard input. It must succeed and print nothing, as a hook of libvirt has to.
    fn call(&self, command: &mut Command, xml: &[u8]) -> Result<()> {
        let (reader, mut writer) = std::io::pipe()?;
        command.stdin(reader);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // What fits the pipe is in it, and its end is, before the hook starts, however busy the machine is.
        let (at_once, later) = xml.split_at(xml.len().min(PIPE));
        writer.write_all(at_once)?;
        let later = (!later.is_empty()).then_some((writer, later));
        std::thread::scope(|scope| {
            let written = scope.spawn(|| match later {
                Some((mut writer, bytes)) => writer.write_all(bytes),
                None => Ok(()),
            });
            let mut process = self.namespace.spawn(command)?;
            // The end for reading is the hook's alone: when it ends early, the writer is told.
            command.stdin(Stdio::null());
            silent(process.wait(BOUND)?, process.child())?;
            let written = written.join().unwrap();
            written.context("the hook did not read all that libvirt wrote")
        })
    }

    /// The calls that wait for the agent, in their order, when each is whole.
    fn calls(&self) -> Result<Vec<Call>> {
        let names = self.whole()?.into_iter();
        names
            .map(|name| {
                let bytes = fs::read(self.spool().join(name))?;
                spool::decode(&bytes).map_err(anyhow::Error::from)
            })
            .collect()
    }

    /// The names in the spool, when there are only those of whole calls: a busy machine is late with its XML.
    fn whole(&self) -> Result<Vec<String>> {
        until("whole calls and no others", BOUND, || {
            let names = self.names()?;
            let whole = names.iter().all(|name| spool::is_call(name));
            Ok(whole.then_some(names))
        })
    }

    /// What is in the spool.
    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.spool())?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect::<Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn spool(&self) -> PathBuf {
        self.namespace.path(RUNTIME).join(spool::FOLDER)
    }

    /// The lines of the system's log.
    fn logged(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let mut lines = Vec::new();
        while let Ok(length) = self.log.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        lines
    }

    /// The one line of the system's log.
    fn complaint(&self) -> Result<String> {
        let lines = self.logged();
        ensure!(lines.len() == 1, "not one line: {lines:#?}");
        // LOG_DAEMON | LOG_WARNING
        ensure!(lines[0].starts_with("<28>slash32["), "{lines:?}");
        Ok(lines[0].clone())
    }

    fn sh(&self, script: &str) -> Result<String> {
        self.namespace.run("sh", &["-ec", script])
    }
}

/// It ended well and said nothing.
fn silent(code: Option<i32>, child: &mut std::process::Child) -> Result<()> {
    let mut said = String::new();
    for pipe in [
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn std::io::Read>),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ] {
        let mut pipe = pipe.context("a hook's output is not looked at")?;
        pipe.read_to_string(&mut said)?;
    }
    ensure!(said.is_empty(), "it said {said:?}");
    ensure!(code == Some(0), "it ended with {code:?}");
    Ok(())
}

/// What a program printed as JSON, and its exit code.
fn json(output: &Output) -> Result<(serde_json::Value, Option<i32>)> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.is_empty(), "it complained: {said}");
    let value = serde_json::from_slice(&output.stdout)?;
    Ok((value, output.status.code()))
}
