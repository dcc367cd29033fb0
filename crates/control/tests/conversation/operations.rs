//! What is explained, and what is changed.

use crate::fake::{self, FakeAgent, row};
use serde_json::json;
use slash32_control::{
    Client, ClientError, DOCUMENT_LIMIT, ReloadError, ReloadReport, ShowError, State,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// An agent with virbr1, whose VM has 203.0.113.7, and a client of it.
async fn agent_and_client() -> (FakeAgent, Client) {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Bound)]);
    let client = Client::connect(agent.path()).await.unwrap();
    (agent, client)
}

/// The sentence of a refusal.
fn refusal(error: ClientError) -> String {
    match error {
        ClientError::Operation(refused) => refused.reason,
        other => panic!("another error: {other:?}"),
    }
}

#[tokio::test]
async fn an_explanation_arrives_as_it_was_made_also_of_an_address_that_no_vm_has() {
    let (_agent, mut client) = agent_and_client().await;
    let address = "203.0.113.7".parse().unwrap();
    assert_eq!(
        client.explain("web1").await.unwrap(),
        fake::explanation(Some("virbr1"), address)
    );
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(
        client.explain("192.0.2.1").await.unwrap(),
        fake::explanation(None, address)
    );
    assert!(matches!(
        client.explain("web9").await,
        Err(ClientError::Key(ShowError::NotFound { .. }))
    ));
}

#[tokio::test]
async fn pools_arrive_as_they_were_counted() {
    let (_agent, mut client) = agent_and_client().await;
    assert_eq!(client.pools().await.unwrap(), [fake::pool()]);
}

#[tokio::test]
async fn bind_answers_with_a_sentence_and_the_row_as_it_is_then() {
    let (agent, mut client) = agent_and_client().await;
    let address = "203.0.113.9".parse().unwrap();
    let done = client.bind("virbr1", address).await.unwrap();
    assert_eq!(done.done, "203.0.113.9 is reserved for virbr1");
    assert_eq!(done.link, Some(agent.rows()[0].clone()));
    assert_eq!(agent.rows()[0].address, Some(address));
    let done = client.bind("virbr9", address).await.unwrap();
    assert_eq!(done.link, None, "the link need not exist yet");
}

#[tokio::test]
async fn a_refusal_is_a_sentence_and_the_connection_is_still_good() {
    let (_agent, mut client) = agent_and_client().await;
    let error = client.bind("virbr1", "192.0.2.1".parse().unwrap()).await;
    assert_eq!(
        refusal(error.unwrap_err()),
        "192.0.2.1 is in no subnet of the network public"
    );
    let error = client.release("web9").await;
    assert_eq!(
        refusal(error.unwrap_err()),
        "no link, VM, address or UUID is called web9: `slash32 list` shows what there is"
    );
    assert_eq!(
        client.release("203.0.113.7").await.unwrap().done,
        "virbr1 gave its address back"
    );
}

#[tokio::test]
async fn a_change_that_was_begun_is_finished_when_its_caller_has_hung_up() {
    let (agent, mut client) = agent_and_client().await;
    let mut watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);
    let path = agent.path().to_owned();
    let caller = tokio::spawn(async move {
        let mut client = Client::connect(&path).await.unwrap();
        client.unbind("virbr1").await
    });
    // The fake agent tells that the change has begun by a tick.
    assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    agent.let_a_change_go_on();
    while !watch.next().await.unwrap().unwrap().is_empty() {}
    assert!(client.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reload_that_takes_addresses_has_to_be_forced() {
    let (agent, mut client) = agent_and_client().await;
    let error = client.reload(false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the new config would take the address of: virbr1 (203.0.113.7): use --force"
    );
    let ClientError::Reload(ReloadError::WouldLose { links }) = error else {
        panic!("another error")
    };
    assert_eq!(links, agent.rows());
    assert_eq!(
        client.reload(true).await.unwrap(),
        ReloadReport {
            changed: vec!["the network public is gone".into()],
            lost: agent.rows(),
        }
    );
}

#[tokio::test]
async fn the_errors_of_a_config_arrive_whole() {
    let (_agent, mut client) = agent_and_client().await;
    client.import("bad config").await.unwrap();
    let ClientError::Reload(ReloadError::Config { text }) = client.reload(true).await.unwrap_err()
    else {
        panic!("another error")
    };
    assert_eq!(text, "slash32.toml:1:1: unknown key\n  limks = 1\n  ^\n");
}

#[tokio::test]
async fn the_next_mac_is_asked_for_with_and_without_a_network() {
    let (_agent, mut client) = agent_and_client().await;
    for network in [None, Some("ci")] {
        assert_eq!(
            client.mac_next(network).await.unwrap().mac,
            "52:54:cb:00:71:09"
        );
    }
    let error = client.mac_next(Some("lab")).await.unwrap_err();
    assert_eq!(refusal(error), "there is no network lab");
}

#[tokio::test]
async fn a_store_goes_out_and_in_byte_for_byte_however_large() {
    let (_agent, mut client) = agent_and_client().await;
    let document = "{\"text\": \"ä \\\" \\u0000\"}\n".repeat(100_000);
    assert_eq!(
        client.import(&document).await.unwrap(),
        format!("{} bytes are in the store", document.len())
    );
    assert!(client.export().await.unwrap() == document);
}

#[tokio::test]
async fn a_call_that_is_too_long_is_told_so_before_the_connection_closes() {
    let (agent, mut bystander) = agent_and_client().await;
    let mut stream = UnixStream::connect(agent.path()).await.unwrap();
    // The agent may have hung up before all is written.
    let _ = stream.write_all(&vec![b'x'; DOCUMENT_LIMIT + 1]).await;
    let mut said = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said).await;
    let said: serde_json::Value =
        serde_json::from_slice(said.strip_suffix(b"\0").unwrap()).unwrap();
    assert_eq!(
        said,
        json!({ "error": "io.slash32.Agent.TooLong", "parameters": { "limit": DOCUMENT_LIMIT } })
    );
    assert_eq!(bystander.list().await.unwrap().len(), 1);
}
