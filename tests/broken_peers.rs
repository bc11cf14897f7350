//! Peers that break rules, stall or flood (M11, M16, M17, no deadlock if both directions are full): the connection
//! ends, the event names the rule, the session is kept, and accepted messages are delivered afterwards.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use mqtt_core::codec::{Packet, PacketId, Publish};
use mqtt_core::driver::blocking::{self, Config as Sizes};
use mqtt_core::{
    Event, Fatal, Filter, Options, Protocol, QoS, Reason, RequestError, SessionStatus, Topic,
    Violation,
};
use system_tests::{
    AGAIN_AT_ONCE, Device, FakeBroker, Frame, Message, Mosquitto, SOON, Subscriber, content,
};

fn lasting() -> Options<'static> {
    Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE)
}

/// Packets that a broker may not send to a strict client with one QoS 1 publish in flight, of packet id 1.
const BROKEN: &[(&[u8], Violation)] = &[
    (b"\x00\x00", Violation::PacketType),
    (b"\xF0\x00", Violation::PacketType),
    (b"\x40\x80\x80\x80\x80\x01", Violation::RemainingLength),
    (b"\x60\x02\0\x01", Violation::Flags),
    (b"\x42\x02\0\x01", Violation::Flags),
    (b"\xD1\x00", Violation::Flags),
    (b"\x40\x01\0", Violation::Truncated),
    (b"\x40\x03\0\x01\0", Violation::TrailingBytes),
    (b"\xD0\x01\0", Violation::TrailingBytes),
    (b"\x40\x02\0\0", Violation::PacketIdZero),
    (b"\x40\x02\0\x02", Violation::UnknownPacketId),
    (b"\x50\x02\x12\x34", Violation::UnknownPacketId),
    (b"\x70\x02\0\x02", Violation::UnknownPacketId),
    (b"\x90\x03\0\x02\0", Violation::UnknownSubscribeId),
    (b"\xB0\x02\0\x02", Violation::UnknownSubscribeId),
    (b"\x50\x02\0\x01", Violation::WrongAck),
    (b"\x70\x02\0\x01", Violation::WrongAck),
    (b"\x20\x02\0\0", Violation::UnexpectedConnAck),
    (b"\xC0\x00", Violation::Direction),
    (b"\xE0\x00", Violation::Direction),
    (b"\x82\x06\0\x01\0\x01a\0", Violation::Direction),
    (b"\x36\x05\0\x01t\0\x01", Violation::PublishQoS),
    (b"\x38\x03\0\x01t", Violation::DupQoS0),
    (b"\x32\x05\0\x01t\0\0", Violation::PacketIdZero),
    (b"\x30\x02\0\0", Violation::TopicEmpty),
    (b"\x30\x03\0\x01#", Violation::TopicWildcard),
    (b"\x30\x05\0\x03a/+", Violation::TopicWildcard),
    (b"\x30\x03\0\x01\0", Violation::NullCharacter),
    (b"\x30\x03\0\x01\xFF", Violation::Utf8),
    (b"\x30\x05\0\x03\xED\xA0\x80", Violation::Utf8),
    (b"\x30\x03\0\x05t", Violation::Truncated),
];

#[test]
fn a_broken_rule_ends_the_connection_with_its_name_and_accepted_messages_are_delivered_on_the_next()
{
    for (bytes, violation) in BROKEN {
        let broker = FakeBroker::start(Protocol::V311, |door| {
            let (mut link, _) = door.admit(false);
            let first = link.receive(SOON);
            link.send_bytes(bytes);
            link.wait_closed(SOON);
            let (mut link, _) = door.admit(true);
            let second = link.receive(SOON);
            assert_eq!(again(&first), second.bytes());
            link.send(&Packet::PubAck(PacketId::new(1).expect("not zero")));
            assert_eq!(packets(&link.until_closed(SOON)), [Packet::Disconnect]);
        });
        let mut device = Device::connect(broker.address(), &lasting().strict(true));
        let accepted = device.client().publish("t", b"accepted", QoS::AtLeastOnce, false);
        let reason = Reason::Fatal(Fatal::Violation(*violation));
        assert_eq!(device.down(), reason, "{}", bytes.escape_ascii());
        assert_eq!(device.up(), SessionStatus::Resumed);
        device.published(accepted);
        device.disconnect();
        broker.finish(SOON);
    }
}

/// The same PUBLISH, marked as a duplicate [MQTT-3.3.1-1].
fn again(first: &Frame) -> Vec<u8> {
    let mut bytes = first.bytes().to_vec();
    assert_eq!(bytes.first(), Some(&0x32));
    bytes.splice(..1, [0x3A]);
    bytes
}

