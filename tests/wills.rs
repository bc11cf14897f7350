//! Last wills (M6): not published after a clean disconnect; published after a lost connection, a killed process and a
//! keep-alive failure; every QoS, retained or not, empty or not. Independent clients receive them.
//!
//! Mosquitto 2.0.11 looks for keep-alive failures every five seconds, so those tests take that long.

use mqtt_core::{Options, QoS, Topic, Will};
use system_tests::{
    BOTH_VERSIONS, Device, EVERY_QOS, Message, Mosquitto, Paho, Program, SOON, Subscriber,
};

/// The will of `victim` and of the tests in this file.
fn gone(topic: &str) -> Message {
    Message::new(topic, b"gone", QoS::AtLeastOnce, false)
}

fn will(topic: &str) -> Will<'_> {
    Will::new(Topic::new(topic).expect("a topic"), b"gone").qos(QoS::AtLeastOnce)
}

fn watcher(broker: &Mosquitto) -> Subscriber {
    Subscriber::new(broker, "watcher").filter("will/#", QoS::ExactlyOnce).start()
}

#[test]
fn a_will_is_published_after_a_lost_connection_and_not_after_a_disconnect() {
    let broker = Mosquitto::start();
    let watcher = watcher(&broker);
    for (version, _) in BOTH_VERSIONS {
        let (none, lost) = (format!("will/none/{version:?}"), format!("will/lost/{version:?}"));
        let options = |topic| Options::new("device").version(version).will(will(topic));
        Device::connect(broker.address(), &options(&none)).disconnect();
        drop(Device::connect(broker.address(), &options(&lost)));
        assert_eq!(watcher.next(SOON), gone(&lost));
    }
}

#[test]
fn a_will_has_the_requested_qos_retain_flag_and_payload() {
    let broker = Mosquitto::start();
    let watcher = watcher(&broker);
    for (version, protocol) in BOTH_VERSIONS {
        for qos in EVERY_QOS {
            for (retain, payload) in [(false, &b"\0\xff"[..]), (true, b"kept"), (false, b"")] {
                let topic = format!("will/{version:?}/{qos:?}/{retain}/{}", payload.len());
                let will = Will::new(Topic::new(&topic).expect("a topic"), payload)
                    .qos(qos)
                    .retain(retain);
                let options = Options::new("device").version(version).will(will);
                drop(Device::connect(broker.address(), &options));
                assert_eq!(watcher.next(SOON), Message::new(&topic, payload, qos, false));
            }
        }
        let mut later =
            Paho::new(&broker, &format!("later-{version:?}")).version(protocol).connect();
        let topic = format!("will/{version:?}/{:?}/true/4", QoS::ExactlyOnce);
        later.subscribe(&[(
            &format!("will/{version:?}/{:?}/#", QoS::ExactlyOnce),
            QoS::ExactlyOnce,
        )]);
        assert_eq!(later.next(SOON), Message::new(&topic, b"kept", QoS::ExactlyOnce, true));
    }
}

#[test]
fn a_device_receives_the_will_of_a_killed_client() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    device.subscribe("will/+", QoS::AtLeastOnce);
    Paho::new(&broker, "leaves").will(&gone("will/none")).connect().disconnect();
    Paho::new(&broker, "dies").will(&gone("will/paho")).connect().kill();
    assert_eq!(device.message(), gone("will/paho"));
}

#[test]
fn a_will_is_published_when_the_process_is_killed() {
    let broker = Mosquitto::start();
    let watcher = watcher(&broker);
    victim(&broker, "60", "will/killed").kill();
    assert_eq!(watcher.next(SOON), gone("will/killed"));
}

#[test]
fn a_will_is_published_when_the_process_is_stopped_beyond_its_keep_alive() {
    let broker = Mosquitto::start();
    let watcher = watcher(&broker);
    let victim = victim(&broker, "1", "will/stopped");
    // Until then the client had kept its connection alive.
    broker.log().wait("Received PINGREQ from victim", SOON);
    victim.freeze();
    assert_eq!(watcher.next(SOON), gone("will/stopped"));
    broker.log().wait("Client victim has exceeded timeout, disconnecting.", SOON);
}

/// `Events::next` is not called, so no PINGREQ is sent.
#[test]
fn a_will_is_published_if_the_client_is_not_driven() {
    let broker = Mosquitto::start();
    let watcher = watcher(&broker);
    let options = Options::new("idle").keep_alive(1).will(will("will/idle"));
    let idle = Device::connect(broker.address(), &options);
    assert_eq!(watcher.next(SOON), gone("will/idle"));
    broker.log().wait("Client idle has exceeded timeout, disconnecting.", SOON);
    drop(idle);
}

fn victim(broker: &Mosquitto, keep_alive: &str, topic: &str) -> Program {
    let victim = env!("CARGO_BIN_EXE_victim");
    let victim =
        Program::start(victim, &[&broker.address().to_string(), "victim", keep_alive, topic]);
    victim.output().wait("up", SOON);
    victim
}

/// A socket that is closed with unread bytes resets the connection, and Mosquitto drops what it has not read: messages,
/// and the DISCONNECT. The client is subscribed to its own messages, so bytes for it are under way all the time.
#[test]
fn a_disconnect_behind_many_publishes_loses_none_and_publishes_no_will() {
    const PUBLISHES: usize = 10;
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(&broker, "watcher").filter("#", QoS::AtLeastOnce).start();
    for round in 0..6 {
        let options = Options::new("device").will(will("will/none"));
        let device = Device::connect(broker.address(), &options);
        let (client, mut events) = device.into_parts();
        let _ = client.subscribe("#", QoS::AtLeastOnce).expect("room");
        let topic = format!("round/{round}");
        for number in 0..PUBLISHES {
            let payload = number.to_string();
            let _ =
                client.publish(&topic, payload.as_bytes(), QoS::AtLeastOnce, false).expect("room");
        }
        client.disconnect();
        while events.next().is_some() {}
        for number in 0..PUBLISHES {
            let payload = number.to_string();
            let expected = Message::new(&topic, payload.as_bytes(), QoS::AtLeastOnce, false);
            assert_eq!(watcher.next(SOON), expected, "no will, and none missing");
        }
    }
}
