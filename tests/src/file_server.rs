use crate::{Namespace, http, tftp};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A file that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// `RRQ` (TFTP), `GET` or `HEAD` (HTTP).
    pub method: &'static str,
    /// The file's name; over HTTP without the first slash and with the query.
    pub path: String,
    /// Who asked.
    pub from: Ipv4Addr,
    /// All of it went out, and over TFTP it was acknowledged. False: there is no such file, or the client stopped.
    pub complete: bool,
}

/// A server of a few files, over TFTP (RFC 1350, RFC 2347, RFC 2348, RFC 2349) and over HTTP/1.1, from an address of its
/// own in a namespace. It keeps a record of what was asked for.
pub struct FileServer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a server have in common.
pub(crate) struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    requests: Mutex<Vec<Request>>,
    over: AtomicBool,
}

/// How often a thread looks whether the server is over.
pub(crate) const TICK: Duration = Duration::from_millis(50);

impl FileServer {
    /// Gives `namespace` the address (on its loopback link) and serves `files`, by name, from there.
    pub fn start<'f>(
        namespace: &Namespace,
        address: Ipv4Addr,
        files: impl IntoIterator<Item = (&'f str, Vec<u8>)>,
    ) -> Result<Self> {
        namespace.ip(&format!("addr replace {address}/32 dev lo"))?;
        let files = files.into_iter();
        let shared = Arc::new(Shared {
            files: files.map(|(name, file)| (name.to_owned(), file)).collect(),
            requests: Mutex::default(),
            over: AtomicBool::new(false),
        });
        // A thread is in the network namespace of the one that started it.
        let threads = namespace.inside(|| {
            let web = TcpListener::bind((address, 80)).context("cannot serve HTTP")?;
            web.set_nonblocking(true)?;
            let tftp = UdpSocket::bind((address, 69)).context("cannot serve TFTP")?;
            tftp.set_read_timeout(Some(TICK))?;
            let (one, other) = (shared.clone(), shared.clone());
            Ok(vec![
                std::thread::spawn(move || http::serve(&web, &one)),
                std::thread::spawn(move || tftp::serve(&tftp, &other)),
            ])
        })?;
        Ok(Self { shared, threads })
    }

    /// What was asked for so far, in the order in which the answers ended.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }

    /// Waits for a request that `wanted` accepts, at most for `bound`; earlier ones count too.
    ///
    /// Errors: there is none; what was asked for instead is in the error.
    pub fn wait_for(
        &self,
        what: &str,
        bound: Duration,
        wanted: impl Fn(&Request) -> bool,
    ) -> Result<Request> {
        crate::until(what, bound, || {
            Ok(self.requests().into_iter().find(&wanted))
        })
        .with_context(|| format!("asked for was {:#?}", self.requests()))
    }

    /// Waits until all of the file `path` was fetched with `method`, at most for `bound`.
    pub fn wait_fetched(&self, method: &str, path: &str, bound: Duration) -> Result<Request> {
        self.wait_for(&format!("{method} {path}"), bound, |request| {
            request.method == method && request.path == path && request.complete
        })
    }
}

impl Shared {
    /// The file called `path`; a query is no part of the name.
    pub(crate) fn file(&self, path: &str) -> Option<&[u8]> {
        let name = path.split('?').next().unwrap_or(path);
        self.files.get(name).map(Vec::as_slice)
    }

    /// Notes what was asked for.
    pub(crate) fn note(&self, method: &'static str, path: &str, from: SocketAddr, complete: bool) {
        let SocketAddr::V4(from) = from else { return };
        self.requests().push(Request {
            method,
            path: path.to_owned(),
            from: *from.ip(),
            complete,
        });
    }

    /// The server was dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
