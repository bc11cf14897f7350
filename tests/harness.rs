//! The harness itself, tested with the independent clients alone: it starts, stops and reports correctly, so the
//! project can be judged by it.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::thread;
use std::time::Duration;

use mqtt_core::codec::{ConnAck, Connect, Packet, Refusal};
use mqtt_core::{Protocol, QoS};
use system_tests::{
    Config, FakeBroker, Link, Message, Mosquitto, Paho, Publisher, SOON, Subscriber, Tunnel,
    content,
};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A CONNECT with only a client id.
fn connect(client_id: &str, protocol: Protocol) -> Connect<'_> {
    Connect { protocol, client_id, clean_session: true, keep_alive: 60, will: None, login: None }
}

fn link(broker: &Mosquitto, id: &str, protocol: Protocol) -> Link {
    let mut link = Link::connect(broker.address(), protocol);
    assert_eq!(
        link.open(&connect(id, protocol)),
        ConnAck { session_present: false, result: Ok(()) }
    );
    link
}

#[test]
fn brokers_started_at_once_have_a_port_each() {
    let started: Vec<_> = (0..6).map(|_| thread::spawn(Mosquitto::start)).collect();
    let brokers: Vec<_> =
        started.into_iter().map(|thread| thread.join().expect("it starts")).collect();
    for (n, broker) in brokers.iter().enumerate() {
        drop(link(broker, &format!("id-{n}"), Protocol::V311));
        broker.log().wait(&format!("as id-{n} (p2"), SOON);
    }
}

#[test]
fn a_broker_ends_when_dropped() {
    let broker = Mosquitto::start();
    let log = broker.log().clone();
    drop(broker);
    assert!(!log.to_the_end(0, SOON).is_empty());
}

#[test]
fn a_broker_that_cannot_start_shows_its_log() {
    let failure = thread::spawn(|| Config::new().line("no_such_option 1").start())
        .join()
        .expect_err("it cannot start");
    let said = failure.downcast_ref::<String>().expect("a panic with a message");
    assert!(said.contains("Unknown configuration variable"), "{said}");
}

#[test]
fn messages_pass_between_mosquitto_clients_in_both_versions() {
    let broker = Mosquitto::start();
    for (name, version) in [("31", Protocol::V31), ("311", Protocol::V311)] {
        let filter = format!("{name}/#");
        let subscriber = Subscriber::new(&broker, &format!("s-{name}"))
            .version(version)
            .filter(&filter, QoS::ExactlyOnce)
            .leave_after(6)
            .start();
        let publisher = Publisher::new(&broker, &format!("p-{name}")).version(version);
        for qos in LEVELS {
            let topic = format!("{name}/a b");
            publisher.publish(&topic, b"one\n\0\xff", qos, false);
            assert_eq!(subscriber.next(SOON), Message::new(&topic, b"one\n\0\xff", qos, false));
            publisher.publish(&topic, b"", qos, false);
            assert_eq!(subscriber.next(SOON), Message::new(&topic, b"", qos, false));
        }
        assert!(subscriber.finish(SOON).0.success());
        broker.log().wait(&format!("Received DISCONNECT from s-{name}"), SOON);
    }
}

#[test]
fn messages_pass_between_paho_and_mosquitto_clients_in_both_versions() {
    let broker = Mosquitto::start();
    for (name, version) in [("31", Protocol::V31), ("311", Protocol::V311)] {
        let mut paho = Paho::new(&broker, &format!("paho-{name}")).version(version).connect();
        assert_eq!(
            paho.subscribe(&[("to/paho", QoS::AtLeastOnce), ("to/+/both", QoS::ExactlyOnce)]),
            [1, 2]
        );
        let subscriber = Subscriber::new(&broker, &format!("s-{name}"))
            .filter("to/sub", QoS::ExactlyOnce)
            .start();
        for qos in LEVELS {
            paho.publish("to/sub", "grüß\n".as_bytes(), qos, false);
            assert_eq!(
                subscriber.next(SOON),
                Message::new("to/sub", "grüß\n".as_bytes(), qos, false)
            );
            Publisher::new(&broker, &format!("p-{name}")).publish("to/ü/both", b"", qos, false);
            assert_eq!(paho.next(SOON), Message::new("to/ü/both", b"", qos, false));
        }
        paho.unsubscribe("to/paho");
        paho.publish("to/paho", b"unheard", QoS::AtLeastOnce, false);
        paho.publish("to/me/both", b"heard", QoS::AtLeastOnce, false);
        assert_eq!(paho.next(SOON), Message::new("to/me/both", b"heard", QoS::AtLeastOnce, false));
        paho.disconnect();
        broker.log().wait(&format!("Received DISCONNECT from paho-{name}"), SOON);
    }
}

