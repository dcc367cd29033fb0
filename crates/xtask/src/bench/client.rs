//! The clients: ours and hand-made, with the kernel's receive timestamps. The time that a client takes between an answer and
//! its next message is not counted.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use slash32_tests::dhcp::{Message, message_type};
use slash32_tests::{Namespace, PacketSocket, RawClient, Wire, expect};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often a client asks while its link is not served yet.
const GRID: Duration = Duration::from_micros(500);

/// How long one answer may take before the bench gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The EtherType of the raw echo: IEEE 802's first one for local experiments.
const ECHO: [u8; 2] = [0x88, 0xb5];

/// Asks on the grid, and has `begin` begin what ends in an OFFER. `begin` tells when that was. Returns the time from there to
/// the first OFFER, the OFFER, and what `begin` made.
pub(super) fn offer_after<T: Send>(
    client: &mut RawClient,
    begin: impl FnOnce() -> Result<(SystemTime, T)> + Send,
) -> Result<(Duration, Message, T)> {
    let discover = client.discover();
    let frame = discover.frame();
    client.wire().discard()?;
    // Not an error: the link may have no carrier yet.
    let _ = client.wire().send(&frame);
    std::thread::scope(|scope| {
        let begun = scope.spawn(begin);
        let deadline = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        while next < deadline {
            let _ = client.wire().send(&frame);
            next += GRID;
            while wait_until(client, next)? {
                if let Some((at, offer)) = client.answer(discover.xid, Duration::ZERO)? {
                    let begun = begun.join();
                    let (start, made) =
                        begun.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                    return Ok((since(start, at), expect(message_type::OFFER, offer)?, made));
                }
            }
        }
        let begun = begun.join();
        begun.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        bail!("no OFFER within {PATIENCE:?}")
    })
}

/// Waits for a frame until `end`, with a processor left to those who answer. False when there is none by then.
fn wait_until(client: &RawClient, end: Instant) -> Result<bool> {
    let left = TimeSpec::from_duration(end.saturating_duration_since(Instant::now()));
    let wire = PollFd::new(client.wire().as_fd(), PollFlags::POLLIN);
    match ppoll(&mut [wire], Some(left), None) {
        Ok(count) => Ok(count > 0),
        Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// One DISCOVER, OFFER, REQUEST, ACK: the time from each message to its answer, added up, and the ACK. `known` is an earlier
/// OFFER, so that the messages can be written before the clock runs.
pub(super) fn dora(client: &mut RawClient, known: &Message) -> Result<(Duration, Message)> {
    let discover = client.discover();
    let request = client.selecting(known);
    client.wire().discard()?;
    let (offered, _) = ask(client, &discover, message_type::OFFER)?;
    let (acknowledged, ack) = ask(client, &request, message_type::ACK)?;
    Ok((offered + acknowledged, ack))
}

/// Sends `message`: the time to its answer, which must be of the type `expected`, and the answer.
pub(super) fn ask(
    client: &RawClient,
    message: &Message,
    expected: u8,
) -> Result<(Duration, Message)> {
    let frame = message.frame();
    let start = SystemTime::now();
    client.wire().send(&frame)?;
    let (at, answer) = client.answer(message.xid, PATIENCE)?.context("no answer")?;
    Ok((since(start, at), expect(expected, answer)?))
}

/// The time that a frame needs to a packet socket on `bridge` and back, without anybody who thinks about it, `times` times.
pub(super) fn echo(
    namespace: &Namespace,
    bridge: &str,
    client: &RawClient,
    times: usize,
) -> Result<Vec<Duration>> {
    let socket = PacketSocket::open(namespace, bridge)?;
    let is_echo = |bytes: &[u8]| bytes.get(12..14) == Some(&ECHO);
    let mut question = [0; 60];
    question[..6].copy_from_slice(&socket.address().0);
    question[6..12].copy_from_slice(&client.mac().0);
    question[12..14].copy_from_slice(&ECHO);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let Ok(frame) = socket.receive(Duration::from_millis(50)) else {
                    return;
                };
                if let Some(mut frame) =
                    frame.filter(|frame| !frame.outgoing && is_echo(&frame.bytes))
                {
                    let (to, from) = frame.bytes.split_at_mut(6);
                    to.swap_with_slice(&mut from[..6]);
                    let _ = socket.send(&frame.bytes);
                }
            }
        });
        let round_trips = (0..times).map(|_| {
            let start = SystemTime::now();
            client.wire().send(&question)?;
            loop {
                let frame = client.wire().receive(PATIENCE)?.context("no echo")?;
                if !frame.outgoing && is_echo(&frame.bytes) {
                    return Ok(since(start, frame.at));
                }
            }
        });
        let round_trips = round_trips.collect();
        over.store(true, Ordering::Relaxed);
        round_trips
    })
}

/// Both are on CLOCK_REALTIME; a step of that clock between them shows as no time at all.
pub(super) fn since(start: SystemTime, at: SystemTime) -> Duration {
    at.duration_since(start).unwrap_or_default()
}
