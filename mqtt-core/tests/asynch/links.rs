//! Transports of all kinds, and ways to share a client.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;

use mqtt_core::driver::asynch::{Dial, Share, Storage, split};
use mqtt_core::{ConfigError, Filter, QoS};

use crate::broker::{Broker, DialBuffered, DialSplit, DialWhole};
use crate::executor::{Delay, World, run};
use crate::{kept, message, numbers, payload};

/// Messages in both directions over transports of `dial`; `most` bytes are moved at once.
fn conversation(seed: u64, most: usize, share: &impl Share, broker: &Broker, dial: impl Dial) {
    let world = &broker.world;
    broker.manners(|manners| {
        manners.most = most;
        manners.waits = seed % 2 == 0;
    });
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(share, &mut read, &mut write).unwrap();
    let received = RefCell::new(Vec::new());
    let clock = || world.instant();
    let served = async {
        let delay = Delay(std::rc::Rc::clone(world));
        let handle = async |_: mqtt_core::driver::asynch::Requests<'_, _>,
                            event: mqtt_core::Event<'_>| {
            received.borrow_mut().extend(payload(&event));
        };
        runner.run(dial, delay, clock, handle).await.unwrap();
    };
    let messages = numbers(30);
    let main = async {
        let filter = Filter::new("down").unwrap();
        client.subscribe_wait(&[(filter, QoS::ExactlyOnce)]).await.unwrap();
        for payload in &messages {
            // The broker is a patient one: the client has four slots.
            broker.until(|_| broker.unanswered() < 4).await;
            broker.send(payload);
            let _ = client.publish(&message(payload, QoS::ExactlyOnce)).await.unwrap();
        }
        client.finish().await;
        broker.until(|_| broker.count("DISCONNECT") == 1).await;
    };
    run(world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), messages);
    // The client may have left before the last of them came.
    assert_eq!(*received.borrow(), messages[..received.borrow().len()]);
    assert_eq!(broker.state.borrow().connections, 1);
}

fn all_sizes<D: Dial>(dial: impl Fn(Broker) -> D) {
    for seed in 0..20 {
        for most in [1, 2, 7, 64, 1_000] {
            let broker = Broker::new(&World::new(seed));
            let mut storage = Storage::<512, 4, 4>::new();
            let share = RefCell::new(storage.state(&kept("d")).unwrap());
            conversation(seed, most, &share, &broker, dial(broker.clone()));
        }
    }
}

#[test]
fn a_split_transport_carries_both_directions_at_once() {
    all_sizes(DialSplit);
}

#[test]
fn a_whole_transport_carries_both_directions_in_turns() {
    all_sizes(DialWhole);
}

#[test]
fn a_transport_that_buffers_is_flushed() {
    all_sizes(DialBuffered);
}

#[test]
fn a_transport_that_does_not_buffer_is_flushed_at_its_end_only() {
    let broker = Broker::new(&World::new(1));
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    conversation(1, 7, &share, &broker, DialSplit(broker.clone()));
    assert!(broker.state.borrow().flushes <= 1, "once, if the broker does not close it first");
}

#[test]
fn threads_can_share_a_client_by_a_mutex() {
    let broker = Broker::new(&World::new(1));
    let mut storage = Storage::<512, 4, 4>::new();
    let share = Mutex::new(storage.state(&kept("d")).unwrap());
    conversation(1, 7, &share, &broker, DialSplit(broker.clone()));
}

#[test]
fn interrupts_can_share_a_client_by_a_critical_section() {
    let broker = Broker::new(&World::new(1));
    let mut storage = Storage::<512, 4, 4>::new();
    let share = critical_section::Mutex::new(RefCell::new(storage.state(&kept("d")).unwrap()));
    conversation(1, 7, &share, &broker, DialSplit(broker.clone()));
}

#[test]
fn a_transport_that_always_has_bytes_leaves_time_to_other_tasks() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    broker.manners(|manners| manners.waits = false);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let received = Cell::new(0);
    let clock = || world.instant();
    let served = async {
        let delay = Delay(std::rc::Rc::clone(&world));
        let handle = async |_: mqtt_core::driver::asynch::Requests<'_, _>,
                            event: mqtt_core::Event<'_>| {
            if payload(&event).is_some() {
                received.set(received.get() + 1);
            }
        };
        runner.run(DialSplit(broker.clone()), delay, clock, handle).await.unwrap();
    };
    let main = async {
        client.up().await;
        // PUBLISHes of QoS 0 without end.
        for _ in 0..10_000 {
            broker.write(b"\x30\x07\x00\x04downx");
        }
        let start = world.polls();
        std::future::poll_fn(|context| {
            // Another task that is always ready sees the messages come bit by bit.
            if received.get() >= 100 {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        assert!(received.get() < 200, "{} messages in one poll", received.get());
        world.polls() - start
    };
    assert!(run(&world, main, vec![Box::pin(served)]) > 100);
}

#[test]
fn buffers_that_are_too_small_are_refused() {
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let refused = split(&share, &mut [0; 15], &mut [0; 1]).map(|_| ()).unwrap_err();
    assert_eq!(refused, ConfigError::ReceiveCapacity { capacity: 15 });
    let refused = split(&share, &mut [0; 16], &mut []).map(|_| ()).unwrap_err();
    assert_eq!(refused, ConfigError::NoWriteBuffer);
    assert!(split(&share, &mut [0; 16], &mut [0; 1]).is_ok());
}
