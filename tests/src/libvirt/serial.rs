use super::Domain;
use crate::{Console, Namespace, linux::Machine};
use anyhow::{Context, Result};
use std::fs::File;

/// The serial console of a VM, by two FIFOs that outlive its QEMU: what it printed over all its lives, and a way to type.
///
/// What it said goes to stderr when it is dropped (test runners show that for failed cases only), unless it was
/// [hushed](Serial::hush).
pub struct Serial {
    name: String,
    hushed: bool,
    console: Console,
    /// The end that is written: while it is open, the reader does not take a QEMU that is gone for the end of everything.
    _output: File,
}

impl Serial {
    pub(super) fn open(namespace: &Namespace, domain: &Domain) -> Result<Self> {
        let fifo = domain.serial();
        let paths = ["in", "out"].map(|end| namespace.path(format!("{fifo}.{end}")));
        for path in &paths {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        // Both ways, so that opening waits for nobody (fifo(7)).
        let [input, output] = paths.map(|path| {
            let file = File::options().read(true).write(true).open(&path);
            file.map(|file| (path, file))
        });
        let (path, output) = output?;
        let (_, input) = input?;
        Ok(Self {
            name: domain.name().to_owned(),
            hushed: false,
            console: Console::new(File::open(path)?, Some(Box::new(input))),
            _output: output,
        })
    }

    /// Keeps what it said to itself when it is dropped.
    pub fn hush(&mut self) {
        self.hushed = true;
    }
}

impl Machine for Serial {
    fn console(&self) -> &Console {
        &self.console
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        if !self.hushed {
            let lines = self.console.lines().join("\n");
            eprintln!("--- the console of {} said:\n{lines}", self.name);
        }
    }
}
