//! `watch`, on a terminal that the test holds the other end of.

use crate::agent::{Agent, bound, failed, idle};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use serde_json::Value;
use slash32_control::LinkRow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// What the test writes to the terminal itself when the program has ended: nothing of the program comes behind it.
const END: &str = "END OF TEST";

/// `slash32 watch` on a terminal of 80x24.
struct Watcher {
    child: Child,
    keys: File,
    /// What is drawn, as it comes.
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// The program's end, so that the terminal can be looked at when the program has ended.
    terminal: File,
    before: Termios,
}

impl Watcher {
    fn start(agent: &Agent, arguments: &[&str]) -> Self {
        let [rows, columns] = [24, 80].map(|count| NonZero::new(count).unwrap());
        let size = Winsize {
            ws_row: rows.get(),
            ws_col: columns.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let before = tcgetattr(&pty.slave).unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        // Makes the terminal the controlling one, which the program asks for its size.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(assert_cmd::cargo::cargo_bin!("slash32"))
            .arg("--socket")
            .arg(agent.path())
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let keys = File::from(pty.master);
        let mut drawn = keys.try_clone().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO: nobody has the terminal open any more.
            while let Ok(length @ 1..) = drawn.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            output,
            screen: vt100::Parser::new(rows, columns, 0),
            terminal: File::from(pty.slave),
            before,
        }
    }

    /// Returns when `text` stands on the screen.
    fn until(&mut self, text: &str) {
        let started = Instant::now();
        while !self.screen.screen().contents().contains(text) {
            let bytes = self.output.recv_timeout(MINUTE);
            assert!(
                bytes.is_ok() && started.elapsed() < MINUTE,
                "{text:?} does not come: {}",
                self.screen.screen().contents()
            );
            self.screen.process(&bytes.unwrap());
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// The program ends by itself, and the terminal is as it was. Returns how it ended, and what it said on the terminal
    /// then.
    fn ends(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < MINUTE, "it goes on");
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(tcgetattr(&self.terminal).unwrap() == self.before, "modes");
        self.terminal.write_all(END.as_bytes()).unwrap();
        self.until(END);
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the other screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        let said = screen.contents().replace('\n', "");
        let said = said.trim_end().strip_suffix(END).unwrap().to_owned();
        (status, said)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn watch_draws_the_links_and_draws_again_when_one_changes() {
    let agent = Agent::with(vec![bound(), idle("virbr2")]);
    let mut watcher = Watcher::start(&agent, &["watch"]);
    watcher.until("slash32  2 links: 1 idle, 1 bound");
    watcher.until("virbr1  web1  52:54:00:12:34:56  203.0.113.7");
    watcher.until("1-2 of 2");
    agent.publish(vec![bound(), failed()]);
    watcher.until("1 bound, 1 failed");
    watcher.until("foreign address");
    watcher.press("q");
    let (status, said) = watcher.ends();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn watch_shows_only_what_was_asked_for() {
    let agent = Agent::start();
    let mut watcher = Watcher::start(&agent, &["watch", "--vm", "db"]);
    watcher.until("slash32  2 links: 2 idle");
    watcher.press("\u{1b}");
    assert_eq!(watcher.ends().0.code(), Some(0));
}

#[test]
fn watch_takes_its_keys_from_the_terminal() {
    let agent = Agent::with(
        (0..50)
            .map(|number| idle(&format!("virbr{number}")))
            .collect(),
    );
    let mut watcher = Watcher::start(&agent, &["watch"]);
    watcher.until("1-21 of 50");
    watcher.press("\u{1b}[F"); // End
    watcher.until("30-50 of 50");
    watcher.press("s");
    watcher.until("(by VM)");
    watcher.press("\u{3}"); // Control-C
    assert_eq!(watcher.ends().0.code(), Some(0));
}

#[test]
fn watch_gives_the_terminal_back_when_it_is_told_to_end() {
    let agent = Agent::start();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut watcher = Watcher::start(&agent, &["watch"]);
        watcher.until("1-4 of 4");
        watcher.signal(signal);
        let (status, said) = watcher.ends();
        assert_eq!(
            (status.signal(), status.code()),
            (None, Some(0)),
            "{signal}"
        );
        assert_eq!(said, "", "{signal}");
    }
}

#[test]
fn watch_says_on_the_terminal_as_it_was_that_the_agent_has_gone() {
    let agent = Agent::start();
    let mut watcher = Watcher::start(&agent, &["watch"]);
    watcher.until("1-4 of 4");
    drop(agent);
    let (status, said) = watcher.ends();
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        said,
        "slash32: the agent closed the connection: has it been stopped? (systemctl status slash32-agent)"
    );
}

#[test]
fn watch_json_prints_a_line_a_change_and_needs_no_terminal() {
    let agent = Agent::with(vec![bound()]);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("slash32"))
        .arg("--socket")
        .arg(agent.path())
        .args(["watch", "--json", "--state", "failed"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = || -> Value {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(line(), serde_json::json!([]));
    agent.publish(vec![bound(), failed()]);
    assert_eq!(line(), serde_json::json!([failed()]));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn watch_shows_a_hostile_name_as_its_escapes() {
    let hostile = LinkRow {
        vm: Some("\u{9b}31m\u{202e}web\n".into()),
        reason: Some("\u{1b}]0;owned\u{7}".into()),
        ..idle("tap\u{1b}[2J")
    };
    let agent = Agent::with(vec![hostile]);
    let mut watcher = Watcher::start(&agent, &["watch"]);
    watcher.until("1-1 of 1");
    watcher.until("tap\\u{1b}[2J  \\u{9b}31m\\u{202e}web\\n");
    watcher.press("q");
    assert_eq!(watcher.ends().0.code(), Some(0));
}
