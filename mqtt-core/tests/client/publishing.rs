//! Publishing on a link that holds.

use std::collections::HashSet;

use mqtt_core::{Options, PacketId, Publish, QoS, Reconnect, RequestError, topic};

use test_kit::{
    script::Script,
    wire::{PUBACK, PUBCOMP, PUBREC, ack},
};

fn publish(qos: QoS) -> Publish<'static> {
    Publish::new(topic!("t"), b"x").qos(qos)
}

/// [MQTT-4.3.1-1]
#[test]
fn a_qos_0_publish_is_sent_once_and_is_done_when_the_transport_has_it() {
    let mut script = Script::up(&Options::new("me"));
    let _ = script.client.publish(&publish(QoS::AtMostOnce)).unwrap();
    assert_eq!(script.told(), [""; 0]);
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t x q0"]);
    assert_eq!(script.told(), ["published -"]);
}

/// [MQTT-4.3.2-1]
#[test]
fn a_qos_1_publish_is_done_with_its_puback() {
    let mut script = Script::up(&Options::new("me"));
    let _ = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t x q1 1"]);
    assert_eq!(script.told(), [""; 0]);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.told(), ["published 1"]);
    assert_eq!(script.client.in_flight(), 0);
}

/// [MQTT-4.3.3-1]
#[test]
fn a_qos_2_publish_takes_four_packets() {
    let mut script = Script::up(&Options::new("me"));
    let _ = script.client.publish(&publish(QoS::ExactlyOnce)).unwrap();
    script.run();
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBLISH t x q2 1", "PUBREL 1"]);
    assert_eq!(script.told(), [""; 0]);
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told(), ["published 1"]);
    assert_eq!(script.client.in_flight(), 0);
}

#[test]
fn an_empty_retained_message_is_a_message() {
    let mut script = Script::up(&Options::new("me"));
    let clear = Publish::new(topic!("t"), b"").retain(true);
    let _ = script.client.publish(&clear).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t  q0 retain"]);
}

#[test]
fn the_packet_id_and_dup_of_a_request_are_not_used() {
    let mut script = Script::up(&Options::new("me"));
    let mut request = publish(QoS::AtLeastOnce);
    request.dup = true;
    request.id = PacketId::new(77);
    let _ = script.client.publish(&request).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t x q1 1"]);
}

#[test]
fn messages_published_offline_are_sent_in_order_once_connected() {
    let mut script = Script::new(&Options::new("me"));
    for (payload, qos) in
        [(b"1", QoS::AtLeastOnce), (b"2", QoS::AtMostOnce), (b"3", QoS::ExactlyOnce)]
    {
        let _ = script.client.publish(&Publish::new(topic!("t"), payload).qos(qos)).unwrap();
    }
    script.run();
    script.sent();
    script.hear(test_kit::wire::ACCEPTED);
    assert_eq!(script.sent(), ["PUBLISH t 1 q1 1", "PUBLISH t 2 q0", "PUBLISH t 3 q2 2"]);
}

/// [MQTT-2.3.1-2], [MQTT-2.3.1-3]: two rounds through every id, with one that is never answered.
#[test]
fn no_id_is_given_out_while_it_is_in_flight() {
    let mut script = Script::up(&Options::new("me"));
    let stuck = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap().packet_id().unwrap();
    for _ in 0..130_000 {
        let handle = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
        let id = handle.packet_id().unwrap();
        assert_ne!(id, stuck);
        script.run();
        script.hear(&ack(PUBACK, id.get()));
        script.told();
        script.sent();
    }
}

#[test]
fn a_stale_handle_never_equals_a_new_one() {
    let mut script = Script::sized(&Options::new("me"), 256, 1);
    script.accept(test_kit::wire::ACCEPTED);
    let mut seen = HashSet::new();
    for _ in 0..70_000 {
        let handle = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
        assert!(seen.insert(handle));
        script.run();
        script.hear(&ack(PUBACK, handle.packet_id().unwrap().get()));
        script.told();
        script.sent();
    }
}

#[test]
fn acknowledgements_out_of_order_free_their_own_requests() {
    let mut script = Script::up(&Options::new("me"));
    for _ in 0..4 {
        let _ = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
    }
    script.run();
    for id in [3, 1, 4, 2] {
        script.hear(&ack(PUBACK, id));
    }
    assert_eq!(script.told(), ["published 3", "published 1", "published 4", "published 2"]);
}

#[test]
fn a_publish_into_a_full_window_is_an_error_and_changes_nothing() {
    let mut script = Script::sized(&Options::new("me"), 1024, 2);
    script.accept(test_kit::wire::ACCEPTED);
    for _ in 0..2 {
        let _ = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
    }
    let free = script.client.outbox_free();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let error = script.client.publish(&publish(qos)).unwrap_err();
        assert_eq!(error, RequestError::WindowFull { in_flight: 2 });
    }
    assert_eq!(script.client.outbox_free(), free);
    let _ = script.client.publish(&publish(QoS::AtMostOnce)).expect("QoS 0 takes no slot");
    script.run();
    script.hear(&ack(PUBACK, 1));
    let _ = script.client.publish(&publish(QoS::ExactlyOnce)).expect("there is room again");
}

