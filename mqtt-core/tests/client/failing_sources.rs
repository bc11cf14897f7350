//! Sources that have no bytes yet, that fail, or that are gone.

use mqtt_core::{
    Action, ConnectionState, Event, Fatal, Instant, QoS, Queue, Reason, SourceFault, SourceId,
};
use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, ack},
};

use crate::from_source::{LEVELS, begin, copied, letters, options, publish, send};

#[test]
fn a_disconnect_does_not_wait_for_ever_for_a_source() {
    let mut script = Script::up(&options().connect_timeout(1_000));
    publish(&mut script, 1, 1_000, QoS::AtLeastOnce);
    script.source(1).pending_from = Some(100);
    script.client.disconnect();
    script.run();
    script.later(1_000);
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

#[test]
fn a_source_that_has_no_bytes_yet_is_asked_again_once_it_is_ready() {
    let mut script = Script::up(&options());
    let handle = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    copied(&mut script, "2", QoS::AtMostOnce);
    script.source(1).pending_from = Some(40);
    let until = script.run();
    assert!(until > script.now(), "the client waits");
    assert_eq!(script.source(1).asked, [0, 40]);
    assert_eq!(script.sent(), [""; 0]);
    script.source(1).pending_from = None;
    script.run();
    assert_eq!(script.source(1).asked, [0, 40], "nobody has said that it is ready");
    script.client.source_ready(handle);
    script.run();
    let expected = [format!("PUBLISH t {} q1 1", letters(1, 100)), "PUBLISH t 2 q0".to_owned()];
    assert_eq!(script.sent(), expected);
}

/// Their answers go out in their turn, and here nothing is ahead of them.
#[test]
fn messages_that_find_no_slot_are_skipped_also_while_a_source_has_no_bytes() {
    let options = options().clean_session(true).manual_acknowledge(true);
    let mut script = Script::sized(&options, 256, 2);
    script.accept(ACCEPTED);
    publish(&mut script, 1, 100, QoS::AtLeastOnce);
    script.source(1).pending_from = Some(40);
    script.run();
    let message = |id| [0x34, 6, 0, 1, b't', 0, id, b'x'];
    for id in 1..=2 {
        let (bytes, now) = (message(id), script.now());
        let Ok(Some(Event::Message(message))) = script.client.receive(&mut &bytes[..], now) else {
            panic!("it is handed over");
        };
        script.client.acknowledge(message.delivery.expect("it is of QoS 2")).expect("it is owed");
    }
    script.hear(&(3..=12).flat_map(message).collect::<Vec<_>>());
    assert_eq!((script.told().len(), script.untaken()), (10, 0));
}

#[test]
fn a_source_that_stays_without_bytes_ends_the_connection_by_its_name() {
    for keep_alive in [0, 60] {
        let mut script = Script::up(&options().keep_alive(keep_alive));
        publish(&mut script, 7, 100, QoS::AtLeastOnce);
        script.source(7).pending_from = Some(40);
        let begun = script.now();
        let mut waits = 0;
        loop {
            let until = script.run();
            if !script.told().is_empty() {
                break;
            }
            assert_ne!(until, Instant::FAR_FUTURE, "there is a deadline");
            script.later(until.millis_since(script.now()));
            waits += 1;
            assert!(waits < 10, "it comes");
        }
        let took = script.now().millis_since(begun);
        assert_eq!(took, if keep_alive == 0 { 120_000 } else { 55_000 });
        assert_eq!(script.source(7).asked, [0, 40, 40], "it was asked once more");
        // It is not lost, and may be faster next time.
        script.source(7).pending_from = None;
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT).len(), 1);
        script.told();
        script.hear(&ack(PUBACK, 1));
        assert_eq!(script.told(), ["published 1"]);
    }
}

