//! Messages of every QoS through a real broker, with an independent client on the other side (M3, M5): every pair of
//! publish QoS and subscribe QoS, in both versions, order, and exactly-once hand-over in numbers.

use std::thread;

use mqtt_core::driver::blocking::{self, Config as Sizes};
use mqtt_core::{Event, Options, Protocol, Publish, QoS, Reconnect, RequestError, Topic, Version};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Device, EVERY_QOS, Message, Mosquitto, Paho, Publisher, SOON,
    Subscriber,
};

/// One message for each of the nine pairs: topic, publish QoS, subscribe QoS.
fn pairs() -> impl Iterator<Item = (String, QoS, QoS)> {
    EVERY_QOS.into_iter().flat_map(|publish| {
        EVERY_QOS
            .into_iter()
            .map(move |subscribe| (format!("pair/{publish:?}/{subscribe:?}"), publish, subscribe))
    })
}

fn device(broker: &Mosquitto, id: &str, version: Version) -> Device {
    Device::connect(broker.address(), &Options::new(id).version(version))
}

#[test]
fn a_device_receives_every_qos_pair_from_mosquitto_pub_at_the_lower_qos() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device = device(&broker, &format!("{version:?}"), version);
        for (topic, publish, subscribe) in pairs() {
            assert_eq!(device.subscribe(&topic, subscribe), [Some(subscribe)]);
            Publisher::new(&broker, "pub").version(protocol).publish(&topic, b"hi", publish, false);
            let expected = Message::new(&topic, b"hi", publish.min(subscribe), false);
            assert_eq!(device.message(), expected, "{version:?}");
        }
        device.disconnect();
    }
}

#[test]
fn mosquitto_sub_receives_every_qos_pair_from_a_device_at_the_lower_qos() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device = device(&broker, &format!("{version:?}"), version);
        for subscribe in EVERY_QOS {
            let filter = format!("pair/+/{subscribe:?}");
            let id = format!("sub-{version:?}-{subscribe:?}");
            let subscriber =
                Subscriber::new(&broker, &id).version(protocol).filter(&filter, subscribe).start();
            for publish in EVERY_QOS {
                let topic = format!("pair/{publish:?}/{subscribe:?}");
                device.publish(&topic, b"hi", publish, false);
                let expected = Message::new(&topic, b"hi", publish.min(subscribe), false);
                assert_eq!(subscriber.next(SOON), expected, "{version:?}");
            }
        }
        device.disconnect();
    }
}

#[test]
fn paho_and_a_device_exchange_every_qos_pair_in_both_directions() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device = device(&broker, &format!("{version:?}"), version);
        let mut paho = Paho::new(&broker, &format!("paho-{version:?}")).version(protocol).connect();
        for (topic, publish, subscribe) in pairs() {
            let expected = |topic: &str| Message::new(topic, b"hi", publish.min(subscribe), false);
            let (to_paho, to_device) = (format!("{topic}/paho"), format!("{topic}/device"));
            assert_eq!(paho.subscribe(&[(&to_paho, subscribe)]), [subscribe as u8]);
            device.publish(&to_paho, b"hi", publish, false);
            assert_eq!(paho.next(SOON), expected(&to_paho), "{version:?}");
            assert_eq!(device.subscribe(&to_device, subscribe), [Some(subscribe)]);
            paho.publish(&to_device, b"hi", publish, false);
            assert_eq!(device.message(), expected(&to_device), "{version:?}");
        }
        paho.disconnect();
        device.disconnect();
    }
}

#[test]
fn two_devices_of_different_versions_exchange_every_qos_pair() {
    let broker = Mosquitto::start();
    let mut older = device(&broker, "older", Version::V31);
    let mut newer = device(&broker, "newer", Version::V311);
    for (topic, publish, subscribe) in pairs() {
        let expected = Message::new(&topic, b"hi", publish.min(subscribe), false);
        assert_eq!(older.subscribe(&topic, subscribe), [Some(subscribe)]);
        newer.publish(&topic, b"hi", publish, false);
        assert_eq!(older.message(), expected);
        older.unsubscribe(&topic);
        assert_eq!(newer.subscribe(&topic, subscribe), [Some(subscribe)]);
        older.publish(&topic, b"hi", publish, false);
        assert_eq!(newer.message(), expected);
    }
}

