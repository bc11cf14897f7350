//! Sessions (M5, M9, M11): present, lost, found and clean; and the state that each side keeps over broken connections
//! and restarts of the broker.

use mqtt_core::{Event, Options, QoS, Reason, SessionStatus, Version};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Config, Device, EVERY_QOS, Message, Mosquitto, Paho, Publisher,
    SOON, Subscriber,
};

/// A client whose session outlives its connections.
fn lasting(id: &str, version: Version) -> Options<'_> {
    Options::new(id).version(version).clean_session(false).reconnect(AGAIN_AT_ONCE)
}

/// The messages that an independent client with the kept session `id` has received, up to the message `end`.
fn collected(broker: &Mosquitto, id: &str, filter: &str) -> Vec<String> {
    let subscriber =
        Subscriber::new(broker, id).keep_session().filter(filter, QoS::ExactlyOnce).start();
    let next = || String::from_utf8(subscriber.next(SOON).payload).expect("tests send text");
    std::iter::repeat_with(next).take_while(|payload| payload != "end").collect()
}

/// 3.1 cannot say that the session was found, but the broker still sends the messages that waited in it.
#[test]
fn messages_wait_in_a_kept_session_for_a_restarted_device() {
    let broker = Mosquitto::start();
    for (version, found) in
        [(Version::V31, SessionStatus::New), (Version::V311, SessionStatus::Found)]
    {
        let options = lasting("device", version).clean_session(false);
        let mut device = Device::connect(broker.address(), &options);
        assert_eq!(device.up(), SessionStatus::New);
        device.subscribe("a/+", QoS::ExactlyOnce);
        device.disconnect();
        for qos in EVERY_QOS {
            Publisher::new(&broker, "publisher").publish("a/b", b"waits", qos, false);
        }
        let mut device = Device::connect(broker.address(), &options);
        assert_eq!(device.up(), found, "{version:?}");
        assert_eq!(device.message(), Message::new("a/b", b"waits", QoS::AtLeastOnce, false));
        assert_eq!(device.message(), Message::new("a/b", b"waits", QoS::ExactlyOnce, false));
        // The subscription is still there, too.
        device.publish("a/c", b"live", QoS::AtMostOnce, false);
        assert_eq!(device.message(), Message::new("a/c", b"live", QoS::AtMostOnce, false));
        device.disconnect();
        // The next round has to find nothing.
        Device::connect(broker.address(), &Options::new("device").version(version)).disconnect();
    }
}

/// [MQTT-3.1.2-6].
#[test]
fn a_clean_session_discards_the_messages_of_a_kept_one() {
    let broker = Mosquitto::start();
    for (version, _) in BOTH_VERSIONS {
        let mut device = Device::connect(broker.address(), &lasting("device", version));
        device.subscribe("a", QoS::ExactlyOnce);
        device.disconnect();
        Publisher::new(&broker, "publisher").publish(
            "a",
            b"waits in vain",
            QoS::ExactlyOnce,
            false,
        );
        Device::connect(broker.address(), &Options::new("device").version(version)).disconnect();
        let mut device = Device::connect(broker.address(), &lasting("device", version));
        assert_eq!(device.up(), SessionStatus::New);
        Publisher::new(&broker, "publisher").publish(
            "a",
            b"not subscribed",
            QoS::ExactlyOnce,
            false,
        );
        device.subscribe("b", QoS::ExactlyOnce);
        device.publish("b", b"first", QoS::ExactlyOnce, false);
        assert_eq!(device.message(), Message::new("b", b"first", QoS::ExactlyOnce, false));
        device.disconnect();
    }
}

#[test]
fn a_session_is_resumed_by_a_broker_that_kept_it() {
    let mut broker = Config::new().persistence().start();
    let mut device = Device::connect(broker.address(), &lasting("device", Version::V311));
    assert_eq!(device.up(), SessionStatus::New);
    device.subscribe("a", QoS::ExactlyOnce);
    broker.stop();
    assert_eq!(device.down(), Reason::TransportClosed);
    broker.start_again();
    assert_eq!(device.up(), SessionStatus::Resumed);
    Publisher::new(&broker, "publisher").publish("a", b"hi", QoS::ExactlyOnce, false);
    assert_eq!(device.message(), Message::new("a", b"hi", QoS::ExactlyOnce, false));
    broker.stop();
    assert_eq!(broker.log().count("Received SUBSCRIBE from device"), 0);
}