#[test]
fn a_source_that_is_always_too_slow_is_told_as_stuck_and_can_be_taken_back() {
    let mut script = Script::up(&options().keep_alive(0));
    let handle = begin(&mut script, 7, 100, QoS::AtLeastOnce);
    script.source(7).pending_from = Some(40);
    let mut told = Vec::new();
    for _ in 0..20 {
        let until = script.run();
        script.later(until.millis_since(script.now()).min(200_000));
        script.run();
        if script.client.state() == ConnectionState::Connecting {
            script.hear(ACCEPTED_SESSION_PRESENT);
        }
        told.append(&mut script.told());
    }
    assert!(told.iter().any(|event| event.starts_with("stuck 1")), "{told:?}");
    script.client.cancel(handle).unwrap();
    script.cut();
    assert!(script.told().iter().any(|event| event.starts_with("cancelled 1")));
}

#[test]
fn a_source_that_is_gone_before_its_turn_costs_only_its_publish() {
    for qos in LEVELS {
        let mut script = Script::up(&options());
        copied(&mut script, "1", QoS::AtMostOnce);
        publish(&mut script, 2, 100, qos);
        copied(&mut script, "3", QoS::AtMostOnce);
        script.forget_source(2);
        script.run();
        assert_eq!(script.sent(), ["PUBLISH t 1 q0", "PUBLISH t 3 q0"]);
        let failed = if qos == QoS::AtMostOnce { "-" } else { "1" };
        let mut told = script.told();
        told.sort();
        assert_eq!(told, ["published -", "published -", &format!("source failed {failed}")]);
        assert_eq!(script.client.state(), ConnectionState::Up);
        assert!(script.client.is_idle());
    }
}

#[test]
fn each_publish_whose_source_is_gone_ends_with_its_own_event() {
    for queue in [Queue::RefuseNew, Queue::DropOldest] {
        let mut script = Script::up(&options().queue(queue));
        let now = script.now();
        let _one = begin(&mut script, 1, 10, QoS::AtMostOnce);
        let two = begin(&mut script, 2, 10, QoS::AtMostOnce);
        let _three = begin(&mut script, 3, 10, QoS::AtMostOnce);
        let mut ended = Vec::new();
        send(&mut script, 100);
        let Action::TransmitFrom(piece) = script.client.poll(now) else { panic!() };
        assert_eq!(piece.handle, two);
        script.client.source_failed(two, SourceFault::Gone);
        send(&mut script, 100);
        while let Some(event) = script.client.receive(&mut &[][..], now).unwrap() {
            ended.push(test_kit::text::event(&event));
        }
        assert_eq!(ended, ["published -", "source failed -", "published -"], "{queue:?}");
    }
}

#[test]
fn two_failures_at_qos_0_without_a_look_at_the_events_end_the_connection() {
    let mut script = Script::up(&options());
    let now = script.now();
    for number in [1, 2] {
        let handle = begin(&mut script, number, 10, QoS::AtMostOnce);
        assert!(matches!(script.client.poll(now), Action::TransmitFrom(_)));
        script.client.source_failed(handle, SourceFault::Gone);
    }
    script.run();
    assert_eq!(
        script.told(),
        ["source failed -", "lost -", "down: source 2: there is no such source"]
    );
}

#[test]
fn a_source_that_fails_in_the_middle_ends_the_connection_and_its_publish() {
    for qos in LEVELS {
        for sent in 1..100 {
            let mut script = Script::up(&options());
            let handle = begin(&mut script, 9, 100, qos);
            copied(&mut script, "2", QoS::AtLeastOnce);
            send(&mut script, sent);
            let now = script.now();
            assert!(matches!(script.client.poll(now), Action::TransmitFrom(_)));
            script.client.source_failed(handle, SourceFault::Failed);
            let reason = Reason::Fatal(Fatal::Source {
                source_id: SourceId::new(9),
                fault: SourceFault::Failed,
            });
            assert_eq!(script.client.poll(now), Action::Close(reason));
            script.run();
            let told = script.told();
            let id = if qos == QoS::AtMostOnce { "-" } else { "1" };
            assert!(told.contains(&format!("source failed {id}")), "{told:?}");
            let id = if qos == QoS::AtMostOnce { 1 } else { 2 };
            let again = script.reconnect(ACCEPTED_SESSION_PRESENT);
            assert_eq!(again, [format!("PUBLISH t 2 q1 {id}")]);
            script.hear(&ack(PUBACK, id));
            assert!(script.client.is_idle());
        }
    }
}

