use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

/// The terminal while `watch` has it: another screen, without echo. It is given back as it was when this is dropped, and
/// before a panic is printed, as a release build drops nothing then.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Gives the terminal back when the fields above are gone.
    _taken: Taken,
}

/// Somebody has yet to give the terminal back.
static TAKEN: AtomicBool = AtomicBool::new(false);

struct Taken;

impl Screen {
    /// Takes the terminal. Errors: it is none, or cannot do it; then nothing is taken.
    pub(crate) fn enter() -> io::Result<Self> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            report(panic);
        }));
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Relaxed);
        let taken = Taken;
        execute!(stdout(), EnterAlternateScreen)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(stdout()))?,
            _taken: taken,
        })
    }

    /// Draws what is different.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once: to leave the other screen a second time moves the cursor to where it was when it was
/// entered, over what has been printed since. There is nobody to tell when it fails.
fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        let _ = disable_raw_mode();
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}
