//! Messages that come in, acknowledged by the client itself.

use mqtt_core::{Options, PacketId, Publish, QoS, Version, codec::Packet, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBREL, ack},
};

fn message(id: u16, qos: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30 | qos << 1, 5 + payload.len() as u8, 0, 1, b't'];
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// [MQTT-3.3.4-1], [MQTT-4.3.1-1], [MQTT-4.3.2-2], [MQTT-4.3.3-2]
#[test]
fn each_qos_has_its_answer() {
    let mut script = Script::up(&Options::new("me"));
    script.hear(b"\x30\x04\0\x01tx");
    assert_eq!(script.told(), ["message t x q0"]);
    assert_eq!(script.sent(), [""; 0]);
    script.hear(&message(5, 1, b"x"));
    assert_eq!(script.told(), ["message t x q1"]);
    assert_eq!(script.sent(), ["PUBACK 5"]);
    script.hear(&message(6, 2, b"x"));
    assert_eq!(script.told(), ["message t x q2"]);
    assert_eq!(script.sent(), ["PUBREC 6"]);
    script.hear(&ack(PUBREL, 6));
    assert_eq!(script.sent(), ["PUBCOMP 6"]);
}

#[test]
fn retained_and_duplicate_flags_are_visible() {
    let mut script = Script::up(&Options::new("me"));
    script.hear(b"\x31\x06\0\x03a/bh");
    script.hear(b"\x3a\x06\0\x01t\0\x09x");
    assert_eq!(script.told(), ["message a/b h q0 retained", "message t x q1 dup"]);
    assert_eq!(script.sent(), ["PUBACK 9"]);
}

/// [MQTT-4.3.2-2]: after the PUBACK the id stands for a new message, with or without DUP.
#[test]
fn qos_1_is_delivered_as_often_as_it_comes() {
    let mut script = Script::up(&Options::new("me"));
    for _ in 0..2 {
        script.hear(&message(7, 1, b"x"));
    }
    assert_eq!(script.told(), ["message t x q1", "message t x q1"]);
    assert_eq!(script.sent(), ["PUBACK 7", "PUBACK 7"]);
}

/// [MQTT-4.3.3-2]
#[test]
fn qos_2_is_answered_each_time_and_delivered_once_until_its_pubrel() {
    let mut script = Script::up(&Options::new("me"));
    for _ in 0..3 {
        script.hear(&message(7, 2, b"x"));
    }
    script.hear(&ack(PUBREL, 7));
    script.hear(&message(7, 2, b"y"));
    assert_eq!(script.told(), ["message t x q2", "message t y q2"]);
    let sent = script.sent();
    assert_eq!(sent, ["PUBREC 7", "PUBREC 7", "PUBREC 7", "PUBCOMP 7", "PUBREC 7"]);
}

/// [MQTT-4.3.3-2]
#[test]
fn pubrel_for_unknown_id_is_answered_with_pubcomp() {
    let mut script = Script::up(&Options::new("me"));
    script.hear(&ack(PUBREL, 99));
    assert_eq!(script.sent(), ["PUBCOMP 99"]);
    assert_eq!(script.told(), [""; 0]);
}

/// Invariant 2, inbound.
#[test]
fn qos_2_is_delivered_once_across_a_reconnect() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    script.hear(&message(7, 2, b"x"));
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    script.hear(b"\x3c\x06\0\x01t\0\x07x");
    assert_eq!(script.told(), [""; 0]);
    assert_eq!(script.sent(), ["PUBREC 7"]);
}

/// [MQTT-3.1.2-6]
#[test]
fn a_new_session_forgets_the_ids_of_the_old_one() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    script.hear(&message(7, 2, b"x"));
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED);
    script.hear(&message(7, 2, b"new"));
    assert_eq!(script.told(), ["message t new q2"]);
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn answers_go_out_in_the_order_of_the_messages() {
    let mut script = Script::up(&Options::new("me"));
    let all = [message(3, 1, b"a"), message(1, 2, b"b"), message(2, 1, b"c")].concat();
    script.hear(&all);
    assert_eq!(script.sent(), ["PUBACK 3", "PUBREC 1", "PUBACK 2"]);
}

/// Ids that collide in the table, in every order of coming and going.
#[test]
fn ids_that_collide_in_the_table_are_not_confused() {
    for removed in [1_u16, 9, 17, 2] {
        let mut script = Script::up(&Options::new("me"));
        for id in [1, 9, 17, 2] {
            script.hear(&message(id, 2, b"x"));
        }
        script.hear(&ack(PUBREL, removed));
        script.told();
        for id in [1, 9, 17, 2] {
            script.hear(&message(id, 2, b"again"));
        }
        assert_eq!(script.told(), ["message t again q2"], "only {removed} is new");
    }
}

