use crate::fault::Fault;
use crate::{GROUP, NotPermitted, Refused, ReloadError, ShowError, State};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

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
    #[error("you may not talk to the agent at {}: {}", path.display(), denied(*group))]
    Denied {
        /// The socket.
        path: PathBuf,
        /// The gid that the socket belongs to; `None` where that cannot be seen.
        group: Option<u32>,
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
        patience.as_secs()
    )]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited, beside what the agent was asked to wait for.
        patience: Duration,
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
    NotAccepted {
        /// The varlink name of the error.
        error: String,
    },
    /// The call has more bytes than the agent takes from this user.
    #[error(
        "the agent takes at most {limit} bytes of this user in one call; only who may change things may send a whole store"
    )]
    TooLong {
        /// The most bytes that a call may have.
        limit: usize,
    },
    /// The agent does not do what it was asked, and nothing has changed.
    #[error(transparent)]
    Operation(#[from] Refused),
    /// This user may read, and not change anything.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The running config stays in force.
    #[error(transparent)]
    Reload(ReloadError),
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

/// What to do about a socket of this group that may not be opened.
fn denied(group: Option<u32>) -> String {
    if group == Some(0) {
        format!(
            "only root may: run this with sudo, or make the group {GROUP} (groupadd --system {GROUP}), become a member and \
             restart slash32-agent"
        )
    } else {
        format!(
            "you are not in its group, which is {GROUP}: run this with sudo, or become a member (usermod -aG {GROUP} USER) \
             and log in again"
        )
    }
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

/// An error reply, or another reason why there is no reply.
pub(super) enum Failure {
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
            Failure::Fault(Fault::TooLong { limit }) => Self::TooLong { limit },
            Failure::Fault(Fault::Refused { reason }) => Self::Operation(Refused { reason }),
            Failure::Fault(Fault::NotPermitted { reason }) => {
                Self::NotPermitted(NotPermitted { reason })
            }
            Failure::Fault(Fault::ConfigRejected { text }) => {
                Self::Reload(ReloadError::Config { text })
            }
            Failure::Fault(Fault::WouldLose { links }) => {
                Self::Reload(ReloadError::WouldLose { links })
            }
            Failure::Fault(fault) => Self::NotAccepted {
                error: fault.name(),
            },
        }
    }
}
