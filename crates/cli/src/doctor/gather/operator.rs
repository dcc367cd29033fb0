use super::super::facts::Agent;
use super::command::PATIENCE;
use slash32_control::{Client, ClientError, LinkDetail, LinkRow};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::time::timeout;

/// What the agent says of its links.
pub(super) async fn agent(socket: &Path) -> Agent {
    let mut details = BTreeMap::new();
    let rows = match timeout(PATIENCE, ask(socket, &mut details)).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "{} did not answer within {} s",
            socket.display(),
            PATIENCE.as_secs()
        )),
    };
    Agent {
        socket: socket.to_owned(),
        socket_exists: socket.exists(),
        rows,
        details,
    }
}

async fn ask(
    socket: &Path,
    details: &mut BTreeMap<String, LinkDetail>,
) -> Result<Vec<LinkRow>, ClientError> {
    let mut client = Client::connect(socket).await?;
    let rows = client.list().await?;
    for row in &rows {
        // A link that is gone since is told of by nobody.
        if let Ok(detail) = client.show(&row.link).await {
            details.insert(row.link.clone(), detail);
        }
    }
    Ok(rows)
}
