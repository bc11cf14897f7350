//! Connections (M1, M2, M7, M8): logins, refusals, versions, keep alive, time-outs, with real brokers.
//!
//! The codes that Mosquitto 2.0.11 sends in a CONNACK, and their causes:
//!
//! | code | | sent by Mosquitto 2.0.11 |
//! |---|---|---|
//! | 1 | unacceptable protocol version | a level other than 3 after `MQIsdp`, or than 4 and 5 after `MQTT` |
//! | 2 | identifier rejected | an empty client id in 3.1; in 3.1.1 without clean session, or with `allow_zero_length_clientid false` |
//! | 3 | server unavailable | never in practice: only without memory for a name from a certificate; shown here by a script |
//! | 4 | bad user name or password | with TLS and `use_identity_as_username` only, for a client without a certificate |
//! | 5 | not authorized | a wrong login (not 4), no login if one is required, a client id outside `clientid_prefixes`, `use_username_as_clientid` without a user, a will above `message_size_limit` |
//!
//! Without a CONNACK it closes the connection on a broken rule (an unknown protocol name, a reserved flag), above
//! `max_connections`, and on a retained will with `retain_available false`. `max_keepalive` does not touch 3.1 and
//! 3.1.1.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use mqtt_core::codec::{ConnAck, Packet};
use mqtt_core::driver::{
    blocking::{self, Config as Sizes, Connector},
    stream::{self, Stream},
};
use mqtt_core::{
    Event, Fatal, Login, Options, Protocol, QoS, Reason, Reconnect, Refusal, SessionStatus, Topic,
    Version, Will,
};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Config, Device, FakeBroker, Link, Message, Mosquitto, Paho, SOON,
    Subscriber, Tunnel,
};

/// How the broker refuses these options.
#[track_caller]
fn refusal(broker: SocketAddr, options: &Options<'_>) -> Refusal {
    let error = Device::refused(broker, options);
    let blocking::Error::NotConnected(Reason::Fatal(Fatal::Refused(refusal))) = error else {
        panic!("waited for a refusal, saw {error:?}");
    };
    refusal
}

#[test]
fn the_right_login_is_accepted_in_both_versions() {
    let broker = Config::new().login("ada", "söcret").login("bob", "two words").start();
    for (version, _) in BOTH_VERSIONS {
        for login in
            [Login::new("ada", Some("söcret".as_bytes())), Login::new("bob", Some(b"two words"))]
        {
            let options = Options::new("device").version(version).login(login);
            Device::connect(broker.address(), &options).disconnect();
            broker.log().wait(&format!("u'{}'", login.user), SOON);
        }
    }
}

#[test]
fn wrong_logins_are_refused_with_code_5() {
    let broker = Config::new().login("ada", "söcret").start();
    for (version, _) in BOTH_VERSIONS {
        let options = Options::new("device").version(version);
        assert_eq!(refusal(broker.address(), &options), Refusal::NotAuthorized);
        for (user, password) in [
            ("ada", Some(&b"secret"[..])),
            ("ada", None),
            ("eve", Some("söcret".as_bytes())),
            ("", None),
        ] {
            let options = options.clone().login(Login::new(user, password));
            assert_eq!(
                refusal(broker.address(), &options),
                Refusal::NotAuthorized,
                "{user} {version:?}"
            );
        }
    }
}

#[test]
fn the_broker_decides_what_a_login_may_do() {
    let access = "user ada\ntopic write in/ada\ntopic read out/ada\n";
    let broker = Config::new()
        .login("ada", "1")
        .login("root", "2")
        .access(&format!("{access}user root\ntopic #\n"))
        .start();
    let root =
        Subscriber::new(&broker, "root").login("root", "2").filter("#", QoS::AtLeastOnce).start();
    let mut ada = Device::connect(
        broker.address(),
        &Options::new("ada").login(Login::new("ada", Some(b"1"))),
    );
    ada.subscribe("#", QoS::AtLeastOnce);
    for topic in ["out/ada", "in/ada"] {
        ada.publish(topic, b"from ada", QoS::AtLeastOnce, false);
    }
    assert_eq!(root.next(SOON), Message::new("in/ada", b"from ada", QoS::AtLeastOnce, false));
    let mut paho = Paho::new(&broker, "paho").login("root", "2").connect();
    for topic in ["in/ada", "out/ada"] {
        paho.publish(topic, b"to ada", QoS::AtLeastOnce, false);
    }
    assert_eq!(ada.message(), Message::new("out/ada", b"to ada", QoS::AtLeastOnce, false));
}

