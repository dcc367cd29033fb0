use crate::{LinkRow, NotPermitted, Refused, ReloadError, ShowError, State};
use serde::{Deserialize, Serialize};

/// Every error that a reply can carry, by its name on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "error", content = "parameters")]
pub(crate) enum Fault {
    #[serde(rename = "org.varlink.service.InterfaceNotFound")]
    InterfaceNotFound { interface: String },
    #[serde(rename = "org.varlink.service.MethodNotFound")]
    MethodNotFound { method: String },
    #[serde(rename = "org.varlink.service.MethodNotImplemented")]
    MethodNotImplemented { method: String },
    #[serde(rename = "org.varlink.service.InvalidParameter")]
    InvalidParameter { parameter: String },
    #[serde(rename = "org.varlink.service.ExpectedMore")]
    ExpectedMore {},
    #[serde(rename = "io.slash32.Agent.NotFound")]
    NotFound { key: String },
    #[serde(rename = "io.slash32.Agent.Ambiguous")]
    Ambiguous { key: String, links: Vec<String> },
    #[serde(rename = "io.slash32.Agent.TimedOut")]
    TimedOut {
        key: String,
        state: Option<State>,
        reason: Option<String>,
    },
    #[serde(rename = "io.slash32.Agent.Missed")]
    Missed { count: u64 },
    #[serde(rename = "io.slash32.Agent.Refused")]
    Refused { reason: String },
    #[serde(rename = "io.slash32.Agent.NotPermitted")]
    NotPermitted { reason: String },
    #[serde(rename = "io.slash32.Agent.ConfigRejected")]
    ConfigRejected { text: String },
    #[serde(rename = "io.slash32.Agent.WouldLose")]
    WouldLose { links: Vec<LinkRow> },
    #[serde(rename = "io.slash32.Agent.TooLong")]
    TooLong { limit: usize },
    #[serde(rename = "io.slash32.Agent.Busy")]
    Busy {},
}

impl Fault {
    pub(crate) fn parameter(name: &str) -> Self {
        Self::InvalidParameter {
            parameter: name.to_owned(),
        }
    }

    /// The name on the wire.
    pub(crate) fn name(&self) -> String {
        let reply = serde_json::to_value(self).unwrap_or_default();
        reply["error"].as_str().unwrap_or_default().to_owned()
    }
}

impl From<ShowError> for Fault {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::NotFound { key } => Self::NotFound { key },
            ShowError::Ambiguous { key, links } => Self::Ambiguous { key, links },
        }
    }
}

impl From<Refused> for Fault {
    fn from(Refused { reason }: Refused) -> Self {
        Self::Refused { reason }
    }
}

impl From<NotPermitted> for Fault {
    fn from(NotPermitted { reason }: NotPermitted) -> Self {
        Self::NotPermitted { reason }
    }
}

impl From<ReloadError> for Fault {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Config { text } => Self::ConfigRejected { text },
            ReloadError::WouldLose { links } => Self::WouldLose { links },
            ReloadError::Refused(refused) => refused.into(),
        }
    }
}
