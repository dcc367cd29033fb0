use crate::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call as it arrives, <https://varlink.org/Method-Call>.
#[derive(Deserialize)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) oneway: bool,
    #[serde(default)]
    pub(crate) more: bool,
    #[serde(default)]
    upgrade: bool,
}

impl Call {
    /// The parameters. Errors: the call wants another protocol on this connection, which there is none of.
    pub(crate) fn parameters(self) -> Result<Parameters, Fault> {
        if self.upgrade {
            return Err(Fault::MethodNotImplemented {
                method: self.method,
            });
        }
        Ok(Parameters(self.parameters.unwrap_or_default()))
    }
}

/// The answer to a call.
#[derive(Serialize)]
pub(crate) struct Reply {
    pub(crate) parameters: Value,
    /// More replies to the same call follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) continues: bool,
}

/// The parameters of a call, taken out one by one: a wrong, missing or unknown one is named in the answer.
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Fault> {
        self.text_or_null(name)?
            .ok_or_else(|| Fault::parameter(name))
    }

    /// A text; `None` where it is null or missing.
    pub(crate) fn text_or_null(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::parameter(name)),
        }
    }

    /// A text that stands for a `T`.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, Fault> {
        self.text(name)?.parse().map_err(|_| Fault::parameter(name))
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<u64, Fault> {
        self.0
            .remove(name)
            .as_ref()
            .and_then(Value::as_u64)
            .ok_or_else(|| Fault::parameter(name))
    }

    pub(crate) fn truth(&mut self, name: &str) -> Result<bool, Fault> {
        self.0
            .remove(name)
            .as_ref()
            .and_then(Value::as_bool)
            .ok_or_else(|| Fault::parameter(name))
    }

    pub(crate) fn end(self) -> Result<(), Fault> {
        self.0
            .keys()
            .next()
            .map_or(Ok(()), |name| Err(Fault::parameter(name)))
    }
}
