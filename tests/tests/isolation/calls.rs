//! Every syscall from inside a real responder that serves a VM and holds its real sockets.

use crate::{
    BOUND,
    responder::{CONNECTION, IDLE, PACKET, Responder, ifindex},
    tracer::{Outcome, Tracer},
};
use anyhow::{Context, Result, bail, ensure};
use nix::{errno::Errno, sys::signal::Signal};
use slash32_ipc::ToAgent;
use slash32_sys::isolate::syscalls::{ALLOWED, ALLOWED_WITH_STD, Allowed};
use slash32_tests::{Host, RawClient, is_bare, responders};
use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    mem::offset_of,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::Stdio,
};

/// Numbers are tried up to here; the highest of Linux 6.18 is 469.
const LAST: i64 = 500;
/// `__X32_SYSCALL_BIT`: the same calls with 32-bit pointers, by other numbers of the same architecture.
const X32: i64 = 0x4000_0000;
/// `uretprobe` and `uprobe`: the kernel puts them into a program itself, takes them past every filter (since Linux 6.14), and
/// fails them, or answers with SIGILL, when they come from anywhere else.
const UPROBES: [i64; 2] = [335, 336];
const REFUSED: Outcome = Outcome::Failed(Errno::EPERM);

/// Each responder that there is, with and without std, that has bound VM 1, stopped in its wait, on a host that has the link
/// `tap2` too.
fn inside(test: impl Fn(&Host, &Responder, &RawClient, &mut Tracer) -> Result<()>) -> Result<()> {
    inside_each(|host, responder, client, tracer, _| test(host, responder, client, tracer))
}

/// The same; the test is told what it may call.
fn inside_each(
    test: impl Fn(&Host, &Responder, &RawClient, &mut Tracer, &[Allowed]) -> Result<()>,
) -> Result<()> {
    for program in responders()? {
        let mut table = ALLOWED.to_vec();
        if !is_bare(&program)? {
            table.extend(ALLOWED_WITH_STD);
        }
        inside_one(&program, |host, responder, client, tracer| {
            test(host, responder, client, tracer, &table)
        })
        .with_context(|| program.display().to_string())?;
    }
    Ok(())
}

fn inside_one(
    program: &Path,
    test: impl FnOnce(&Host, &Responder, &RawClient, &mut Tracer) -> Result<()>,
) -> Result<()> {
    let host = Host::new()?;
    let _other_link = host.tap("tap2", None)?;
    let (responder, mut client) = Responder::serving_as(&host, 1, program)?;
    let confirmed = std::thread::scope(|scope| {
        let agent = scope.spawn(|| responder.confirm());
        client.bind()?;
        agent
            .join()
            .map_err(|_| anyhow::anyhow!("the agent panicked"))?
    });
    confirmed?;
    responder.state()?;
    let mut tracer = Tracer::seize(responder.pid())?;
    test(&host, &responder, &client, &mut tracer)
}

#[test]
fn every_call_that_is_not_in_the_table_is_refused() -> Result<()> {
    inside_each(|_, _, _, tracer, table| {
        let allowed: BTreeSet<i64> = table.iter().map(|(number, _, _)| *number).collect();
        let mut got_through = Vec::new();
        let others = (0..=LAST).filter(|number| !allowed.contains(number));
        for number in others.filter(|number| !UPROBES.contains(number)) {
            let outcome = tracer.call(number, &[])?;
            if outcome != REFUSED {
                got_through.push((number, outcome));
            }
        }
        ensure!(got_through.is_empty(), "not refused: {got_through:?}");
        Ok(())
    })
}

#[test]
fn no_call_is_allowed_by_its_x32_number() -> Result<()> {
    inside(|_, _, _, tracer| {
        for number in 0..=LAST {
            let outcome = tracer.call(number | X32, &[])?;
            ensure!(outcome == REFUSED, "call {number} of x32: {outcome:?}");
        }
        Ok(())
    })
}

