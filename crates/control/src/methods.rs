//! One reply a call.

use crate::call::Call;
use crate::fault::Fault;
use crate::{DESCRIPTION, INTERFACE, LinkRow, Operator, State, resolve_all};
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
            let links = wait(key, state, timeout, operator).await?;
            Ok(json!({ "link": links.last(), "links": links }))
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

/// The rows of the links that `key` names, as soon as all of them are in `state`, the one that came last at the end. There need
/// be none yet: a VM with several NICs has all its links before it runs, and so before it has an address on any.
async fn wait(
    key: String,
    state: State,
    timeout: Duration,
    operator: &impl Operator,
) -> Result<Vec<LinkRow>, Fault> {
    let mut changes = operator.changes();
    // In the order in which they came.
    let mut came: Vec<u32> = Vec::new();
    let arrival = async {
        loop {
            // Marked as seen before the look, so that a change during it is not slept over.
            changes.borrow_and_update();
            let rows = operator.list();
            let mut found = resolve_all(&rows, &key);
            let is_there = |row: &&LinkRow| row.state.satisfies(state);
            let there: Vec<u32> = found
                .iter()
                .copied()
                .filter(is_there)
                .map(|row| row.ifindex)
                .collect();
            came.retain(|ifindex| there.contains(ifindex));
            for ifindex in &there {
                if !came.contains(ifindex) {
                    came.push(*ifindex);
                }
            }
            if there.len() == found.len() && !found.is_empty() {
                found.sort_by_key(|row| came.iter().position(|ifindex| *ifindex == row.ifindex));
                return found.into_iter().cloned().collect::<Vec<_>>();
            }
            if changes.changed().await.is_err() {
                // The agent is stopping, and `serve` is dropped with this.
                std::future::pending::<()>().await;
            }
        }
    };
    if let Ok(arrived) = tokio::time::timeout(timeout, arrival).await {
        return Ok(arrived);
    }
    let rows = operator.list();
    let found = resolve_all(&rows, &key);
    let row = found.iter().find(|row| !row.state.satisfies(state));
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
