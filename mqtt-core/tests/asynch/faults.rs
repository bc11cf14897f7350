//! Faults that come while something else is under way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use mqtt_core::driver::asynch::{Dial, RunError, Storage, WaitError, split};
use mqtt_core::driver::journal::longest_record;
use mqtt_core::{ConnectionState, Event, Filter, Options, QoS, Reconnect, TransportFault};

use crate::broker::{Broker, DialSplit, DialWhole};
use crate::executor::{Delay, Task, World, run};
use crate::journal::Slow;
use crate::{device, kept, message, numbers, payload, serve};

#[test]
fn a_journal_that_fails_while_a_handler_waits_ends_the_run_after_the_handler() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut journal = Slow::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d").journal(true)).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let mut record = [0; longest_record(512, 4)];
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let left = Rc::clone(&journal.left);
    let ended = Cell::new(false);
    let main = async {
        let (clock, delay) = (|| world.instant(), Delay(Rc::clone(&world)));
        let dial = DialSplit(broker.clone());
        let handle = async |_: mqtt_core::driver::asynch::Requests<'_, _>, event: Event<'_>| {
            if let Event::Up { .. } = event {
                left.set(0);
                let _ = client.try_publish(&message("m", QoS::AtLeastOnce)).unwrap();
                world.after(1_000).await;
                ended.set(true);
            }
        };
        runner.run_with(&mut journal, &mut record, dial, delay, clock, handle).await
    };
    assert_eq!(run(&world, main, Vec::new()), Err(RunError::Journal("worn out")));
    assert!(ended.get());
}

/// A broker ends a connection after one and a half times the keep alive without a packet.
fn pings(broker: &Broker, dial: impl Dial) {
    let world = Rc::clone(&broker.world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&Options::new("d").keep_alive(60)).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let served = serve(&mut runner, &world, dial, async |_, event| {
        if payload(&event).is_some() {
            world.after(600_000).await;
        }
    });
    let main = async {
        client.up().await;
        broker.send("slow");
        for minutes in 1..=10 {
            let before = broker.count("PINGREQ");
            world.after(60_000).await;
            assert!(broker.count("PINGREQ") > before, "none in minute {minutes}");
        }
    };
    run(&world, main, vec![Box::pin(served)]);
}

#[test]
fn pings_go_on_while_a_handler_waits() {
    let broker = Broker::new(&World::new(5));
    pings(&broker, DialSplit(broker.clone()));
}

#[test]
fn pings_go_on_over_a_whole_transport_while_a_handler_waits() {
    let broker = Broker::new(&World::new(5));
    pings(&broker, DialWhole(broker.clone()));
}

#[test]
fn messages_in_front_of_the_end_of_a_connection_are_handled() {
    device!(kept("d") => world, broker, runner, client);
    broker.manners(|manners| {
        manners.waits = false;
        manners.most = 64;
    });
    let received = Cell::new(0);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if payload(&event).is_some() {
            received.set(received.get() + 1);
            world.after(5).await;
        }
    });
    let main = async {
        client.up().await;
        for _ in 0..3 {
            broker.write(b"\x30\x07\x00\x04downx");
        }
        broker.close();
        world.after(1_000).await;
        assert_eq!(received.get(), 3);
    };
    run(&world, main, vec![Box::pin(served)]);
}

#[test]
fn a_handler_that_waits_and_connects_again_keeps_the_run() {
    device!(Options::new("d").reconnect(Reconnect::never()) => world, broker, runner, client);
    broker.manners(|manners| manners.fault = Some(TransportFault::Refused));
    let served = async {
        serve(&mut runner, &world, DialSplit(broker.clone()), async |requests, event| {
            if let Event::Down { .. } = event {
                world.after(1_000).await;
                requests.connect();
            }
        })
        .await;
        panic!("the client is {:?}", client.state());
    };
    let main = async {
        world.after(3_500).await;
        broker.manners(|manners| manners.fault = None);
        client.up().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(client.state(), ConnectionState::Up);
}

/// The only waiter is that of a task that waits for `up`, until it is up or gives up.
fn shares_a_waiter(gives_up: bool) {
    let world = World::new(3);
    let broker = Broker::new(&world);
    broker.manners(|manners| {
        manners.waits = false;
        manners.dial = if gives_up { 100_000 } else { 10 };
    });
    let mut storage = Storage::<512, 2, 1>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let accepted = Cell::new(false);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    // The executor polls it ahead of the other one.
    let asks: Task<'_> = Box::pin(async {
        world.after(1).await;
        let _ = client.publish_wait(&message("m", QoS::AtLeastOnce)).await;
    });
    let first: Task<'_> = Box::pin(async {
        beside(client.up(), world.after(if gives_up { 20 } else { 100_000 })).await;
    });
    let main = async {
        world.after(60).await;
        accepted.set(client.in_flight() == 1 || broker.delivered() == ["m"]);
    };
    run(&world, main, vec![asks, first, Box::pin(served)]);
    assert!(accepted.get(), "{gives_up}");
}