/// [MQTT-4.3.3-2], [MQTT-4.6.0-1]: as many messages are in flight as Mosquitto accepts by default. It acknowledges
/// further ones, but drops them.
#[test]
fn a_thousand_qos_2_messages_reach_mosquitto_sub_once_each_and_in_order() {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "sub").filter("n", QoS::ExactlyOnce).start();
    let mut device = device(&broker, "device", Version::V311);
    let mut published = 0;
    for n in 0..1000 {
        let payload = format!("{n}");
        loop {
            match device.client().publish("n", payload.as_bytes(), QoS::ExactlyOnce, false) {
                Ok(_) => break,
                Err(blocking::Error::Request(RequestError::WindowFull { in_flight: 19 })) => {
                    device.until("room in the window", published_event);
                    published += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    while published < 1000 {
        device.until("the rest of the publishes", published_event);
        published += 1;
    }
    for n in 0..1000 {
        assert_eq!(
            subscriber.next(SOON),
            Message::new("n", format!("{n}").as_bytes(), QoS::ExactlyOnce, false)
        );
    }
    device.disconnect();
}

/// Mosquitto takes 20 messages of QoS 1 and 2 together. It acknowledges further ones, and drops them.
#[test]
fn a_qos_1_message_behind_a_full_window_of_qos_2_is_not_dropped() {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "sub").filter("n", QoS::AtLeastOnce).start();
    let mut device = device(&broker, "device", Version::V311);
    let (mut accepted, mut ended, mut expected) = (0, 0, Vec::new());
    for round in 0..20 {
        for n in 0.. {
            let payload = format!("{round} {n}");
            if device
                .client()
                .publish("other", payload.as_bytes(), QoS::ExactlyOnce, false)
                .is_err()
            {
                break;
            }
            accepted += 1;
        }
        let payload = format!("{round}");
        let handle = device.client().publish("n", payload.as_bytes(), QoS::AtLeastOnce, false);
        let _ = handle.expect("the window has room for QoS 1");
        accepted += 1;
        expected.push(payload);
        while ended < accepted {
            device.until("the end of a publish", published_event);
            ended += 1;
        }
    }
    for payload in expected {
        let message = Message::new("n", payload.as_bytes(), QoS::AtLeastOnce, false);
        assert_eq!(subscriber.next(SOON), message);
    }
}

fn published_event(event: &Event<'_>) -> Option<()> {
    matches!(event, Event::Published(_)).then_some(())
}

#[test]
fn a_thousand_qos_2_messages_reach_a_device_once_each_and_in_order() {
    let broker = Mosquitto::start();
    let mut device = device(&broker, "device", Version::V311);
    device.subscribe("n", QoS::ExactlyOnce);
    takes_a_burst(&broker, &mut device, 1000);
}

/// Another client publishes this many QoS 2 messages at once. The device gets each once and in order, and no others.
fn takes_a_burst(broker: &Mosquitto, device: &mut Device, count: usize) {
    // One line for each message.
    let lines: String = (0..count).map(|n| format!("{n}\n")).collect();
    Publisher::new(broker, "pub").publish_lines("n", &lines, QoS::ExactlyOnce);
    for n in 0..count {
        assert_eq!(
            device.message(),
            Message::new("n", format!("{n}").as_bytes(), QoS::ExactlyOnce, false)
        );
    }
    device.publish("n", b"end", QoS::ExactlyOnce, false);
    assert_eq!(device.message(), Message::new("n", b"end", QoS::ExactlyOnce, false));
}

/// Mosquitto 2.0.11 goes far beyond its own limit of 20 messages in flight: each PUBCOMP makes it send 20 more.
#[test]
fn a_burst_of_qos_2_messages_beyond_the_slots_arrives_once_each_and_in_order_in_a_kept_session() {
    let broker = Mosquitto::start();
    let options = Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE);
    let sizes = Sizes::new(&options).window(16);
    let mut device = Device::sized(broker.address(), sizes);
    device.subscribe("n", QoS::ExactlyOnce);
    takes_a_burst(&broker, &mut device, 120);
}

#[test]
fn a_handler_publishes_while_it_holds_a_message() {
    let broker = Mosquitto::start();
    let (client, mut events) = device(&broker, "echo", Version::V311).into_parts();
    let subscriber = Subscriber::new(&broker, "sub").filter("echo/#", QoS::ExactlyOnce).start();
    let _ = client.subscribe("say/#", QoS::ExactlyOnce).expect("room");
    Publisher::new(&broker, "pub").publish("say/a", b"early", QoS::AtLeastOnce, true);
    let echo = thread::spawn(move || {
        while let Some(event) = events.next() {
            let Event::Message(message) = event else { continue };
            let topic = message.topic.as_str().replace("say", "echo");
            let _ = client.publish(&topic, message.payload, message.qos, false).expect("room");
            if message.payload == b"bye" {
                client.disconnect();
            }
        }
    });
    assert_eq!(subscriber.next(SOON), Message::new("echo/a", b"early", QoS::AtLeastOnce, false));
    let publisher = Publisher::new(&broker, "pub");
    for qos in EVERY_QOS {
        publisher.publish("say/b", b"hello", qos, false);
        assert_eq!(subscriber.next(SOON), Message::new("echo/b", b"hello", qos, false));
    }
    publisher.publish("say/b", b"bye", QoS::AtLeastOnce, false);
    assert_eq!(subscriber.next(SOON), Message::new("echo/b", b"bye", QoS::AtLeastOnce, false));
    echo.join().expect("the echo ends after its last word");
}

/// Four threads publish while a fifth waits for the socket. No thread waits for another, nothing is lost, and the
/// messages of each thread keep their order.
#[test]
fn threads_share_a_client() {
    const THREADS: usize = 4;
    const EACH: usize = 250;
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "sub").filter("t/#", QoS::AtLeastOnce).start();
    let (client, mut events) = device(&broker, "shared", Version::V311).into_parts();
    let publishing: Vec<_> = (0..THREADS)
        .map(|thread| {
            let client = client.clone();
            thread::spawn(move || {
                let topic = format!("t/{thread}");
                for n in 0..EACH {
                    let payload = n.to_string();
                    let publish =
                        Publish::new(Topic::new(&topic).expect("a topic"), payload.as_bytes());
                    let _ = client
                        .send_within(&publish.qos(QoS::AtLeastOnce), SOON)
                        .expect("room in time");
                }
            })
        })
        .collect();
    let receiving = thread::spawn(move || {
        let mut published = 0;
        while let Some(event) = events.next() {
            published += usize::from(published_event(&event).is_some());
            if published == THREADS * EACH {
                client.disconnect();
            }
        }
        published
    });
    let mut next = [0; THREADS];
    for _ in 0..THREADS * EACH {
        let message = subscriber.next(SOON);
        let thread: usize = message.topic.trim_start_matches("t/").parse().expect("a number");
        let expected = next.get_mut(thread).expect("one of the threads");
        assert_eq!(message.payload, expected.to_string().as_bytes());
        *expected += 1;
    }
    for thread in publishing {
        thread.join().expect("it published all");
    }
    assert_eq!(receiving.join().expect("it ends with the client"), THREADS * EACH);
}

