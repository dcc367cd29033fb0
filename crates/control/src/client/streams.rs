use super::{Client, ClientError, Reply};
use crate::{Event, LinkRow};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Happened {
    pub(super) event: Option<Event>,
}

#[derive(Deserialize)]
pub(super) struct Links {
    pub(super) links: Vec<LinkRow>,
}

/// The agent's events, in their order.
#[derive(Debug)]
pub struct Events {
    pub(super) client: Client,
    pub(super) next: Option<Event>,
    pub(super) more: bool,
}

impl Events {
    /// The next event; `None` when the agent has ended the stream because it stops.
    ///
    /// Errors: [`ClientError::Missed`], and those of a broken connection.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.next.take() {
                return Ok(Some(event));
            }
            if !self.more {
                return Ok(None);
            }
            let reply: Reply<Happened> = self.client.reply().await?;
            self.next = reply.parameters.event;
            self.more = reply.continues;
        }
    }
}

/// The agent's links, again and again: at once, then after each change or some seconds, at most ten times a second.
#[derive(Debug)]
pub struct Watch {
    pub(super) client: Client,
    pub(super) next: Option<Vec<LinkRow>>,
    pub(super) more: bool,
}

impl Watch {
    /// Every VM link as it is now, the first time at once; `None` when the agent has ended the stream because it stops.
    /// Nothing is lost when the future is dropped.
    ///
    /// Errors: those of a broken connection.
    pub async fn next(&mut self) -> Result<Option<Vec<LinkRow>>, ClientError> {
        if let Some(links) = self.next.take() {
            return Ok(Some(links));
        }
        if !self.more {
            return Ok(None);
        }
        let reply: Reply<Links> = self.client.reply().await?;
        self.more = reply.continues;
        Ok(Some(reply.parameters.links))
    }
}