/// No option produces a level that the broker does not know, so the level is changed on the way.
#[test]
fn an_unknown_protocol_level_is_refused_with_code_1() {
    let broker = Mosquitto::start();
    for (version, _) in BOTH_VERSIONS {
        let options = Options::new("device").version(version).reconnect(Reconnect::never());
        let connector = WrongLevel { broker: broker.address(), names: &["MQTT", "MQIsdp"] };
        let mut device =
            Device::new(Sizes::new(&options).over(connector).expect("possible options"));
        assert_eq!(
            device.down(),
            Reason::Fatal(Fatal::Refused(Refusal::ProtocolVersion)),
            "{version:?}"
        );
    }
    broker.log().wait("Invalid protocol version 9 in CONNECT", SOON);
}

#[test]
fn an_automatic_version_goes_on_with_3_1_once_3_1_1_is_refused_and_remembers_it() {
    let mut broker = Mosquitto::start();
    let options = Options::new("device").version(Version::Auto).reconnect(AGAIN_AT_ONCE);
    let connector = WrongLevel { broker: broker.address(), names: &["MQTT"] };
    let mut device = Device::new(Sizes::new(&options).over(connector).expect("possible options"));
    assert_eq!(device.down(), Reason::Fatal(Fatal::Refused(Refusal::ProtocolVersion)));
    assert_eq!(spoken(&mut device), Protocol::V31);
    device.subscribe("a", QoS::ExactlyOnce);
    device.publish("a", b"hi", QoS::ExactlyOnce, false);
    assert_eq!(device.message(), Message::new("a", b"hi", QoS::ExactlyOnce, false));
    broker.stop();
    assert_eq!(device.down(), Reason::TransportClosed);
    broker.start_again();
    assert_eq!(spoken(&mut device), Protocol::V31);
    broker.stop();
    assert_eq!(broker.log().count("Invalid protocol version"), 0);
}

#[test]
fn an_automatic_version_is_3_1_1_if_the_broker_takes_it() {
    let broker = Mosquitto::start();
    let mut device =
        Device::connect(broker.address(), &Options::new("device").version(Version::Auto));
    assert_eq!(spoken(&mut device), Protocol::V311);
}

/// Some brokers of 3.1 close the connection if they do not know the CONNECT.
#[test]
fn an_automatic_version_goes_on_with_3_1_after_a_close_without_connack() {
    let broker = FakeBroker::start(Protocol::V31, |door| {
        let mut link = door.accept(SOON);
        assert_eq!(link.receive(SOON).bytes().get(2..8), Some(&b"\0\x04MQTT"[..]));
        drop(link);
        let (mut link, connect) = door.admit(false);
        assert_eq!(connect.bytes().get(2..10), Some(&b"\0\x06MQIsdp"[..]));
        link.wait_closed(SOON);
    });
    let options = Options::new("device").version(Version::Auto).reconnect(AGAIN_AT_ONCE);
    let address = broker.address().to_string();
    let mut device =
        Device::new(Sizes::new(&options).start(&[&address]).expect("possible options"));
    assert_eq!(device.down(), Reason::TransportClosed);
    assert_eq!(spoken(&mut device), Protocol::V31);
    device.disconnect();
    broker.finish(SOON);
}

#[track_caller]
fn spoken(device: &mut Device) -> Protocol {
    device.until("a connection", |event| {
        if let Event::Up { protocol, .. } = event { Some(*protocol) } else { None }
    })
}

#[test]
fn an_empty_client_id_is_refused_with_code_2_if_the_broker_wants_one() {
    let broker = Config::new().line("allow_zero_length_clientid false").start();
    assert_eq!(refusal(broker.address(), &Options::new("")), Refusal::IdentifierRejected);
}

