//! Tasks in the background that serve the connection.

use mqtt_core::{OwnedEvent, QoS, driver::tokio::Error};
use test_kit::wire::PINGRESP;

use crate::peer::{connected, next, options, play};

#[tokio::test]
async fn a_handler_gets_the_events_and_may_request() {
    let (_client, events, mut peer) = connected(&options()).await;
    let serving = events.spawn(|client, event| {
        if let mqtt_core::Event::Message(message) = event {
            let _ = client.try_publish("echo", message.payload, QoS::AtMostOnce, false).unwrap();
            client.disconnect();
        }
    });
    peer.send(b"\x30\x08\0\x01thello");
    play(move || {
        peer.expect("Publish");
        peer.expect("Disconnect");
    })
    .await;
    serving.await.unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_ends_the_client() {
    let (client, events, mut peer) = connected(&options()).await;
    let serving = events.spawn(|_, event| panic!("{event:?}"));
    peer.send(b"\x30\x04\0\x01tx");
    assert!(serving.await.unwrap_err().is_panic());
    let refused = client.publish("t", b"x", QoS::AtMostOnce, false).await;
    assert!(matches!(refused, Err(Error::NotServed)));
}

#[tokio::test]
async fn a_queue_has_the_events_in_their_order() {
    let (_client, events, mut peer) = connected(&options()).await;
    let mut queue = events.into_queue(2);
    let sending = tokio::task::spawn_blocking(move || {
        (0..200).for_each(|n| peer.send(&[0x30, 4, 0, 1, b't', n]));
    });
    for n in 0..200 {
        let Some(OwnedEvent::Message(message)) = next(&mut queue).await else { panic!() };
        assert_eq!(message.payload[..], [n]);
    }
    sending.await.unwrap();
    assert!(matches!(queue.next().await, Some(OwnedEvent::Down { .. })));
    assert_eq!(queue.next().await, None);
    assert!(queue.is_ended());
}

/// The events are not taken until three PINGREQs have come.
#[tokio::test]
async fn a_full_queue_keeps_the_connection_alive() {
    let (_client, events, mut peer) = connected(&options().keep_alive(1)).await;
    let mut queue = events.into_queue(1);
    let peer = play(move || {
        (0..10).for_each(|n| peer.send(&[0x30, 4, 0, 1, b't', n]));
        for _ in 0..2 {
            peer.expect("PingReq");
            peer.send(PINGRESP);
        }
        peer
    })
    .await;
    for n in 0..10 {
        let Some(OwnedEvent::Message(message)) = queue.next().await else { panic!() };
        assert_eq!(message.payload[..], [n]);
    }
    assert_eq!(queue.try_next(), None);
    drop(peer);
}

#[tokio::test]
async fn a_client_ends_with_its_queue() {
    let (client, events, mut peer) = connected(&options()).await;
    let queue = events.into_queue(1);
    drop(queue);
    play(move || {
        use std::io::Read as _;
        assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0, "the connection has ended");
    })
    .await;
    let refused = client.publish("t", b"x", QoS::AtMostOnce, false).await;
    assert!(matches!(refused, Err(Error::NotServed)));
}