#[test]
fn wills_follow_a_kill_and_not_a_disconnect() {
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(&broker, "watcher").filter("will/#", QoS::ExactlyOnce).start();
    let will = |topic| Message::new(topic, b"gone", QoS::AtLeastOnce, false);
    let with_will =
        |id, topic| Subscriber::new(&broker, id).filter("x", QoS::AtMostOnce).will(&will(topic));
    with_will("leaves", "will/none").subscribe_and_leave();
    with_will("dies", "will/sub").start().kill();
    assert_eq!(watcher.next(SOON), will("will/sub"));
    let with_will = |id, topic| Paho::new(&broker, id).will(&will(topic)).connect();
    with_will("paho-leaves", "will/none").disconnect();
    with_will("paho-dies", "will/paho").kill();
    assert_eq!(watcher.next(SOON), will("will/paho"));
}

#[test]
fn a_broker_with_logins_accepts_only_right_ones() {
    let broker = Config::new().login("ada", "söcret").login("bob", "").start();
    Publisher::new(&broker, "p").login("ada", "söcret").publish("a", b"1", QoS::AtLeastOnce, false);
    let (status, errors) =
        Publisher::new(&broker, "q").try_publish("a", b"1", QoS::AtLeastOnce, false);
    assert!(!status.success() && errors.contains("not authorised"), "{status} {errors}");
    assert_eq!(Paho::new(&broker, "paho").login("ada", "söcret").start().1, 0);
    assert_eq!(Paho::new(&broker, "paho-2").login("ada", "secret").start().1, 5);
    let (status, errors) = Subscriber::new(&broker, "s")
        .login("eve", "")
        .filter("a", QoS::AtMostOnce)
        .start_unawaited()
        .finish(SOON);
    assert!(!status.success() && errors.contains("not authorised"), "{status} {errors}");
}

#[test]
fn an_access_file_hides_messages_and_the_plug_in_refuses_subscriptions() {
    let broker = Config::new().access("topic readwrite open/#\n").start();
    let mut paho = Paho::new(&broker, "paho").connect();
    assert_eq!(
        paho.subscribe(&[("open/#", QoS::AtLeastOnce), ("closed/#", QoS::AtLeastOnce)]),
        [1, 1]
    );
    paho.publish("closed/a", b"1", QoS::AtLeastOnce, false);
    paho.publish("open/a", b"2", QoS::AtLeastOnce, false);
    assert_eq!(paho.next(SOON), Message::new("open/a", b"2", QoS::AtLeastOnce, false));

    let broker = Config::new().only_subscribable("open/#").start();
    let mut paho = Paho::new(&broker, "paho").connect();
    assert_eq!(
        paho.subscribe(&[("open/#", QoS::AtLeastOnce), ("closed/#", QoS::AtLeastOnce)]),
        [1, 128]
    );
}

#[test]
fn retained_messages_and_sessions_outlive_a_restart() {
    let mut broker = Config::new().persistence().start();
    let publisher = Publisher::new(&broker, "p");
    let session = |broker: &Mosquitto| {
        Subscriber::new(broker, "s").keep_session().filter("a/#", QoS::ExactlyOnce)
    };
    session(&broker).subscribe_and_leave();
    publisher.publish("a/kept", b"1", QoS::ExactlyOnce, true);
    broker.stop();
    broker.start_again();
    publisher.publish("a/sent", b"2", QoS::AtLeastOnce, false);
    broker.save();
    broker.kill();
    broker.start_again();
    let subscriber = session(&broker).start();
    let mut messages = subscriber.take(3, SOON);
    messages.sort();
    // It comes once from the session, and again, marked as retained, for the renewed subscription.
    assert_eq!(messages[0], Message::new("a/kept", b"1", QoS::ExactlyOnce, false));
    assert_eq!(messages[1], Message::new("a/kept", b"1", QoS::ExactlyOnce, true));
    assert_eq!(messages[2], Message::new("a/sent", b"2", QoS::AtLeastOnce, false));
    let paho = Paho::new(&broker, "s").keep_session().connect();
    assert!(paho.session_present());
}

