//! The rest of libvirt's XML, when that comes after the hook has ended: a process of its own reads it.
//!
//! Nobody waits for this process: it has libvirt's end of the standard input and nothing else of libvirt's, whose
//! `virCommand` waits for the hook itself, for the ends of its output, and until it has written its XML. So the next call is made when
//! all of this one was written.

use super::leave::Unfinished;
use super::{LOST, TOO_LARGE, boottime, complain, end_silently_on_panic, input};
use slash32_libvirt::spool;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

/// `hook --rest FILE`: the command line of such a process. It is of no use to anybody else, so no help tells of it.
const OPTION: &str = "--rest";

/// The unfinished file, when this is the command line of a process that is to finish it.
pub(super) fn asked_for(command_line: &[OsString]) -> Option<&Path> {
    match command_line {
        [hook, option, file] if hook == "hook" && option == OPTION => Some(Path::new(file)),
        _ => None,
    }
}

/// Has a process of its own finish a file.
pub(super) fn hand_over(unfinished: &Path) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["hook", OPTION]).arg(unfinished);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // What ends the hook with all of its group does not end it.
    command.process_group(0);
    command.spawn().map(drop)
}

/// Reads the standard input to its end, or until [`spool::LIMIT`] after the call, adds it to the file, and finishes that.
pub(super) fn finish(path: &Path) {
    end_silently_on_panic();
    let (Some(unfinished), Ok(bytes)) = (Unfinished::left(path), fs::read(path)) else {
        return;
    };
    let Ok(call) = spool::decode(&bytes) else {
        return;
    };
    let made = path
        .file_name()
        .and_then(|name| spool::made(name.to_str()?));
    let age = boottime().saturating_sub(made.unwrap_or_default());
    let left = spool::LIMIT.saturating_sub(Duration::from_nanos(age));
    let most = spool::MOST.saturating_sub(bytes.len());
    let input = input::read(Instant::now() + left, most);
    match input.end {
        input::End::Reached => {}
        input::End::Late => complain(
            &call,
            "libvirt did not end its XML within 30 seconds; what came is kept",
        ),
        input::End::Beyond => {
            complain(&call, TOO_LARGE);
            return unfinished.remove();
        }
    }
    let finished = unfinished.append(&input.bytes);
    if let Err(why) = finished.and_then(|()| unfinished.finish()) {
        complain(&call, &format!("{LOST}: {why}"));
    }
}
