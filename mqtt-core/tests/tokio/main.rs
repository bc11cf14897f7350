//! `driver::tokio` over real sockets on the loopback, the broker's side played byte by byte.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests fail by panicking")]

mod background;
mod ending;
mod errors;
mod outcomes;
mod peer;
mod recording;
mod room;
#[cfg(feature = "bytes")]
mod sharing;
#[cfg(feature = "tls")]
mod transports;
mod waiting;

use std::{pin::pin, thread};

use mqtt_core::{
    Event, OwnedEvent, QoS, Reconnect,
    codec::Packet,
    driver::tokio::{Client, Config, EventQueue, Events},
};
use test_kit::wire::ACCEPTED;
use tokio::runtime::{Builder, Runtime};

use peer::{Peer, connected, listen, next, options, play, poll_once};

/// One thread for all tasks.
fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

const fn is_shared<T: Clone + Send + Sync + 'static>() {}
const fn is_sent<T: Send + Unpin + 'static>() {}

const _: () = is_shared::<Client>();
const _: () = is_sent::<Events>();
const _: () = is_sent::<EventQueue>();

#[tokio::test]
async fn a_message_and_its_outcome_are_events() {
    let (client, mut events, mut peer) = connected(&options()).await;
    let handle = client.publish("t", b"hello", QoS::AtLeastOnce, false).await.unwrap();
    peer.acknowledge();
    assert_eq!(events.next().await, Some(Event::Published(handle)));
    peer.send(b"\x30\x08\0\x01thello");
    let Some(Event::Message(message)) = events.next().await else { panic!() };
    assert_eq!((message.topic.as_str(), message.payload), ("t", &b"hello"[..]));
}

#[tokio::test]
async fn the_events_are_a_stream() {
    let (_client, mut events, mut peer) = connected(&options()).await;
    for n in 0..3 {
        peer.send(&[0x30, 4, 0, 1, b't', n]);
        let Some(OwnedEvent::Message(message)) = next(&mut events).await else { panic!() };
        assert_eq!(message.payload[..], [n]);
    }
    drop(peer);
    assert!(matches!(next(&mut events).await, Some(OwnedEvent::Down { .. })));
    assert_eq!(next(&mut events).await, None);
}

/// Each poll is the last one of its future.
#[tokio::test]
async fn an_event_is_not_lost_with_the_future_that_waited_for_it() {
    let (_client, mut events, mut peer) = connected(&options()).await;
    for n in 0..50 {
        assert!(poll_once(pin!(events.next())).is_pending());
        peer.send(&[0x30, 4, 0, 1, b't', n]);
        let Some(Event::Message(message)) = events.next().await else { panic!() };
        assert_eq!(message.payload, [n]);
    }
}

#[tokio::test]
async fn a_task_publishes_while_one_waits_for_events() {
    let (client, mut events, mut peer) = connected(&options()).await;
    let waiting =
        tokio::spawn(async move { matches!(events.next().await, Some(Event::Published(_))) });
    let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
    play(move || peer.acknowledge()).await;
    assert!(waiting.await.unwrap());
}

/// Bytes that come while others are handled do not wait for more to come.
#[tokio::test]
async fn messages_of_several_reads_all_arrive() {
    const MESSAGES: u16 = 5_000;
    let (_client, mut events, mut peer) = connected(&options()).await;
    let sending = thread::spawn(move || {
        for n in 0..MESSAGES {
            let [high, low] = n.to_be_bytes();
            peer.send(&[0x30, 5, 0, 1, b't', high, low]);
        }
        peer
    });
    for n in 0..MESSAGES {
        let Some(Event::Message(message)) = events.next().await else { panic!() };
        assert_eq!(message.payload, n.to_be_bytes());
    }
    sending.join().unwrap();
}

#[tokio::test]
async fn a_payload_larger_than_every_buffer_arrives_whole_in_both_directions() {
    let (listener, address) = listen();
    let payload: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = payload.clone();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer.hear(|packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            assert!(publish.payload == expected);
        });
        peer.send(&test_kit::wire::packet(0x30, &[b"\0\x01t", &expected]));
        peer
    });
    let config = Config::new(&options()).outbox(4 << 20).buffer(2048);
    let (client, mut events) = Client::connect(config, &[&address]).await.unwrap();
    let _ = client.publish("t", &payload, QoS::AtMostOnce, false).await.unwrap();
    let mut received = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::MessageStart(start) => assert_eq!(start.payload_len, payload.len()),
            Event::MessageChunk(chunk) => received.extend_from_slice(chunk),
            Event::MessageEnd { .. } => break,
            other => assert!(matches!(other, Event::Published(_) | Event::Up { .. }), "{other:?}"),
        }
    }
    assert!(received == payload, "{} bytes", received.len());
    peer.join().unwrap();
}

#[tokio::test]
async fn a_client_connects_again_by_itself() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        for _ in 0..3 {
            let mut peer = Peer::accept(&listener);
            peer.expect("Connect");
            peer.send(ACCEPTED);
        }
    });
    let config = Config::new(&options().reconnect(Reconnect::after(1)));
    let (_client, mut events) = Client::connect(config, &[&address]).await.unwrap();
    let mut ups = 0;
    while ups < 3 {
        ups += usize::from(matches!(events.next().await.unwrap(), Event::Up { .. }));
    }
    peer.join().unwrap();
}

/// They are registered at the runtime that they were made in.
#[test]
fn events_may_be_polled_in_another_runtime() {
    let home = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_client, mut events, mut peer) = home.block_on(connected(&options()));
    let sending = thread::spawn(move || {
        (0..100).for_each(|n| peer.send(&[0x30, 4, 0, 1, b't', n]));
        peer
    });
    one_thread().block_on(async {
        for n in 0..100 {
            let Some(Event::Message(message)) = events.next().await else { panic!() };
            assert_eq!(message.payload, [n]);
        }
    });
    sending.join().unwrap();
}

/// A future that waits is kept in a task; large ones are moved and copied.
#[tokio::test]
async fn futures_are_small() {
    let (client, mut events, _peer) = connected(&options()).await;
    let sizes = [
        ("publish", size_of_val(&client.publish("t", b"x", QoS::AtLeastOnce, false)), 256),
        (
            "publish_wait",
            size_of_val(&client.publish_wait("t", b"x", QoS::AtLeastOnce, false)),
            768,
        ),
        ("finish", size_of_val(&client.finish(peer::PATIENCE)), 256),
        ("next", size_of_val(&events.next()), 64),
    ];
    for (name, size, most) in sizes {
        assert!(size <= most, "{name}: {size} bytes");
        println!("{name}: {size} bytes");
    }
}