/// The two cases that `Options` refuses itself, sent as raw bytes.
#[test]
fn an_empty_client_id_is_refused_with_code_2_in_3_1_and_without_clean_session() {
    let broker = Mosquitto::start();
    let refused = Packet::ConnAck(ConnAck {
        session_present: false,
        result: Err(Refusal::IdentifierRejected),
    });
    for (protocol, connect) in [
        (Protocol::V31, &b"\x10\x0E\0\x06MQIsdp\x03\x02\0\x3C\0\0"[..]),
        (Protocol::V311, b"\x10\x0C\0\x04MQTT\x04\x00\0\x3C\0\0"),
    ] {
        let mut link = Link::connect(broker.address(), protocol);
        link.send_bytes(connect);
        assert_eq!(link.receive(SOON).packet(), refused);
        link.wait_closed(SOON);
    }
}

#[test]
fn an_empty_client_id_is_replaced_by_the_broker() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new(""));
    device.subscribe("a", QoS::AtLeastOnce);
    device.publish("a", b"hi", QoS::AtLeastOnce, false);
    assert_eq!(device.message(), Message::new("a", b"hi", QoS::AtLeastOnce, false));
}

/// The CONNACK says that the service is unavailable. The client tries again and is accepted.
#[test]
fn code_3_of_a_scripted_broker_is_reported_and_tried_again() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let mut link = door.accept(SOON);
        let _ = link.receive(SOON);
        link.send(&Packet::ConnAck(ConnAck {
            session_present: false,
            result: Err(Refusal::ServerUnavailable),
        }));
        link.wait_closed(SOON);
        door.admit(false).0.wait_closed(SOON);
    });
    let options = Options::new("device").reconnect(AGAIN_AT_ONCE);
    let mut device = Device::new(
        Sizes::new(&options).start(&[&broker.address().to_string()]).expect("possible options"),
    );
    assert_eq!(device.down(), Reason::Fatal(Fatal::Refused(Refusal::ServerUnavailable)));
    assert_eq!(device.up(), SessionStatus::New);
    device.disconnect();
    broker.finish(SOON);
}

#[test]
fn a_client_without_the_certificate_is_refused_with_code_4() {
    let broker = Config::new().certificate_login().start();
    for (version, _) in BOTH_VERSIONS {
        let tunnel = Tunnel::open(broker.address());
        assert_eq!(
            refusal(tunnel.address(), &Options::new("device").version(version)),
            Refusal::BadLogin
        );
    }
}

#[test]
fn client_ids_logins_and_wills_that_break_the_brokers_rules_are_refused_with_code_5() {
    for (version, _) in BOTH_VERSIONS {
        let options = Options::new("device").version(version);
        let broker = Config::new().line("clientid_prefixes meter-").start();
        assert_eq!(refusal(broker.address(), &options), Refusal::NotAuthorized);
        Device::connect(broker.address(), &Options::new("meter-7").version(version)).disconnect();
        let broker = Config::new().line("use_username_as_clientid true").start();
        assert_eq!(refusal(broker.address(), &options), Refusal::NotAuthorized);
        let broker = Config::new().line("message_size_limit 10").start();
        let options = options.will(Will::new(Topic::new("will").expect("a topic"), &[0; 11]));
        assert_eq!(refusal(broker.address(), &options), Refusal::NotAuthorized);
    }
}

#[test]
fn a_broker_that_is_full_closes_without_an_answer() {
    let broker = Config::new().line("max_connections 1").start();
    let first = Device::connect(broker.address(), &Options::new("first"));
    let error = Device::refused(broker.address(), &Options::new("second"));
    // If the connection was reset, these are the words of the operating system.
    let closed = matches!(error, blocking::Error::NotConnected(Reason::TransportClosed));
    assert!(closed || matches!(error, blocking::Error::Io { .. }), "{error:?}");
    first.disconnect();
}

#[test]
fn if_no_broker_listens_the_reason_is_the_operating_systems() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let error = Device::refused(address, &Options::new("device"));
    let blocking::Error::Io { broker, error } = error else { panic!("{error:?}") };
    assert_eq!(broker, address.to_string());
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_attempt_ends_if_the_broker_does_not_answer_the_connect() {
    let broker = Mosquitto::start();
    broker.freeze();
    let error = Device::refused(broker.address(), &Options::new("device").connect_timeout(200));
    assert!(
        matches!(error, blocking::Error::NotConnected(Reason::Fatal(Fatal::ConnectTimeout))),
        "{error:?}"
    );
}