/// Without room for an answer the client does not read. It goes on reading once the transport has taken some bytes.
#[test]
fn messages_whose_answers_find_no_room_stay_in_the_input() {
    let mut script = Script::sized(&Options::new("me"), 128, 8);
    script.accept(ACCEPTED);
    let filling = vec![0; script.client.outbox_free() - 7];
    let large = Publish::new(topic!("t"), &filling).qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&large).unwrap();
    // The transport takes nothing: eight answers fit, the ninth message has to wait.
    let all: Vec<u8> = (1..=10).flat_map(|id| message(id, 1, b"x")).collect();
    let mut input = &all[..];
    let now = script.now();
    let mut events = 0;
    while script.client.receive(&mut input, now).unwrap().is_some() {
        events += 1;
    }
    assert_eq!((events, input.len()), (8, 2 * 8));
    script.run();
    while script.client.receive(&mut input, now).unwrap().is_some() {
        events += 1;
    }
    assert_eq!((events, input.len()), (10, 0));
}

/// A full outbox must not stop the acknowledgements that empty it.
#[test]
fn two_full_directions_are_no_deadlock() {
    let mut script = Script::sized(&Options::new("me"), 160, 8);
    script.accept(ACCEPTED);
    let mut published = 0;
    let publish = Publish::new(topic!("t"), b"0123456789").qos(QoS::ExactlyOnce);
    while script.client.publish(&publish).is_ok() {
        published += 1;
    }
    script.run();
    let mut flood: Vec<u8> = (1..=40).flat_map(|id| message(id, 1, b"x")).collect();
    for id in 1..=published {
        flood.extend(ack(0x50, id));
    }
    script.hear(&flood);
    let completed: Vec<u8> = (1..=published).flat_map(|id| ack(0x70, id)).collect();
    script.hear(&completed);
    let told = script.told();
    assert_eq!(told.iter().filter(|line| line.starts_with("message")).count(), 40);
    assert_eq!(
        told.iter().filter(|line| line.starts_with("published")).count(),
        published as usize
    );
}

#[test]
fn several_packets_in_one_read_are_several_events() {
    let mut script = Script::up(&Options::new("me"));
    let all = [message(1, 1, b"a"), b"\x30\x04\0\x01tb".to_vec(), message(2, 2, b"c")].concat();
    for piece in 1..=all.len() {
        let mut script_in_pieces = Script::up(&Options::new("me")).in_pieces_of(piece);
        script_in_pieces.hear(&all);
        assert_eq!(script_in_pieces.told(), ["message t a q1", "message t b q0", "message t c q2"]);
        assert_eq!(script_in_pieces.sent(), ["PUBACK 1", "PUBREC 2"]);
    }
    script.hear(&all);
    assert_eq!(script.sent(), ["PUBACK 1", "PUBREC 2"]);
}

/// 3.1 does not say that a session is lost, so ids of an older session may be left. The broker sends none of them again
/// with DUP.
#[test]
fn in_3_1_a_message_without_dup_is_new_even_if_its_id_is_known() {
    let mut script = Script::up(&Options::new("c").clean_session(false).version(Version::V31));
    let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
    let message = |dup| Packet::Publish(Publish { id: PacketId::new(3), dup, ..publish });
    script.hear_packet(message(false));
    assert_eq!(script.told(), ["message t m q2"]);
    script.reconnect(ACCEPTED);
    script.told();
    script.hear_packet(message(true));
    assert!(script.told().is_empty());
    script.reconnect(ACCEPTED);
    script.told();
    script.hear_packet(message(false));
    assert_eq!(script.told(), ["message t m q2"]);
    assert_eq!(script.sent(), ["PUBREC 3"]);
}

/// Left in the table, they would leave no room for a message on any connection.
#[test]
fn in_3_1_ids_of_a_former_session_do_not_fill_the_table_for_ever() {
    let options = Options::new("c").clean_session(false).version(Version::V31);
    let mut script = Script::sized(&options, 1024, 2);
    script.accept(ACCEPTED);
    let message = |id| {
        let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
        Packet::Publish(Publish { id: PacketId::new(id), ..publish })
    };
    script.hear_packet(message(1));
    script.hear_packet(message(2));
    // The broker loses its session, and its next ids go on from there.
    script.reconnect(ACCEPTED);
    script.told();
    script.hear_packet(message(3));
    assert_eq!(script.told(), ["message t m q2"]);
    // These are of this connection.
    script.hear_packet(message(4));
    script.hear_packet(message(5));
    assert_eq!((script.told().len(), script.client.counters().passed_over), (1, 1));
}

/// If stale and live ids share the table, a stale id is dropped for a message without a slot, so that the message
/// is not passed over.
#[test]
fn in_3_1_a_single_stale_id_is_dropped_for_a_message_without_a_slot() {
    let options = Options::new("c").clean_session(false).version(Version::V31);
    let mut script = Script::sized(&options, 1024, 3);
    script.accept(ACCEPTED);
    let message = |id, dup| {
        let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
        Packet::Publish(Publish { id: PacketId::new(id), dup, ..publish })
    };
    script.hear_packet(message(1, false));
    script.hear_packet(message(2, false));
    script.reconnect(ACCEPTED);
    script.told();
    // The broker sends one of them again, so the other is of a session that it has lost.
    script.hear_packet(message(2, true));
    script.hear_packet(message(3, false));
    script.hear_packet(message(4, false));
    assert_eq!(script.told().len(), 2);
    script.hear_packet(message(2, true));
    assert!(script.told().is_empty(), "2 is still known");
    script.hear_packet(message(5, false));
    assert_eq!((script.told().len(), script.client.counters().passed_over), (0, 1));
}
