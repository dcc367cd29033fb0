//! Every link, again and again.

use crate::fake::{FakeAgent, row};
use slash32_control::{Client, LinkRow, State};
use std::time::{Duration, Instant};

fn links(count: u32, state: State) -> Vec<LinkRow> {
    (0..count)
        .map(|number| row(&format!("virbr{number}"), "vm", state))
        .collect()
}

#[tokio::test]
async fn watch_tells_every_link_at_once_and_again_after_a_change() {
    let agent = FakeAgent::start(links(2, State::Ready));
    let mut watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), agent.rows());
    agent.publish(links(3, State::Bound));
    assert_eq!(watch.next().await.unwrap().unwrap(), agent.rows());
}

#[tokio::test]
async fn a_storm_of_changes_is_told_at_most_ten_times_a_second() {
    let agent = FakeAgent::start(links(1, State::Ready));
    let mut watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    let started = Instant::now();
    for _ in 0..6 {
        agent.publish(links(1, State::Bound));
        while let Err(_elapsed) = tokio::time::timeout(Duration::from_millis(1), async {
            assert!(watch.next().await.unwrap().is_some());
        })
        .await
        {
            agent.publish(links(1, State::Bound));
        }
    }
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_also_when_nothing_changes() {
    let agent = FakeAgent::start(links(1, State::Ready));
    let mut watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(watch.next().await.unwrap().unwrap(), agent.rows());
    }
}

#[tokio::test]
async fn a_watcher_that_hangs_up_gives_its_place_back() {
    let agent = FakeAgent::start(links(1, State::Ready));
    let watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    agent.somebody_waits().await;
    drop(watch);
    agent.nobody_waits().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_nobody_and_is_told_the_newest_list_next() {
    let agent = FakeAgent::start(links(2000, State::Ready));
    let mut watch = Client::connect(agent.path())
        .await
        .unwrap()
        .watch()
        .await
        .unwrap();
    // The list is larger than the socket's buffer, so that the agent is still at sending it.
    let mut client = Client::connect(agent.path()).await.unwrap();
    for _ in 0..10 {
        agent.publish(links(2000, State::Ready));
        assert_eq!(client.list().await.unwrap().len(), 2000);
    }
    agent.publish(links(1, State::Bound));
    let mut lists = 0;
    while watch.next().await.unwrap().unwrap().len() != 1 {
        lists += 1;
    }
    assert!(lists <= 3, "{lists} old lists came first");
}