/// [MQTT-3.1.2-23], M7: a PINGREQ is sent only if nothing else was sent, and never with a keep alive of 0.
#[test]
fn a_silent_client_pings_and_one_without_keep_alive_does_not() {
    let mut broker = Mosquitto::start();
    let mut silent = Device::connect(broker.address(), &Options::new("silent").keep_alive(1));
    let mut off = Device::connect(broker.address(), &Options::new("off").keep_alive(0));
    off.subscribe("end", QoS::AtLeastOnce);
    // The client is driven all the time, so that it could ping.
    let off = thread::spawn(move || off.message());
    let log = broker.log().clone();
    silent.drive_until("two PINGREQs", || log.count("Received PINGREQ from silent") >= 2);
    silent.publish("end", b"", QoS::AtLeastOnce, false);
    off.join().expect("the message comes");
    broker.stop();
    assert_eq!(log.count("Received PINGREQ from off"), 0);
    assert!(silent.client().counters().ping_round_trip.is_some());
}

#[test]
fn a_missing_pingresp_ends_the_connection_and_the_next_one_follows() {
    let broker = Mosquitto::start();
    let options = Options::new("device").keep_alive(1).ping_timeout(200).reconnect(AGAIN_AT_ONCE);
    let mut device = Device::connect(broker.address(), &options);
    assert_eq!(device.up(), SessionStatus::New);
    broker.freeze();
    assert_eq!(device.down(), Reason::Fatal(Fatal::PingTimeout));
    broker.thaw();
    assert_eq!(device.up(), SessionStatus::New);
    device.publish("a", b"back", QoS::AtLeastOnce, false);
}

#[test]
fn a_second_client_of_the_same_id_ends_the_connection_of_the_first() {
    let broker = Mosquitto::start();
    let options = Options::new("same").reconnect(Reconnect::never());
    let mut first = Device::connect(broker.address(), &options);
    let second = Device::connect(broker.address(), &options);
    assert_eq!(first.down(), Reason::TransportClosed);
    let (_client, mut events) = first.into_parts();
    assert!(events.next().is_none(), "it does not connect again");
    second.disconnect();
}

#[test]
fn a_disconnect_is_sent_and_nothing_after_it() {
    let broker = Mosquitto::start();
    let device = Device::connect(broker.address(), &Options::new("device"));
    let _ = device.client().publish("a", b"last", QoS::AtMostOnce, false).expect("room");
    device.disconnect();
    broker.log().wait("Client device disconnected.", SOON);
    assert_eq!(broker.log().count("Received PUBLISH from device"), 1);
    assert_eq!(broker.log().count("Received DISCONNECT from device"), 1);
}

#[test]
fn several_brokers_are_tried_in_turn() {
    let mut first = Mosquitto::start();
    let second = Mosquitto::start();
    let options = Options::new("device").reconnect(AGAIN_AT_ONCE);
    let brokers = [first.address().to_string(), second.address().to_string()];
    let brokers: Vec<&str> = brokers.iter().map(String::as_str).collect();
    let mut device =
        Device::new(Sizes::new(&options).connect(&brokers).expect("the first one answers"));
    device.up();
    first.log().wait("as device (p2", SOON);
    first.kill();
    assert_eq!(device.down(), Reason::TransportClosed);
    device.up();
    second.log().wait("as device (p2", SOON);
}

/// Sets the protocol level to 9 if the protocol has one of these names.
struct WrongLevel {
    broker: SocketAddr,
    names: &'static [&'static str],
}

impl Connector for WrongLevel {
    fn connect(&self, _endpoint: u8, timeout: Duration) -> io::Result<stream::Link> {
        let stream = TcpStream::connect_timeout(&self.broker, timeout)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(Changed { stream, names: self.names }))
    }

    fn name(&self, _endpoint: u8) -> String {
        self.broker.to_string()
    }
}

struct Changed {
    stream: TcpStream,
    names: &'static [&'static str],
}

impl Read for Changed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Changed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bytes = bytes.to_vec();
        for name in self.names {
            // The name follows the fixed header and its own length, the level follows the name.
            let end = 4 + name.len();
            let named = bytes.first() == Some(&0x10) && bytes.get(4..end) == Some(name.as_bytes());
            if let Some(level) = bytes.get_mut(end).filter(|_| named) {
                *level = 9;
            }
        }
        self.stream.write(&bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Changed {
    fn source(&self) -> stream::Source<'_> {
        self.stream.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        Stream::finish(&mut self.stream)
    }
}
