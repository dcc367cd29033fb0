//! libvirt's hook: what the shims in `/etc/libvirt/hooks` call while libvirt waits.
//!
//! libvirt takes a hook's failure for a veto, its output for other XML, and its time for its own. So a call is written to
//! the spool (`slash32_libvirt::spool`) and nothing else happens here: nothing is parsed, nobody is asked. The agent sees the
//! file by inotify, or finds it when it starts.
//!
//! A libvirt that is held up writes its XML late, on a host where many VMs start. It is not waited for here: what came is left in
//! an unfinished file, and a process of its own ([`rest`]) reads the rest and finishes the file.
//!
//! # Invariants
//!
//! - Whatever happens, nothing is printed and the exit code is 0. What went wrong is a line of the system's log.
//! - It ends [`PATIENCE`] after its start, give or take the time to write one file.
//! - It is done before the command line is parsed for anything else: a VM may have the name of any option.

mod input;
mod leave;
mod log;
mod rest;
mod runtime;

use leave::Unfinished;
pub(crate) use leave::has_room;
pub(crate) use runtime::Runtime;

use crate::output::clean;
use slash32_libvirt::{Call, Hook, spool};
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How long libvirt's XML is waited for here. A hook is to end within 50 ms, and to start another process takes its time, too;
/// libvirt writes at once.
const PATIENCE: Duration = Duration::from_millis(25);

/// `hook [--config FILE | --runtime-dir DIR] network|qemu ARGUMENTS`.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Called {
    /// How the agent's runtime folder is known.
    pub(crate) runtime: Runtime,
    /// Which hook.
    pub(crate) hook: Hook,
    /// What libvirt said, whatever it looks like.
    pub(crate) arguments: Vec<String>,
}

/// Does what a hook has to when this is the command line of one, the program's name left out. False when it is none.
pub(crate) fn serve(command_line: impl IntoIterator<Item = OsString>) -> bool {
    let words: Vec<OsString> = command_line.into_iter().collect();
    if let Some(unfinished) = rest::asked_for(&words) {
        rest::finish(unfinished);
        return true;
    }
    match Called::read(words) {
        Some(called) => {
            called.serve();
            true
        }
        None => false,
    }
}

impl Called {
    /// None for every other command, and for an operator who asks for help.
    fn read(command_line: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = command_line.into_iter();
        if words.next()? != "hook" {
            return None;
        }
        let mut runtime = Runtime::default();
        let hook = loop {
            let word = words.next()?.into_string().ok()?;
            if let Some(hook) = Hook::of_name(&word) {
                break hook;
            }
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, value.into()),
                None => (word.as_str(), words.next()?),
            };
            runtime = Runtime::of_option(option, value)?;
        };
        let arguments: Vec<String> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let asks_for_help = matches!(&arguments[..], [only] if only == "--help" || only == "-h");
        (!asks_for_help).then_some(Self {
            runtime,
            hook,
            arguments,
        })
    }

    /// Leaves the call in the spool.
    pub(crate) fn serve(self) {
        end_silently_on_panic();
        let name = spool::name(boottime(), std::process::id());
        let call = Call {
            hook: self.hook,
            arguments: self.arguments,
            xml: String::new(),
        };
        let mut bytes = spool::encode(&call);
        let most = spool::MOST.saturating_sub(bytes.len());
        let input = input::read(Instant::now() + PATIENCE, most);
        bytes.extend_from_slice(&input.bytes);
        if input.end == input::End::Beyond {
            return complain(&call, TOO_LARGE);
        }
        let unfinished = match Unfinished::leave(&self.runtime.folder(), &name, &bytes) {
            Ok(unfinished) => unfinished,
            Err(why) => return complain(&call, &format!("{LOST}: {why}")),
        };
        if input.end == input::End::Late {
            match rest::hand_over(unfinished.path()) {
                Ok(()) => return,
                Err(why) => complain(
                    &call,
                    &format!(
                        "libvirt did not end its XML in time; what came is kept, as no process to wait for it could be started: {why}"
                    ),
                ),
            }
        }
        if let Err(why) = unfinished.finish() {
            complain(&call, &format!("{LOST}: {why}"));
        }
    }
}

const LOST: &str = "the agent will not know of it";
const TOO_LARGE: &str = "its XML is larger than 4 MiB, so that the agent will not know of it";

/// A line of the system's log about a call.
fn complain(call: &Call, why: &str) {
    let (hook, arguments) = (call.hook.name(), call.arguments.join(" "));
    log::warn(&clean(&format!("libvirt's hook {hook} {arguments}: {why}")));
}

fn end_silently_on_panic() {
    std::panic::set_hook(Box::new(|_| std::process::exit(0)));
}

/// Nanoseconds since boot, suspended time included: the agent's clock.
fn boottime() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, rest) = (now.tv_sec as u64, now.tv_nsec as u64);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(Runtime, Hook, String)> {
        let called = Called::read(line.split(' ').map(OsString::from))?;
        Some((called.runtime, called.hook, called.arguments.join(" ")))
    }

    #[test]
    fn whatever_follows_the_hooks_name_is_libvirts() {
        let table = [
            ("hook qemu vm13 started begin -", "vm13 started begin -"),
            ("hook qemu --help prepare begin -", "--help prepare begin -"),
            (
                "hook qemu --config prepare begin -",
                "--config prepare begin -",
            ),
            ("hook qemu -- --json qemu", "-- --json qemu"),
            ("hook qemu", ""),
        ];
        for (line, expected) in table {
            let expected = (Runtime::default(), Hook::Qemu, expected.to_owned());
            assert_eq!(read(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_agents_folder_is_named_before_the_hook() {
        let table = [
            ("hook network x", Runtime::default()),
            (
                "hook --config /c.toml network x",
                Runtime::Config("/c.toml".into()),
            ),
            (
                "hook --config=/c.toml network x",
                Runtime::Config("/c.toml".into()),
            ),
            (
                "hook --runtime-dir /r network x",
                Runtime::Folder("/r".into()),
            ),
        ];
        for (line, runtime) in table {
            let expected = (runtime, Hook::Network, "x".to_owned());
            assert_eq!(read(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_commands_are_no_calls() {
        for line in [
            "list",
            "hook",
            "hook install",
            "hook status --json",
            "hook lxc c1 start begin -",
            "hook --json qemu",
            "hook qemu --help",
            "hook network -h",
            "--json hook qemu",
            "hook --rest /f",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn arguments_that_are_no_text_are_kept_as_far_as_they_are() {
        use std::os::unix::ffi::OsStringExt;
        let line = [b"hook".to_vec(), b"qemu".to_vec(), b"vm\xff".to_vec()];
        let called = Called::read(line.map(OsString::from_vec)).unwrap();
        assert_eq!(called.arguments, ["vm\u{fffd}"]);
    }
}
