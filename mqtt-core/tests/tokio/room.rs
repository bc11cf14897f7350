//! Publishes that wait for room.

use std::{pin::pin, thread};

use mqtt_core::{
    Event, Publish, QoS, RequestError,
    driver::tokio::{Client, Config, Error, Events},
    topic,
};

use crate::peer::{Peer, connected_with, options, play, poll_once};

/// A client that may have one request in flight.
async fn narrow() -> (Client, Events, Peer) {
    connected_with(Config::new(&options()).window(1)).await
}

const MESSAGE: Publish<'_> = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);

#[tokio::test]
async fn a_publish_waits_for_room_in_a_full_window() {
    let (client, mut events, mut peer) = narrow().await;
    let answering = thread::spawn(move || (0..50).for_each(|_| peer.acknowledge()));
    let sending = tokio::spawn(async move {
        for _ in 0..50 {
            let _ = client.send(&MESSAGE).await.unwrap();
        }
    });
    for _ in 0..50 {
        assert!(matches!(events.next().await, Some(Event::Published(_))));
    }
    sending.await.unwrap();
    answering.join().unwrap();
}

#[tokio::test]
async fn a_publish_waits_for_room_in_a_full_outbox() {
    let config = Config::new(&options()).outbox(2_000);
    let (client, mut events, mut peer) = connected_with(config).await;
    let answering = thread::spawn(move || (0..20).for_each(|_| peer.acknowledge()));
    let sending = tokio::spawn(async move {
        for _ in 0..20 {
            let _ = client.publish("t", &[0; 900], QoS::AtLeastOnce, false).await.unwrap();
        }
    });
    for _ in 0..20 {
        assert!(matches!(events.next().await, Some(Event::Published(_))));
    }
    sending.await.unwrap();
    answering.join().unwrap();
}

#[tokio::test]
async fn a_publish_that_never_fits_fails_at_once() {
    let (client, _events, _peer) = narrow().await;
    let error = client.publish("t", &[0; 1 << 20], QoS::AtMostOnce, false).await.unwrap_err();
    assert!(matches!(error, Error::Request(RequestError::TooLarge { .. })), "{error}");
}

#[tokio::test]
async fn a_try_does_not_wait() {
    let (client, _events, _peer) = narrow().await;
    let _ = client.try_send(&MESSAGE).unwrap();
    let error = client.try_publish("t", b"x", QoS::AtLeastOnce, false).unwrap_err();
    let full = RequestError::WindowFull { in_flight: 1 };
    assert!(matches!(&error, Error::Request(error) if *error == full), "{error}");
}

#[tokio::test]
async fn a_publish_that_is_dropped_while_it_waits_was_not_accepted() {
    let (client, mut events, mut peer) = narrow().await;
    let _ = client.send(&MESSAGE).await.unwrap();
    {
        let second = Publish::new(topic!("second"), b"x").qos(QoS::AtLeastOnce);
        let mut waiting = pin!(client.send(&second));
        assert!(poll_once(waiting.as_mut()).is_pending());
    }
    peer.acknowledge();
    assert!(matches!(events.next().await, Some(Event::Published(_))));
    assert_eq!(client.in_flight(), 0);
    client.disconnect();
    play(move || peer.expect("Disconnect")).await;
}

/// The one that was woken is dropped before it looks.
#[tokio::test]
async fn room_that_one_task_does_not_use_goes_to_the_next() {
    let (client, mut events, mut peer) = narrow().await;
    let _ = client.send(&MESSAGE).await.unwrap();
    let mut first = Box::pin(client.send(&MESSAGE));
    assert!(poll_once(first.as_mut()).is_pending());
    let second = tokio::spawn({
        let client = client.clone();
        async move { client.send(&MESSAGE).await.is_ok() }
    });
    tokio::task::yield_now().await;
    peer.acknowledge();
    assert!(matches!(events.next().await, Some(Event::Published(_))));
    drop(first);
    assert!(second.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_one_client() {
    const TASKS: usize = 40;
    const EACH: usize = 25;
    let config = Config::new(&options()).window(7).outbox(4_000);
    let (client, events, mut peer) = connected_with(config).await;
    let answering = thread::spawn(move || (0..TASKS * EACH).for_each(|_| peer.acknowledge()));
    let _serving = events.spawn(|_, _| {});
    let tasks = (0..TASKS).map(|n| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let payload = vec![0; 100 * (n % 8)];
                client.publish_wait("t", &payload, QoS::AtLeastOnce, false).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(client.in_flight(), 0);
    answering.join().unwrap();
}
