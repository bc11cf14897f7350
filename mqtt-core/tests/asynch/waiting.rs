//! Tasks that wait: for room, for outcomes, for changes of the connection.

use std::cell::{Cell, RefCell};

use mqtt_core::driver::asynch::{Outcome, Stopped, Storage, TicketError, WaitError, split};
use mqtt_core::{Event, Filter, Options, QoS, RequestError};

use crate::broker::{Broker, DialSplit};
use crate::executor::{World, dropped_after, run};
use crate::{device, kept, message, numbers, publish_all, serve};

#[test]
fn a_publish_waits_for_room() {
    device!(kept("d") => world, broker, runner, client);
    let messages = numbers(50);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        publish_all(client, &messages, QoS::AtLeastOnce).await;
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), messages);
}

#[test]
fn a_publish_that_is_dropped_while_it_waits_for_room_is_not_accepted() {
    device!(kept("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        for number in 0..4 {
            let _ = client.try_publish(&message(&format!("{number}"), QoS::AtLeastOnce)).unwrap();
        }
        let refused = client.try_publish(&message("no", QoS::AtLeastOnce));
        assert!(matches!(refused, Err(RequestError::WindowFull { .. })), "{refused:?}");
        let dropped = dropped_after(1, client.publish(&message("dropped", QoS::AtLeastOnce))).await;
        assert!(dropped.is_none());
        client.idle().await;
        let _ = client.publish(&message("last", QoS::AtLeastOnce)).await.unwrap();
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), ["0", "1", "2", "3", "last"]);
}

#[test]
fn a_message_that_never_fits_does_not_wait() {
    device!(kept("d") => world, broker, runner, client);
    let _ = (&broker, &mut runner);
    let long = "x".repeat(600);
    let main = async { client.publish(&message(&long, QoS::AtMostOnce)).await };
    let refused = run(&world, main, Vec::new());
    assert!(matches!(refused, Err(RequestError::TooLarge { .. })), "{refused:?}");
}

#[test]
fn each_request_has_an_outcome_that_can_be_waited_for() {
    device!(kept("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let outcome = client.publish_wait(&message("m", qos)).await;
            assert_eq!(outcome, Ok(Outcome::Published), "{qos:?}");
        }
        let filter = Filter::new("a/#").unwrap();
        let other = Filter::new("b").unwrap();
        let filters = [(filter, QoS::ExactlyOnce), (other, QoS::AtLeastOnce)];
        let outcome = client.subscribe_wait(&filters).await;
        assert_eq!(outcome, Ok(Outcome::Subscribed(Some(QoS::AtLeastOnce))), "the lowest");
        assert_eq!(client.unsubscribe_wait(&[filter]).await, Ok(Outcome::Unsubscribed));
    };
    run(&world, main, vec![Box::pin(served)]);
}

#[test]
fn a_ticket_gives_its_outcome_late_as_well() {
    device!(kept("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        let ticket = client.publish_ticket(&message("m", QoS::AtLeastOnce)).unwrap();
        client.idle().await;
        for _ in 0..100 {
            assert_eq!(
                client.publish_wait(&message("m", QoS::AtMostOnce)).await,
                Ok(Outcome::Published)
            );
        }
        ticket.outcome().await
    };
    assert_eq!(run(&world, main, vec![Box::pin(served)]), Ok(Outcome::Published));
}

#[test]
fn a_ticket_without_room_for_it_is_refused_and_nothing_is_accepted() {
    device!(kept("d") => world, broker, runner, client);
    let _ = (&world, &broker, &mut runner);
    let tickets: Vec<_> =
        (0..4).map(|_| client.publish_ticket(&message("m", QoS::AtMostOnce)).unwrap()).collect();
    let refused = client.publish_ticket(&message("m", QoS::AtLeastOnce));
    assert_eq!(refused.err(), Some(TicketError::NoWaiter));
    assert_eq!(client.in_flight(), 0);
    drop(tickets);
    assert!(
        client.publish_ticket(&message("m", QoS::AtLeastOnce)).is_ok(),
        "their places are free"
    );
}

#[test]
fn the_outcome_of_a_request_in_a_kept_session_ends_with_the_client() {
    device!(kept("d") => world, broker, runner, client);
    broker.manners(|manners| manners.fault = Some(mqtt_core::TransportFault::Refused));
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        let ticket = client.publish_ticket(&message("m", QoS::AtLeastOnce)).unwrap();
        world.after(1_000).await;
        client.disconnect();
        ticket.outcome().await
    };
    assert_eq!(run(&world, main, vec![Box::pin(served)]), Err(Stopped));
    let wait = WaitError::from(Stopped);
    assert_eq!(wait.to_string(), "the client is stopped");
}

