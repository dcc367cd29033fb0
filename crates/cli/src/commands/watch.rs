use crate::filter::Filter;
use crate::output;
use crate::screen::Screen;
use crate::view::View;
use anyhow::{Context, bail};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use jiff::Timestamp;
use slash32_control::{Client, Watch};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The time that is left of a lease is shown to the second.
const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn run(socket: &Path, filter: &Filter, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return lines(Client::connect(socket).await?.watch().await?, filter).await;
    }
    if !std::io::stdout().is_terminal() {
        bail!(
            "`slash32 watch` draws on a terminal, and its output is none: \
             use `slash32 events` for a line an event, or `slash32 list`"
        );
    }
    // Whatever is wrong with the agent is said before the screen is taken.
    let watch = Client::connect(socket).await?.watch().await?;
    let signals = Signals::listen()?;
    let mut screen = Screen::enter().context("cannot draw on this terminal")?;
    draw(watch, filter, signals, &mut screen).await
}

/// Prints a line of JSON for each list.
async fn lines(mut watch: Watch, filter: &Filter) -> anyhow::Result<()> {
    while let Some(links) = watch.next().await? {
        output::print_json_line(&filter.apply(links))?;
    }
    bail!("the agent has stopped")
}

/// Draws until somebody wants it to end.
async fn draw(
    mut watch: Watch,
    filter: &Filter,
    mut signals: Signals,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut view = View::default();
    let mut keys = EventStream::new();
    loop {
        tokio::select! {
            links = watch.next() => match links? {
                Some(links) => view.show(filter.apply(links)),
                None => bail!("the agent has stopped"),
            },
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) => if let ControlFlow::Break(()) = view.press(key) {
                    return Ok(());
                },
                // A new size shows in the next drawing.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("cannot read from this terminal"),
                None => return Ok(()),
            },
            () = tokio::time::sleep(SECOND) => {}
            () = signals.end() => return Ok(()),
        }
        screen.draw(|frame| view.draw(frame, Timestamp::now()))?;
    }
}

/// The signals that tell the program to end: with their own effect they would leave the terminal as it is drawn on.
struct Signals {
    interrupted: Signal,
    terminated: Signal,
    hung_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when one has come.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
            _ = self.hung_up.recv() => {}
        }
    }
}
