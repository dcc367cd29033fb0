use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::{
    CALL_LIMIT, DESCRIPTION, Event, INTERFACE, LinkDetail, LinkRow, ShowError, State, Version,
    resolve,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// How many clients are served at the same time.
pub const CLIENT_LIMIT: usize = 64;

const SERVICE: &str = "org.varlink.service";
const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");

/// How often in a row `accept` may fail, with [`ACCEPT_PAUSE`] after each time: a minute without a descriptor to spare.
const ACCEPT_ATTEMPTS: u32 = 600;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the agent has to say. All of it comes from a published snapshot and takes no lock that a reconcile holds.
pub trait Operator: Send + Sync + 'static {
    /// Every VM link, in the order in which it is to be shown.
    fn list(&self) -> Vec<LinkRow>;

    /// Everything about the link that `key` names, found with [`resolve`].
    ///
    /// Errors: those of [`resolve`].
    fn show(&self, key: &str) -> impl Future<Output = Result<LinkDetail, ShowError>> + Send;

    /// Changes whenever [`Operator::list`] may have changed; the number itself says nothing.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Every event from now on.
    fn events(&self) -> broadcast::Receiver<Event>;

    /// The agent's version.
    fn version(&self) -> Version;
}

/// Answers every client of `listener` until the future is dropped, which hangs up on all of them.
///
/// Errors: `accept` has failed for a minute, as it does when the process has no file descriptors left.
pub async fn serve(listener: UnixListener, operator: Arc<impl Operator>) -> io::Result<()> {
    let mut clients = JoinSet::new();
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        while clients.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if clients.len() < CLIENT_LIMIT => {
                clients.spawn(converse(stream, Arc::clone(&operator)));
                failures = 0;
            }
            // That the client does not get to know why it was turned away is no reason to stop.
            Ok((stream, _)) => drop(turn_away(stream)),
            Err(error) if failures == ACCEPT_ATTEMPTS => return Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says `Busy` without waiting: the send buffer of a new connection is empty.
fn turn_away(stream: UnixStream) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(&Fault::Busy {})?;
    bytes.push(0);
    stream.into_std()?.write_all(&bytes)
}

/// A call as it arrives, <https://varlink.org/Method-Call>.
#[derive(Deserialize)]
struct Call {
    method: String,
    parameters: Option<Map<String, Value>>,
    #[serde(default)]
    oneway: bool,
    #[serde(default)]
    more: bool,
    #[serde(default)]
    upgrade: bool,
}

