//! Requests whose outcome is waited for.

use std::pin::pin;

use mqtt_core::{
    Event, QoS,
    driver::tokio::{Config, Error, Outcome},
};
use test_kit::wire::{PUBACK, PUBCOMP, PUBREC, UNSUBACK};

use crate::peer::{connected, connected_with, options, play, poll_once};

#[tokio::test]
async fn publish_wait_ends_once_the_broker_has_the_message_at_each_qos() {
    let (client, events, mut peer) = connected(&options()).await;
    let _serving = events.spawn(|_, _| {});
    let broker = play_in_background(move || {
        peer.expect("Publish");
        let [high, low] = peer.expect_id("Publish");
        peer.send(&[PUBACK, 2, high, low]);
        let [high, low] = peer.expect_id("Publish");
        peer.send(&[PUBREC, 2, high, low]);
        peer.expect("PubRel");
        peer.send(&[PUBCOMP, 2, high, low]);
        peer
    });
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.publish_wait("t", b"x", qos, false).await.unwrap();
    }
    broker.await.unwrap();
}

fn play_in_background<T: Send + 'static>(
    part: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(part)
}

#[tokio::test]
async fn a_message_that_is_lost_with_its_session_is_an_error() {
    let (client, events, mut peer) = connected(&options()).await;
    let _serving = events.spawn(|_, _| {});
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.publish_wait("t", b"x", QoS::AtLeastOnce, false).await }
    });
    let peer = play(move || {
        peer.expect("Publish");
        peer
    })
    .await;
    client.disconnect();
    drop(peer);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Failed(Outcome::Lost)), "{error}");
}

#[tokio::test]
async fn subscribe_wait_gives_the_granted_qos() {
    let (client, events, mut peer) = connected(&options()).await;
    let _serving = events.spawn(|_, _| {});
    let broker = play_in_background(move || {
        for code in [1, 0x80] {
            let [high, low] = peer.expect_id("Subscribe");
            peer.send(&[0x90, 3, high, low, code]);
        }
        let id = peer.hear(|packet| match packet {
            mqtt_core::codec::Packet::Unsubscribe(unsubscribe) => unsubscribe.id,
            other => panic!("{other:?}"),
        });
        let [high, low] = id.get().to_be_bytes();
        peer.send(&[UNSUBACK, 2, high, low]);
        peer
    });
    let granted = client.subscribe_wait("a/+", QoS::ExactlyOnce).await.unwrap();
    assert_eq!(granted, QoS::AtLeastOnce);
    let refused = client.subscribe_wait("secret", QoS::ExactlyOnce).await.unwrap_err();
    assert!(matches!(refused, Error::Failed(Outcome::Subscribed(_))), "{refused}");
    client.unsubscribe_wait("a/+").await.unwrap();
    broker.await.unwrap();
}

#[tokio::test]
async fn an_outcome_that_came_before_is_known() {
    let (client, mut events, mut peer) = connected(&options()).await;
    let handle = client.try_publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    peer.acknowledge();
    assert!(events.next().await.is_some());
    assert_eq!(client.wait(handle).await.unwrap(), Outcome::Published);
    assert_eq!(events.wait(handle, |_| {}).await.unwrap(), Outcome::Published);
}

#[tokio::test]
async fn the_serving_task_itself_may_wait_for_an_outcome() {
    let (client, mut events, mut peer) = connected(&options()).await;
    let handle = client.try_publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    peer.send(b"\x30\x04\0\x01tx");
    peer.acknowledge();
    let mut seen = 0;
    assert_eq!(events.wait(handle, |_| seen += 1).await.unwrap(), Outcome::Published);
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn several_tasks_wait_for_one_outcome() {
    let (client, events, mut peer) = connected(&options()).await;
    let _serving = events.spawn(|_, _| {});
    let handle = client.try_publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    let waiting = [(); 3].map(|()| {
        let client = client.clone();
        tokio::spawn(async move { client.wait(handle).await.unwrap() })
    });
    play(move || {
        peer.acknowledge();
        peer
    })
    .await;
    for task in waiting {
        assert_eq!(task.await.unwrap(), Outcome::Published);
    }
}

/// More of them than are kept for those who ask late.
#[tokio::test]
async fn an_outcome_is_not_hidden_by_those_that_come_before_the_task_runs() {
    let (client, mut events, mut peer) = connected_with(Config::new(&options()).window(8)).await;
    let mut waiting = pin!(client.publish_wait("t", b"x", QoS::AtLeastOnce, false));
    assert!(poll_once(waiting.as_mut()).is_pending());
    peer.acknowledge();
    assert!(matches!(events.next().await, Some(Event::Published(_))));
    for _ in 0..100 {
        let _ = client.try_publish("t", b"x", QoS::AtMostOnce, false).unwrap();
        assert!(matches!(events.next().await, Some(Event::Published(_))));
    }
    waiting.await.unwrap();
}
