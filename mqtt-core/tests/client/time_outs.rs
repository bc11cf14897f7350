//! A time-out for input is judged only after the driver has looked at the input once more: a device that slept, or whose
//! application was busy, has not read bytes that came in time.
//!
//! The tests drive the client by hand, because they judge single calls of `poll` and `receive`.

use mqtt_core::{Action, Event, Fatal, Instant, Options, Publish, Reason, codec::Packet, topic};

use test_kit::{
    script::{HeapClient, Script},
    wire::{ACCEPTED, encoded},
};

const PINGED: Reason = Reason::Fatal(Fatal::PingTimeout);

/// A client whose PINGREQ went out at 30 s, and whose PINGRESP is due at 40 s.
fn pinged() -> (HeapClient, Instant) {
    let mut script = Script::up(&Options::new("me").keep_alive(40));
    script.later(30_000);
    assert_eq!(script.run(), Instant::from_millis(40_000));
    (script.client, Instant::from_millis(40_000))
}

fn looks(client: &mut HeapClient, mut input: &[u8], now: Instant) -> bool {
    client.receive(&mut input, now).unwrap().is_some()
}

#[test]
fn a_missing_pingresp_is_judged_after_another_look_at_the_input() {
    let (mut client, deadline) = pinged();
    let late = deadline.plus_millis(3_000);
    assert_eq!(client.poll(late), Action::Wait(deadline));
    assert!(!looks(&mut client, &[], late));
    assert_eq!(client.poll(late), Action::Close(PINGED));
}

/// The device slept, and the PINGRESP lay in the transport.
#[test]
fn a_pingresp_that_was_not_read_in_time_is_no_missing_one() {
    let (mut client, deadline) = pinged();
    let late = deadline.plus_millis(3_600_000);
    // The PINGREQ that is due by now goes first.
    assert_eq!(client.poll(late), Action::Transmit(&[0xC0, 0]));
    client.transmitted(2, late);
    assert_eq!(client.poll(late), Action::Wait(deadline));
    assert!(!looks(&mut client, &[0xD0, 0], late));
    assert!(matches!(client.poll(late), Action::Wait(until) if until > late));
}

#[test]
fn half_a_packet_is_a_sign_of_life() {
    let (mut client, deadline) = pinged();
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
    assert!(!looks(&mut client, &[0xD0], deadline));
    assert!(matches!(client.poll(deadline), Action::Wait(until) if until > deadline));
}

/// Threads that publish poll as well, and do not read.
#[test]
fn polls_without_a_look_change_nothing() {
    let (mut client, deadline) = pinged();
    for _ in 0..3 {
        assert_eq!(client.poll(deadline), Action::Wait(deadline));
        let _ = client.publish(&Publish::new(topic!("t"), b"")).unwrap();
        assert!(matches!(client.poll(deadline), Action::Transmit(bytes) if bytes.len() == 5));
        client.transmitted(5, deadline);
    }
    while looks(&mut client, &[], deadline) {}
    assert_eq!(client.poll(deadline), Action::Close(PINGED));
}

/// The driver has not read since the deadline: it only takes events that wait.
#[test]
fn events_that_are_left_are_no_look_at_the_transport() {
    // They came before the PINGREQ, and the handler of the first is slow.
    let mut client = Script::up(&Options::new("me").keep_alive(40)).client;
    let (before, deadline) = (Instant::from_millis(29_000), Instant::from_millis(40_000));
    let mut input = &b"\x30\x04\0\x01tx\x30\x04\0\x01ty"[..];
    assert!(client.receive(&mut input, before).unwrap().is_some());
    let now = Instant::from_millis(30_000);
    assert!(matches!(client.poll(now), Action::Transmit([0xC0, 0])));
    client.transmitted(2, now);
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
    assert!(client.receive(&mut input, deadline).unwrap().is_some());
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
    assert!(client.receive(&mut input, deadline).unwrap().is_none());
    assert_eq!(client.poll(deadline), Action::Wait(deadline), "the first look past the deadline");
    assert!(client.receive(&mut input, deadline).unwrap().is_none());
    assert_eq!(client.poll(deadline), Action::Close(PINGED));
}