#[test]
fn a_request_waits_for_a_waiter_that_another_task_had() {
    shares_a_waiter(false);
    shares_a_waiter(true);
}

/// Polls both until one has ended.
async fn beside(first: impl Future, second: impl Future) {
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    std::future::poll_fn(|context| {
        if first.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        second.as_mut().poll(context).map(|_| ())
    })
    .await;
}

#[test]
fn a_publish_goes_on_when_subscriptions_are_forgotten() {
    device!(kept("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let forget: Task<'_> = Box::pin(async {
        world.after(1_000).await;
        client.forget_subscriptions(0, 1).unwrap();
    });
    let main = async {
        let long = "x".repeat(100);
        let filter = Filter::new(&long).unwrap();
        client.subscribe_wait(&[(filter, QoS::AtMostOnce)]).await.unwrap();
        client.disconnect();
        client.stopped().await;
        while client.try_publish(&message("m", QoS::AtMostOnce)).is_ok() {}
        let _ = client.publish(&message("m", QoS::AtMostOnce)).await.unwrap();
    };
    run(&world, main, vec![Box::pin(served), forget]);
}

#[test]
fn a_task_hears_of_the_end_though_nobody_serves_the_client() {
    device!(kept("d") => world, broker, runner, client);
    let _ = (&broker, &mut runner);
    let stops: Task<'_> = Box::pin(async {
        world.after(10).await;
        client.disconnect();
    });
    run(&world, client.stopped(), vec![stops]);
}

/// Messages without end go out over a slow line.
#[test]
fn a_whole_transport_reads_between_two_writes() {
    device!(kept("d") => world, broker, runner, client);
    broker.manners(|manners| {
        manners.waits = false;
        manners.slow = 10;
    });
    let downs = Cell::new(0);
    let received = Cell::new(0);
    let served = serve(&mut runner, &world, DialWhole(broker.clone()), async |_, event| {
        received.set(received.get() + usize::from(payload(&event).is_some()));
        downs.set(downs.get() + usize::from(matches!(event, Event::Down { .. })));
    });
    let publish = async {
        for payload in numbers(100_000) {
            let _ = client.publish(&message(&payload, QoS::AtMostOnce)).await.unwrap();
        }
    };
    let main = async {
        client.up().await;
        world.after(1_000).await;
        broker.write(b"\x30\x07\x00\x04downx");
        world.after(1_000).await;
        assert_eq!(received.get(), 1, "within a second");
        world.after(70_000).await;
        assert_eq!(downs.get(), 0);
    };
    run(&world, main, vec![Box::pin(served), Box::pin(publish)]);
}

/// The time of a look at the input begins anew for each look.
#[test]
fn a_look_that_was_not_needed_in_the_end_does_not_shorten_the_next_one() {
    let options = Options::new("d").keep_alive(60).ping_timeout(10_000);
    device!(options => world, broker, runner, client);
    broker.manners(|manners| {
        manners.waits = false;
        manners.most = 64;
    });
    let downs = Cell::new(0);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        downs.set(downs.get() + usize::from(matches!(event, Event::Down { .. })));
    });
    let main = async {
        client.up().await;
        let _ = client.publish(&message("first", QoS::AtMostOnce)).await.unwrap();
        world.after(10).await;
        let start = world.now() - 10;
        broker.manners(|manners| manners.takes_nothing = true);
        let _ = client.publish(&message("stalls", QoS::AtMostOnce)).await.unwrap();
        // The keep alive asks for a packet, and the transport takes none until its time is over.
        world.until(start + 45_000 + 10_000 + 50).await;
        broker.manners(|manners| {
            manners.takes_nothing = false;
            manners.no_pong = true;
        });
        broker.until(|_| broker.count("PINGREQ") == 1).await;
        assert_eq!(downs.get(), 0);
        // The device sleeps. Its network stack has the PINGRESP a little later than the client looks for it.
        world.sleep(20_000);
        world.after(20).await;
        broker.write(b"\xD0\0");
        world.after(1_000).await;
        assert_eq!(downs.get(), 0);
    };
    run(&world, main, vec![Box::pin(served)]);
}

#[test]
fn without_waiters_no_request_waits_for_one() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut storage = Storage::<512, 2, 0>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        let refused = client.publish_wait(&message("no", QoS::AtLeastOnce)).await;
        assert_eq!(refused, Err(WaitError::NoWaiters));
        let _ = client.publish(&message("m", QoS::AtLeastOnce)).await.unwrap();
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), ["m"]);
}
