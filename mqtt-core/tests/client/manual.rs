//! Messages that the application acknowledges itself.

use mqtt_core::{Delivery, Event, Options, QoS, Reconnect, RequestError, Version};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBREL, ack},
};

fn manual() -> Options<'static> {
    Options::new("me").manual_acknowledge(true).clean_session(false)
}

/// Receives `wire`. Returns the deliveries, and whether bytes were left.
fn receive(script: &mut Script, wire: &[u8]) -> (Vec<Delivery>, usize) {
    let mut input = wire;
    let mut deliveries = Vec::new();
    let now = script.now();
    while let Some(event) = script.client.receive(&mut input, now).unwrap() {
        if let Event::Message(message) = event {
            deliveries.extend(message.delivery);
        }
    }
    (deliveries, input.len())
}

fn message(id: u8, qos: QoS) -> [u8; 8] {
    [0x30 | (qos as u8) << 1, 6, 0, 1, b't', 0, id, b'x']
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn the_broker_gets_the_acknowledgements_in_the_order_of_the_messages() {
    let mut script = Script::up(&manual());
    let wire =
        [message(1, QoS::AtLeastOnce), message(2, QoS::ExactlyOnce), message(3, QoS::AtLeastOnce)];
    let (deliveries, _) = receive(&mut script, &wire.concat());
    script.run();
    assert_eq!(script.sent(), [""; 0], "nothing before the application says so");
    script.client.acknowledge(deliveries[2]).unwrap();
    script.client.acknowledge(deliveries[1]).unwrap();
    script.run();
    assert_eq!(script.sent(), [""; 0], "the first one is still to come");
    script.client.acknowledge(deliveries[0]).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBACK 1", "PUBREC 2", "PUBACK 3"]);
}

#[test]
fn a_qos_0_message_has_nothing_to_acknowledge() {
    let mut script = Script::up(&manual());
    assert_eq!(receive(&mut script, b"\x30\x04\0\x01tx"), (vec![], 0));
}

#[test]
fn acknowledging_twice_is_an_error() {
    let mut script = Script::up(&manual());
    let (deliveries, _) = receive(&mut script, &message(1, QoS::AtLeastOnce));
    script.client.acknowledge(deliveries[0]).unwrap();
    assert_eq!(script.client.acknowledge(deliveries[0]), Err(RequestError::StaleDelivery));
}

#[test]
fn no_more_messages_are_taken_than_there_are_slots() {
    let mut script = Script::up(&manual());
    let wire: Vec<u8> = (1..=9).flat_map(|id| message(id, QoS::AtLeastOnce)).collect();
    let (deliveries, left) = receive(&mut script, &wire);
    assert_eq!((deliveries.len(), left), (8, 8));
    script.client.acknowledge(deliveries[0]).unwrap();
    let (more, left) = receive(&mut script, &wire[64..]);
    assert_eq!((more.len(), left), (1, 0));
}

#[test]
fn an_unacknowledged_message_comes_again_and_the_old_delivery_is_stale() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut script = Script::up(&manual());
        let (before, _) = receive(&mut script, &message(1, qos));
        script.cut();
        script.later(1_000_000);
        script.accept(ACCEPTED_SESSION_PRESENT);
        assert_eq!(script.client.acknowledge(before[0]), Err(RequestError::StaleDelivery));
        let (after, _) = receive(&mut script, &message(1, qos));
        script.client.acknowledge(after[0]).unwrap();
    }
}

/// Invariant 2: a message that the application acknowledged is not handed over again, even if the PUBREC was lost.
#[test]
fn a_qos_2_message_that_was_acknowledged_does_not_come_again() {
    let mut script = Script::up(&manual());
    let (deliveries, _) = receive(&mut script, &message(1, QoS::ExactlyOnce));
    script.client.acknowledge(deliveries[0]).unwrap();
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    assert_eq!(receive(&mut script, &message(1, QoS::ExactlyOnce)), (vec![], 0));
    script.run();
    assert_eq!(script.sent(), ["PUBREC 1"]);
}

#[test]
fn a_qos_2_message_repeated_on_one_connection_is_answered_when_it_is_acknowledged() {
    let mut script = Script::up(&manual());
    let (deliveries, _) = receive(&mut script, &message(1, QoS::ExactlyOnce));
    assert_eq!(receive(&mut script, &message(1, QoS::ExactlyOnce)), (vec![], 0));
    script.run();
    assert_eq!(script.sent(), [""; 0]);
    script.client.acknowledge(deliveries[0]).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBREC 1", "PUBREC 1"]);
}

