//! A Linux guest under QEMU: Debian's cloud kernel and a static busybox, driven over its serial console.

use crate::{Boot, BootFiles, Console, Qemu};
use anyhow::{Result, ensure};
use std::{net::Ipv4Addr, time::Duration};

/// The first process of the guest: prints its configuration, then a mark, then does what is typed.
pub const INIT: &str = include_str!("linux/init");

/// What udhcpc calls in the guest with its lease: DHCP options to addresses, routes, MTU, host name and DNS.
pub const UDHCPC_SCRIPT: &str = include_str!("linux/udhcpc.script");

/// What it prints when its lease is applied and its gateway was pinged.
pub const READY: &str = "guest: ready";

/// What it prints after each command, before the exit code.
const ENDED: &str = "guest: ended with ";

/// What a guest runs on, as far as its driver needs it.
pub trait Machine {
    /// Its serial console.
    fn console(&self) -> &Console;
}

impl Machine for Qemu {
    fn console(&self) -> &Console {
        Self::console(self)
    }
}

/// The guest, from its start on.
pub struct Linux<M = Qemu> {
    machine: M,
    /// How many times it was ready.
    boots: usize,
}

impl Linux {
    /// The kernel's command line, found by measuring: 2.4 s to the first process instead of 6.4 s. Mitigations guard nothing
    /// in an emulated CPU, and the clock words skip calibration loops.
    pub const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off nopti tsc=reliable no_timer_check lpj=4000000";

    /// What a machine boots to become this guest. Errors: its files are missing.
    pub fn boot(files: &BootFiles) -> Result<Boot> {
        Ok(Boot::Kernel {
            kernel: files.path("vmlinux")?,
            initrd: files.path("initramfs")?,
            command_line: Self::COMMAND_LINE.to_owned(),
        })
    }
}

impl<M: Machine> Linux<M> {
    /// The guest that `machine` boots.
    pub fn on(machine: M) -> Self {
        Self { machine, boots: 0 }
    }

    /// The machine that it runs on.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The lines that it printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.machine.console().lines()
    }

    /// Waits until it has booted (once more, when it did before) and has nothing to say on its own.
    ///
    /// Errors: it has not within `bound`; what it printed is in the error.
    pub fn wait_ready(&mut self, bound: Duration) -> Result<()> {
        let lines = self.lines();
        let seen = lines.iter().enumerate();
        let seen = seen
            .filter(|(_, line)| *line == READY)
            .map(|(at, _)| at + 1);
        let seen = [0].into_iter().chain(seen).nth(self.boots).unwrap_or(0);
        let console = self.machine.console();
        console.wait_line("the guest to be ready", seen, bound, |line| line == READY)?;
        self.boots += 1;
        Ok(())
    }

    /// Runs one line of shell in the guest, and returns what it printed.
    ///
    /// Errors: it did not succeed, or did not end within `bound`.
    pub fn run(&self, command: &str, bound: Duration) -> Result<String> {
        let console = self.machine.console();
        let start = console.lines().len();
        console.enter(command)?;
        let ended = |line: &str| line.starts_with(ENDED);
        let end = console.wait_line(&format!("the end of {command}"), start, bound, ended)?;
        let lines = console.lines();
        let printed = lines[start..end].join("\n");
        let code = lines[end].trim_start_matches(ENDED);
        ensure!(code == "0", "{command} in the guest: {code}: {printed}");
        Ok(printed)
    }

    /// Types one line of shell without waiting for anything.
    pub fn enter(&self, command: &str) -> Result<()> {
        self.machine.console().enter(command)
    }

    /// Checks that it has `address`/32, a way to `gateway` on the link, and a default route through it.
    pub fn is_configured(
        &self,
        address: Ipv4Addr,
        gateway: Ipv4Addr,
        bound: Duration,
    ) -> Result<()> {
        let network = self.run("ip -4 addr show eth0; ip route", bound)?;
        let wanted = [
            format!("inet {address}/32 scope global eth0"),
            format!("{gateway} dev eth0 scope link"),
            format!("default via {gateway} dev eth0"),
        ];
        for line in wanted {
            ensure!(
                network.contains(&line),
                "the guest has no {line}:\n{network}"
            );
        }
        Ok(())
    }
}
