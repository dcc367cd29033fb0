//! The responder: one process for one VM link. It answers that VM's DHCP and can do nothing else.
//!
//! Its standard input is a *listening* `SOCK_SEQPACKET` socket, made by the agent or by a systemd socket unit; it cannot
//! tell the difference. Whoever connects last is the agent. It starts with nothing, is told its binding and given its two
//! sockets ([`slash32_ipc::ToResponder::Hello`]), and goes on answering when the agent is gone.
//!
//! Files: [`run`] is the program from its arguments to its exit code, [`isolate`] what it takes away from itself, [`serve`]
//! the loop, [`generation`] one VM's time on the link, [`seen`] what is kept of it for `slash32 show`.
//!
//! The program that ships has neither std nor a C library nor an allocator (the cfg `bare`, see build.rs), and is a few pages
//! of memory in each of thousands of processes. The debug build is the same below [`run`], and has std's own entry and
//! panics. In both nothing allocates, and nothing wakes it but a descriptor, or the time at which the agent is to be told what
//! a guest has done.
#![cfg_attr(bare, no_std, no_main)]

mod generation;
mod isolate;
mod run;
mod seen;
mod serve;

#[cfg(all(bare, not(panic = "abort")))]
compile_error!("a responder without std cannot unwind: build it with `panic = \"abort\"`");

#[cfg(bare)]
slash32_bare::program!(run::run);

#[cfg(not(bare))]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    run::run(words.iter().map(String::as_str)).into()
}