/// [MQTT-4.6.0-3]
#[test]
fn a_repetition_is_not_answered_ahead_of_older_messages() {
    let mut script = Script::up(&manual());
    let (first, _) = receive(&mut script, &message(1, QoS::ExactlyOnce));
    script.client.acknowledge(first[0]).unwrap();
    script.run();
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    let wire = [message(2, QoS::ExactlyOnce), message(1, QoS::ExactlyOnce)];
    let (second, _) = receive(&mut script, &wire.concat());
    script.run();
    assert_eq!(script.sent(), [""; 0]);
    script.client.acknowledge(second[0]).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBREC 2", "PUBREC 1"]);
}

/// As [`message`] at QoS 2, sent again.
fn again(id: u8) -> [u8; 8] {
    let [first, rest @ ..] = message(id, QoS::ExactlyOnce);
    let mut packet = [first | 8; 8];
    packet[1..].copy_from_slice(&rest);
    packet
}

/// 3.1. Of as many messages of broker 1 as there are slots the last was acknowledged, and the connection broke. Then
/// broker 0 got a slot for a message of its own. Back at broker 1, nothing says whether the session is the same.
fn back_at_1_behind_an_acknowledgement_out_of_turn(slots: u8) -> Script {
    let reconnect = Reconnect::after(1).endpoints(2);
    let options = manual().version(Version::V31).reconnect(reconnect);
    let mut script = Script::sized(&options, 512, slots.into());
    script.accept(ACCEPTED);
    script.reconnect(ACCEPTED);
    let wire: Vec<_> = (1..=slots).flat_map(|id| message(id, QoS::ExactlyOnce)).collect();
    let (deliveries, _) = receive(&mut script, &wire);
    script.client.acknowledge(*deliveries.last().unwrap()).unwrap();
    script.reconnect(ACCEPTED);
    takes(&mut script, message(9, QoS::ExactlyOnce));
    script.reconnect(ACCEPTED);
    script
}

/// The client takes the message and acknowledges it.
fn takes(script: &mut Script, message: [u8; 8]) {
    let (deliveries, left) = receive(script, &message);
    assert_eq!((deliveries.len(), left), (1, 0));
    script.client.acknowledge(deliveries[0]).unwrap();
    script.run();
    assert_eq!(script.sent(), [format!("PUBREC {}", message[6])]);
}

/// The client takes no new message from this.
fn takes_none(script: &mut Script, messages: &[[u8; 8]]) {
    assert_eq!(receive(script, &messages.concat()), (vec![], 0));
    script.run();
}

/// The messages ahead of it come again first, and one of them finds no slot.
#[test]
fn a_message_acknowledged_out_of_turn_does_not_give_way_to_those_ahead_of_it() {
    let mut script = back_at_1_behind_an_acknowledgement_out_of_turn(3);
    takes(&mut script, again(1));
    takes_none(&mut script, &[again(2), again(3)]);
    assert_eq!(
        script.sent(),
        [""; 0],
        "2 is left for the next connection, and what comes behind it"
    );
    script.hear(&ack(PUBREL, 1));
    assert_eq!(script.sent(), ["PUBCOMP 1", "DISCONNECT", "CONNECT V31 me"]);
    script.hear(ACCEPTED);
    takes(&mut script, again(2));
    takes_none(&mut script, &[again(3)]);
    assert_eq!(script.sent(), ["PUBREC 3"]);
}

/// It is the only one of broker 1, so the next connection would have no more room.
#[test]
fn a_message_of_an_absent_broker_gives_way_before_one_acknowledged_out_of_turn() {
    let mut script = back_at_1_behind_an_acknowledgement_out_of_turn(2);
    takes(&mut script, again(1));
    takes_none(&mut script, &[again(2)]);
    assert_eq!(script.sent(), ["PUBREC 2"]);
}

/// The broker lost the session.
#[test]
fn a_message_acknowledged_out_of_turn_gives_way_to_a_new_one() {
    let mut script = back_at_1_behind_an_acknowledgement_out_of_turn(3);
    takes(&mut script, again(1));
    takes(&mut script, message(2, QoS::ExactlyOnce));
}
