//! Nobody wakes up without cause, and time-outs hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mqtt_core::{ConnectionState, Event, QoS};
use test_kit::wire::PINGRESP;

use crate::peer::{connected, counted, options, play};

/// For each PINGREQ the task is polled for the deadline and for the answer; once more for a timer that was early.
#[tokio::test]
async fn an_idle_client_is_polled_for_its_keep_alive_alone() {
    const PINGS: usize = 3;
    let (client, mut events, mut peer) = connected(&options().keep_alive(1)).await;
    let polls = Arc::new(AtomicUsize::new(0));
    let serving =
        counted(Arc::clone(&polls), async move { while events.next().await.is_some() {} });
    let serving = tokio::spawn(serving);
    let peer = play(move || {
        for _ in 0..PINGS {
            peer.expect("PingReq");
            peer.send(PINGRESP);
        }
        peer
    })
    .await;
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 1 + 4 * PINGS, "{polls} polls for {PINGS} pings");
    drop(peer);
    serving.await.unwrap();
    assert_eq!(client.state(), ConnectionState::Stopped);
}

/// The requesting tasks write themselves.
#[tokio::test]
async fn a_publish_at_qos_0_costs_the_serving_task_one_poll() {
    const MESSAGES: usize = 100;
    let (client, mut events, mut peer) = connected(&options()).await;
    let polls = Arc::new(AtomicUsize::new(0));
    let serving =
        counted(Arc::clone(&polls), async move { while events.next().await.is_some() {} });
    let serving = tokio::spawn(serving);
    for _ in 0..MESSAGES {
        client.publish_wait("t", b"x", QoS::AtMostOnce, false).await.unwrap();
    }
    play(move || (0..MESSAGES).for_each(|_| peer.expect("Publish"))).await;
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= MESSAGES + 5, "{polls} polls for {MESSAGES} messages");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_detected() {
    let options = options().keep_alive(1).ping_timeout(200);
    let (_client, mut events, mut peer) = connected(&options).await;
    let heard = tokio::task::spawn_blocking(move || {
        peer.expect("PingReq");
        peer
    });
    let Some(Event::Down { reason, .. }) = events.next().await else { panic!() };
    assert_eq!(reason.to_string(), "no PINGRESP in time");
    heard.await.unwrap();
}

/// Events that are always there do not keep the other tasks of the thread from running.
#[tokio::test]
async fn a_flood_of_events_lets_other_tasks_run() {
    const FLOOD: usize = 20_000;
    let (_client, mut events, mut peer) = connected(&options()).await;
    let flood = tokio::task::spawn_blocking(move || {
        peer.send(&b"\x30\x04\0\x01tx".repeat(FLOOD));
        peer
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..FLOOD {
        assert!(matches!(events.next().await, Some(Event::Message(_))));
    }
    counting.abort();
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns >= FLOOD / 200, "{turns} turns");
    flood.await.unwrap();
}