/// By default Mosquitto takes 20 messages above QoS 0 at once. It acknowledges further ones, but drops them. One place
/// is left for QoS 1.
#[test]
fn no_more_qos_2_messages_are_in_flight_than_the_options_allow() {
    for (options, most) in [
        (Options::new("me"), 19),
        (Options::new("me").exactly_once_window(3), 3),
        (Options::new("me").exactly_once_window(u16::MAX), 64),
    ] {
        let mut script = Script::sized(&options, 4096, 64);
        script.accept(test_kit::wire::ACCEPTED);
        let full = loop {
            if let Err(error) = script.client.publish(&publish(QoS::ExactlyOnce)) {
                break error;
            }
        };
        assert_eq!(full, RequestError::WindowFull { in_flight: most });
        let others = script.client.publish(&publish(QoS::AtLeastOnce));
        assert_eq!(others.is_ok(), most < 64, "QoS 1 has slots of its own to take");
        script.run();
        script.hear(&ack(PUBREC, 1));
        assert!(script.client.publish(&publish(QoS::ExactlyOnce)).is_err(), "not before PUBCOMP");
        script.hear(&ack(PUBCOMP, 1));
        assert!(script.client.publish(&publish(QoS::ExactlyOnce)).is_ok());
    }
}

#[test]
fn qos_2_messages_that_were_lost_make_room_for_others() {
    let options = Options::new("me").clean_session(false).exactly_once_window(1);
    let mut script = Script::up(&options);
    for _ in 0..3 {
        let _ = script.client.publish(&publish(QoS::ExactlyOnce)).unwrap();
        script.run();
        script.sent();
        assert_eq!(script.reconnect(test_kit::wire::ACCEPTED), [""; 0]);
        assert!(script.told().last().unwrap().starts_with("lost"));
    }
}

#[test]
fn a_full_outbox_is_an_error_and_an_acknowledgement_makes_room() {
    let mut script = Script::sized(&Options::new("me"), 160, 8);
    script.accept(test_kit::wire::ACCEPTED);
    let payload = [b'p'; 40];
    let large = Publish::new(topic!("t"), &payload).qos(QoS::AtLeastOnce);
    let mut accepted = 0;
    let error = loop {
        match script.client.publish(&large) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    let free = script.client.outbox_free();
    assert_eq!(error, RequestError::OutboxFull { needed: 47, free });
    script.run();
    for round in 0..100 {
        let id = script.sent().len();
        assert!(id <= accepted, "{round}");
        let oldest = round % 8 + 1 + round / 8 * 8;
        script.hear(&ack(PUBACK, oldest as u16));
        assert_eq!(script.told(), [format!("published {oldest}")]);
        let _ = script.client.publish(&large).expect("the room of an acknowledged one");
        script.run();
    }
}

#[test]
fn too_large_for_ever_and_too_large_for_now_are_two_errors() {
    let mut script = Script::sized(&Options::new("me"), 160, 8);
    let payload = [0; 200];
    let error = script.client.publish(&Publish::new(topic!("t"), &payload)).unwrap_err();
    let RequestError::TooLarge { needed: 206, capacity } = error else { panic!("{error}") };
    let fits = vec![0; capacity - 5];
    let _ = script.client.publish(&Publish::new(topic!("t"), &fits)).expect("exactly the capacity");
}

#[test]
fn a_packet_is_sent_whole_however_few_bytes_the_transport_takes() {
    for piece in 1..20 {
        let mut script = Script::up(&Options::new("me")).in_pieces_of(piece);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let _ = script.client.publish(&publish(qos)).unwrap();
        }
        script.run();
        assert_eq!(script.sent(), ["PUBLISH t x q0", "PUBLISH t x q1 1", "PUBLISH t x q2 2"]);
        assert_eq!(script.told(), ["published -"]);
    }
}

#[test]
fn all_that_is_ready_is_one_write() {
    let mut script = Script::up(&Options::new("me"));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let _ = script.client.publish(&publish(qos)).unwrap();
    }
    let mqtt_core::Action::Transmit(bytes) = script.client.poll(script.now()) else { panic!() };
    assert_eq!(bytes.len(), 6 + 8 + 8);
}

#[test]
fn transmitted_without_bytes_to_send_changes_nothing() {
    let mut script = Script::up(&Options::new("me"));
    let (before, now) = (*script.client.counters(), script.now());
    let next = format!("{:?}", script.client.poll(now));
    script.later(1_000);
    let now = script.now();
    script.client.transmitted(5, now);
    assert_eq!(*script.client.counters(), before);
    assert_eq!(format!("{:?}", script.client.poll(now)), next);
}

#[test]
fn the_counters_count() {
    let mut script = Script::up(&Options::new("me"));
    let before = *script.client.counters();
    let _ = script.client.publish(&publish(QoS::AtLeastOnce)).unwrap();
    script.run();
    script.hear(&ack(PUBACK, 1));
    let after = script.client.counters();
    assert_eq!(after.bytes_out - before.bytes_out, 8);
    assert_eq!(after.packets_out - before.packets_out, 1);
    assert_eq!(after.bytes_in - before.bytes_in, 4);
    assert_eq!(after.packets_in - before.packets_in, 1);
    assert_eq!((after.connections, after.retransmissions), (1, 0));
}

/// A broker may hold ids of the client's last life and say that it has no session. aedes does.
#[test]
fn the_first_packet_id_comes_from_the_seed() {
    let first = |seed| {
        let reconnect = Reconnect::after(1);
        let reconnect = if seed == 0 { reconnect } else { reconnect.seed(seed) };
        let mut script = Script::sized(&Options::new("me").reconnect(reconnect), 256, 3);
        let ids: Vec<u16> = [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
            .map(|qos| {
                let handle = script.client.publish(&Publish::new(topic!("t"), b"x").qos(qos));
                handle.unwrap().packet_id().unwrap().get()
            })
            .to_vec();
        assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2], "they count up");
        ids[0]
    };
    assert_eq!(first(0), 1);
    let mut others: Vec<u16> = (1..100).map(first).collect();
    others.sort_unstable();
    others.dedup();
    assert!(others.len() > 90, "{others:?}");
}