/// In 3.1 the client cannot see the loss, so it always makes its subscriptions again.
#[test]
fn subscriptions_are_made_again_when_the_broker_has_lost_the_session() {
    for (version, status) in
        [(Version::V31, SessionStatus::Resumed), (Version::V311, SessionStatus::Lost)]
    {
        let mut broker = Mosquitto::start();
        let mut device = Device::connect(broker.address(), &lasting("device", version));
        device.subscribe("a", QoS::AtLeastOnce);
        device.subscribe("b/#", QoS::ExactlyOnce);
        device.subscribe("c", QoS::ExactlyOnce);
        device.unsubscribe("c");
        broker.kill();
        assert_eq!(device.down(), Reason::TransportClosed);
        broker.start_again();
        device.until("a connection", |event| {
            let Event::Up { session, .. } = event else { return None };
            assert_eq!(*session, status, "{version:?}");
            Some(())
        });
        renewed(&mut device, &[Some(QoS::AtLeastOnce), Some(QoS::ExactlyOnce)]);
        for topic in ["c", "b/c", "a"] {
            Publisher::new(&broker, "publisher").publish(topic, b"hi", QoS::ExactlyOnce, false);
        }
        assert_eq!(
            device.message(),
            Message::new("b/c", b"hi", QoS::ExactlyOnce, false),
            "{version:?}"
        );
        assert_eq!(
            device.message(),
            Message::new("a", b"hi", QoS::AtLeastOnce, false),
            "{version:?}"
        );
    }
}

#[test]
fn subscriptions_of_a_clean_session_are_made_again_after_every_break() {
    let mut broker = Config::new().persistence().start();
    let mut device =
        Device::connect(broker.address(), &Options::new("device").reconnect(AGAIN_AT_ONCE));
    device.subscribe("a", QoS::AtLeastOnce);
    for _ in 0..2 {
        broker.stop();
        broker.start_again();
        assert_eq!(device.up(), SessionStatus::New);
        renewed(&mut device, &[Some(QoS::AtLeastOnce)]);
        Publisher::new(&broker, "publisher").publish("a", b"hi", QoS::ExactlyOnce, false);
        assert_eq!(device.message(), Message::new("a", b"hi", QoS::AtLeastOnce, false));
    }
}

#[track_caller]
fn renewed(device: &mut Device, codes: &[Option<QoS>]) {
    device.until("a renewed subscription", |event| {
        let Event::Renewed { granted, .. } = event else { return None };
        assert_eq!(granted.iter().collect::<Vec<_>>(), codes);
        Some(())
    });
}

/// Mosquitto 2.0.11 forgets shared subscriptions at its end, and keeps the session and its other subscriptions. The
/// client cannot see that. If it does not renew them on each connection, it hears nothing more.
#[test]
fn shared_subscriptions_outlast_a_restart_if_they_are_renewed_on_each_connection() {
    for renewed_always in [true, false] {
        let mut broker = Config::new().persistence().start();
        let forgets = broker.log().count("mosquitto version 2.0.11 ") > 0;
        let options = lasting("device", Version::V311).renew_on_each_connection(renewed_always);
        let mut device = Device::connect(broker.address(), &options);
        device.subscribe("$share/g/shared/#", QoS::AtMostOnce);
        device.subscribe("end", QoS::AtMostOnce);
        let publish = |broker: &Mosquitto, payload: &[u8]| {
            let publisher = Publisher::new(broker, "publisher");
            publisher.publish("shared/n", payload, QoS::AtMostOnce, false);
            publisher.publish("end", b"end", QoS::AtMostOnce, false);
        };
        let shared = |payload| Message::new("shared/n", payload, QoS::AtMostOnce, false);
        let end = Message::new("end", b"end", QoS::AtMostOnce, false);
        publish(&broker, b"before");
        assert_eq!(device.messages(2), [shared(b"before"), end.clone()]);

        broker.stop();
        broker.start_again();
        assert_eq!(device.up(), SessionStatus::Resumed);
        if renewed_always {
            renewed(&mut device, &[Some(QoS::AtMostOnce); 2]);
        }
        publish(&broker, b"after");
        if renewed_always {
            assert_eq!(device.messages(2), [shared(b"after"), end]);
        } else if forgets {
            assert_eq!(device.message(), end);
        }
        device.disconnect();
    }
}