fn packets(frames: &[Frame]) -> Vec<Packet<'_>> {
    frames.iter().map(Frame::packet).collect()
}

/// [MQTT-3.2.0-1], [MQTT-3.2.2-4], [MQTT-3.2.2-6].
#[test]
fn a_broken_handshake_is_reported_with_its_rule_and_tried_again() {
    for (bytes, violation) in [
        (&b"\x30\x03\0\x01t"[..], Violation::BeforeConnAck),
        (b"\xD0\x00", Violation::BeforeConnAck),
        (b"\x20\x02\x02\0", Violation::ConnAckFlags),
        (b"\x20\x02\0\x06", Violation::ConnAckCode),
        (b"\x20\x02\x01\x05", Violation::SessionPresentRefused),
        (b"\x20\x02\x01\0", Violation::SessionPresentClean),
        (b"\x20\x03\0\0\0", Violation::TrailingBytes),
        (b"\x21\x02\0\0", Violation::Flags),
    ] {
        let broker = FakeBroker::start(Protocol::V311, move |door| {
            let mut link = door.accept(SOON);
            let _ = link.receive(SOON);
            link.send_bytes(bytes);
            assert_eq!(
                link.until_closed(SOON),
                [],
                "nothing is sent to a broker that has not accepted"
            );
            door.admit(false).0.wait_closed(SOON);
        });
        let options = Options::new("device").strict(true).reconnect(AGAIN_AT_ONCE);
        let address = broker.address().to_string();
        let error = Sizes::new(&options).connect(&[&address]).expect_err("it is no broker");
        let expected = format!("not connected: {}", Fatal::Violation(violation));
        assert_eq!(error.to_string(), expected);
        Device::connect(broker.address(), &options).disconnect();
        broker.finish(SOON);
    }
}

#[test]
fn a_suback_that_does_not_fit_its_subscribe_ends_the_connection() {
    for (codes, violation) in [
        (&[0, 0][..], Violation::SubAckCount),
        (&[3], Violation::SubAckCode),
        (&[], Violation::SubAckCount),
    ] {
        let broker = FakeBroker::start(Protocol::V311, move |door| {
            let (mut link, _) = door.admit(false);
            let subscribe = link.receive(SOON);
            let id = subscribe.bytes().get(2..4).expect("a packet id").to_vec();
            let len = u8::try_from(2 + codes.len()).expect("a few codes");
            link.send_bytes(&[&[0x90, len], id.as_slice(), codes].concat());
            link.wait_closed(SOON);
        });
        let mut device = Device::connect(broker.address(), &lasting());
        let _ = device.client().subscribe("t", QoS::AtMostOnce).expect("room");
        assert_eq!(device.down(), Reason::Fatal(Fatal::Violation(violation)));
        broker.finish(SOON);
    }
}

/// 3.1 has no refusal of a filter, but brokers send it: EMQX and aedes do.
#[test]
fn a_broker_may_refuse_a_subscription_in_3_1() {
    let broker = FakeBroker::start(Protocol::V31, |door| {
        let (mut link, _) = door.admit(false);
        assert!(matches!(link.receive(SOON).packet(), Packet::Subscribe(_)));
        link.send_bytes(b"\x90\x04\0\x01\x80\x01");
        // The connection lives on.
        assert!(matches!(link.receive(SOON).packet(), Packet::Unsubscribe(_)));
        link.send_bytes(b"\xB0\x02\0\x02");
        assert!(matches!(link.receive(SOON).packet(), Packet::Disconnect));
    });
    // In 3.1 any session may be from before a restart, so the client begins with PUBRELs for QoS 2.
    let options = lasting().version(mqtt_core::Version::V31).exactly_once_window(0);
    let mut device = Device::connect(broker.address(), &options);
    let [refused, granted] = ["t", "u"].map(|filter| Filter::new(filter).expect("a filter"));
    let asked =
        device.client().subscribe_all(&[(refused, QoS::AtMostOnce), (granted, QoS::AtLeastOnce)]);
    assert_eq!(device.granted(asked), [None, Some(QoS::AtLeastOnce)]);
    device.unsubscribe("u");
    device.disconnect();
    broker.finish(SOON);
}

