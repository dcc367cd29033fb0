//! Syscalls made from inside another process: ptrace(2) stops it where it waits and lets it make one call after another.
//!
//! No entry in the program is needed for that, so what is tried is the very program that is shipped, with the sockets that it
//! holds at that moment and every stage of its isolation behind it. That it is not dumpable does not stop root.

use crate::BOUND;
use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus},
    },
    unistd::Pid,
};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    time::Instant,
};

/// The instruction `syscall` of x86-64, and `int 0x80`, which makes a call of the 32-bit architecture.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
const INTERRUPT_80: [u8; 2] = [0xcd, 0x80];

/// A process that is stopped, and makes the calls that it is told to.
pub(crate) struct Tracer {
    pid: Pid,
    memory: File,
    /// Its registers where it waited; the instruction pointer is on a syscall instruction.
    registers: libc::user_regs_struct,
    /// The next free byte of its stack.
    scratch: u64,
}

/// What became of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Returned(i64),
    Failed(Errno),
    Exited(i32),
}

impl Tracer {
    /// Stops the process `pid`, which waits in a syscall.
    pub(crate) fn seize(pid: u32) -> Result<Self> {
        let pid = Pid::from_raw(pid.try_into()?);
        let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options)?;
        ptrace::interrupt(pid)?;
        let stopped = wait(pid)?;
        ensure!(
            matches!(stopped, WaitStatus::PtraceEvent(..)),
            "it did not stop: {stopped:?}"
        );
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))?;
        let mut registers = ptrace::getregs(pid)?;
        registers.rip -= 2;
        let mut instruction = [0; 2];
        memory.read_exact_at(&mut instruction, registers.rip)?;
        ensure!(
            instruction == SYSCALL,
            "it did not wait in a syscall: {registers:?}"
        );
        Ok(Self {
            pid,
            memory,
            registers,
            // Above what a signal's frame would take, and still in the page that earlier calls have touched.
            scratch: (registers.rsp - 2048) & !0xf,
        })
    }

    /// Puts bytes into its memory and returns their address. At most 1 KiB in all.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<u64> {
        let address = self.scratch;
        self.memory.write_all_at(bytes, address)?;
        self.scratch = (address + bytes.len() as u64).next_multiple_of(16);
        ensure!(
            self.scratch < self.registers.rsp - 1024,
            "too much for its stack"
        );
        Ok(address)
    }

    /// Has it make one call.
    pub(crate) fn call(&mut self, number: i64, arguments: &[u64]) -> Result<Outcome> {
        let mut registers = self.registers;
        let mut values = arguments.iter().copied().chain(std::iter::repeat(0));
        for place in [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ] {
            *place = values.next().unwrap_or(0);
        }
        registers.rax = number.cast_unsigned();
        // No call is under way that the kernel would start again.
        registers.orig_rax = u64::MAX;
        ptrace::setregs(self.pid, registers)?;
        let entered = self.go("enter the call", number)?;
        ensure!(
            matches!(entered, WaitStatus::PtraceSyscall(_)),
            "instead of call {number} there was {entered:?}"
        );
        match self.go("return from the call", number)? {
            WaitStatus::PtraceSyscall(_) => {
                let result = ptrace::getregs(self.pid)?.rax.cast_signed();
                Ok(match result {
                    -4095..=-1 => Outcome::Failed(Errno::from_raw(-i32::try_from(result)?)),
                    _ => Outcome::Returned(result),
                })
            }
            WaitStatus::Exited(_, code) => Ok(Outcome::Exited(code)),
            other => bail!("call {number} became {other:?}"),
        }
    }

    /// Has it make one call of the 32-bit architecture; it is not the same afterwards.
    pub(crate) fn call_32(&mut self, number: i64) -> Result<Outcome> {
        self.memory
            .write_all_at(&INTERRUPT_80, self.registers.rip)
            .context("cannot change its code")?;
        self.call(number, &[])
    }

    /// The signal that its last call has brought upon it.
    pub(crate) fn signal(&self) -> Result<Signal> {
        ptrace::syscall(self.pid, None)?;
        match wait(self.pid)? {
            WaitStatus::Stopped(_, signal) | WaitStatus::Signaled(_, signal, _) => Ok(signal),
            other => bail!("no signal, but {other:?}"),
        }
    }

    fn go(&self, what: &str, number: i64) -> Result<WaitStatus> {
        ptrace::syscall(self.pid, None)?;
        wait(self.pid).with_context(|| format!("it did not {what} {number}"))
    }
}

/// Waits until a traced process stops or ends. Nothing but asking again and again knows a bound, and a stop comes within
/// microseconds: so it is asked without a pause.
pub(crate) fn wait(pid: Pid) -> Result<WaitStatus> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    let start = Instant::now();
    while start.elapsed() < BOUND {
        match nix::sys::wait::waitpid(pid, Some(flags))? {
            WaitStatus::StillAlive => std::thread::yield_now(),
            status => return Ok(status),
        }
    }
    bail!("pid {pid} neither stopped nor ended within {BOUND:?}")
}
