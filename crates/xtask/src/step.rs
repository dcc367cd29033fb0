//! A step: one line of progress with its time, and the full output of its command only when it failed.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How far the outcome of a step stands from the left, in columns.
const NAME_WIDTH: usize = 44;

/// A command that ended without success; its output was shown.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What the step was called.
    pub(crate) step: String,
    /// The command's exit code, 1 when a signal ended it.
    pub(crate) code: u8,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the step \"{}\" failed with exit code {}",
            self.step, self.code
        )
    }
}

impl std::error::Error for Failed {}

/// Runs `work` under one line of progress that ends with `ok` or `failed` and the time it took.
///
/// # Errors
/// Those of `work`, as they are.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    let live = std::io::stderr().is_terminal();
    let line = |outcome: &str| {
        let seconds = started.elapsed().as_secs_f64();
        format!("{name:<NAME_WIDTH$} {outcome:<6} {seconds:>6.1} s")
    };
    let result = if live {
        // A running clock, so that a long step is seen to be alive.
        std::thread::scope(|scope| {
            let (done, waiting) = channel::<()>();
            scope.spawn(move || {
                while waiting.recv_timeout(Duration::from_millis(500))
                    == Err(RecvTimeoutError::Timeout)
                {
                    eprint!(
                        "\r{name:<NAME_WIDTH$} …      {:>6.0} s",
                        started.elapsed().as_secs_f64()
                    );
                    let _ = std::io::stderr().flush();
                }
            });
            eprint!("{name:<NAME_WIDTH$} …");
            let _ = std::io::stderr().flush();
            let result = work();
            drop(done);
            result
        })
    } else {
        work()
    };
    let outcome = if result.is_ok() { "ok" } else { "failed" };
    eprintln!("{}{}", if live { "\r" } else { "" }, line(outcome));
    result
}

/// [`step`] for one command, without stdin; what it printed is shown when it fails.
///
/// # Errors
/// [`Failed`] when the command ended without success; another error when it could not be started.
pub(crate) fn command(name: &str, command: &mut Command) -> anyhow::Result<()> {
    let mut shown = Vec::new();
    let result = step(name, || {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|error| anyhow::anyhow!("cannot start {program}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        shown = [output.stdout, output.stderr].concat();
        Err(Failed {
            step: name.to_owned(),
            code: exit_code(output.status),
        }
        .into())
    });
    if !shown.is_empty() {
        let _ = std::io::stderr().write_all(&shown);
        eprintln!();
    }
    result
}

/// The exit code to end with when a command ended with `status`, 1 when a signal ended it.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}
