//! Requests that the application takes back. M18.

use mqtt_core::{Action, Handle, Options, Publish, QoS, RequestError, filter, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, UNSUBACK, ack, suback},
};

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

fn publish(script: &mut Script, text: &str, qos: QoS) -> Handle {
    script.client.publish(&Publish::new(topic!("t"), text.as_bytes()).qos(qos)).unwrap()
}

#[test]
fn a_cancelled_request_that_was_never_shown_is_not_sent_and_the_order_of_the_others_is_kept() {
    let mut script = Script::new(&persistent());
    let _ = publish(&mut script, "1", QoS::AtLeastOnce);
    let second = publish(&mut script, "2", QoS::ExactlyOnce);
    let _ = publish(&mut script, "3", QoS::ExactlyOnce);
    script.client.cancel(second).unwrap();
    script.run();
    assert_eq!(script.told(), ["cancelled 2", "connecting 0"]);
    script.hear(ACCEPTED);
    assert_eq!(script.sent()[1..], ["PUBLISH t 1 q1 1", "PUBLISH t 3 q2 3"]);
    assert_eq!(script.client.in_flight(), 2);
}

#[test]
fn a_cancelled_publish_that_was_sent_may_have_arrived_and_is_not_sent_again() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut script = Script::up(&persistent());
        let handle = publish(&mut script, "1", qos);
        script.run();
        script.client.cancel(handle).unwrap();
        script.run();
        assert_eq!(script.told(), ["cancelled 1 sent"]);
        assert_eq!(script.client.in_flight(), 0);
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
    }
}

#[test]
fn a_publish_that_was_sent_on_an_earlier_connection_may_have_arrived() {
    let mut script = Script::up(&persistent());
    let handle = publish(&mut script, "1", QoS::AtLeastOnce);
    script.run();
    script.cut();
    script.told();
    script.client.cancel(handle).unwrap();
    script.run();
    assert_eq!(script.told(), ["cancelled 1 sent"]);
}

/// [MQTT-2.3.1-3]
#[test]
fn the_packet_id_of_a_cancelled_publish_stays_out_of_use_until_it_is_answered() {
    let mut script = Script::sized(&persistent(), 200, 1);
    script.accept(ACCEPTED);
    let handle = publish(&mut script, "1", QoS::AtLeastOnce);
    script.run();
    script.client.cancel(handle).unwrap();
    script.run();
    // All ids of the only slot, once round.
    for _ in 0..u32::from(u16::MAX) {
        let handle = publish(&mut script, "2", QoS::AtLeastOnce);
        let id = handle.packet_id().unwrap().get();
        assert_ne!(id, 1);
        script.run();
        script.hear(&ack(PUBACK, id));
        script.sent();
        script.told();
    }
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.client.counters().unexpected_acks, 0);
    assert!(script.is_open());
    let used_again = (0..u32::from(u16::MAX)).any(|_| {
        let handle = publish(&mut script, "3", QoS::AtLeastOnce);
        let id = handle.packet_id().unwrap().get();
        script.run();
        script.hear(&ack(PUBACK, id));
        script.sent();
        script.told();
        id == 1
    });
    assert!(used_again);
}

#[test]
fn a_slot_is_free_at_once_however_often_a_request_is_cancelled() {
    let mut script = Script::sized(&persistent(), 200, 1);
    script.accept(ACCEPTED);
    for _ in 0..100 {
        let handle = publish(&mut script, "x", QoS::ExactlyOnce);
        script.run();
        script.client.cancel(handle).unwrap();
        script.run();
        assert_eq!(script.told().len(), 1);
    }
}

#[test]
fn a_packet_that_is_partly_written_is_finished() {
    for rest in [true, false] {
        let mut script = Script::up(&persistent());
        let handle = publish(&mut script, "0123456789", QoS::AtLeastOnce);
        let now = script.now();
        let Action::Transmit(bytes) = script.client.poll(now) else { panic!("a PUBLISH is due") };
        let packet = bytes.to_vec();
        script.client.transmitted(3, now);
        script.client.cancel(handle).unwrap();
        assert_eq!(script.client.cancel(handle), Err(RequestError::NotInFlight));
        let Action::Transmit(bytes) = script.client.poll(now) else { panic!("the rest is due") };
        assert_eq!(bytes, &packet[3..]);
        if rest {
            script.client.transmitted(packet.len() - 3, now);
            script.run();
            assert_eq!(script.told(), ["cancelled 1 sent"]);
            script.hear(&ack(PUBACK, 1));
            assert!(script.is_open());
        } else {
            script.cut();
            assert_eq!(script.told(), ["down: the transport closed", "cancelled 1 sent"]);
        }
        script.sent();
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
        assert_eq!(script.client.in_flight(), 0);
    }
}

/// [MQTT-4.3.3-1]
#[test]
fn a_qos_2_publish_cannot_be_cancelled_after_its_pubrec() {
    let mut script = Script::up(&persistent());
    let handle = publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.client.cancel(handle), Err(RequestError::Released));
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told(), ["published 1"]);
    assert_eq!(script.client.cancel(handle), Err(RequestError::NotInFlight));
}