#[test]
fn a_frozen_broker_is_silent_until_it_thaws() {
    let broker = Mosquitto::start();
    broker.freeze();
    let mut link = Link::connect(broker.address(), Protocol::V311);
    link.send(&Packet::Connect(connect("patient", Protocol::V311)));
    // Bytes that are sent to it pile up, and then it takes no more.
    let sent = link.offer(&vec![0; 64 << 20], Duration::from_millis(300));
    assert!(sent < 64 << 20, "{sent}");
    broker.thaw();
    assert!(matches!(link.receive(SOON).packet(), Packet::ConnAck(_)));
}

#[test]
fn large_payloads_pass_unchanged() {
    let broker = Mosquitto::start();
    let payload = content(1 << 20);
    let subscriber = Subscriber::new(&broker, "s").filter("a", QoS::AtLeastOnce).start_raw();
    Publisher::new(&broker, "p").publish("a", &payload, QoS::AtLeastOnce, false);
    assert!(subscriber.payload(SOON) == payload);
}

#[test]
fn links_speak_packets_and_bytes_with_a_broker() {
    let broker = Mosquitto::start();
    for protocol in [Protocol::V31, Protocol::V311] {
        let mut link = link(&broker, "link", protocol);
        link.send(&Packet::PingReq);
        assert!(matches!(link.receive(SOON).packet(), Packet::PingResp));
        link.send_bytes(&[0xC0, 0x00, 0x00, 0x00]);
        assert_eq!(link.receive(SOON).bytes(), [0xD0, 0x00]);
        link.wait_closed(SOON);
    }
}

#[test]
fn a_tunnel_leads_through_tls() {
    let broker = Config::new().certificate_login().start();
    let tunnel = Tunnel::open(broker.address());
    let mut link = Link::connect(tunnel.address(), Protocol::V311);
    let answer = link.open(&connect("anonymous", Protocol::V311));
    assert_eq!(answer, ConnAck { session_present: false, result: Err(Refusal::BadLogin) });
}

#[test]
fn a_fake_broker_follows_its_script() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, connect) = door.admit(true);
        let Packet::Connect(connect) = connect.packet() else {
            unreachable!("`admit` accepts only a CONNECT")
        };
        assert_eq!(connect.client_id, "fake");
        assert!(matches!(link.receive(SOON).packet(), Packet::PingReq));
        link.send_bytes(&[0xD0]);
        link.send_bytes(&[0x00]);
        link.wait_closed(SOON);
        assert_eq!(door.accept(SOON).until_closed(SOON), []);
    });
    let mut link = Link::connect(broker.address(), Protocol::V311);
    let keep_session = Connect { clean_session: false, ..connect("fake", Protocol::V311) };
    assert_eq!(link.open(&keep_session), ConnAck { session_present: true, result: Ok(()) });
    link.send(&Packet::PingReq);
    assert!(matches!(link.receive(SOON).packet(), Packet::PingResp));
    drop(link);
    drop(Link::connect(broker.address(), Protocol::V311));
    broker.finish(SOON);
}

#[test]
#[should_panic(expected = "waited for CONNECT, saw PingReq")]
fn a_script_that_fails_fails_the_test() {
    let broker = FakeBroker::start(Protocol::V311, |door| drop(door.admit(false)));
    let mut link = Link::connect(broker.address(), Protocol::V311);
    link.send(&Packet::PingReq);
    broker.finish(SOON);
}

#[test]
#[should_panic(expected = "waited 1ms for message 1")]
fn a_message_that_does_not_come_fails_the_test() {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "s").filter("a", QoS::AtMostOnce).start();
    let _ = subscriber.next(Duration::from_millis(1));
}
