//! The future of `run` is dropped at every poll: nothing is lost, and nothing is doubled.

use std::cell::RefCell;
use std::rc::Rc;

use mqtt_core::QoS;
use mqtt_core::driver::asynch::{Dial, Storage, split};

use crate::broker::{Broker, DialBuffered, DialSplit, DialWhole};
use crate::executor::{World, dropped_after, run};
use crate::{kept, numbers, payload, publish_all, serve};

/// One life: 8 messages of QoS 2 in each direction, while `run` is dropped before its poll number `every`, and served
/// again.
fn life<D: Dial>(every: usize, seed: u64, dial: impl Fn(Broker) -> D) -> usize {
    let world = World::new(seed);
    let broker = Broker::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d")).expect("options"));
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).expect("buffers");
    let messages = numbers(8);
    let received = RefCell::new(Vec::new());
    let drops = std::cell::Cell::new(0);
    let served = async {
        // In the end it is served in one piece, so that the last answers come.
        let mut left = 40;
        loop {
            let polls = if left == 0 { usize::MAX } else { every };
            left = usize::saturating_sub(left, 1);
            let handle = async |_: mqtt_core::driver::asynch::Requests<'_, _>,
                                event: mqtt_core::Event<'_>| {
                received.borrow_mut().extend(payload(&event));
                world.after(1).await;
            };
            let run = serve(&mut runner, &world, dial(broker.clone()), handle);
            if dropped_after(polls, run).await.is_some() {
                return;
            }
            drops.set(drops.get() + 1);
        }
    };
    let main = async {
        let publish = publish_all(client, &messages, QoS::ExactlyOnce);
        let send = async {
            for message in &messages {
                broker.send(message);
                world.after(5).await;
            }
        };
        publish.await;
        send.await;
        client.idle().await;
        broker.until(|_| broker.unanswered() == 0).await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), messages, "to the broker, dropped at {every}");
    assert_eq!(*received.borrow(), messages, "from the broker, dropped at {every}");
    drops.get()
}

/// Four hundred lives.
fn lives<D: Dial>(dial: impl Fn(Broker) -> D + Copy) {
    let mut drops = 0;
    for every in 1..=100 {
        for seed in 0..4 {
            drops += life(every, seed, dial);
        }
    }
    assert!(drops > 1_000, "{drops} drops");
}

#[test]
fn nothing_is_lost_or_doubled_if_run_is_dropped_at_any_poll() {
    lives(DialSplit);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_whole_transport_if_run_is_dropped_at_any_poll() {
    lives(DialWhole);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_transport_that_buffers_if_run_is_dropped_at_any_poll() {
    lives(DialBuffered);
}

#[test]
fn a_life_without_drops_needs_one_connection() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    drop(Rc::clone(&world));
    assert_eq!(broker.state.borrow().connections, 0);
    assert_eq!(life(usize::MAX, 1, DialSplit), 0);
}
