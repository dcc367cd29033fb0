use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::methods::{answer, changes};
use crate::streams::{Ends, stream, streams};
use crate::{CALL_LIMIT, DOCUMENT_LIMIT, NotPermitted, Operator};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// How many clients are served at the same time.
pub const CLIENT_LIMIT: usize = 64;

/// How often in a row `accept` may fail, with [`ACCEPT_PAUSE`] after each time: a minute without a descriptor to spare.
const ACCEPT_ATTEMPTS: u32 = 600;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers every client of `listener` until the future is dropped, which hangs up on all of them.
///
/// Errors: `accept` has failed for a minute, as it does when the process has no file descriptors left.
pub async fn serve(listener: UnixListener, operator: Arc<impl Operator>) -> io::Result<()> {
    let own_uid = UnixStream::pair()?.0.peer_cred()?.uid();
    let mut clients = JoinSet::new();
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        while clients.try_join_next().is_some() {}
        match accepted {
            Ok((connection, _)) if clients.len() < CLIENT_LIMIT => {
                let caller = Caller::of(&connection, own_uid, &*operator);
                clients.spawn(converse(connection, caller, Arc::clone(&operator)));
                failures = 0;
            }
            // That the client does not get to know why it was turned away is no reason to stop.
            Ok((connection, _)) => drop(turn_away(connection)),
            Err(error) if failures == ACCEPT_ATTEMPTS => return Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What a client may do. The kernel says who it is (`SO_PEERCRED`, the effective user at `connect`).
struct Caller {
    /// How many bytes of a call the agent holds for it.
    limit: usize,
    may_change: Result<(), NotPermitted>,
}

impl Caller {
    fn of(connection: &UnixStream, own_uid: u32, operator: &impl Operator) -> Self {
        let peer_uid = connection.peer_cred().map(|peer| peer.uid()).ok();
        if is_trusted(peer_uid, own_uid) {
            // Who could fill the agent's memory anyway may send a document.
            return Self {
                limit: DOCUMENT_LIMIT,
                may_change: Ok(()),
            };
        }
        let may_change = operator.may_change(connection.as_fd());
        Self {
            limit: if may_change.is_ok() {
                DOCUMENT_LIMIT
            } else {
                CALL_LIMIT
            },
            may_change,
        }
    }
}

/// Root, and the agent's own user.
fn is_trusted(peer_uid: Option<u32>, own_uid: u32) -> bool {
    peer_uid.is_some_and(|uid| uid == 0 || uid == own_uid)
}

/// Says `Busy` without waiting: the send buffer of a new connection is empty.
fn turn_away(connection: UnixStream) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(&Fault::Busy {})?;
    bytes.push(0);
    connection.into_std()?.write_all(&bytes)
}

/// Answers the calls of one client, in their order, until it hangs up or sends what is no call.
async fn converse(
    connection: UnixStream,
    caller: Caller,
    operator: Arc<impl Operator>,
) -> io::Result<()> {
    let (calls, mut replies) = connection.into_split();
    let Caller { limit, may_change } = caller;
    let mut calls = Messages::new(calls, limit);
    loop {
        let message = match calls.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return send(&mut replies, &Fault::TooLong { limit }).await;
            }
            Err(error) => return Err(error),
        };
        let call: Call = serde_json::from_slice(&message)?;
        drop(message);
        let oneway = call.oneway;
        if streams(&call.method) && call.more && !oneway {
            let ends = Ends {
                calls: &mut calls,
                replies: &mut replies,
            };
            stream(call, ends, &*operator).await?;
            continue;
        }
        let answer = if changes(&call.method) {
            match &may_change {
                Ok(()) => answer(call, &*operator).await,
                Err(not_permitted) => Err(not_permitted.clone().into()),
            }
        } else {
            tokio::select! {
                // What can be answered at once is, also to a client that has nothing more to say.
                biased;
                answer = answer(call, &*operator) => answer,
                () = calls.hang_up() => return Ok(()),
            }
        };
        match answer {
            _ if oneway => {}
            Ok(parameters) => {
                let reply = Reply {
                    parameters,
                    continues: false,
                };
                send(&mut replies, &reply).await?;
            }
            Err(fault) => send(&mut replies, &fault).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_agents_own_user_are_trusted() {
        let table = [
            (Some(0), true),
            (Some(900), true),
            (Some(1000), false),
            (None, false),
        ];
        for (peer_uid, trusted) in table {
            assert_eq!(is_trusted(peer_uid, 900), trusted, "{peer_uid:?}");
        }
    }
}