#[test]
fn a_call_of_the_32_bit_architecture_ends_the_responder() -> Result<()> {
    inside(|_, _, _, tracer| {
        /// `getpid` of i386: as a number of x86-64 it would be `writev`.
        const GETPID: i64 = 20;
        tracer.call_32(GETPID)?;
        let signal = tracer.signal()?;
        ensure!(signal == Signal::SIGSYS, "a call of i386 brought {signal}");
        Ok(())
    })
}

#[test]
fn a_call_that_the_kernel_takes_past_every_filter_fails_all_the_same() -> Result<()> {
    for number in UPROBES {
        inside(|_, _, _, tracer| {
            let outcome = tracer.call(number, &[])?;
            ensure!(
                matches!(outcome, Outcome::Failed(_)),
                "call {number}: {outcome:?}"
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// The calls that DESIGN names, and others by which a process gets further, each with arguments with which it would succeed,
/// or fail otherwise than by EPERM, if the filter let it through.
#[test]
fn a_call_that_would_lead_further_is_refused() -> Result<()> {
    inside(|host, responder, _, tracer| {
        let other_link = tracer.put(&link_address(ifindex(host, "tap2")?))?;
        let gateway = tracer.put(&[2, 0, 0, 67, 169, 254, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])?;
        let frame = tracer.put(&[0; 64])?;
        let vector = tracer.put(&words(&[frame, 64]))?;
        // struct msghdr: name and its length, vectors, control, flags; struct mmsghdr has a length behind it.
        let message = tracer.put(&words(&[other_link, 20, vector, 1, 0, 0, 0, 0]))?;
        let promiscuous = tracer.put(&[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        let path = tracer.put(b"/bin/true\0")?;
        let page = frame & !0xfff;
        let own = responder.inner_pid()?;
        let here = libc::AT_FDCWD as u64;
        let calls: &[(&str, i64, &[u64])] = &[
            // To another link, or further into this one.
            ("bind", libc::SYS_bind, &[PACKET, other_link, 20]),
            (
                "sendto",
                libc::SYS_sendto,
                &[PACKET, frame, 64, 0, other_link, 20],
            ),
            ("sendmsg", libc::SYS_sendmsg, &[PACKET, message, 0]),
            ("sendmmsg", libc::SYS_sendmmsg, &[PACKET, message, 1, 0]),
            ("connect", libc::SYS_connect, &[IDLE, gateway, 16]),
            (
                "setsockopt",
                libc::SYS_setsockopt,
                &[
                    PACKET,
                    libc::SOL_PACKET as u64,
                    libc::PACKET_ADD_MEMBERSHIP as u64,
                    promiscuous,
                    16,
                ],
            ),
            (
                "getsockopt",
                libc::SYS_getsockopt,
                &[PACKET, 1, 3, frame, vector],
            ),
            (
                "socket AF_PACKET",
                libc::SYS_socket,
                &[libc::AF_PACKET as u64, libc::SOCK_RAW as u64, 0],
            ),
            (
                "socket AF_INET",
                libc::SYS_socket,
                &[libc::AF_INET as u64, libc::SOCK_DGRAM as u64, 0],
            ),
            (
                "socket AF_UNIX",
                libc::SYS_socket,
                &[libc::AF_UNIX as u64, libc::SOCK_STREAM as u64, 0],
            ),
            (
                "socketpair",
                libc::SYS_socketpair,
                &[libc::AF_UNIX as u64, 1, 0, frame],
            ),
            ("listen", libc::SYS_listen, &[0, 8]),
            ("shutdown", libc::SYS_shutdown, &[CONNECTION, 0]),
            (
                "recvfrom",
                libc::SYS_recvfrom,
                &[PACKET, frame, 64, libc::MSG_DONTWAIT as u64],
            ),
            ("read", libc::SYS_read, &[PACKET, frame, 64]),
            ("writev", libc::SYS_writev, &[CONNECTION, vector, 1]),
            ("dup", libc::SYS_dup, &[PACKET]),
            ("fcntl", libc::SYS_fcntl, &[PACKET, libc::F_GETFL as u64]),
            ("ioctl", libc::SYS_ioctl, &[PACKET, libc::FIONREAD, frame]),
            // To another process.
            ("kill", libc::SYS_kill, &[own, 0]),
            ("tkill", libc::SYS_tkill, &[own, 0]),
            ("tgkill", libc::SYS_tgkill, &[own, own, 0]),
            (
                "ptrace",
                libc::SYS_ptrace,
                &[libc::PTRACE_PEEKDATA as u64, own, frame, 0],
            ),
            (
                "process_vm_readv",
                libc::SYS_process_vm_readv,
                &[own, vector, 1, vector, 1, 0],
            ),
            (
                "process_vm_writev",
                libc::SYS_process_vm_writev,
                &[own, vector, 1, vector, 1, 0],
            ),
            ("pidfd_open", libc::SYS_pidfd_open, &[own, 0]),
            ("pidfd_getfd", libc::SYS_pidfd_getfd, &[PACKET, 0, 0]),
            (
                "pidfd_send_signal",
                libc::SYS_pidfd_send_signal,
                &[PACKET, 0, 0, 0],
            ),
            // To files and programs.
            ("open", libc::SYS_open, &[path, libc::O_RDONLY as u64]),
            (
                "openat",
                libc::SYS_openat,
                &[here, path, libc::O_RDONLY as u64],
            ),
            ("openat2", libc::SYS_openat2, &[here, path, frame, 24]),
            ("newfstatat", libc::SYS_newfstatat, &[here, path, frame, 0]),
            ("memfd_create", libc::SYS_memfd_create, &[path, 0]),
            ("execve", libc::SYS_execve, &[path, 0, 0]),
            ("execveat", libc::SYS_execveat, &[here, path, 0, 0, 0]),
            ("fork", libc::SYS_fork, &[]),
            ("vfork", libc::SYS_vfork, &[]),
            ("clone", libc::SYS_clone, &[libc::SIGCHLD as u64]),
            ("clone3", libc::SYS_clone3, &[frame, 64]),
            // To code of its own.
            (
                "mmap",
                libc::SYS_mmap,
                &[
                    0,
                    4096,
                    (libc::PROT_READ | libc::PROT_EXEC) as u64,
                    (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64,
                    u64::MAX,
                    0,
                ],
            ),
            (
                "mprotect",
                libc::SYS_mprotect,
                &[
                    page,
                    4096,
                    (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u64,
                ],
            ),
            ("mremap", libc::SYS_mremap, &[page, 4096, 4096, 0]),
            ("brk", libc::SYS_brk, &[0]),
            // To the less trodden parts of the kernel.
            ("io_uring_setup", libc::SYS_io_uring_setup, &[1, frame]),
            ("bpf", libc::SYS_bpf, &[0, frame, 64]),
            ("userfaultfd", libc::SYS_userfaultfd, &[1]),
            (
                "perf_event_open",
                libc::SYS_perf_event_open,
                &[frame, 0, 0, 0, 0],
            ),
            ("keyctl", libc::SYS_keyctl, &[0, 0, 0]),
            ("unshare", libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64]),
            ("setns", libc::SYS_setns, &[PACKET, 0]),
            ("mount", libc::SYS_mount, &[path, path, path, 0, 0]),
            ("prctl", libc::SYS_prctl, &[libc::PR_GET_DUMPABLE as u64]),
            ("seccomp", libc::SYS_seccomp, &[2, 0, vector]),
            (
                "setrlimit",
                libc::SYS_setrlimit,
                &[libc::RLIMIT_NOFILE.into(), vector],
            ),
            (
                "prlimit64",
                libc::SYS_prlimit64,
                &[0, libc::RLIMIT_NOFILE.into(), 0, frame],
            ),
            ("capset", libc::SYS_capset, &[frame, 0]),
            ("setuid", libc::SYS_setuid, &[65534]),
        ];
        for (name, number, arguments) in calls {
            let outcome = tracer.call(*number, arguments)?;
            ensure!(outcome == REFUSED, "{name}: {outcome:?}");
        }
        Ok(())
    })
}

#[test]
fn every_call_in_the_table_is_let_through() -> Result<()> {
    inside_each(|_, responder, client, tracer, table| {
        let own = responder.inner_pid()?;
        let frame = tracer.put(&[0xff; 64])?;
        let nowhere = u64::MAX;
        let failed = |error| Outcome::Failed(error);
        for &(number, name, _) in table {
            let outcome = match name {
                "recvmsg" => tracer.call(number, &[PACKET, 0, 0])? == failed(Errno::EFAULT),
                "write" => {
                    let sent = tracer.call(number, &[PACKET, frame, 64])?;
                    // The frame that the VM sees is the one that was written, whole.
                    slash32_tests::until("the frame to reach the VM", BOUND, || {
                        let seen = client.wire().receive(BOUND)?;
                        Ok(seen.filter(|seen| seen.bytes == [0xff; 64]).map(drop))
                    })?;
                    sent == Outcome::Returned(64)
                }
                "ppoll" => tracer.call(number, &[0, nowhere, 0, 0, 8])? == failed(Errno::EINVAL),
                "accept4" => tracer.call(number, &[PACKET, 0, 0, 0])? == failed(Errno::EOPNOTSUPP),
                "close" => tracer.call(number, &[nowhere])? == failed(Errno::EBADF),
                "clock_gettime" => {
                    let boottime = libc::CLOCK_BOOTTIME as u64;
                    tracer.call(number, &[boottime, frame])? == Outcome::Returned(0)
                }
                "restart_syscall" => tracer.call(number, &[])? == failed(Errno::EINTR),
                "rt_sigaction" => tracer.call(number, &[0, 0, 0, 8])? == failed(Errno::EINVAL),
                "rt_sigprocmask" => tracer.call(number, &[0, 0, 0, 8])? == Outcome::Returned(0),
                "sigaltstack" => tracer.call(number, &[0, 0])? == Outcome::Returned(0),
                "munmap" => tracer.call(number, &[0, 0])? == failed(Errno::EINVAL),
                "getpid" | "gettid" => {
                    tracer.call(number, &[])? == Outcome::Returned(own.cast_signed())
                }
                // They end the process, or put back registers that were never saved.
                "rt_sigreturn" | "exit_group" => continue,
                _ => bail!("{name} is in the table and has no case here"),
            };
            ensure!(outcome, "{name} did not do what it does elsewhere");
        }
        Ok(())
    })?;
    inside_each(|_, _, _, tracer, table| {
        let in_table = table
            .iter()
            .any(|(number, _, _)| *number == libc::SYS_rt_sigreturn);
        if in_table {
            let outcome = tracer.call(libc::SYS_rt_sigreturn, &[])?;
            ensure!(outcome != REFUSED, "rt_sigreturn: {outcome:?}");
        }
        Ok(())
    })?;
    inside(|_, _, _, tracer| {
        let outcome = tracer.call(libc::SYS_exit_group, &[7])?;
        ensure!(outcome == Outcome::Exited(7), "exit_group: {outcome:?}");
        Ok(())
    })
}

#[test]
fn what_a_responder_writes_reaches_its_vm_and_its_agent_only() -> Result<()> {
    inside(|_, responder, _, tracer| {
        let word = tracer.put(b"\x1b[2Jforged")?;
        for standard in [1, 2, (1 << 32) | 2] {
            let outcome = tracer.call(libc::SYS_write, &[standard, word, 10])?;
            ensure!(outcome == REFUSED, "descriptor {standard}: {outcome:?}");
        }
        let mut buffer = [0; slash32_ipc::MAX_UP];
        let length = ToAgent::Claim(slash32_binding::Generation(7)).encode(&mut buffer);
        let claim = tracer.put(&buffer[..length])?;
        let outcome = tracer.call(libc::SYS_write, &[CONNECTION, claim, length as u64])?;
        ensure!(outcome == Outcome::Returned(length as i64), "{outcome:?}");
        responder.hear("the Claim", BOUND, |message| {
            (message == ToAgent::Claim(slash32_binding::Generation(7))).then_some(())
        })
    })
}

#[test]
fn a_word_to_a_pipe_reaches_its_reader_and_one_to_anything_else_nobody() -> Result<()> {
    let programs = responders()?;
    let cases = programs
        .iter()
        .flat_map(|program| [(program, true), (program, false)]);
    for (program, is_pipe) in cases {
        let host = Host::new()?;
        let (mut reader, writer) = std::io::pipe()?;
        let (socket, other) = UnixStream::pair()?;
        let stderr = if is_pipe {
            Stdio::from(writer)
        } else {
            // As of a standalone unit, whose words go to the journal.
            Stdio::from(OwnedFd::from(socket))
        };
        let (responder, _client) = Responder::serving_with(&host, 1, program, stderr)?;
        let mut tracer = Tracer::seize(responder.pid())?;
        let word = tracer.put(b"panicked")?;
        for standard in [2, (1 << 32) | 2] {
            let outcome = tracer.call(libc::SYS_write, &[standard, word, 8])?;
            let expected = if is_pipe {
                Outcome::Returned(8)
            } else {
                REFUSED
            };
            ensure!(outcome == expected, "{standard}: {outcome:?}");
        }
        // The standard output stays closed to it.
        let outcome = tracer.call(libc::SYS_write, &[1, word, 8])?;
        ensure!(outcome == REFUSED, "{outcome:?}");
        let outcome = tracer.call(libc::SYS_exit_group, &[7])?;
        ensure!(outcome == Outcome::Exited(7), "{outcome:?}");
        drop(responder);
        let mut heard = String::new();
        if is_pipe {
            reader.read_to_string(&mut heard)?;
            ensure!(heard == "panickedpanicked", "{heard}");
        } else {
            (&other).read_to_string(&mut heard)?;
            ensure!(heard.is_empty(), "{heard}");
        }
    }
    Ok(())
}

#[test]
fn the_descriptors_that_the_calls_name_are_the_sockets_of_the_link() -> Result<()> {
    inside(|_, responder, _, _| {
        let packets = fs::read_to_string(responder.proc("net/packet"))?;
        let inode = |descriptor: u64| -> Result<String> {
            let target = fs::read_link(responder.proc(&format!("fd/{descriptor}")))?;
            let target = target.to_string_lossy();
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            Ok(inode.context("not a socket")?.to_owned())
        };
        let has = |table: &str, inode: &str| {
            table
                .lines()
                .any(|line| line.split_whitespace().any(|word| word == inode))
        };
        ensure!(has(&packets, &inode(PACKET)?), "{packets}");
        let udp = fs::read_to_string(responder.proc("net/udp"))?;
        ensure!(has(&udp, &inode(IDLE)?), "{udp}");
        Ok(())
    })
}

/// `struct sockaddr_ll` of the link with this index.
fn link_address(index: u32) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<libc::sockaddr_ll>()];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    put(0, &(libc::AF_PACKET as u16).to_ne_bytes());
    put(
        offset_of!(libc::sockaddr_ll, sll_protocol),
        &(libc::ETH_P_IP as u16).to_be_bytes(),
    );
    put(
        offset_of!(libc::sockaddr_ll, sll_ifindex),
        &index.to_ne_bytes(),
    );
    put(offset_of!(libc::sockaddr_ll, sll_halen), &[6]);
    bytes
}

fn words(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}