#[test]
fn more_tasks_than_waiters_make_progress() {
    let world = World::new(3);
    let broker = Broker::new(&world);
    let mut storage = Storage::<512, 2, 1>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let done = Cell::new(0);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let task = || async {
        for _ in 0..10 {
            assert_eq!(
                client.publish_wait(&message("m", QoS::AtLeastOnce)).await,
                Ok(Outcome::Published)
            );
        }
        done.set(done.get() + 1);
    };
    let main = async {
        while done.get() != 5 {
            world.after(10).await;
        }
    };
    let mut tasks: Vec<crate::executor::Task<'_>> = vec![Box::pin(served)];
    tasks.extend((0..5).map(|_| Box::pin(task()) as crate::executor::Task<'_>));
    run(&world, main, tasks);
    assert_eq!(broker.delivered().len(), 50);
}

/// With a window of 4, a handler that waited for room would stop the link.
#[test]
fn a_task_that_the_handler_wakes_may_wait_for_room() {
    device!(kept("d") => world, broker, runner, client);
    let asked = Cell::new(0);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |requests, event| {
        if let Event::Message(_) = event {
            asked.set(asked.get() + 1);
            // Room for one or not: the call does not wait.
            let _ = requests.try_publish(&message("now", QoS::AtLeastOnce));
        }
    });
    let main = async {
        client.up().await;
        let (mut sent, mut answered) = (0, 0);
        while answered < 40 {
            if sent < 40 && broker.unanswered() < 4 {
                broker.send("m");
                sent += 1;
            } else if answered < asked.get() {
                let _ = client.publish(&message("later", QoS::AtLeastOnce)).await.unwrap();
                answered += 1;
            } else {
                world.after(1).await;
            }
        }
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered().iter().filter(|payload| *payload == "later").count(), 40);
    assert!(world.now() < 20_000, "{} ms", world.now());
}

#[test]
fn an_idle_client_is_polled_for_its_pings_only() {
    device!(Options::new("d").keep_alive(60) => world, broker, runner, client);
    broker.manners(|manners| manners.waits = false);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        client.up().await;
        world.after(1_000).await;
        let before = world.polls();
        world.after(3_600_000).await;
        world.polls() - before
    };
    let polls = run(&world, main, vec![Box::pin(served)]);
    let pings = broker.count("PINGREQ");
    assert_eq!(pings, 80, "one in 45 s");
    // A PINGREQ needs at most two writes and its answer two reads, each with a poll; one more for the timer.
    assert!(polls <= 6 * pings, "{polls} polls for {pings} pings");
}

#[test]
fn a_publish_waits_while_the_queue_is_full() {
    device!(kept("d").queue_messages(2) => world, broker, runner, client);
    let messages = numbers(20);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        publish_all(client, &messages, QoS::AtMostOnce).await;
        let _ = client.publish(&message("20", QoS::AtLeastOnce)).await.unwrap();
        client.idle().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), numbers(21));
}

#[test]
fn a_task_acknowledges_messages_by_hand_when_it_is_done_with_them() {
    device!(kept("d").manual_acknowledge(true) => world, broker, runner, client);
    let waiting = RefCell::new(Vec::new());
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, event| {
        if let Event::Message(message) = event {
            waiting.borrow_mut().push(message.delivery.unwrap());
        }
    });
    let main = async {
        client.up().await;
        broker.send("1");
        broker.send("2");
        broker.until(|_| waiting.borrow().len() == 2).await;
        world.after(5_000).await;
        assert_eq!(broker.count("PUBREC"), 0, "nothing is acknowledged before the task says so");
        let deliveries: Vec<_> = waiting.borrow_mut().drain(..).collect();
        for delivery in &deliveries {
            client.acknowledge(*delivery).unwrap();
        }
        broker.until(|_| broker.unanswered() == 0).await;
        let again = client.acknowledge(deliveries[0]);
        assert_eq!(again, Err(RequestError::StaleDelivery));
    };
    run(&world, main, vec![Box::pin(served)]);
}

/// M23: the runner sends it at once, without another wake-up.
#[test]
fn a_device_that_is_awake_sends_the_pingreq_that_is_due_soon() {
    device!(kept("d") => world, broker, runner, client);
    let served = serve(&mut runner, &world, DialSplit(broker.clone()), async |_, _| ());
    let main = async {
        client.up().await;
        // Due after 45 s.
        world.until(30_000).await;
        client.awake(10_000, world.instant());
        world.until(31_000).await;
        assert_eq!(broker.count("PINGREQ"), 0);
        client.awake(20_000, world.instant());
        world.until(32_000).await;
        assert_eq!(broker.count("PINGREQ"), 1);
    };
    run(&world, main, vec![Box::pin(served)]);
}
