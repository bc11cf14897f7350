//! Payloads of every size (M3, M13, M16): empty, at the steps of the remaining length, 16 MiB, and more than the
//! 268,435,455 bytes that a packet can have.

use mqtt_core::driver::blocking::{self, Config as Sizes};
use mqtt_core::{
    EncodeError, Event, Fatal, Options, Oversized, QoS, Reason, Reconnect, RequestError,
    SessionStatus, SkipCause,
};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Config, Device, EVERY_QOS, Message, Mosquitto, Paho, Publisher,
    SOON, Subscriber, content,
};

const MIB: usize = 1 << 20;

/// The longest remaining length, less the two-byte length of the topic and the topic `t`.
const LONGEST: usize = 268_435_455 - 3;

/// Sizes around which the remaining length takes one more byte, for the topic `t` and QoS 0. The packet id shifts them.
const STEPS: [usize; 17] = [
    1, 2, 122, 123, 124, 125, 126, 127, 128, 16_378, 16_379, 16_380, 16_381, 2_097_146, 2_097_147,
    2_097_148, 2_097_149,
];

#[test]
fn empty_payloads_pass_in_both_directions() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device =
            Device::connect(broker.address(), &Options::new("device").version(version));
        let mut paho = Paho::new(&broker, &format!("paho-{version:?}")).version(protocol).connect();
        paho.subscribe(&[("to/paho", QoS::ExactlyOnce)]);
        device.subscribe("to/device", QoS::ExactlyOnce);
        for qos in EVERY_QOS {
            device.publish("to/paho", b"", qos, false);
            assert_eq!(paho.next(SOON), Message::new("to/paho", b"", qos, false));
            paho.publish("to/device", b"", qos, false);
            assert_eq!(device.message(), Message::new("to/device", b"", qos, false));
        }
        device.disconnect();
    }
}

#[test]
fn payloads_at_the_steps_of_the_remaining_length_pass_in_both_directions() {
    let broker = Mosquitto::start();
    let options = Options::new("device");
    let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(3 * MIB));
    let subscriber = Subscriber::new(&broker, "subscriber").filter("t", QoS::ExactlyOnce).start();
    device.subscribe("u", QoS::ExactlyOnce);
    let publisher = Publisher::new(&broker, "publisher");
    let whole = content(3 * MIB);
    for (len, qos) in STEPS.into_iter().zip(EVERY_QOS.into_iter().cycle()) {
        let payload = whole.get(..len).expect("it is long enough");
        device.publish("t", payload, qos, false);
        assert_eq!(subscriber.next(SOON), Message::new("t", payload, qos, false));
        publisher.publish("u", payload, qos, false);
        assert_eq!(device.message(), Message::new("u", payload, qos, false));
    }
}

#[test]
fn sixteen_mebibytes_reach_mosquitto_sub_unchanged() {
    let broker = Mosquitto::start();
    let options = Options::new("device");
    let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(17 * MIB));
    let payload = content(16 * MIB);
    for qos in EVERY_QOS {
        let id = format!("subscriber-{qos:?}");
        let subscriber = Subscriber::new(&broker, &id).filter("t", QoS::ExactlyOnce).start_raw();
        device.publish("t", &payload, qos, false);
        assert!(subscriber.payload(SOON) == payload, "{qos:?}");
    }
}

/// The read buffer has 64 KiB: the payload comes in pieces, which [`Device`] puts together.
#[test]
fn sixteen_mebibytes_from_mosquitto_pub_pass_through_a_small_buffer() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    device.subscribe("t", QoS::ExactlyOnce);
    let payload = content(16 * MIB);
    for qos in EVERY_QOS {
        Publisher::new(&broker, "publisher").publish("t", &payload, qos, false);
        assert!(device.message() == Message::new("t", &payload, qos, false), "{qos:?}");
    }
}

#[test]
fn sixteen_mebibytes_come_in_one_piece_if_the_buffer_is_large_enough() {
    let broker = Mosquitto::start();
    let options = Options::new("device");
    let sizes = Sizes::new(&options).outbox(17 * MIB).buffer(17 * MIB);
    let mut device = Device::sized(broker.address(), sizes);
    device.subscribe("t", QoS::AtLeastOnce);
    let payload = content(16 * MIB);
    let _ = device.client().publish("t", &payload, QoS::AtLeastOnce, false).expect("room");
    let whole = device.until("the message", |event| {
        let Event::Message(message) = event else { return None };
        Some(message.payload == payload)
    });
    assert!(whole);
}

