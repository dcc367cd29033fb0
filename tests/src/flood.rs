use crate::RawClient;
use anyhow::{Context, Result};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The pace is kept in steps of this length.
const STEP: Duration = Duration::from_millis(1);

/// A VM that sends the same frames again and again, so many a second, until it is told to stop. What it hears it throws away.
pub struct Flood {
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<Result<Sent>>>,
}

/// What a flood was.
pub struct Sent {
    /// The VM, which sends no more.
    pub client: RawClient,
    /// So many frames it sent.
    pub frames: u64,
    /// For so long.
    pub took: Duration,
}

impl Flood {
    /// Starts to send `frames` in their order, `rate` a second, or fewer where the machine is too slow for that.
    pub fn start(client: RawClient, frames: Vec<Vec<u8>>, rate: u32) -> Self {
        let over = Arc::<AtomicBool>::default();
        let sender = std::thread::spawn({
            let over = over.clone();
            move || send(client, &frames, rate, &over)
        });
        Self {
            over,
            sender: Some(sender),
        }
    }

    /// Stops it. Errors: the link did not take a frame.
    pub fn stop(mut self) -> Result<Sent> {
        self.over.store(true, Ordering::Relaxed);
        let sender = self.sender.take().context("it was stopped already")?;
        sender
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Sent {
    /// Frames a second, as they were really sent.
    pub fn rate(&self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64()
    }
}

fn send(client: RawClient, frames: &[Vec<u8>], rate: u32, over: &AtomicBool) -> Result<Sent> {
    let start = Instant::now();
    let (mut due, mut sent) = (0, 0);
    let mut frames = frames.iter().cycle();
    while !over.load(Ordering::Relaxed) {
        let missing = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64 - due;
        due += missing;
        // What could not be sent in time is not made up for in one burst.
        let burst = missing.min(u64::from(rate / 100));
        for frame in frames.by_ref().take(burst as usize) {
            client.wire().send(frame)?;
        }
        sent += burst;
        client.wire().discard()?;
        std::thread::sleep(STEP);
    }
    Ok(Sent {
        client,
        frames: sent,
        took: start.elapsed(),
    })
}
