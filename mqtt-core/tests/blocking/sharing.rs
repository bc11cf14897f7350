//! Messages that outlive the read buffer.

use mqtt_core::{
    OwnedEvent, QoS, SharedMessage,
    driver::blocking::{Events, SharedEvent},
};

use crate::peer::{connected, options};

fn message(events: &mut Events) -> SharedMessage {
    match events.next_shared() {
        Some(SharedEvent::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_of_one_read_lie_side_by_side_where_they_were_read() {
    let (_client, mut events, mut peer) = connected(&options());
    peer.send(&b"\x30\x08\0\x01thello".repeat(3));
    let messages = [message(&mut events), message(&mut events), message(&mut events)];
    for shared in &messages {
        assert_eq!((shared.topic().as_str(), &shared.payload[..]), ("t", &b"hello"[..]));
        let topic = shared.topic_bytes().as_ptr() as usize;
        assert_eq!(shared.payload.as_ptr() as usize, topic + 1, "no byte was copied");
    }
}

#[test]
fn messages_stay_as_they_are_while_many_more_come() {
    let (_client, mut events, mut peer) = connected(&options());
    let mut kept = Vec::new();
    for number in 0..2_000_u16 {
        let [high, low] = number.to_be_bytes();
        peer.send(&[&b"\x30\x67\0\x01t"[..], &[high, low].repeat(50)].concat());
        kept.push(message(&mut events));
    }
    for (number, shared) in (0..).zip(&kept) {
        let number: u16 = number;
        assert!(shared.payload.chunks(2).all(|pair| pair == number.to_be_bytes()), "{number}");
    }
}

#[test]
fn other_events_come_with_their_bytes() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.subscribe("a", QoS::AtMostOnce).unwrap();
    let [high, low] = peer.expect_id("Subscribe");
    peer.send(&[0x90, 3, high, low, 1]);
    let granted = vec![Some(QoS::AtLeastOnce)];
    let expected = SharedEvent::Other(OwnedEvent::Subscribed { handle, granted });
    assert_eq!(events.next_shared(), Some(expected));
}
