use crate::output::{self, clean};
use serde_json::json;
use slash32_control::{Client, ClientError, PROTOCOL, Version};
use std::path::Path;

/// An agent that is not there is part of the answer, not a failure.
pub(crate) async fn run(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let program = Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
    };
    let agent = agent(socket).await;
    if as_json {
        output::print_json(&json!({ "client": program, "agent": agent.ok() }))?;
    } else {
        let agent = agent.map_or_else(|error| error.to_string(), |agent| line(&agent));
        output::print(&format!(
            "slash32        {}\nslash32-agent  {}\n",
            line(&program),
            clean(&agent)
        ))?;
    }
    Ok(())
}

async fn agent(socket: &Path) -> Result<Version, ClientError> {
    Client::connect(socket).await?.version().await
}

fn line(version: &Version) -> String {
    format!("{} (protocol {})", version.version, version.protocol)
}
