//! Too many clients, too long calls, and agents that are not there.

use crate::MINUTE;
use crate::fake::FakeAgent;
use slash32_control::{CLIENT_LIMIT, Client, ClientError};
use std::time::Instant;

#[tokio::test]
async fn idle_clients_are_kept_and_one_too_many_is_told_so() {
    let agent = FakeAgent::start(Vec::new());
    let mut clients = Vec::new();
    for _ in 0..CLIENT_LIMIT {
        let mut client = Client::connect(agent.path()).await.unwrap();
        client.list().await.unwrap();
        clients.push(client);
    }
    let mut turned_away = Client::connect(agent.path()).await.unwrap();
    let error = turned_away.list().await.unwrap_err();
    assert!(matches!(error, ClientError::Busy), "{error}");
    for client in &mut clients {
        client.list().await.unwrap();
    }
    clients.pop();
    // The agent notices the hang-up in its own time.
    let started = Instant::now();
    while Client::connect(agent.path())
        .await
        .unwrap()
        .list()
        .await
        .is_err()
    {
        assert!(
            started.elapsed() < MINUTE,
            "the place of a client that left is not given to another"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let advice = "is slash32-agent running? \
        (systemctl status slash32-agent; another socket: --socket PATH or SLASH32_SOCKET)";
    let error = Client::connect(&path).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the agent does not answer at {} (no such file): {advice}",
            path.display()
        )
    );
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = Client::connect(&path).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the agent does not answer at {} (connection refused): {advice}",
            path.display()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stopped_does_not_hold_its_client_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut client = Client::connect(&path).await.unwrap();
    assert!(matches!(
        client.list().await,
        Err(ClientError::Silent { .. })
    ));
}

#[tokio::test]
async fn an_agent_that_goes_away_is_noticed() {
    let agent = FakeAgent::start(Vec::new());
    let mut client = Client::connect(agent.path()).await.unwrap();
    client.list().await.unwrap();
    let mut events = Client::connect(agent.path())
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    drop(agent);
    assert!(matches!(client.list().await, Err(ClientError::Closed)));
    assert!(matches!(events.next().await, Err(ClientError::Closed)));
}
