//! The end of a client: in order, and otherwise.

use std::{thread, time::Duration};

use mqtt_core::{
    ConnectionState, Event, QoS,
    driver::tokio::{Client, Config, Connector, Error},
};

use crate::{
    one_thread,
    peer::{PATIENCE, connected, options, play},
};

#[tokio::test]
async fn finish_sends_everything_waits_for_the_answers_and_disconnects() {
    const MESSAGES: usize = 15;
    let (client, events, mut peer) = connected(&options()).await;
    let serving = events.spawn(|_, _| {});
    for _ in 0..MESSAGES {
        let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
    }
    let broker = tokio::task::spawn_blocking(move || {
        (0..MESSAGES).for_each(|_| peer.acknowledge());
        peer.expect("Disconnect");
    });
    client.finish(PATIENCE).await.unwrap();
    assert_eq!(client.state(), ConnectionState::Stopped);
    broker.await.unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn finish_ends_in_time_and_names_what_has_no_answer() {
    let (client, events, mut peer) = connected(&options()).await;
    let _serving = events.spawn(|_, _| {});
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
    let broker = tokio::task::spawn_blocking(move || {
        peer.expect("Publish");
        peer.expect("Disconnect");
    });
    let unfinished = client.finish(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(unfinished.handles, [handle]);
    broker.await.unwrap();
}

#[tokio::test]
async fn the_serving_task_itself_may_finish() {
    let (client, mut events, mut peer) = connected(&options()).await;
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
    let broker = tokio::task::spawn_blocking(move || {
        peer.acknowledge();
        peer.expect("Disconnect");
    });
    let mut published = false;
    let finished = events.finish(PATIENCE, |event| published |= event == Event::Published(handle));
    finished.await.unwrap();
    assert!(published);
    broker.await.unwrap();
}

#[tokio::test]
async fn a_client_goes_on_after_a_reconnect() {
    let (client, mut events, mut peer) = connected(&options()).await;
    client.disconnect();
    play(move || peer.expect("Disconnect")).await;
    while events.next().await.is_some() {}
    client.reconnect();
    assert!(matches!(events.next().await, Some(Event::Connecting { .. })));
}

#[tokio::test]
async fn a_disconnect_is_sent_though_the_events_are_dropped() {
    let (client, events, mut peer) = connected(&options()).await;
    let _ = client.publish("t", b"x", QoS::AtMostOnce, false).await.unwrap();
    client.disconnect();
    drop(events);
    play(move || {
        peer.expect("Publish");
        peer.expect("Disconnect");
    })
    .await;
}

#[tokio::test]
async fn those_who_wait_learn_that_nobody_serves_the_connection() {
    let (client, events, _peer) = connected(&options()).await;
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait(handle).await }
    });
    tokio::task::yield_now().await;
    drop(events);
    assert!(matches!(waiting.await.unwrap(), Err(Error::NotServed)));
    let refused = client.publish("t", b"x", QoS::AtLeastOnce, false).await;
    assert!(matches!(refused, Err(Error::NotServed)));
}

/// Its attempt takes as long as it may.
struct Slow;

impl Connector for Slow {
    fn connect(
        &self,
        _: u8,
        timeout: Duration,
    ) -> std::io::Result<mqtt_core::driver::stream::Link> {
        thread::sleep(timeout);
        Err(std::io::ErrorKind::TimedOut.into())
    }

    fn name(&self, _endpoint: u8) -> String {
        "slow".to_string()
    }
}

#[test]
fn the_end_of_the_runtime_does_not_wait_for_an_attempt() {
    let start = std::time::Instant::now();
    let runtime = one_thread();
    let client = runtime.block_on(async {
        let options = options().connect_timeout(20_000);
        let (client, events) = Client::over(Config::new(&options), Slow).unwrap();
        let mut queue = events.into_queue(10);
        assert!(queue.next().await.is_some());
        client
    });
    drop(runtime);
    assert!(start.elapsed() < PATIENCE / 2);
    assert!(matches!(client.subscribe("t", QoS::AtMostOnce), Err(Error::NotServed)));
}
