use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Child,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A machine's serial console: what it printed so far, and a way to type.
pub struct Console {
    lines: Arc<Mutex<Vec<String>>>,
    input: Mutex<Option<Box<dyn Write + Send>>>,
}

impl Console {
    /// The console on stdin and stdout of `machine`, read in the background to its end.
    ///
    /// Errors: its stdout is no pipe. Without a pipe to its stdin nothing can be typed.
    pub fn of(machine: &mut Child) -> Result<Self> {
        let output = machine
            .stdout
            .take()
            .context("a machine without a console")?;
        let input = machine.stdin.take();
        Ok(Self::new(
            output,
            input.map(|input| Box::new(input) as Box<dyn Write + Send>),
        ))
    }

    /// The console of which `output` is what it prints, read in the background to its end, and `input` what is typed.
    pub fn new(output: impl Read + Send + 'static, input: Option<Box<dyn Write + Send>>) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let printed = lines.clone();
        std::thread::spawn(move || {
            // Firmware draws with bytes that are no UTF-8.
            for line in BufReader::new(output)
                .split(b'\n')
                .map_while(std::result::Result::ok)
            {
                // A terminal ends its lines with \r\n.
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                    printed.push(line);
                }
            }
        });
        let input = Mutex::new(input);
        Self { lines, input }
    }

    /// The lines so far, without empty ones.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Types one line. Errors: the machine ended, or nobody can type.
    pub fn enter(&self, line: &str) -> Result<()> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let input = input.as_mut().context("nobody can type here")?;
        input
            .write_all(format!("{line}\n").as_bytes())
            .context("the machine does not read its console")
    }

    /// Waits until a line after the first `seen` ones is as `wanted` says, at most for `bound`. Returns its place.
    ///
    /// Errors: there is none; the lines are in the error.
    pub fn wait_line(
        &self,
        what: &str,
        seen: usize,
        bound: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        let find = |lines: Vec<String>| {
            let mut new = lines.iter().enumerate().skip(seen);
            new.find(|(_, line)| wanted(line)).map(|(place, _)| place)
        };
        crate::until(what, bound, || Ok(find(self.lines())))
            .with_context(|| format!("the console says:\n{}", self.lines().join("\n")))
    }
}
