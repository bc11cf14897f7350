//! Retained messages (M3, M5): set, shown with the flag to later subscribers only, replaced, cleared by an empty
//! payload; with an independent client on the other side.

use mqtt_core::{Options, QoS};
use system_tests::{
    BOTH_VERSIONS, Device, EVERY_QOS, Message, Mosquitto, Paho, Publisher, SOON, Subscriber,
};

#[test]
fn a_retained_message_of_a_device_reaches_present_and_later_subscribers() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device =
            Device::connect(broker.address(), &Options::new("device").version(version));
        for qos in EVERY_QOS {
            let topic = format!("state/{version:?}/{qos:?}");
            let subscriber = |name: &str| {
                let id = format!("{name}-{version:?}-{qos:?}");
                Subscriber::new(&broker, &id)
                    .version(protocol)
                    .filter(&topic, QoS::ExactlyOnce)
                    .start()
            };
            let present = subscriber("present");
            device.publish(&topic, b"on", qos, true);
            assert_eq!(present.next(SOON), Message::new(&topic, b"on", qos, false), "{version:?}");
            assert_eq!(
                subscriber("later").next(SOON),
                Message::new(&topic, b"on", qos, true),
                "{version:?}"
            );
        }
        device.disconnect();
    }
}

#[test]
fn a_device_sees_the_retain_flag_on_stored_messages_only() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device =
            Device::connect(broker.address(), &Options::new("device").version(version));
        let publisher = Publisher::new(&broker, "publisher").version(protocol);
        for qos in EVERY_QOS {
            let topic = format!("state/{version:?}/{qos:?}");
            publisher.publish(&topic, b"stored", qos, true);
            device.subscribe(&topic, QoS::ExactlyOnce);
            assert_eq!(device.message(), Message::new(&topic, b"stored", qos, true), "{version:?}");
            publisher.publish(&topic, b"live", qos, true);
            assert_eq!(device.message(), Message::new(&topic, b"live", qos, false), "{version:?}");
        }
        device.disconnect();
    }
}

#[test]
fn the_last_retained_message_replaces_those_before() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    device.publish("state", b"first", QoS::ExactlyOnce, true);
    device.publish("state", b"second", QoS::AtMostOnce, true);
    device.publish("state", b"third", QoS::AtLeastOnce, true);
    device.publish("state", b"not stored", QoS::AtLeastOnce, false);
    let mut paho = Paho::new(&broker, "paho").connect();
    paho.subscribe(&[("state", QoS::ExactlyOnce)]);
    assert_eq!(paho.next(SOON), Message::new("state", b"third", QoS::AtLeastOnce, true));
}

#[test]
fn an_empty_retained_payload_clears_the_stored_message() {
    let broker = Mosquitto::start();
    for (version, protocol) in BOTH_VERSIONS {
        let mut device =
            Device::connect(broker.address(), &Options::new("device").version(version));
        let (cleared, kept) = (format!("{version:?}/a"), format!("{version:?}/b"));
        for qos in EVERY_QOS {
            device.publish(&kept, b"kept", QoS::AtLeastOnce, true);
            device.publish(&cleared, b"soon gone", qos, true);
            device.publish(&cleared, b"", qos, true);
            // A client that subscribes now gets one message, and a live one after it.
            let mut paho = Paho::new(&broker, &format!("paho-{version:?}-{qos:?}"))
                .version(protocol)
                .connect();
            paho.subscribe(&[(&format!("{version:?}/+"), QoS::AtLeastOnce)]);
            assert_eq!(
                paho.next(SOON),
                Message::new(&kept, b"kept", QoS::AtLeastOnce, true),
                "{version:?}"
            );
            paho.publish(&cleared, b"live", QoS::AtLeastOnce, false);
            assert_eq!(
                paho.next(SOON),
                Message::new(&cleared, b"live", QoS::AtLeastOnce, false),
                "{version:?}"
            );
        }
        device.disconnect();
    }
}

/// Present subscribers get the empty payload itself, without the retain flag.
#[test]
fn a_device_hears_of_a_clearing_and_later_finds_nothing() {
    let broker = Mosquitto::start();
    let publisher = Publisher::new(&broker, "publisher");
    publisher.publish("a", b"on", QoS::AtLeastOnce, true);
    publisher.publish("b", b"on", QoS::AtLeastOnce, true);
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    device.subscribe("a", QoS::ExactlyOnce);
    assert_eq!(device.message(), Message::new("a", b"on", QoS::AtLeastOnce, true));
    publisher.publish("a", b"", QoS::AtLeastOnce, true);
    assert_eq!(device.message(), Message::new("a", b"", QoS::AtLeastOnce, false));
    device.unsubscribe("a");
    device.subscribe("a", QoS::ExactlyOnce);
    device.subscribe("b", QoS::ExactlyOnce);
    assert_eq!(device.message(), Message::new("b", b"on", QoS::AtLeastOnce, true));
}
