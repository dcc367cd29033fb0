//! What each method answers.

use crate::MINUTE;
use crate::fake::{self, FakeAgent, row};
use slash32_control::{Client, ClientError, EventKind, LinkRow, ShowError, State};
use std::time::Duration;

#[tokio::test]
async fn list_returns_every_row_as_it_was_published() {
    let agent = FakeAgent::start(vec![
        row("virbr1", "web1", State::Bound),
        row("virbr2", "web2", State::Idle),
    ]);
    let mut client = Client::connect(agent.path()).await.unwrap();
    assert_eq!(client.list().await.unwrap(), agent.rows());
}

#[tokio::test]
async fn show_finds_a_link_by_every_kind_of_key() {
    let agent = FakeAgent::start(vec![
        row("virbr1", "web1", State::Bound),
        row("virbr2", "web2", State::Idle),
    ]);
    let mut client = Client::connect(agent.path()).await.unwrap();
    let expected = agent.rows()[0].clone();
    for key in [
        "virbr1",
        "web1",
        "203.0.113.7",
        "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
    ] {
        let detail = client.show(key).await.unwrap();
        assert_eq!(detail.row, expected, "key {key}");
        assert_eq!(detail.counters["offer"], 3);
    }
}

#[tokio::test]
async fn show_says_when_a_key_names_no_link_or_several() {
    let agent = FakeAgent::start(vec![
        row("virbr1", "db", State::Bound),
        row("virbr2", "db", State::Idle),
    ]);
    let mut client = Client::connect(agent.path()).await.unwrap();
    let ClientError::Key(ambiguous) = client.show("db").await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(
        ambiguous,
        ShowError::Ambiguous {
            key: "db".into(),
            links: vec!["virbr1".into(), "virbr2".into()]
        }
    );
    let ClientError::Key(missing) = client.show("web9").await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(missing, ShowError::NotFound { key: "web9".into() });
    assert_eq!(
        client.list().await.unwrap().len(),
        2,
        "the connection is still good"
    );
}

#[tokio::test]
async fn wait_returns_at_once_when_the_link_is_there_already() {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Bound)]);
    let mut client = Client::connect(agent.path()).await.unwrap();
    for wanted in [State::Bound, State::Ready] {
        let links = client.wait("web1", wanted, Duration::ZERO).await.unwrap();
        assert_eq!(links, agent.rows());
    }
}

#[tokio::test]
async fn wait_returns_when_a_link_that_was_not_there_becomes_bound() {
    let agent = FakeAgent::start(Vec::new());
    let path = agent.path().to_owned();
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(&path).await.unwrap();
        client.wait("web1", State::Bound, MINUTE).await
    });
    agent.somebody_waits().await;
    agent.publish(vec![row("virbr1", "web1", State::Ready)]);
    agent.publish(vec![row("virbr1", "web1", State::Bound)]);
    assert_eq!(waiting.await.unwrap().unwrap(), agent.rows());
}

#[tokio::test]
async fn wait_for_a_vm_with_several_nics_returns_when_all_are_there_the_last_to_come_at_the_end() {
    let rows = |first, second| {
        let second = LinkRow {
            ifindex: 8,
            ..row("virbr2", "web1", second)
        };
        vec![row("virbr1", "web1", first), second]
    };
    let agent = FakeAgent::start(rows(State::Idle, State::Ready));
    let path = agent.path().to_owned();
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(&path).await.unwrap();
        client.wait("web1", State::Bound, MINUTE).await
    });
    agent.somebody_waits().await;
    let mut client = Client::connect(agent.path()).await.unwrap();
    agent.publish(rows(State::Ready, State::Bound));
    let error = client.wait("web1", State::Bound, Duration::ZERO).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "web1 is not bound: it is ready"
    );
    agent.publish(rows(State::Bound, State::Bound));
    let links = waiting.await.unwrap().unwrap();
    let names: Vec<_> = links.iter().map(|row| row.link.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names.last(), Some(&"virbr1"), "{names:?}");
}

#[tokio::test]
async fn wait_that_times_out_names_the_state_and_the_reason() {
    let mut failed = row("virbr1", "web1", State::Failed);
    failed.reason = Some("the link carries a foreign address".into());
    let agent = FakeAgent::start(vec![failed]);
    let mut client = Client::connect(agent.path()).await.unwrap();
    let error = client
        .wait("web1", State::Bound, Duration::from_millis(10))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "web1 is not bound after 10ms: it is failed (the link carries a foreign address)"
    );
    let error = client
        .wait("web9", State::Bound, Duration::from_millis(10))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "web9 is not bound after 10ms: there is no such link, VM, address or UUID"
    );
}

#[tokio::test]
async fn a_client_that_waits_does_not_hold_another_one() {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Ready)]);
    let path = agent.path().to_owned();
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(&path).await.unwrap();
        client.wait("web1", State::Bound, MINUTE).await
    });
    agent.somebody_waits().await;
    let mut client = Client::connect(agent.path()).await.unwrap();
    assert_eq!(client.list().await.unwrap().len(), 1);
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_waiting_client_that_hangs_up_gives_its_place_back() {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Ready)]);
    let path = agent.path().to_owned();
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(&path).await.unwrap();
        client.wait("web1", State::Bound, MINUTE).await
    });
    agent.somebody_waits().await;
    waiting.abort();
    agent.nobody_waits().await;
}

#[tokio::test]
async fn events_arrive_in_order_from_the_moment_the_call_returns() {
    let agent = FakeAgent::start(Vec::new());
    let mut events = Client::connect(agent.path())
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    let sent = [
        EventKind::LinkAppeared,
        EventKind::Ready,
        EventKind::RouteAdded,
        EventKind::Bound,
    ];
    for kind in sent {
        agent.happen(kind);
    }
    for kind in sent {
        assert_eq!(events.next().await.unwrap().unwrap().kind, kind);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_events_holds_nobody_and_learns_what_it_missed() {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Bound)]);
    let mut events = Client::connect(agent.path())
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    let mut client = Client::connect(agent.path()).await.unwrap();
    // More than the socket buffers and the channel can hold; each list gives the server time to send what it can.
    for _ in 0..200 {
        for _ in 0..fake::EVENTS_KEPT {
            agent.happen(EventKind::Renewed);
        }
        assert_eq!(client.list().await.unwrap().len(), 1);
    }
    let error = loop {
        match events.next().await {
            Ok(event) => assert_eq!(event.unwrap().kind, EventKind::Renewed),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, ClientError::Missed { count } if count > 0),
        "{error}"
    );
}
