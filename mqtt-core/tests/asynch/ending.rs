//! How connections end, and what a handler that waits does to them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embedded_io_async::ErrorKind;
use mqtt_core::driver::asynch::{Outcome, fault};
use mqtt_core::{ConnectionState, Event, Fatal, Options, QoS, Reason, Reconnect, TransportFault};

use crate::broker::{Broken, DialBuffered, DialSplit, DialWhole};
use crate::executor::run;
use crate::{device, kept, message, payload, serve};

#[test]
fn finish_sends_and_answers_everything_and_then_disconnects() {
    device!(Options::new("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        for number in 0..3 {
            let _ = client.try_publish(&message(&format!("{number}"), QoS::ExactlyOnce)).unwrap();
        }
        client.finish().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), ["0", "1", "2"]);
    assert_eq!(broker.count("PUBREL"), 3);
    assert_eq!(broker.count("DISCONNECT"), 1);
}

#[test]
fn a_disconnect_leaves_a_transport_that_buffers() {
    device!(Options::new("d") => world, broker, runner, client);
    let main = async {
        client.up().await;
        client.disconnect();
    };
    let served = serve(&mut runner, &world, DialBuffered(broker.clone()), async |_, _| ());
    let both = async {
        main.await;
        world.after(10_000).await;
    };
    run(&world, both, vec![Box::pin(served)]);
    assert_eq!(broker.count("DISCONNECT"), 1);
}

#[test]
fn run_ends_with_the_client_and_serves_it_again_after_connect() {
    device!(kept("d") => world, broker, runner, client);
    let main = async {
        for round in 1..=3 {
            let serve = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
                if let Event::Up { .. } = event {
                    client.disconnect();
                }
            });
            serve.await;
            assert_eq!(broker.count("DISCONNECT"), round);
            assert_eq!(client.state(), ConnectionState::Stopped);
            client.connect();
        }
    };
    run(&world, main, Vec::new());
}

#[test]
fn a_broker_that_does_not_close_after_a_disconnect_costs_half_a_second() {
    device!(Options::new("d") => world, broker, runner, client);
    broker.manners(|manners| manners.never_closes = true);
    let ends = Cell::new(0);
    let main = async {
        serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
            if let Event::Up { .. } = event {
                client.disconnect();
                ends.set(world.now());
            }
        })
        .await;
    };
    run(&world, main, Vec::new());
    let took = world.now() - ends.get();
    assert!((500..700).contains(&took), "{took} ms: then the client closes its half");
}

#[test]
fn a_transport_that_takes_nothing_cannot_hold_up_the_end() {
    device!(Options::new("d").connect_timeout(2_000) => world, broker, runner, client);
    let main = async {
        serve(&mut runner, &world, DialBuffered(broker.clone()), async |_, event| {
            if let Event::Up { .. } = event {
                broker.manners(|manners| manners.takes_nothing = true);
                let _ = client.try_publish(&message("stuck", QoS::AtLeastOnce)).unwrap();
                client.disconnect();
            }
        })
        .await;
    };
    run(&world, main, Vec::new());
    assert!(world.now() < 8_000, "{} ms", world.now());
}

#[test]
fn requests_of_a_clean_session_end_as_lost() {
    device!(Options::new("d") => world, broker, runner, client);
    broker.manners(|manners| manners.fault = Some(TransportFault::Unreachable));
    let lost = RefCell::new(Vec::new());
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Lost(handle) = event {
            lost.borrow_mut().push(handle);
        }
    });
    let main = async {
        let ticket = client.publish_ticket(&message("m", QoS::AtLeastOnce)).unwrap();
        let handle = ticket.handle();
        world.after(100).await;
        client.disconnect();
        assert_eq!(ticket.outcome().await, Ok(Outcome::Lost));
        handle
    };
    let handle = run(&world, main, vec![Box::pin(served)]);
    assert_eq!(*lost.borrow(), [handle]);
}

/// Reading stops, TCP holds the broker back, and writes and keep alive go on.
fn keeps_alive(dial: impl mqtt_core::driver::asynch::Dial, broker: &crate::broker::Broker) {
    let world = Rc::clone(&broker.world);
    let mut storage = mqtt_core::driver::asynch::Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&Options::new("d").keep_alive(60)).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) =
        mqtt_core::driver::asynch::split(&share, &mut read, &mut write).unwrap();
    let handled = Cell::new(0);
    let served = serve(&mut runner, &world, dial, async |_, event| {
        if payload(&event).is_some() {
            world.after(600_000).await;
            handled.set(handled.get() + 1);
        }
    });
    let main = async {
        client.up().await;
        broker.send("slow");
        world.after(300_000).await;
        assert_eq!(handled.get(), 0, "it still waits");
        assert_eq!(client.publish(&message("meanwhile", QoS::AtLeastOnce)).await.err(), None);
        world.after(1_000).await;
        assert_eq!(broker.delivered(), ["meanwhile"]);
        assert!(broker.count("PINGREQ") >= 1);
        world.after(400_000).await;
        assert_eq!(handled.get(), 1);
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.state.borrow().connections, 1, "the link was never taken for dead");
}

