//! Sessions with as many entries as there are packet ids: their snapshots, restores and ends take time in proportion to
//! them. A loop over all entries for each entry would run for minutes here, and the test runner would end it. `cargo
//! xtask bench` counts the instructions.

use mqtt_core::{Options, Publish, QoS, topic};
use test_kit::{
    record::snapshot,
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBREC, PUBREL, ack},
};

/// One id for each slot; the last two ids belong to renewals.
const MOST: u16 = 65_533;

fn options() -> Options<'static> {
    Options::new("c").clean_session(false).journal(true).exactly_once_window(u16::MAX)
}

/// A client with `window` slots, connected if there are no records to restore.
fn script(options: &Options<'_>, window: u16, records: &[Vec<u8>]) -> Script {
    let window = usize::from(window);
    let mut script = Script::sized(options, 1024 + 16 * window, window);
    for record in records {
        script.client.restore(record).unwrap();
    }
    if records.is_empty() {
        script.accept(ACCEPTED);
    }
    script
}

fn snapshot_of(script: &mut Script) -> Vec<u8> {
    let now = script.now();
    snapshot(&mut script.client, now)
}

/// A PUBLISH of QoS 2 from the broker.
fn incoming(id: u16, first: u8) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![first, 5, 0, 1, b't', high, low]
}

fn receive_all(script: &mut Script, count: u16) {
    for id in 1..=count {
        script.hear(&incoming(id, 0x34));
    }
    assert_eq!(script.told().len(), usize::from(count));
}

fn publish_all(script: &mut Script, count: u16) {
    let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
    for _ in 0..count {
        let _ = script.client.publish(&publish).unwrap();
        script.run();
    }
    script.sent();
}

/// The packets behind the CONNECT.
fn sent_after(script: &mut Script, connack: &[u8]) -> Vec<String> {
    script.run();
    script.hear(connack);
    script.sent().split_off(1)
}

/// No message comes twice, and each id is free once its PUBREL came.
fn all_are_known(mut script: Script, count: u16) {
    sent_after(&mut script, ACCEPTED_SESSION_PRESENT);
    script.told();
    // Some of them are enough to see it.
    let ids = (1..=count).step_by(61);
    for id in ids.clone() {
        script.hear(&incoming(id, 0x3C));
    }
    assert_eq!(script.told(), [""; 0]);
    for id in ids.clone() {
        script.hear(&ack(PUBREL, id));
        script.hear(&incoming(id, 0x34));
    }
    assert_eq!(script.told().len(), ids.len());
}

#[test]
fn all_packet_ids_of_received_messages_are_restored() {
    let mut before = script(&options(), MOST, &[]);
    receive_all(&mut before, MOST);
    let state = snapshot_of(&mut before);
    for records in [&[state.clone()][..], &before.records] {
        let mut again = script(&options(), MOST, records);
        assert!(snapshot_of(&mut again) == state);
    }
    all_are_known(script(&options(), MOST, &[state]), MOST);
}

#[test]
fn ids_that_are_owed_are_in_no_snapshot() {
    let options = options().manual_acknowledge(true);
    let mut before = script(&options, MOST, &[]);
    receive_all(&mut before, MOST);
    let state = snapshot_of(&mut before);
    let nothing = snapshot_of(&mut script(&options, MOST, &[]));
    assert_eq!(state.len(), nothing.len());
}

#[test]
fn received_ids_move_to_a_larger_and_to_a_smaller_window() {
    let count = 16_384;
    let mut before = script(&options(), 20_000, &[]);
    receive_all(&mut before, count);
    let state = snapshot_of(&mut before);
    for window in [count, 30_000, MOST] {
        all_are_known(script(&options(), window, std::slice::from_ref(&state)), count);
    }
}

/// [MQTT-4.6.0-4]
#[test]
fn all_pubrels_are_restored_in_the_order_of_their_pubrecs() {
    let mut before = script(&options(), MOST, &[]);
    publish_all(&mut before, MOST);
    let order = || (1..=MOST).step_by(2).chain((2..=MOST).step_by(2).rev());
    for id in order() {
        before.hear(&ack(PUBREC, id));
    }
    let expected: Vec<String> = order().map(|id| format!("PUBREL {id}")).collect();
    let state = snapshot_of(&mut before);
    for records in [&[state][..], &before.records] {
        let mut again = script(&options(), MOST, records);
        assert_eq!(again.client.in_flight(), usize::from(MOST));
        assert!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT) == expected);
    }
}

#[test]
fn publishes_move_to_a_larger_and_to_a_smaller_window() {
    let count = 16_384;
    let mut before = script(&options(), 20_000, &[]);
    publish_all(&mut before, count);
    let expected: Vec<String> = (1..=count).map(|id| format!("PUBLISH t m q2 {id} dup")).collect();
    for window in [count, 30_000, MOST] {
        let mut again = script(&options(), window, &before.records);
        assert!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT) == expected, "{window}");
    }
}

#[test]
fn all_publishes_of_a_lost_session_end_as_lost() {
    let mut script = script(&options(), MOST, &[]);
    publish_all(&mut script, MOST);
    script.reconnect(ACCEPTED);
    let lost = script.told().into_iter().filter(|event| event.starts_with("lost")).count();
    assert_eq!(lost, usize::from(MOST));
}

#[test]
fn a_restored_session_can_be_used_before_the_first_poll() {
    let mut before = script(&options(), 4, &[]);
    publish_all(&mut before, 3);
    before.hear(&ack(PUBREC, 2));
    let mut again = script(&options(), 4, &before.records);
    assert_eq!(again.client.in_flight(), 3);
    let publishes: Vec<_> = again.client.publishes().map(|(handle, _)| handle).collect();
    let [first, ..] = publishes[..] else { panic!("{publishes:?}") };
    again.client.cancel(first).unwrap();
    let publish = Publish::new(topic!("t"), b"").qos(QoS::AtLeastOnce);
    let new = again.client.publish(&publish).unwrap();
    assert!(again.client.publish(&publish).is_err(), "the slot is free once the event was told");
    again.listen();
    assert_eq!(again.told(), ["cancelled 1 sent"]);
    assert!(again.client.publish(&publish).is_ok());
    let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent.len(), 4, "{sent:?}");
    again.told();
    again.hear(&ack(PUBACK, new.packet_id().unwrap().get()));
    assert_eq!(again.told().len(), 1);
}