/// [MQTT-4.3.3-1]
#[test]
fn a_late_pubrec_of_a_cancelled_publish_is_answered_and_its_pubcomp_frees_the_id() {
    let mut script = Script::up(&persistent().strict(true));
    let handle = publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.client.cancel(handle).unwrap();
    script.run();
    script.sent();
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBREL 1"]);
    script.hear(&ack(PUBCOMP, 1));
    assert!(script.is_open());
    assert_eq!(script.told(), ["cancelled 1 sent"]);
}

#[test]
fn a_cancelled_subscribe_may_be_subscribed_and_is_not_renewed() {
    let mut script = Script::up(&persistent());
    let filters = [(filter!("a"), QoS::AtLeastOnce), (filter!("b"), QoS::AtLeastOnce)];
    let handle = script.client.subscribe(&filters).unwrap();
    script.run();
    script.client.cancel(handle).unwrap();
    script.run();
    assert_eq!(script.told(), ["cancelled 1 sent"]);
    script.hear(&suback(1, &[1, 1]));
    assert_eq!(script.told(), [""; 0]);
    assert_eq!(script.client.subscriptions().count(), 0);
    assert_eq!(script.reconnect(ACCEPTED), [""; 0]);
}

#[test]
fn a_cancelled_unsubscribe_leaves_the_subscription_to_be_renewed() {
    let mut script = Script::up(&persistent());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtLeastOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[1]));
    let handle = script.client.unsubscribe(&[filter!("a")]).unwrap();
    script.client.cancel(handle).unwrap();
    script.run();
    script.hear(&ack(UNSUBACK, 2));
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:1"]);
}

#[test]
fn a_publish_of_qos_0_cannot_be_cancelled() {
    let mut script = Script::up(&persistent());
    let handle = publish(&mut script, "1", QoS::AtMostOnce);
    assert_eq!(script.client.cancel(handle), Err(RequestError::AtMostOnce));
}

/// What a new client sends that is made from the records of `script`.
fn sent_after_a_power_cut(script: &Script, connack: &[u8]) -> Vec<String> {
    let mut again = restored(script);
    again.run();
    again.hear(connack);
    again.sent().split_off(1)
}

fn restored(script: &Script) -> Script {
    let mut again = Script::new(&persistent().journal(true));
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    again.records.clone_from(&script.records);
    again
}

#[test]
fn a_cancelled_request_does_not_come_back_after_a_power_cut() {
    for send in [true, false] {
        for compact in [true, false] {
            let mut script = Script::new(&persistent().journal(true));
            if send {
                script.accept(ACCEPTED);
            }
            let handle = publish(&mut script, "1", QoS::ExactlyOnce);
            let _ = publish(&mut script, "2", QoS::ExactlyOnce);
            if send {
                script.run();
            }
            script.client.cancel(handle).unwrap();
            if compact {
                script.client.compact();
            }
            script.run();
            let connack = if send { ACCEPTED_SESSION_PRESENT } else { ACCEPTED };
            let sent = sent_after_a_power_cut(&script, connack);
            let dup = if send { " dup" } else { "" };
            assert!(sent.contains(&format!("PUBLISH t 2 q2 2{dup}")), "{sent:?}");
            assert!(!sent.iter().any(|packet| packet.starts_with("PUBLISH t 1")), "{sent:?}");
        }
    }
}

#[test]
fn a_cancel_in_the_middle_of_a_packet_survives_a_power_cut() {
    for compact in [true, false] {
        let mut script = Script::up(&persistent().journal(true));
        let handle = publish(&mut script, "0123456789", QoS::AtLeastOnce);
        let now = script.now();
        while let Action::Persist(record) = script.client.poll(now) {
            script.records.push(test_kit::record::bytes_of(&record));
            script.client.persisted();
        }
        script.client.transmitted(3, now);
        script.client.cancel(handle).unwrap();
        if compact {
            script.client.compact();
        }
        let Action::Persist(record) = script.client.poll(now) else { panic!("a record is due") };
        script.records.push(test_kit::record::bytes_of(&record));
        let sent = sent_after_a_power_cut(&script, ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, [""; 0]);
    }
}

/// [MQTT-2.3.1-3]
#[test]
fn a_packet_id_stays_out_of_use_over_a_power_cut_until_it_is_answered() {
    let mut script = Script::up(&persistent().journal(true));
    let handle = publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.client.cancel(handle).unwrap();
    // Without the snapshot the restored slot knows its last id from the publish.
    script.client.compact();
    script.run();
    let next = publish(&mut restored(&script), "2", QoS::ExactlyOnce);
    assert_ne!(next.packet_id(), handle.packet_id());
    let mut again = restored(&script);
    again.accept(ACCEPTED_SESSION_PRESENT);
    again.hear(&ack(PUBREC, 1));
    again.hear(&ack(PUBCOMP, 1));
    again.client.compact();
    again.run();
    let next = publish(&mut restored(&again), "3", QoS::ExactlyOnce);
    assert_eq!(next.packet_id(), handle.packet_id());
}
