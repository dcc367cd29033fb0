//! The operator API: reading looks at what is published; all else is a word to the reconcile task.

use crate::publish::Published;
use slash32_control::{
    Done, Event, Explanation, LinkDetail, LinkRow, NextMac, NotPermitted, Operator, PoolRow,
    Refused, ReloadError, ReloadReport, ShowError, Version, resolve,
};
use slash32_sys::fd::BorrowedFd;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};

/// How long `show` waits for a link's responder to say how it is; then it shows what was last known.
const FRESH: Duration = Duration::from_millis(200);

/// A word to the reconcile task, which answers on the channel.
#[derive(Debug)]
pub(crate) enum Request {
    /// Ask the link's responder for its State, and say when it has come.
    Refresh(u32, oneshot::Sender<()>),
    Explain(String, oneshot::Sender<Result<Explanation, ShowError>>),
    Pools(oneshot::Sender<Vec<PoolRow>>),
    Bind(String, Ipv4Addr, oneshot::Sender<Result<Done, Refused>>),
    Unbind(String, oneshot::Sender<Result<Done, Refused>>),
    Release(String, oneshot::Sender<Result<Done, Refused>>),
    Reload(bool, oneshot::Sender<Result<ReloadReport, ReloadError>>),
    MacNext(Option<String>, oneshot::Sender<Result<NextMac, Refused>>),
    Export(oneshot::Sender<Result<String, Refused>>),
    Import(String, oneshot::Sender<Result<String, Refused>>),
}

fn ending() -> Refused {
    Refused {
        reason: "the agent is ending: ask the next one".into(),
    }
}

impl Operator for Published {
    fn may_change(&self, connection: BorrowedFd<'_>) -> Result<(), NotPermitted> {
        self.access.may_change(connection)
    }

    fn list(&self) -> Vec<LinkRow> {
        self.rows()
    }

    async fn show(&self, key: &str) -> Result<LinkDetail, ShowError> {
        let ifindex = resolve(&self.rows(), key)?.ifindex;
        // Late or never: then what was last known is shown.
        let _ =
            tokio::time::timeout(FRESH, self.ask(|reply| Request::Refresh(ifindex, reply))).await;
        self.detail(ifindex).ok_or_else(|| ShowError::NotFound {
            key: key.to_owned(),
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.subscribe_changes()
    }

    fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.subscribe_events()
    }

    fn version(&self) -> Version {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: slash32_control::PROTOCOL,
        }
    }

    async fn explain(&self, key: &str) -> Result<Explanation, ShowError> {
        let explained = self
            .ask(|reply| Request::Explain(key.to_owned(), reply))
            .await;
        explained.unwrap_or_else(|| {
            Err(ShowError::NotFound {
                key: key.to_owned(),
            })
        })
    }

    async fn pools(&self) -> Vec<PoolRow> {
        self.ask(Request::Pools).await.unwrap_or_default()
    }

    async fn bind(&self, link: &str, address: Ipv4Addr) -> Result<Done, Refused> {
        self.ask(|reply| Request::Bind(link.to_owned(), address, reply))
            .await
            .ok_or_else(ending)?
    }

    async fn unbind(&self, link: &str) -> Result<Done, Refused> {
        self.ask(|reply| Request::Unbind(link.to_owned(), reply))
            .await
            .ok_or_else(ending)?
    }

    async fn release(&self, key: &str) -> Result<Done, Refused> {
        self.ask(|reply| Request::Release(key.to_owned(), reply))
            .await
            .ok_or_else(ending)?
    }

    async fn reload(&self, force: bool) -> Result<ReloadReport, ReloadError> {
        self.ask(|reply| Request::Reload(force, reply))
            .await
            .ok_or_else(ending)?
    }

    async fn mac_next(&self, network: Option<&str>) -> Result<NextMac, Refused> {
        let network = network.map(str::to_owned);
        self.ask(|reply| Request::MacNext(network, reply))
            .await
            .ok_or_else(ending)?
    }

    async fn export(&self) -> Result<String, Refused> {
        self.ask(Request::Export).await.ok_or_else(ending)?
    }

    async fn import(&self, document: String) -> Result<String, Refused> {
        self.ask(|reply| Request::Import(document, reply))
            .await
            .ok_or_else(ending)?
    }
}
