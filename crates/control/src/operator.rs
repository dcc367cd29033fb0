use crate::{
    Done, Event, Explanation, LinkDetail, LinkRow, NextMac, NotPermitted, PoolRow, Refused,
    ReloadError, ReloadReport, ShowError, Version,
};
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// What the agent has to say, and what it does when it is told to.
///
/// What is read comes from a published snapshot and takes no lock that a reconcile holds. What changes something is handed to
/// the task that changes the host; its future is not dropped when the client hangs up, and the change is durable when it
/// returns.
pub trait Operator: Send + Sync + 'static {
    /// Whether whoever is at the other end of `connection` may change anything. Asked once, when it has connected; root and
    /// the user that the agent runs as are not asked about.
    ///
    /// Errors: it may only read.
    fn may_change(&self, connection: BorrowedFd<'_>) -> Result<(), NotPermitted>;

    /// Every VM link, in the order in which it is to be shown.
    fn list(&self) -> Vec<LinkRow>;

    /// Everything about the link that `key` names, found with [`resolve`](crate::resolve).
    ///
    /// Errors: those of `resolve`.
    fn show(&self, key: &str) -> impl Future<Output = Result<LinkDetail, ShowError>> + Send;

    /// Changes whenever [`Operator::list`] may have changed; the number itself says nothing.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Every event from now on.
    fn events(&self) -> broadcast::Receiver<Arc<Event>>;

    /// The agent's version.
    fn version(&self) -> Version;

    /// Why the link that `key` names gets what it gets; for an address that no VM has, who could have it.
    ///
    /// Errors: those of `resolve` for what is no address.
    fn explain(&self, key: &str) -> impl Future<Output = Result<Explanation, ShowError>> + Send;

    /// The use of every pool, in the order of the config.
    fn pools(&self) -> impl Future<Output = Vec<PoolRow>> + Send;

    /// Reserves `address` for the link called `link`, which need not exist yet, in place of what was bound to it before.
    ///
    /// Errors: the address is in no subnet of the link's network, or another's.
    fn bind(
        &self,
        link: &str,
        address: Ipv4Addr,
    ) -> impl Future<Output = Result<Done, Refused>> + Send;

    /// Ends the reservation that [`Operator::bind`] made for the link called `link`.
    ///
    /// Errors: there is none.
    fn unbind(&self, link: &str) -> impl Future<Output = Result<Done, Refused>> + Send;

    /// Gives back the address that is allocated to what `key` names, which may be the address itself, of a VM long gone.
    ///
    /// Errors: those of `resolve`; nothing is allocated to it.
    fn release(&self, key: &str) -> impl Future<Output = Result<Done, Refused>> + Send;

    /// Reads the config again and applies it, whole or not at all. With `force` also when VMs lose their address by it.
    fn reload(&self, force: bool)
    -> impl Future<Output = Result<ReloadReport, ReloadError>> + Send;

    /// A free address of the network called `network`, or of the only one whose VMs carry their address in their MAC.
    ///
    /// Errors: no such network, or none of that kind, or several; no address is free.
    fn mac_next(
        &self,
        network: Option<&str>,
    ) -> impl Future<Output = Result<NextMac, Refused>> + Send;

    /// The whole store, as the text of a JSON document.
    ///
    /// Errors: the store cannot be read.
    fn export(&self) -> impl Future<Output = Result<String, Refused>> + Send;

    /// Replaces the whole store by `document`, a text that [`Operator::export`] gave; returns what was done, in a sentence.
    ///
    /// Errors: the text is no such document, or contradicts itself or the running VMs; the store cannot be written.
    fn import(&self, document: String) -> impl Future<Output = Result<String, Refused>> + Send;
}