/// 3.1 allows packets that 3.1.1 does not allow.
#[test]
fn the_rules_depend_on_the_protocol_version() {
    // DUP on PUBREL.
    let broker = FakeBroker::start(Protocol::V31, |door| {
        let (mut link, _) = door.admit(false);
        assert!(matches!(link.receive(SOON).packet(), Packet::Subscribe(_)));
        link.send_bytes(b"\x6A\x02\0\x07");
        assert_eq!(link.receive(SOON).bytes(), b"\x70\x02\0\x07");
        // A SUBACK code above 2 other than a refusal.
        link.send_bytes(b"\x90\x03\0\x01\x03");
        link.wait_closed(SOON);
    });
    // In 3.1 any session may be from before a restart, so the client begins with PUBRELs for QoS 2.
    let options = lasting().version(mqtt_core::Version::V31).exactly_once_window(0);
    let mut device = Device::connect(broker.address(), &options);
    let _ = device.client().subscribe("t", QoS::AtMostOnce).expect("room");
    assert_eq!(device.down(), Reason::Fatal(Fatal::Violation(Violation::SubAckCode)));
    broker.finish(SOON);
}

#[test]
fn packets_may_come_byte_by_byte() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let mut link = door.accept(SOON);
        let _ = link.receive(SOON);
        for byte in *b"\x20\x02\0\0\x34\x08\0\x01t\0\x09one\x62\x02\0\x09\x30\x06\0\x01ttwo" {
            link.send_bytes(&[byte]);
        }
        assert_eq!(link.receive(SOON).bytes(), b"\x50\x02\0\x09");
        assert_eq!(link.receive(SOON).bytes(), b"\x70\x02\0\x09");
        link.wait_closed(SOON);
    });
    let mut device = Device::connect(broker.address(), &lasting());
    assert_eq!(device.message(), Message::new("t", b"one", QoS::ExactlyOnce, false));
    assert_eq!(device.message(), Message::new("t", b"two", QoS::AtMostOnce, false));
    device.disconnect();
    broker.finish(SOON);
}

#[test]
fn a_message_cut_off_by_the_end_of_the_connection_is_not_handed_over() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, _) = door.admit(false);
        // 1,000,000 bytes are announced.
        link.send_bytes(b"\x30\xC3\x84\x3D\0\x01t");
        link.send_bytes(&[7; 200_000]);
        drop(link);
        let (mut link, _) = door.admit(true);
        link.send(&Packet::Publish(Publish::new(Topic::new("t").expect("a topic"), b"whole")));
        link.wait_closed(SOON);
    });
    let mut device = Device::connect(broker.address(), &lasting());
    assert_eq!(device.down(), Reason::TransportClosed);
    assert_eq!(device.message(), Message::new("t", b"whole", QoS::AtMostOnce, false));
    device.disconnect();
    broker.finish(SOON);
}

/// [MQTT-4.3.3-2]: a PUBREC every time, one hand-over, and a new message after the PUBREL; also on a new connection.
#[test]
fn a_repeated_qos_2_message_is_handed_over_once() {
    const PUBREC: &[u8] = b"\x50\x02\0\x09";
    const PUBCOMP: &[u8] = b"\x70\x02\0\x09";
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, _) = door.admit(false);
        for publish in [b"\x34\x06\0\x01t\0\x091", b"\x3C\x06\0\x01t\0\x091"] {
            link.send_bytes(publish);
            assert_eq!(link.receive(SOON).bytes(), PUBREC);
        }
        drop(link);
        let (mut link, _) = door.admit(true);
        link.send_bytes(b"\x3C\x06\0\x01t\0\x091");
        assert_eq!(link.receive(SOON).bytes(), PUBREC);
        for _ in 0..2 {
            link.send_bytes(b"\x62\x02\0\x09");
            assert_eq!(link.receive(SOON).bytes(), PUBCOMP);
        }
        link.send_bytes(b"\x34\x06\0\x01t\0\x092");
        assert_eq!(link.receive(SOON).bytes(), PUBREC);
        link.wait_closed(SOON);
    });
    let mut device = Device::connect(broker.address(), &lasting());
    assert_eq!(device.message(), Message::new("t", b"1", QoS::ExactlyOnce, false));
    assert_eq!(device.message(), Message::new("t", b"2", QoS::ExactlyOnce, false));
    device.disconnect();
    broker.finish(SOON);
}