#[test]
fn the_client_speaks_the_requested_version() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let id = format!("{version:?}");
        let mut device = device(&broker, &id, version);
        device.until("a connection", |event| {
            let Event::Up { protocol: spoken, .. } = event else { return None };
            assert_eq!(*spoken, protocol);
            Some(())
        });
        // Mosquitto's log has p1 for 3.1, p2 for 3.1.1.
        let number = if protocol == Protocol::V31 { "p1" } else { "p2" };
        broker.log().wait(&format!("as {id} ({number}, c1, k60)"), SOON);
    }
}

/// The broker has 20 messages in flight, and the client has slots for four. The messages that find none are passed
/// over, and each connection brings the next four.
#[test]
fn qos_2_messages_beyond_the_slots_of_a_device_arrive_once_and_in_order() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let id = format!("{version:?}");
        // A back-off would exceed the time that the test waits.
        let options = Options::new(&id).version(version).clean_session(false);
        let options = options.reconnect(Reconnect::after(600_000));
        let mut device = Device::sized(broker.address(), Sizes::new(&options).window(4));
        device.subscribe("n", QoS::ExactlyOnce);
        let lines: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let publisher = Publisher::new(&broker, "pub").version(protocol);
        publisher.publish_lines("n", &lines.join("\n"), QoS::ExactlyOnce);
        let payloads = device.messages(20).into_iter().map(|message| message.payload);
        assert!(payloads.eq(lines.iter().map(|line| line.as_bytes().to_vec())), "{version:?}");
        assert!(device.client().counters().passed_over != 0, "the broker sent them at once");
        assert!(device.client().counters().connections <= 6, "{:?}", device.client().counters());
        device.disconnect();
    }
}
