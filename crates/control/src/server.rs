use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::framing::{Messages, send};
use crate::methods::{answer, changes};
use crate::streams::{Ends, stream, streams};
use crate::{CALL_LIMIT, DOCUMENT_LIMIT, Operator};
use std::io::{self, Write};
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
                let peer_uid = connection.peer_cred().map(|peer| peer.uid()).ok();
                let limit = call_limit(peer_uid, own_uid);
                clients.spawn(converse(connection, limit, Arc::clone(&operator)));
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

/// How many bytes of a call the agent holds for a client of this user. Who could fill its memory anyway may send a document;
/// the kernel says who that is (`SO_PEERCRED`, the effective user at `connect`).
fn call_limit(peer_uid: Option<u32>, own_uid: u32) -> usize {
    match peer_uid {
        Some(uid) if uid == 0 || uid == own_uid => DOCUMENT_LIMIT,
        _ => CALL_LIMIT,
    }
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
    limit: usize,
    operator: Arc<impl Operator>,
) -> io::Result<()> {
    let (calls, mut replies) = connection.into_split();
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
            answer(call, &*operator).await
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
    fn only_root_and_the_agents_own_user_may_send_a_document() {
        let table = [
            (Some(0), DOCUMENT_LIMIT),
            (Some(900), DOCUMENT_LIMIT),
            (Some(1000), CALL_LIMIT),
            (None, CALL_LIMIT),
        ];
        for (peer_uid, limit) in table {
            assert_eq!(call_limit(peer_uid, 900), limit, "{peer_uid:?}");
        }
    }
}