/// Publishes until the outbox takes no more. Returns how many it took.
fn fill(device: &Device, payload: &[u8], qos: QoS) -> usize {
    let mut accepted = 0;
    loop {
        match device.client().publish("t", payload, qos, false) {
            Ok(_) => accepted += 1,
            Err(blocking::Error::Request(RequestError::OutboxFull { .. })) => return accepted,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The broker reads nothing while it begins to send 5,000 messages. For a while the client can neither write nor
/// answer, but nothing is lost in either direction.
#[test]
fn a_broker_that_stops_reading_while_it_floods_is_no_deadlock() {
    const FLOOD: u16 = 5000;
    let (flooded, flood) = mpsc::channel();
    let (received, resume) = mpsc::channel();
    let broker = FakeBroker::start(Protocol::V311, move |door| {
        let (mut link, _) = door.admit(false);
        flood.recv().expect("the client is stuck");
        let mut sender = link.sender();
        let flooding = thread::spawn(move || {
            for n in 1..=FLOOD {
                let [high, low] = n.to_be_bytes();
                sender.send_bytes(&[0x32, 0x07, 0, 1, b'f', high, low, high, low]);
            }
        });
        let accepted = resume.recv().expect("the client has received some");
        let (mut publishes, mut answers) = (0, 0);
        while answers < FLOOD {
            let frame = link.receive(SOON);
            if let Packet::PubAck(id) = frame.packet() {
                answers += 1;
                assert_eq!(id.get(), answers, "[MQTT-4.6.0-2]");
            } else {
                assert_eq!(frame.bytes().first(), Some(&0x30), "{frame:?}");
                publishes += 1;
            }
        }
        assert_eq!(publishes, accepted);
        flooding.join().expect("the client takes it all");
        link.wait_closed(SOON);
    });
    let options = lasting();
    let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(48 << 10));
    device.up();
    let accepted = fill(&device, &content(16 << 10), QoS::AtMostOnce);
    flooded.send(()).expect("the broker waits");
    for n in 1..=FLOOD {
        assert_eq!(device.message(), Message::new("f", &n.to_be_bytes(), QoS::AtLeastOnce, false));
        if n == 1 {
            received.send(accepted).expect("the broker waits");
        }
    }
    device.disconnect();
    broker.finish(SOON);
}

/// The broker sends nothing. The event only needs the transport to take the bytes.
#[test]
fn a_qos_0_publish_ends_as_soon_as_the_transport_has_it() {
    let (go, start) = mpsc::channel();
    let broker = FakeBroker::start(Protocol::V311, move |door| {
        let (mut link, _) = door.admit(false);
        start.recv().expect("the client has begun");
        link.wait_closed(SOON);
    });
    let options = Options::new("device").keep_alive(0);
    let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(17 << 20));
    device.up();
    let request = device.client().publish("t", &content(16 << 20), QoS::AtMostOnce, false);
    go.send(()).expect("the broker waits");
    let begun = Instant::now();
    device.published(request);
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    device.disconnect();
    broker.finish(SOON);
}

#[test]
fn a_qos_0_publish_of_another_thread_is_reported_while_the_broker_is_silent() {
    let broker = Mosquitto::start();
    let options = Options::new("device").keep_alive(0);
    let (client, mut events) = Device::connect(broker.address(), &options).into_parts();
    let (published, report) = mpsc::channel();
    let receiving = thread::spawn(move || {
        while let Some(event) = events.next() {
            if let Event::Published(handle) = event {
                published.send(handle).expect("the test waits");
            }
        }
    });
    for _ in 0..3 {
        let request = client.publish("t", b"hi", QoS::AtMostOnce, false).expect("room");
        assert_eq!(report.recv_timeout(SOON / 2), Ok(request));
    }
    client.disconnect();
    receiving.join().expect("it ends with the client");
}

/// Back-pressure is a return value: accepted messages arrive once the broker goes on, and the others were refused with
/// an error.
#[test]
fn a_stalled_broker_makes_requests_fail_and_no_accepted_one_is_lost() {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "subscriber").filter("t", QoS::AtLeastOnce).start();
    let options = lasting();
    let mut device =
        Device::sized(broker.address(), Sizes::new(&options).outbox(1 << 20).window(1000));
    device.up();
    let payload = content(16 << 10);
    broker.freeze();
    let accepted = fill(&device, &payload, QoS::AtLeastOnce);
    assert!(accepted >= 60, "{accepted}");
    broker.thaw();
    for _ in 0..accepted {
        device
            .until("a publish to end", |event| matches!(event, Event::Published(_)).then_some(()));
    }
    device.publish("t", b"end", QoS::AtLeastOnce, false);
    for _ in 0..accepted {
        assert!(subscriber.next(SOON).payload == payload);
    }
    assert_eq!(subscriber.next(SOON).payload, b"end");
}