/// A driver whose outbox is never empty looks at the input as well.
#[test]
fn a_driver_that_always_has_bytes_to_send_is_told_to_look() {
    let (mut client, deadline) = pinged();
    let publish = |client: &mut HeapClient| {
        let _ = client.publish(&Publish::new(topic!("t"), b"")).unwrap();
    };
    publish(&mut client);
    assert_eq!(client.poll(deadline), Action::Transmit(b"\x30\x03\0\x01t"), "bytes go first");
    assert_eq!(client.poll(deadline), Action::Transmit(b"\x30\x03\0\x01t"));
    publish(&mut client);
    client.transmitted(5, deadline);
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
    assert_eq!(client.poll(deadline), Action::Transmit(b"\x30\x03\0\x01t"), "for other threads");
    while looks(&mut client, &[], deadline) {}
    assert_eq!(client.poll(deadline), Action::Close(PINGED));
}

#[test]
fn a_connack_that_was_not_read_in_time_is_no_missing_one() {
    let options = Options::new("me").connect_timeout(5_000);
    let mut script = Script::new(&options);
    let deadline = script.run();
    let (mut client, late) = (script.client, deadline.plus_millis(60_000));
    assert_eq!(client.poll(late), Action::Wait(deadline));
    let mut input = ACCEPTED;
    assert!(matches!(client.receive(&mut input, late).unwrap(), Some(Event::Up { .. })));
    assert!(matches!(client.poll(late), Action::Transmit(_) | Action::Wait(_)));
}

#[test]
fn a_transport_that_took_nothing_is_offered_bytes_once_more() {
    let mut script = Script::up(&Options::new("me").keep_alive(40));
    script.later(30_000);
    let (mut client, pinged) = (script.client, Instant::from_millis(30_000));
    assert_eq!(client.poll(pinged), Action::Transmit(&[0xC0, 0]));
    let late = pinged.plus_millis(10_000);
    assert_eq!(client.poll(late), Action::Transmit(&[0xC0, 0]));
    assert_eq!(client.poll(late), Action::Transmit(&[0xC0, 0]), "for other threads");
    client.transmitted(1, late);
    assert!(!looks(&mut client, &[], late));
    assert_eq!(client.poll(late), Action::Transmit(&[0]), "bytes flow");
    // The next time-out begins when the keep alive has run out again, and is judged in the same way.
    let again = late.plus_millis(30_000);
    assert_eq!(client.poll(again), Action::Transmit(&[0]));
    let late = again.plus_millis(10_000);
    assert_eq!(client.poll(late), Action::Transmit(&[0]));
    assert!(!looks(&mut client, &[], late));
    assert_eq!(client.poll(late), Action::Close(Reason::Fatal(Fatal::Stalled)));
}

/// One look judges the deadlines that had passed by then.
#[test]
fn a_look_before_a_deadline_proves_nothing() {
    let (mut client, deadline) = pinged();
    let early = Instant::from_millis(39_999);
    assert_eq!(client.poll(early), Action::Wait(deadline));
    assert!(!looks(&mut client, &[], early));
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
}

#[test]
fn a_message_with_the_deadline_is_a_sign_of_life() {
    let (mut client, deadline) = pinged();
    assert_eq!(client.poll(deadline), Action::Wait(deadline));
    let message = encoded(Packet::Publish(Publish::new(topic!("t"), b"x")), client.protocol());
    assert!(looks(&mut client, &message, deadline));
    assert!(!looks(&mut client, &[], deadline));
    assert!(matches!(client.poll(deadline), Action::Wait(until) if until > deadline));
}

/// Otherwise a driver that waits for such a transport until the deadline would not wait at all.
#[test]
fn a_deadline_for_input_that_waits_for_the_transport_is_not_in_the_past() {
    let (mut client, deadline) = pinged();
    let _ = client.publish(&Publish::new(topic!("a"), b"stalled")).unwrap();
    for _ in 0..3 {
        assert!(matches!(client.poll(deadline), Action::Transmit(_)), "it takes none of them");
        assert!(!looks(&mut client, &[], deadline));
    }
    assert_eq!(client.deadline(), deadline.plus_millis(10_000), "that of the transport");
    let over = client.deadline();
    assert!(matches!(client.poll(over), Action::Transmit(_)), "the last offer");
    assert!(!looks(&mut client, &[], over));
    assert!(matches!(client.poll(over), Action::Close(_)));
}