#[test]
fn a_handler_that_waits_ten_minutes_does_not_cost_the_connection() {
    let world = crate::executor::World::new(5);
    let broker = crate::broker::Broker::new(&world);
    keeps_alive(DialSplit(broker.clone()), &broker);
}

#[test]
fn a_handler_that_waits_does_not_stop_writes_to_a_whole_transport() {
    let world = crate::executor::World::new(5);
    let broker = crate::broker::Broker::new(&world);
    keeps_alive(DialWhole(broker.clone()), &broker);
}

#[test]
fn a_handler_that_has_begun_is_not_dropped_when_the_link_breaks() {
    device!(kept("d") => world, broker, runner, client);
    let (begun, ended) = (Cell::new(0), Cell::new(0));
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if payload(&event).is_some() {
            begun.set(begun.get() + 1);
            world.after(5_000).await;
            ended.set(ended.get() + 1);
        }
    });
    let main = async {
        client.up().await;
        broker.send("m");
        broker.until(|_| begun.get() == 1).await;
        broker.close();
        let _ = client.publish(&message("again", QoS::AtLeastOnce)).await.unwrap();
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!((begun.get(), ended.get()), (1, 1));
    assert_eq!(broker.delivered(), ["again"]);
}

#[test]
fn a_missing_pingresp_ends_the_connection() {
    device!(Options::new("d").keep_alive(60) => world, broker, runner, client);
    broker.manners(|manners| manners.no_pong = true);
    let why = RefCell::new(Vec::new());
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Down { reason, .. } = event {
            why.borrow_mut().push(reason);
        }
    });
    let main = async {
        client.up().await;
        world.after(70_000).await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(*why.borrow(), [Reason::Fatal(Fatal::PingTimeout)]);
}

/// A time-out is judged after another look at the input.
#[test]
fn a_device_that_slept_does_not_miss_a_pingresp_that_lies_in_the_transport() {
    device!(Options::new("d").keep_alive(60) => world, broker, runner, client);
    broker.manners(|manners| manners.waits = false);
    let downs = Cell::new(0);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Down { .. } = event {
            downs.set(downs.get() + 1);
        }
    });
    let main = async {
        client.up().await;
        for _ in 0..20 {
            // The PINGREQ goes out, its answer is in the transport, and the clock leaps.
            broker.until(|_| broker.count("PINGREQ") > 0).await;
            world.sleep(3_600_000);
            world.after(100).await;
            broker.state.borrow_mut().packets.clear();
        }
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(downs.get(), 0);
}

#[test]
fn a_transport_that_takes_nothing_is_given_up() {
    device!(Options::new("d").keep_alive(60) => world, broker, runner, client);
    let why = RefCell::new(Vec::new());
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Down { reason, .. } = event {
            why.borrow_mut().push(reason);
        }
    });
    let main = async {
        client.up().await;
        broker.manners(|manners| manners.takes_nothing = true);
        let _ = client.publish(&message("m", QoS::AtLeastOnce)).await.unwrap();
        world.after(120_000).await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert!(!why.borrow().is_empty(), "within two minutes");
    assert!(world.polls() < 1_000, "{} polls", world.polls());
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_and_the_next_one_follows() {
    let options = Options::new("d").connect_timeout(1_000).reconnect(Reconnect::after(100));
    device!(options => world, broker, runner, client);
    broker.manners(|manners| manners.dial = 50_000);
    let why = RefCell::new(Vec::new());
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Down { reason, .. } = event {
            why.borrow_mut().push(reason);
        }
    });
    let main = async {
        world.after(2_000).await;
        broker.manners(|manners| manners.dial = 10);
        client.up().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(why.borrow().first(), Some(&Reason::Fatal(Fatal::ConnectTimeout)));
}

#[test]
fn the_fault_of_an_attempt_is_told() {
    for expected in [
        TransportFault::Refused,
        TransportFault::UnknownName,
        TransportFault::NotTrusted,
        TransportFault::Reset,
    ] {
        device!(Options::new("d").reconnect(Reconnect::never()) => world, broker, runner, client);
        let _ = client;
        broker.manners(|manners| manners.fault = Some(expected));
        let why = Cell::new(None);
        let main = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
            if let Event::Down { reason, .. } = event {
                why.set(Some(reason));
            }
        });
        run(&world, main, Vec::new());
        assert_eq!(why.get(), Some(Reason::TransportFailed(expected)));
    }
}

#[test]
fn errors_of_transports_are_told_in_the_words_of_the_client() {
    for (kind, expected) in [
        (ErrorKind::ConnectionRefused, TransportFault::Refused),
        (ErrorKind::NotFound, TransportFault::UnknownName),
        (ErrorKind::AddrNotAvailable, TransportFault::Unreachable),
        (ErrorKind::TimedOut, TransportFault::TimedOut),
        (ErrorKind::ConnectionReset, TransportFault::Reset),
        (ErrorKind::BrokenPipe, TransportFault::Reset),
        (ErrorKind::PermissionDenied, TransportFault::NotPermitted),
        (ErrorKind::InvalidData, TransportFault::Protocol),
        (ErrorKind::OutOfMemory, TransportFault::Other),
    ] {
        assert_eq!(fault(&Broken(kind)), expected, "{kind:?}");
    }
}