#[test]
fn a_source_with_fewer_bytes_than_its_publish_is_an_error_and_no_malformed_packet() {
    let mut script = Script::up(&options());
    publish(&mut script, 1, 100, QoS::AtLeastOnce);
    script.source(1).bytes.truncate(80);
    script.run();
    assert_eq!(script.sent(), [""; 0]);
    let told = script.told();
    let down = "down: source 1: the source has another length than its publish";
    assert!(told.contains(&down.to_owned()), "{told:?}");
    assert!(told.contains(&"source failed 1".to_owned()), "{told:?}");
}

#[test]
fn a_report_about_a_source_that_is_not_being_read_changes_nothing() {
    let mut script = Script::up(&options());
    let first = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    let second = begin(&mut script, 2, 100, QoS::AtLeastOnce);
    let now = script.now();
    script.client.source_failed(first, SourceFault::Gone);
    script.client.source_pending(first, now);
    send(&mut script, 10);
    script.client.source_failed(second, SourceFault::Gone);
    script.client.source_pending(second, now);
    assert!(matches!(script.client.poll(now), Action::TransmitFrom(_)));
    script.source(1).bytes = letters(1, 100).into_bytes();
    let mut left = 97;
    while left != 0 {
        left -= send(&mut script, left);
    }
    script.run();
    assert_eq!(script.client.in_flight(), 2);
}

#[test]
fn after_a_restart_a_source_that_is_gone_costs_only_its_publish() {
    let journal = options().journal(true);
    let mut script = Script::up(&journal);
    publish(&mut script, 2, 100, QoS::AtLeastOnce);
    copied(&mut script, "3", QoS::AtLeastOnce);
    script.run();
    let mut restarted = Script::new(&journal);
    for record in &script.records {
        restarted.client.restore(record).unwrap();
    }
    restarted.run();
    restarted.hear(ACCEPTED_SESSION_PRESENT);
    let told = restarted.told();
    assert_eq!(told.last().unwrap(), "source failed 1");
    let sent = restarted.sent();
    assert_eq!(sent[1..], ["PUBLISH t 3 q1 2 dup"]);
    // And it does not come back.
    let mut again = Script::new(&journal);
    for record in script.records.iter().chain(&restarted.records) {
        again.client.restore(record).unwrap();
    }
    assert_eq!(again.client.sources().count(), 0);
    assert_eq!(again.client.publishes().count(), 1);
}

#[test]
fn a_pingreq_is_due_at_once_if_a_source_fails_after_the_keep_alive_has_run_out() {
    let mut script = Script::up(&options().keep_alive(4));
    let handle = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    script.source(1).pending_from = Some(0);
    script.run();
    script.later(3_000);
    script.run();
    assert_eq!(script.sent(), [""; 0]);
    script.client.source_failed(handle, SourceFault::Gone);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ"]);
    assert_eq!(script.told(), ["source failed 1"]);
}

#[test]
fn a_client_that_leaves_because_messages_were_passed_over_does_not_wait_for_ever_for_a_source() {
    // One slot: the second message of QoS 2 is passed over.
    let mut script = Script::sized(&options().connect_timeout(1_000).keep_alive(0), 1024, 2);
    script.accept(ACCEPTED);
    publish(&mut script, 1, 100, QoS::AtMostOnce);
    script.source(1).pending_from = Some(10);
    for id in 1..=3 {
        script.hear(&[0x34, 6, 0, 1, b'm', 0, id, b'x']);
    }
    let until = script.run();
    assert_ne!(until, Instant::FAR_FUTURE);
}