#[derive(Serialize)]
struct Reply {
    parameters: Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

/// Answers the calls of one client, in their order, until it hangs up or sends what is no call.
async fn converse(stream: UnixStream, operator: Arc<impl Operator>) -> io::Result<()> {
    let (calls, mut replies) = stream.into_split();
    let mut calls = Messages::new(calls, CALL_LIMIT);
    while let Some(message) = calls.next().await? {
        let call: Call = serde_json::from_slice(&message)?;
        let oneway = call.oneway;
        if call.method == "io.slash32.Agent.Events" && call.more && !oneway {
            stream_events(call, &mut calls, &mut replies, &*operator).await?;
            continue;
        }
        let answer = tokio::select! {
            // What can be answered at once is, also to a client that has nothing more to say.
            biased;
            answer = answer(call, &*operator) => answer,
            () = calls.hang_up() => return Ok(()),
        };
        match answer {
            _ if oneway => {}
            Ok(parameters) => {
                send(
                    &mut replies,
                    &Reply {
                        parameters,
                        continues: false,
                    },
                )
                .await?
            }
            Err(fault) => send(&mut replies, &fault).await?,
        }
    }
    Ok(())
}

async fn answer(call: Call, operator: &impl Operator) -> Result<Value, Fault> {
    if call.upgrade {
        return Err(Fault::MethodNotImplemented {
            method: call.method,
        });
    }
    let mut parameters = Parameters(call.parameters.unwrap_or_default());
    match call.method.as_str() {
        "io.slash32.Agent.List" => {
            parameters.end()?;
            Ok(json!({ "links": operator.list() }))
        }
        "io.slash32.Agent.Show" => {
            let key = parameters.text("key")?;
            parameters.end()?;
            Ok(json!({ "link": operator.show(&key).await? }))
        }
        "io.slash32.Agent.Wait" => {
            let key = parameters.text("key")?;
            let state = parameters
                .text("state")?
                .parse()
                .map_err(|_| Fault::parameter("state"))?;
            let timeout = Duration::from_millis(parameters.number("timeout_ms")?);
            parameters.end()?;
            Ok(json!({ "link": wait(key, state, timeout, operator).await? }))
        }
        "io.slash32.Agent.Events" => Err(Fault::ExpectedMore {}),
        "io.slash32.Agent.Version" => {
            parameters.end()?;
            Ok(json!(operator.version()))
        }
        "org.varlink.service.GetInfo" => {
            parameters.end()?;
            Ok(json!({
                "vendor": "slash32",
                "product": "slash32-agent",
                "version": operator.version().version,
                "url": "",
                "interfaces": [SERVICE, INTERFACE],
            }))
        }
        "org.varlink.service.GetInterfaceDescription" => {
            let interface = parameters.text("interface")?;
            parameters.end()?;
            match interface.as_str() {
                SERVICE => Ok(json!({ "description": SERVICE_DESCRIPTION })),
                INTERFACE => Ok(json!({ "description": DESCRIPTION })),
                _ => Err(Fault::InterfaceNotFound { interface }),
            }
        }
        method => Err(match method.rsplit_once('.') {
            Some((SERVICE | INTERFACE, _)) => Fault::MethodNotFound {
                method: method.to_owned(),
            },
            Some((interface, _)) => Fault::InterfaceNotFound {
                interface: interface.to_owned(),
            },
            None => Fault::InterfaceNotFound {
                interface: method.to_owned(),
            },
        }),
    }
}

/// The row of the link that `key` names, as soon as it is in `state`; the link need not exist yet.
async fn wait(
    key: String,
    state: State,
    timeout: Duration,
    operator: &impl Operator,
) -> Result<LinkRow, Fault> {
    let mut changes = operator.changes();
    let arrival = async {
        loop {
            // Marked as seen before the look, so that a change during it is not slept over.
            changes.borrow_and_update();
            match resolve(&operator.list(), &key) {
                Ok(row) if row.state.satisfies(state) => return Ok(row.clone()),
                Ok(_) | Err(ShowError::NotFound { .. }) => {}
                Err(ambiguous) => return Err(ambiguous.into()),
            }
            if changes.changed().await.is_err() {
                // The agent is stopping, and `serve` is dropped with this.
                std::future::pending::<()>().await;
            }
        }
    };
    if let Ok(arrived) = tokio::time::timeout(timeout, arrival).await {
        return arrived;
    }
    let rows = operator.list();
    let row = resolve(&rows, &key).ok();
    Err(Fault::TimedOut {
        state: row.map(|row| row.state),
        reason: row.and_then(|row| row.reason.clone()),
        key,
    })
}

/// Sends a first reply without an event, then every event, until the client hangs up, has missed some, or the agent stops.
async fn stream_events(
    call: Call,
    calls: &mut Messages<OwnedReadHalf>,
    replies: &mut OwnedWriteHalf,
    operator: &impl Operator,
) -> io::Result<()> {
    if call.upgrade {
        return send(
            replies,
            &Fault::MethodNotImplemented {
                method: call.method,
            },
        )
        .await;
    }
    if let Err(fault) = Parameters(call.parameters.unwrap_or_default()).end() {
        return send(replies, &fault).await;
    }
    let mut events = operator.events();
    send(
        replies,
        &Reply {
            parameters: json!({ "event": null }),
            continues: true,
        },
    )
    .await?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = calls.hang_up() => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        match event {
            Ok(event) => {
                send(
                    replies,
                    &Reply {
                        parameters: json!({ "event": event }),
                        continues: true,
                    },
                )
                .await?
            }
            Err(broadcast::error::RecvError::Lagged(count)) => {
                return send(replies, &Fault::Missed { count }).await;
            }
            Err(broadcast::error::RecvError::Closed) => {
                return send(
                    replies,
                    &Reply {
                        parameters: json!({ "event": null }),
                        continues: false,
                    },
                )
                .await;
            }
        }
    }
}

/// The parameters of a call, taken out one by one: a wrong, missing or unknown one is named in the answer.
struct Parameters(Map<String, Value>);

impl Parameters {
    fn text(&mut self, name: &str) -> Result<String, Fault> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Fault::parameter(name)),
        }
    }

    fn number(&mut self, name: &str) -> Result<u64, Fault> {
        self.0
            .remove(name)
            .as_ref()
            .and_then(Value::as_u64)
            .ok_or_else(|| Fault::parameter(name))
    }

    fn end(self) -> Result<(), Fault> {
        self.0
            .keys()
            .next()
            .map_or(Ok(()), |name| Err(Fault::parameter(name)))
    }
}