/// An accepted message is in the session: it is delivered even if it was published while the broker was away.
///
/// The test publishes nineteen at a time, the default limit at QoS 2. Mosquitto 2.0.11 takes 20 messages above QoS 0 at
/// once. It acknowledges further ones, and drops them.
#[test]
fn messages_accepted_offline_are_delivered_once_and_in_order() {
    for (version, protocol) in BOTH_VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut broker = Config::new().persistence().start();
            Subscriber::new(&broker, "witness")
                .version(protocol)
                .keep_session()
                .filter("n", QoS::ExactlyOnce)
                .subscribe_and_leave();
            let mut device = Device::connect(broker.address(), &lasting("device", version));
            device.publish("n", b"online", qos, false);
            broker.stop();
            assert_eq!(device.down(), Reason::TransportClosed);
            let mut expected = vec![String::from("online")];
            let mut last = None;
            for n in 0..19 {
                let payload = format!("offline {n}");
                last = Some(device.client().publish("n", payload.as_bytes(), qos, false));
                expected.push(payload);
            }
            broker.start_again();
            device.published(last.expect("there were some"));
            device.publish("n", b"end", qos, false);
            assert_eq!(collected(&broker, "witness", "n"), expected, "{version:?} {qos:?}");
        }
    }
}

/// The broker is stalled, so that the packets are sent and not answered, and then it is killed.
#[test]
fn unacknowledged_messages_are_sent_again_marked_as_duplicates() {
    for (version, _) in BOTH_VERSIONS {
        let mut broker = Config::new().persistence().start();
        let mut device = Device::connect(broker.address(), &lasting("device", version));
        device.up();
        Subscriber::new(&broker, "witness")
            .keep_session()
            .filter("n", QoS::ExactlyOnce)
            .subscribe_and_leave();
        broker.save();
        // In 3.1 the first publish of QoS 2 waits until the packet ids are reclaimed.
        device.publish("other", b"0", QoS::ExactlyOnce, false);
        broker.freeze();
        let (client, sent) = (device.client().clone(), device.client().counters().packets_out);
        let first = client.publish("n", b"1", QoS::AtLeastOnce, false);
        let second = client.publish("n", b"2", QoS::ExactlyOnce, false);
        device
            .drive_until("the publishes to be sent", || client.counters().packets_out == sent + 2);
        broker.kill();
        assert_eq!(device.down(), Reason::TransportClosed);
        broker.start_again();
        device.published(first);
        device.published(second);
        broker.log().wait("Received PUBLISH from device (d1, q1, r0, m", SOON);
        broker.log().wait("Received PUBLISH from device (d1, q2, r0, m", SOON);
        assert_eq!(client.counters().retransmissions, 2);
        device.publish("n", b"end", QoS::ExactlyOnce, false);
        assert_eq!(collected(&broker, "witness", "n"), ["1", "2"], "{version:?}");
    }
}

/// It is unknown whether it arrived, so it is neither repeated nor forgotten.
#[test]
fn a_qos_2_publish_in_flight_ends_as_lost_with_its_session() {
    let mut broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &lasting("device", Version::V311));
    device.up();
    broker.freeze();
    let (client, sent) = (device.client().clone(), device.client().counters().packets_out);
    let under_way = client.publish("n", b"1", QoS::ExactlyOnce, false).expect("room");
    device.drive_until("the publish to be sent", || client.counters().packets_out == sent + 1);
    let repeated = client.publish("n", b"2", QoS::AtLeastOnce, false);
    broker.kill();
    assert_eq!(device.down(), Reason::TransportClosed);
    let waiting = client.publish("n", b"3", QoS::ExactlyOnce, false);
    broker.start_again();
    device.until("the loss", |event| (*event == Event::Lost(under_way)).then_some(()));
    device.published(repeated);
    device.published(waiting);
}

#[test]
fn a_session_moves_from_paho_to_a_device_and_back() {
    let broker = Mosquitto::start();
    let mut paho = Paho::new(&broker, "shared").keep_session().connect();
    assert!(!paho.session_present());
    paho.subscribe(&[("a", QoS::ExactlyOnce)]);
    paho.disconnect();
    let publisher = Publisher::new(&broker, "publisher");
    publisher.publish("a", b"for the device", QoS::ExactlyOnce, false);
    let mut device = Device::connect(broker.address(), &lasting("shared", Version::V311));
    assert_eq!(device.up(), SessionStatus::Found);
    assert_eq!(device.message(), Message::new("a", b"for the device", QoS::ExactlyOnce, false));
    device.disconnect();
    publisher.publish("a", b"for paho", QoS::ExactlyOnce, false);
    let paho = Paho::new(&broker, "shared").keep_session().connect();
    assert!(paho.session_present());
    assert_eq!(paho.next(SOON), Message::new("a", b"for paho", QoS::ExactlyOnce, false));
}