#[test]
fn a_publish_larger_than_a_packet_or_the_outbox_is_refused_and_changes_nothing() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    let client = device.client().clone();
    let zeros = vec![0; LONGEST + 1];
    let longest = zeros.get(..LONGEST).expect("one byte less");
    for qos in EVERY_QOS {
        let refused = client.publish("t", &zeros, qos, false);
        assert!(
            matches!(
                refused,
                Err(blocking::Error::Request(RequestError::Encode(EncodeError::PacketTooLong)))
            ),
            "{qos:?}"
        );
    }
    let refused = client.publish("t", longest, QoS::AtMostOnce, false);
    assert!(
        matches!(
            refused,
            Err(blocking::Error::Request(RequestError::TooLarge { needed: 268_435_460, .. }))
        ),
        "{refused:?}"
    );
    // With a packet id the packet is too long again.
    let refused = client.publish("t", longest, QoS::AtLeastOnce, false);
    assert!(matches!(
        refused,
        Err(blocking::Error::Request(RequestError::Encode(EncodeError::PacketTooLong)))
    ));
    device.subscribe("t", QoS::AtLeastOnce);
    device.publish("t", b"small", QoS::AtLeastOnce, false);
    assert_eq!(device.message(), Message::new("t", b"small", QoS::AtLeastOnce, false));
}

/// [MQTT-4.5.0-2]: the broker gets its acknowledgement, so it does not send the message again.
#[test]
fn a_message_above_the_clients_limit_is_skipped_and_the_next_one_comes() {
    let broker = Mosquitto::start();
    let options = Options::new("device").clean_session(false).max_packet(1000);
    for qos in EVERY_QOS {
        let mut device = Device::connect(broker.address(), &options.clone().receive_capacity(64));
        device.subscribe("t", qos);
        let publisher = Publisher::new(&broker, "publisher");
        publisher.publish("t", &[7; 100_000], qos, false);
        publisher.publish("t", b"next", qos, false);
        let skipped = device.until("a skipped message", |event| {
            if let Event::Skipped(skipped) = event {
                Some((skipped.topic.to_vec(), skipped.len, skipped.cause))
            } else {
                None
            }
        });
        let id_len = if qos == QoS::AtMostOnce { 0 } else { 2 };
        assert_eq!(skipped, (b"t".to_vec(), 100_007 + id_len, SkipCause::TooLarge));
        assert_eq!(device.message(), Message::new("t", b"next", qos, false));
        device.disconnect();
    }
}

#[test]
fn a_message_above_the_clients_limit_ends_the_connection_on_request() {
    let broker = Mosquitto::start();
    let options = Options::new("device").max_packet(1000).oversized(Oversized::Close);
    let options = options.reconnect(AGAIN_AT_ONCE);
    let mut device = Device::connect(broker.address(), &options);
    device.up();
    device.subscribe("t", QoS::AtLeastOnce);
    let publisher = Publisher::new(&broker, "publisher");
    // Fixed header, length of the topic, topic, packet id: 3 + 2 + 1 + 2.
    publisher.publish("t", &[7; 992], QoS::AtLeastOnce, false);
    assert_eq!(device.message(), Message::new("t", &[7; 992], QoS::AtLeastOnce, false));
    publisher.publish("t", &[7; 993], QoS::AtLeastOnce, false);
    assert_eq!(device.down(), Reason::Fatal(Fatal::PacketTooLarge { len: 1001, limit: 1000 }));
    assert_eq!(device.up(), SessionStatus::New);
}

/// The broker acknowledges messages that it drops, as 3.1.1 has no other answer.
#[test]
fn a_broker_with_a_limit_drops_larger_messages_and_stays_connected() {
    let mut broker = Config::new().line("message_size_limit 1000").start();
    let options = Options::new("device").reconnect(Reconnect::never());
    let mut device = Device::connect(broker.address(), &options);
    device.subscribe("t", QoS::ExactlyOnce);
    for qos in EVERY_QOS {
        device.publish("t", &[7; 1001], qos, false);
        device.publish("t", &[7; 1000], qos, false);
        assert_eq!(device.message(), Message::new("t", &[7; 1000], qos, false));
    }
    broker.stop();
    assert_eq!(broker.log().count("Dropped too large PUBLISH from device"), 3);
}
