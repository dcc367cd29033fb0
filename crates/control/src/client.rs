use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::{Event, LinkDetail, LinkRow, ShowError, State, Version};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The most bytes that an answer may have: some 100,000 links.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// How long an agent that is alive may take to answer, beside what it was asked to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error(
        "the agent does not answer at {} ({why}): is slash32-agent running? \
         (systemctl status slash32-agent; another socket: --socket PATH or SLASH32_SOCKET)",
        path.display()
    )]
    Absent {
        /// The socket.
        path: PathBuf,
        /// "no such file" or "connection refused".
        why: &'static str,
    },
    /// The socket may not be opened.
    #[error("no permission to open {}: be root, or a member of the group that owns it", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be used for another reason, or the connection broke.
    #[error("cannot talk to the agent at {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The agent took the connection and then said nothing.
    #[error(
        "the agent at {} took the call and did not answer within {} s: \
         is it stopped or overloaded? (systemctl status slash32-agent)",
        path.display(),
        PATIENCE.as_secs()
    )]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// The agent closed the connection before it answered.
    #[error(
        "the agent closed the connection: has it been stopped? (systemctl status slash32-agent)"
    )]
    Closed,
    /// The answer is not what this program expects.
    #[error(
        "the answer of the agent is not understood: is it of another version than this program?"
    )]
    NotUnderstood(#[from] serde_json::Error),
    /// The agent does not know the call.
    #[error("the agent refused the call ({error}): is it of another version than this program?")]
    Refused {
        /// The varlink name of the error.
        error: String,
    },
    /// As many clients as the agent serves are connected.
    #[error("the agent serves as many clients as it can: end one of them, or try again later")]
    Busy,
    /// The key does not name one link.
    #[error(transparent)]
    Key(#[from] ShowError),
    /// The link did not get there in time.
    #[error("{}", timed_out(key, *wanted, *timeout, *state, reason.as_deref()))]
    TimedOut {
        /// The key.
        key: String,
        /// The state that was waited for.
        wanted: State,
        /// For how long.
        timeout: Duration,
        /// The state that the link is in; `None` when there is no such link.
        state: Option<State>,
        /// Why it is in that state.
        reason: Option<String>,
    },
    /// Events were lost because they were not read in time.
    #[error(
        "{count} events were lost because this program did not read them in time: start it again"
    )]
    Missed {
        /// How many.
        count: u64,
    },
}

fn timed_out(
    key: &str,
    wanted: State,
    timeout: Duration,
    state: Option<State>,
    reason: Option<&str>,
) -> String {
    let after = if timeout.is_zero() {
        String::new()
    } else {
        format!(" after {timeout:?}")
    };
    let now = match (state, reason) {
        (None, _) => "there is no such link, VM, address or UUID".to_owned(),
        (Some(state), None) => format!("it is {state}"),
        (Some(state), Some(reason)) => format!("it is {state} ({reason})"),
    };
    format!("{key} is not {wanted}{after}: {now}")
}

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
struct Links {
    links: Vec<LinkRow>,
}

#[derive(Deserialize)]
struct Link<T> {
    link: T,
}

#[derive(Deserialize)]
struct Happened {
    event: Option<Event>,
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
                io::ErrorKind::PermissionDenied => ClientError::Denied { path },
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

    /// Waits until the link that `key` names is in `wanted`; it need not exist yet. `timeout` is rounded down to
    /// milliseconds; with zero the agent looks once.
    ///
    /// Errors: [`ClientError::TimedOut`]; [`ClientError::Key`] for an ambiguous key.
    pub async fn wait(
        &mut self,
        key: &str,
        wanted: State,
        timeout: Duration,
    ) -> Result<LinkRow, ClientError> {
        // Varlink's int is signed.
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let parameters = json!({ "key": key, "state": wanted, "timeout_ms": milliseconds });
        let answer = self
            .call("Wait", parameters, timeout.saturating_add(PATIENCE))
            .await;
        match answer {
            Ok(Link { link }) => Ok(link),
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
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Ok(Err(source)) => Err(self.broken(source)),
            Err(_) => Err(ClientError::Silent {
                path: self.path.clone(),
            }),
        }
    }

    async fn receive<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T, Failure> {
        match tokio::time::timeout(patience, self.reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(ClientError::Silent {
                path: self.path.clone(),
            }
            .into()),
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
            Err(_) => ClientError::Refused { error }.into(),
        })
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

/// An error reply, or another reason why there is no reply.
enum Failure {
    Fault(Fault),
    Other(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Other(error) => error,
            Failure::Fault(Fault::NotFound { key }) => ShowError::NotFound { key }.into(),
            Failure::Fault(Fault::Ambiguous { key, links }) => {
                ShowError::Ambiguous { key, links }.into()
            }
            Failure::Fault(Fault::Missed { count }) => Self::Missed { count },
            Failure::Fault(Fault::Busy {}) => Self::Busy,
            Failure::Fault(fault) => Self::Refused {
                error: fault.name(),
            },
        }
    }
}

/// The agent's events, in their order.
#[derive(Debug)]
pub struct Events {
    client: Client,
    next: Option<Event>,
    more: bool,
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
