//! One reply a call.

use crate::call::Call;
use crate::fault::Fault;
use crate::{DESCRIPTION, INTERFACE, LinkRow, Operator, ShowError, State, resolve};
use serde_json::{Value, json};
use std::time::Duration;

const SERVICE: &str = "org.varlink.service";
const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");

/// Every method of `io.slash32.Agent`, and whether it changes something: the host, the store or the config in force.
///
/// This is the one place that tells the two kinds apart. A change that was begun goes on when its caller hangs up, and is
/// made only for who may ([`Operator::may_change`]); whoever may connect may read. `Export` reads: there is nothing in
/// it that `List`, `Show` and `Pools` do not tell. `NextMac` reads: nothing keeps what it finds.
const METHODS: [(&str, bool); 15] = [
    ("List", false),
    ("Show", false),
    ("Wait", false),
    ("Events", false),
    ("Watch", false),
    ("Explain", false),
    ("Pools", false),
    ("NextMac", false),
    ("Export", false),
    ("Version", false),
    ("Bind", true),
    ("Unbind", true),
    ("Release", true),
    ("Reload", true),
    ("Import", true),
];

/// The method called `method` changes something.
pub(crate) fn changes(method: &str) -> bool {
    let name = method
        .strip_prefix(INTERFACE)
        .and_then(|rest| rest.strip_prefix('.'));
    METHODS
        .iter()
        .any(|(known, changes)| *changes && Some(*known) == name)
}

/// The parameters of the one reply to `call`.
pub(crate) async fn answer(call: Call, operator: &impl Operator) -> Result<Value, Fault> {
    let method = call.method.clone();
    let mut parameters = call.parameters()?;
    match method.as_str() {
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
            let state = parameters.parsed("state")?;
            let timeout = Duration::from_millis(parameters.number("timeout_ms")?);
            parameters.end()?;
            Ok(json!({ "link": wait(key, state, timeout, operator).await? }))
        }
        "io.slash32.Agent.Events" | "io.slash32.Agent.Watch" => Err(Fault::ExpectedMore {}),
        "io.slash32.Agent.Explain" => {
            let key = parameters.text("key")?;
            parameters.end()?;
            Ok(json!({ "explanation": operator.explain(&key).await? }))
        }
        "io.slash32.Agent.Pools" => {
            parameters.end()?;
            Ok(json!({ "pools": operator.pools().await }))
        }
        "io.slash32.Agent.Bind" => {
            let link = parameters.text("link")?;
            let address = parameters.parsed("address")?;
            parameters.end()?;
            Ok(json!(operator.bind(&link, address).await?))
        }
        "io.slash32.Agent.Unbind" => {
            let link = parameters.text("link")?;
            parameters.end()?;
            Ok(json!(operator.unbind(&link).await?))
        }
        "io.slash32.Agent.Release" => {
            let key = parameters.text("key")?;
            parameters.end()?;
            Ok(json!(operator.release(&key).await?))
        }
        "io.slash32.Agent.Reload" => {
            let force = parameters.truth("force")?;
            parameters.end()?;
            Ok(json!(operator.reload(force).await?))
        }
        "io.slash32.Agent.NextMac" => {
            let network = parameters.text_or_null("network")?;
            parameters.end()?;
            Ok(json!(operator.mac_next(network.as_deref()).await?))
        }
        "io.slash32.Agent.Export" => {
            parameters.end()?;
            Ok(json!({ "document": operator.export().await? }))
        }
        "io.slash32.Agent.Import" => {
            let document = parameters.text("document")?;
            parameters.end()?;
            Ok(json!({ "done": operator.import(document).await? }))
        }
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
        _ => Err(match method.rsplit_once('.') {
            Some((SERVICE | INTERFACE, _)) => Fault::MethodNotFound { method },
            Some((interface, _)) => Fault::InterfaceNotFound {
                interface: interface.to_owned(),
            },
            None => Fault::InterfaceNotFound { interface: method },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_either_reads_or_changes() {
        let description = zlink::idl::Interface::try_from(DESCRIPTION).unwrap();
        let mut described: Vec<&str> = description
            .methods()
            .map(|method| &**method.name())
            .collect();
        let mut known = METHODS.map(|(name, _)| name).to_vec();
        described.sort_unstable();
        known.sort_unstable();
        assert_eq!(described, known, "say of a new method what it does");
        for (name, does) in METHODS {
            assert_eq!(changes(&format!("{INTERFACE}.{name}")), does, "{name}");
        }
    }

    #[test]
    fn what_is_no_method_of_ours_changes_nothing() {
        for method in [
            "Bind",
            "io.slash32.Agent.bind",
            "io.slash32.AgentBind",
            "io.other.Bind",
            "",
        ] {
            assert!(!changes(method), "{method}");
        }
    }
}
