//! Many replies to one call: until the client hangs up, or the agent stops.

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::{LinkRow, Operator};
use serde_json::{Value, json};
use std::io;
use std::time::Duration;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;

/// `Watch` sends no two lists closer together than this.
const PAUSE: Duration = Duration::from_millis(100);

/// `Watch` sends a list after this long without a change: that a lease has run out is no change.
const REFRESH: Duration = Duration::from_secs(5);

/// The two ends of a connection.
pub(crate) struct Ends<'a> {
    pub(crate) calls: &'a mut Messages<OwnedReadHalf>,
    pub(crate) replies: &'a mut OwnedWriteHalf,
}

impl Ends<'_> {
    /// Sends a reply that more follow, or the last one.
    async fn reply(&mut self, parameters: Value, continues: bool) -> io::Result<()> {
        let reply = Reply {
            parameters,
            continues,
        };
        send(self.replies, &reply).await
    }
}

/// The method called `method` has many replies.
pub(crate) fn streams(method: &str) -> bool {
    matches!(method, "io.slash32.Agent.Events" | "io.slash32.Agent.Watch")
}

/// Answers a `call` of a method that [`streams`].
pub(crate) async fn stream(call: Call, ends: Ends<'_>, operator: &impl Operator) -> io::Result<()> {
    let links = call.method == "io.slash32.Agent.Watch";
    if let Err(fault) = call.parameters().and_then(|parameters| parameters.end()) {
        return send(ends.replies, &fault).await;
    }
    if links {
        stream_links(ends, operator).await
    } else {
        stream_events(ends, operator).await
    }
}

/// Sends a first reply without an event, then every event, until one is missed.
async fn stream_events(mut ends: Ends<'_>, operator: &impl Operator) -> io::Result<()> {
    let mut events = operator.events();
    ends.reply(json!({ "event": null }), true).await?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = ends.calls.hang_up() => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        match event {
            Ok(event) => ends.reply(json!({ "event": *event }), true).await?,
            Err(RecvError::Lagged(count)) => {
                return send(ends.replies, &Fault::Missed { count }).await;
            }
            Err(RecvError::Closed) => return ends.reply(json!({ "event": null }), false).await,
        }
    }
}

/// Sends every link, and again after each change, or several: who reads slowly gets the newest list, never an old one.
async fn stream_links(mut ends: Ends<'_>, operator: &impl Operator) -> io::Result<()> {
    let mut changes = operator.changes();
    let mut more = true;
    loop {
        // Marked as seen before the look, so that a change during it is not slept over.
        changes.borrow_and_update();
        let links: Vec<LinkRow> = operator.list();
        ends.reply(json!({ "links": links }), more).await?;
        if !more {
            return Ok(());
        }
        let change = async {
            tokio::time::sleep(PAUSE).await;
            // Neither a change nor the end of the agent in time: a list is due all the same.
            !matches!(
                tokio::time::timeout(REFRESH, changes.changed()).await,
                Ok(Err(_))
            )
        };
        more = tokio::select! {
            more = change => more,
            () = ends.calls.hang_up() => return Err(io::ErrorKind::BrokenPipe.into()),
        };
    }
}
