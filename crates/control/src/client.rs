mod error;
mod streams;

use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::{
    Done, Explanation, LinkDetail, LinkRow, NextMac, PoolRow, ReloadReport, State, Version,
};
use error::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

pub use error::ClientError;
pub use streams::{Events, Watch};
use streams::{Happened, Links};

/// The most bytes that an answer may have: some 100,000 links.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// How long an agent that is alive may take to answer, beside what it was asked to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to change something: a whole store is written durably, a config is applied to every link.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the agent. After an error other than [`ClientError::Key`] and [`ClientError::TimedOut`] it is of no
/// further use.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    replies: Messages<OwnedReadHalf>,
    calls: OwnedWriteHalf,
}

#[derive(Deserialize)]
struct Reply<T> {
    parameters: T,
    #[serde(default)]
    continues: bool,
}

#[derive(Deserialize)]
struct Link<T> {
    link: T,
}

#[derive(Deserialize)]
struct Explained {
    explanation: Explanation,
}

#[derive(Deserialize)]
struct Pools {
    pools: Vec<PoolRow>,
}

#[derive(Deserialize)]
struct Document {
    document: String,
}

#[derive(Deserialize)]
struct Imported {
    done: String,
}

impl Client {
    /// Connects to the agent that listens at `path`.
    ///
    /// Errors: [`ClientError::Absent`], [`ClientError::Denied`], [`ClientError::Io`].
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let path = path.to_owned();
        match UnixStream::connect(&path).await {
            Ok(stream) => {
                let (replies, calls) = stream.into_split();
                Ok(Self {
                    path,
                    replies: Messages::new(replies, ANSWER_LIMIT),
                    calls,
                })
            }
            Err(source) => Err(match source.kind() {
                io::ErrorKind::NotFound => ClientError::Absent {
                    path,
                    why: "no such file",
                },
                io::ErrorKind::ConnectionRefused => ClientError::Absent {
                    path,
                    why: "connection refused",
                },
                io::ErrorKind::PermissionDenied => ClientError::Denied {
                    group: std::fs::metadata(&path).ok().map(|socket| socket.gid()),
                    path,
                },
                _ => ClientError::Io { path, source },
            }),
        }
    }

    /// Every VM link.
    pub async fn list(&mut self) -> Result<Vec<LinkRow>, ClientError> {
        let Links { links } = self.call("List", json!({}), PATIENCE).await?;
        Ok(links)
    }

    /// Everything about the link that `key` names (see [`crate::resolve`]).
    pub async fn show(&mut self, key: &str) -> Result<LinkDetail, ClientError> {
        let Link { link } = self.call("Show", json!({ "key": key }), PATIENCE).await?;
        Ok(link)
    }

    /// Waits until the link that `key` names is in `wanted`, or all links of the VM that it names; there need be none yet.
    /// Returns them in the order in which they came. `timeout` is rounded down to milliseconds; with zero the agent looks once.
    ///
    /// Errors: [`ClientError::TimedOut`].
    pub async fn wait(
        &mut self,
        key: &str,
        wanted: State,
        timeout: Duration,
    ) -> Result<Vec<LinkRow>, ClientError> {
        // Varlink's int is signed.
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let parameters = json!({ "key": key, "state": wanted, "timeout_ms": milliseconds });
        let answer = self
            .call("Wait", parameters, timeout.saturating_add(PATIENCE))
            .await;
        match answer {
            Ok(Links { links }) => Ok(links),
            Err(Failure::Fault(Fault::TimedOut { key, state, reason })) => {
                Err(ClientError::TimedOut {
                    key,
                    wanted,
                    timeout,
                    state,
                    reason,
                })
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Why the link that `key` names gets what it gets; `key` may be an address that no VM has.
    pub async fn explain(&mut self, key: &str) -> Result<Explanation, ClientError> {
        let parameters = json!({ "key": key });
        let Explained { explanation } = self.call("Explain", parameters, PATIENCE).await?;
        Ok(explanation)
    }

    /// The use of every pool.
    pub async fn pools(&mut self) -> Result<Vec<PoolRow>, ClientError> {
        let Pools { pools } = self.call("Pools", json!({}), PATIENCE).await?;
        Ok(pools)
    }

    /// Reserves `address` for the link called `link`, which need not exist yet.
    ///
    /// Errors: [`ClientError::Operation`] when the agent does not do it.
    pub async fn bind(&mut self, link: &str, address: Ipv4Addr) -> Result<Done, ClientError> {
        let parameters = json!({ "link": link, "address": address });
        Ok(self.call("Bind", parameters, CHANGE_PATIENCE).await?)
    }

    /// Ends the reservation that [`Client::bind`] made.
    ///
    /// Errors: [`ClientError::Operation`] when there is none.
    pub async fn unbind(&mut self, link: &str) -> Result<Done, ClientError> {
        let parameters = json!({ "link": link });
        Ok(self.call("Unbind", parameters, CHANGE_PATIENCE).await?)
    }

    /// Gives back the address that is allocated to what `key` names: a link, a VM or the address itself.
    ///
    /// Errors: [`ClientError::Operation`] when there is none.
    pub async fn release(&mut self, key: &str) -> Result<Done, ClientError> {
        let parameters = json!({ "key": key });
        Ok(self.call("Release", parameters, CHANGE_PATIENCE).await?)
    }

    /// Applies the config as it is in its files now; with `force` also when VMs lose their address by it.
    ///
    /// Errors: [`ClientError::Reload`], and the running config stays in force.
    pub async fn reload(&mut self, force: bool) -> Result<ReloadReport, ClientError> {
        let parameters = json!({ "force": force });
        Ok(self.call("Reload", parameters, CHANGE_PATIENCE).await?)
    }

    /// A free address of a network whose VMs carry their address in their MAC; `None` for the only such network.
    ///
    /// Errors: [`ClientError::Operation`] when there is none.
    pub async fn mac_next(&mut self, network: Option<&str>) -> Result<NextMac, ClientError> {
        let parameters = json!({ "network": network });
        Ok(self.call("NextMac", parameters, PATIENCE).await?)
    }

    /// The whole store, as the text of a JSON document.
    ///
    /// Errors: [`ClientError::Operation`] when the store cannot be read.
    pub async fn export(&mut self) -> Result<String, ClientError> {
        let Document { document } = self.call("Export", json!({}), CHANGE_PATIENCE).await?;
        Ok(document)
    }

    /// Replaces the whole store by `document`, the text that [`Client::export`] gave; returns what was done, in a sentence.
    ///
    /// Errors: [`ClientError::Operation`], and the store is as it was; [`ClientError::TooLong`] for a document that this user
    /// may not send.
    pub async fn import(&mut self, document: &str) -> Result<String, ClientError> {
        let parameters = json!({ "document": document });
        let Imported { done } = self.call("Import", parameters, CHANGE_PATIENCE).await?;
        Ok(done)
    }

    /// The agent's version.
    pub async fn version(&mut self) -> Result<Version, ClientError> {
        Ok(self.call("Version", json!({}), PATIENCE).await?)
    }

    /// Every event from the moment this returns.
    pub async fn events(mut self) -> Result<Events, ClientError> {
        self.send("Events", json!({}), true).await?;
        let first: Reply<Happened> = self.receive(PATIENCE).await?;
        let Happened { event: next } = first.parameters;
        Ok(Events {
            client: self,
            next,
            more: first.continues,
        })
    }

    /// Every link, now and after each change.
    pub async fn watch(mut self) -> Result<Watch, ClientError> {
        self.send("Watch", json!({}), true).await?;
        let first: Reply<Links> = self.receive(PATIENCE).await?;
        Ok(Watch {
            client: self,
            next: Some(first.parameters.links),
            more: first.continues,
        })
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: Value,
        patience: Duration,
    ) -> Result<T, Failure> {
        self.send(method, parameters, false).await?;
        Ok(self.receive::<Reply<T>>(patience).await?.parameters)
    }

    async fn send(
        &mut self,
        method: &str,
        parameters: Value,
        more: bool,
    ) -> Result<(), ClientError> {
        let mut call =
            json!({ "method": format!("{}.{method}", crate::INTERFACE), "parameters": parameters });
        if more {
            call["more"] = Value::Bool(true);
        }
        match tokio::time::timeout(PATIENCE, send(&mut self.calls, &call)).await {
            Ok(Ok(())) => Ok(()),
            // An agent that turns us away says why before it closes.
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            Ok(Err(source)) => Err(self.broken(source)),
            Err(_) => Err(self.silent(PATIENCE)),
        }
    }

    async fn receive<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T, Failure> {
        match tokio::time::timeout(patience, self.reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(self.silent(patience).into()),
        }
    }

    async fn reply<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let message = match self.replies.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(ClientError::Closed.into()),
            Err(source) => return Err(self.broken(source).into()),
        };
        let reply: Value = serde_json::from_slice(&message).map_err(ClientError::from)?;
        let Some(error) = reply
            .get("error")
            .and_then(Value::as_str)
            .map(str::to_owned)
        else {
            return Ok(serde_json::from_value(reply).map_err(ClientError::from)?);
        };
        Err(match serde_json::from_value(reply) {
            Ok(fault) => Failure::Fault(fault),
            Err(_) => ClientError::NotAccepted { error }.into(),
        })
    }

    fn silent(&self, patience: Duration) -> ClientError {
        ClientError::Silent {
            path: self.path.clone(),
            patience,
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        match source.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => ClientError::Closed,
            _ => ClientError::Io {
                path: self.path.clone(),
                source,
            },
        }
    }
}
