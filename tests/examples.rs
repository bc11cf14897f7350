//! The examples as their users run them: processes on a command line, with Mosquitto and its clients on the other side.
//!
//! `cargo nextest run --workspace` builds them. If they are missing or older than their sources, the first test that
//! needs one builds them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};

use mqtt_core::codec::{ConnAck, Packet};
use mqtt_core::{Protocol, QoS, Refusal, topic};
use system_tests::{
    Config, EVERY_QOS, Example, FakeBroker, Message, Mosquitto, Publisher, SOON, Subscriber,
    content,
};

#[path = "examples/cluster.rs"]
mod cluster;
#[path = "examples/command_lines.rs"]
mod command_lines;
#[path = "examples/fleet.rs"]
mod fleet;
#[path = "examples/formats.rs"]
mod formats;
#[path = "examples/interrupts.rs"]
mod interrupts;
mod secured;
#[path = "examples/selecting.rs"]
mod selecting;
#[path = "examples/threads.rs"]
mod threads;
#[path = "examples/watchdog.rs"]
mod watchdog;
#[path = "examples/ways.rs"]
mod ways;

const VERSIONS: [&str; 3] = ["mqttv31", "mqttv311", "auto"];
const LINES: usize = 10_000;
const MIB: usize = 1 << 20;

/// A port on which no broker listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn level(qos: QoS) -> String {
    (qos as u8).to_string()
}

fn numbered_lines() -> Vec<u8> {
    (0..LINES).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
}

/// The lines of quickstart, in this order.
const ACCOUNT: [&str; 20] = [
    "bob    -> CONNECT client id \"bob-",
    "bob    <- CONNACK accepted, session new",
    "bob    -> SUBSCRIBE id N: ",
    "bob    <- SUBACK id N: granted QoS 0, granted QoS 1, granted QoS 2",
    "will to \"quickstart-",
    "/temperature\", QoS 0, 8 bytes: \"21.5 °C\"",
    "/pressure\", QoS 1, id N, 7 bytes: \"1.8 bar\"",
    "alice  <- PUBACK id N",
    "/energy\", QoS 2, id N, 9 bytes: \"17.25 kWh\"",
    "alice  <- PUBREC id N",
    "alice  -> PUBREL id N",
    "alice  <- PUBCOMP id N",
    "retained, 6 bytes: \"online\"",
    "bob    -> UNSUBSCRIBE id N",
    "bob    <- UNSUBACK id N",
    "alice  -> DISCONNECT",
    "carol  -- dies",
    "13 bytes: \"carol is gone\"",
    "bob    -> DISCONNECT",
    "== done: ",
];

/// The text with N for each packet id: the first one is drawn.
fn without_ids(text: &str) -> String {
    let mut parts = text.split(" id ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
        shown.push_str(" id ");
        shown.push_str(if behind.len() < part.len() { "N" } else { "" });
        shown.push_str(behind);
    }
    shown
}

#[track_caller]
fn check_account(account: &str) {
    let account = &without_ids(account);
    let mut lines = account.lines();
    for told in ACCOUNT {
        assert!(lines.any(|line| line.contains(told)), "{told:?} in its place in\n{account}");
    }
    let will_was_published =
        account.lines().any(|line| line.contains("PUBLISH") && line.contains("alice is gone"));
    assert!(!will_was_published, "{account}");
}

#[test]
fn quickstart_starts_a_broker_and_shows_a_whole_conversation() {
    check_account(&Example::new("quickstart").run().text());
}

#[test]
fn quickstart_uses_the_broker_of_the_user() {
    let broker = Config::new().login("meter", "p@ss").start();
    let url = format!("mqtt://meter:p%40ss@{}", broker.address());
    check_account(&Example::new("quickstart").args(&["--broker", &url]).run().text());
}

#[test]
fn quickstart_says_why_there_is_no_broker() {
    let place = format!("127.0.0.1:{}", closed_port());
    let done = Example::new("quickstart").args(&["--broker", &format!("mqtt://{place}")]).run();
    assert_eq!(done.status, Some(1));
    let why = format!("quickstart: bob: no connection to {place}: Connection refused");
    assert!(done.err.starts_with(&why), "{}", done.err);
}

#[test]
fn pub_and_sub_talk_to_mosquittos_clients_in_every_version_and_qos() {
    let broker = Mosquitto::start();
    let theirs = Subscriber::new(&broker, "theirs").filter("ours/#", QoS::ExactlyOnce).start();
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let id = format!("s-{version}-{}", level(qos));
            let sub = Example::new("sub").broker(broker.address());
            let sub = sub.args(&["-V", version, "-q", "2", "-C", "1", "-F", "%t %q %r %p"]);
            let sub = sub.args(&["-t", &format!("theirs/{version}/{}", level(qos))]);
            let sub = sub.subscribed(&id, broker.log());
            let topic = format!("theirs/{version}/{}", level(qos));
            Publisher::new(&broker, "p").publish(&topic, "für dich".as_bytes(), qos, false);
            assert_eq!(sub.done().text(), format!("{topic} {} 0 für dich\n", level(qos)));

            let topic = format!("ours/{version}/{}", level(qos));
            let ours = Example::new("pub").broker(broker.address());
            let ours =
                ours.args(&["-V", version, "-q", &level(qos), "-t", &topic, "-m", "für euch"]);
            assert_eq!(ours.run().text(), "");
            assert_eq!(theirs.next(SOON), Message::new(&topic, "für euch".as_bytes(), qos, false));
        }
    }
}

#[test]
fn every_line_of_standard_input_arrives_in_order_at_every_qos() {
    let broker = Config::new().line("max_queued_messages 0").start();
    let lines = numbered_lines();
    for qos in EVERY_QOS {
        let (topic, level) = (format!("lines/{}", level(qos)), level(qos));
        let sub = Example::new("sub").broker(broker.address());
        let sub = sub.args(&["-t", &topic, "-q", &level, "-C", &LINES.to_string()]);
        let sub = sub.subscribed(&format!("sub-{level}"), broker.log());
        let publish = Example::new("pub").broker(broker.address()).input(&lines);
        let _ = publish.args(&["-t", &topic, "-q", &level, "-l"]).run().well();
        assert!(sub.done().well() == lines, "{LINES} lines at QoS {level}");
    }
}

#[test]
fn lines_of_mosquitto_pub_arrive_as_well() {
    let broker = Config::new().line("max_queued_messages 0").start();
    let lines = String::from_utf8(numbered_lines()).expect("text");
    let sub = Example::new("sub").broker(broker.address());
    let sub = sub.args(&["-t", "l", "-q", "2", "-C", &LINES.to_string()]);
    let sub = sub.subscribed("sub", broker.log());
    Publisher::new(&broker, "p").publish_lines("l", &lines, QoS::ExactlyOnce);
    assert!(sub.done().text() == lines, "{LINES} lines");
}

#[test]
fn sixteen_mebibytes_pass_unchanged_in_both_directions() {
    let broker = Mosquitto::start();
    let payload = content(16 * MIB);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("image");
    fs::write(&file, &payload).expect("the folder is writable");
    let file = file.to_str().expect("a temporary folder has a plain name");

    let theirs = Subscriber::new(&broker, "theirs").filter("big/0", QoS::ExactlyOnce).start_raw();
    let ours = Example::new("sub").broker(broker.address());
    let ours = ours.args(&["-t", "big/+", "-q", "2", "-C", "2", "-N"]);
    let ours = ours.subscribed("ours", broker.log());
    let publish = Example::new("pub").broker(broker.address());
    let _ = publish.args(&["-t", "big/0", "-q", "2", "-f", file]).run().well();
    assert!(theirs.payload(SOON) == payload, "what mosquitto_sub got");
    Publisher::new(&broker, "p").publish("big/1", &payload, QoS::AtLeastOnce, false);
    assert!(ours.done().well() == payload.repeat(2), "what sub got");
}

#[test]
fn messages_come_from_arguments_standard_input_or_nowhere() {
    let broker = Mosquitto::start();
    let sub = Example::new("sub").broker(broker.address());
    let sub = sub.args(&["-t", "m", "-q", "1", "-C", "4", "-F", "%l %x"]);
    let sub = sub.subscribed("sub", broker.log());
    let publish = |args: &[&str], input: &[u8]| {
        let publish = Example::new("pub").broker(broker.address()).input(input);
        let _ = publish.args(&["-t", "m", "-q", "1"]).args(args).run().well();
    };
    publish(&["-m", "-1"], b"");
    publish(&["-n"], b"");
    publish(&["-s"], b"a\nb\n");
    publish(&["-l"], b"no line end");
    assert_eq!(sub.done().text(), "2 2d31\n0 \n4 610a620a\n11 6e6f206c696e6520656e64\n");
}

#[test]
fn a_retained_message_is_marked_and_can_be_left_out() {
    let broker = Mosquitto::start();
    let publish = |args: &[&str]| {
        let publish = Example::new("pub").broker(broker.address());
        let _ = publish.args(&["-t", "r", "-q", "1"]).args(args).run().well();
    };
    publish(&["-m", "old", "-r"]);
    let sub = |id, args: &[&str]| {
        let sub = Example::new("sub").broker(broker.address());
        sub.args(&["-t", "r", "-q", "1", "-F", "%r %p"]).args(args).subscribed(id, broker.log())
    };
    let all = sub("all", &["-C", "2"]);
    let live = sub("live", &["-C", "1", "-R"]);
    publish(&["-m", "new"]);
    assert_eq!(all.done().text(), "1 old\n0 new\n");
    assert_eq!(live.done().text(), "0 new\n");
}

#[test]
fn the_will_is_published_when_sub_is_killed_and_not_when_it_is_interrupted() {
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(&broker, "watcher").filter("will/#", QoS::ExactlyOnce).start();
    let sub = |id, topic| {
        let sub = Example::new("sub").broker(broker.address()).args(&["-t", "x"]);
        sub.args(&[
            "--will-topic",
            topic,
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
            "--will-retain",
        ])
        .subscribed(id, broker.log())
    };
    let interrupted = sub("interrupted", "will/none");
    interrupted.interrupt();
    assert_eq!(interrupted.done().text(), "");
    drop(sub("killed", "will/killed"));
    assert_eq!(watcher.next(SOON), Message::new("will/killed", b"gone", QoS::AtLeastOnce, false));
    let later = Subscriber::new(&broker, "later").filter("will/#", QoS::AtLeastOnce).start();
    assert!(later.next(SOON).retain, "it was to be retained");
}

#[test]
fn a_persistent_session_keeps_messages_while_sub_is_away() {
    let broker = Mosquitto::start();
    let sub = |args: &[&str]| {
        let sub = Example::new("sub").broker(broker.address()).args(&["-t", "p", "-q", "2", "-c"]);
        sub.args(args)
    };
    let first = sub(&["-C", "1"]).subscribed("keeper", broker.log());
    let publisher = Publisher::new(&broker, "p");
    publisher.publish("p", b"1", QoS::ExactlyOnce, false);
    assert_eq!(first.done().text(), "1\n");
    publisher.publish("p", b"2", QoS::ExactlyOnce, false);
    publisher.publish("p", b"3", QoS::AtLeastOnce, false);
    assert_eq!(sub(&["-i", "keeper", "-C", "2"]).run().text(), "2\n3\n");
}

#[test]
fn sub_connects_again_and_says_so() {
    let mut broker = Mosquitto::start();
    let sub = Example::new("sub").broker(broker.address());
    let sub = sub.args(&["-t", "a", "-q", "1", "-C", "1"]).subscribed("sub", broker.log());
    broker.kill();
    broker.start_again();
    broker.log().wait("Sending SUBACK to sub", SOON);
    Publisher::new(&broker, "p").publish("a", b"after", QoS::AtLeastOnce, false);
    let done = sub.done();
    assert_eq!((done.status, done.out.as_slice()), (Some(0), &b"after\n"[..]), "{}", done.err);
    let place = broker.address();
    assert!(done.err.contains("; connecting again\n"), "{}", done.err);
    let again = format!("sub: {place}: connected again, with a new session\n");
    assert!(done.err.ends_with(&again), "{}", done.err);
}

#[test]
fn sub_ends_with_success_when_its_output_is_closed() {
    let broker = Mosquitto::start();
    let sub = Example::new("sub").broker(broker.address()).args(&["-t", "a", "-q", "1"]);
    let mut sub = sub.subscribed("sub", broker.log());
    let publisher = Publisher::new(&broker, "p");
    publisher.publish("a", b"1", QoS::AtLeastOnce, false);
    let mut line = String::new();
    let mut reader = BufReader::new(sub.out.take().expect("not read yet"));
    reader.read_line(&mut line).expect("text");
    assert_eq!(line, "1\n");
    drop(reader);
    publisher.publish("a", b"2", QoS::AtLeastOnce, false);
    assert_eq!(sub.done().text(), "");
    broker.log().wait("Received DISCONNECT from sub", SOON);
}

#[test]
fn sub_gives_up_after_its_time_with_the_status_of_mosquitto_sub() {
    let broker = Mosquitto::start();
    let sub = Example::new("sub").broker(broker.address());
    let done = sub.args(&["-t", "a", "-W", "1", "-i", "sub"]).run();
    assert_eq!((done.status, done.err.as_str()), (Some(27), "sub: timed out\n"));
    broker.log().wait("Received DISCONNECT from sub", SOON);
}

#[test]
fn a_refused_subscription_is_a_failure() {
    let broker = Config::new().only_subscribable("allowed").start();
    let sub = Example::new("sub").broker(broker.address()).args(&["-t", "forbidden"]).run();
    let place = broker.address();
    assert_eq!(
        sub.failure(),
        format!("sub: {place}: the subscription to \"forbidden\" was refused")
    );
}

#[test]
fn a_connection_that_cannot_be_made_is_reported_with_its_reason() {
    let broker = Config::new().login("meter", "secret").start();
    let place = broker.address();
    let login = |password| {
        let args = ["-t", "a", "-u", "meter", "-P", password];
        Example::new("pub").broker(place).args(&args).args(&["-m", "x", "-q", "1"]).run()
    };
    assert_eq!(login("secret").text(), "");
    assert_eq!(
        login("wrong").failure(),
        format!("pub: {place}: connection refused: not authorized")
    );
    let url = format!("mqtt://meter:wrong@{place}/a");
    let sub = Example::new("sub").args(&["-L", &url, "-V", "mqttv31"]).run().failure();
    assert_eq!(sub, format!("sub: {place}: connection refused: not authorized"));

    let port = closed_port().to_string();
    let args = ["-h", "127.0.0.1", "-p", &port, "-t", "a"];
    let why = Example::new("sub").args(&args).run().failure();
    assert!(why.starts_with(&format!("sub: 127.0.0.1:{port}: Connection refused")), "{why}");
    let args = ["-h", "no-such-host.invalid", "-t", "a", "-m", "x"];
    let why = Example::new("pub").args(&args).run().failure();
    assert!(why.starts_with("pub: no-such-host.invalid:1883: "), "{why}");
}

#[test]
fn a_wrong_command_line_is_a_failure_that_names_the_argument() {
    let failure = |name, args: &[&str]| Example::new(name).args(args).run().failure();
    for (args, why) in [
        (&["-t", "a", "-m", "x", "-q", "3"][..], "option -q: \"3\" is not a QoS: 0, 1 or 2"),
        (&["-t", "a/#", "-m", "x"], "option -t: \"a/#\": wildcard in a topic name"),
        (&["-t", "a", "-m", "x", "--port", "x"], "option --port: \"x\" is not a port"),
        (&["-t", "a", "-m"], "option -m: a value is missing"),
        (&["-t", "a"], "a message is missing: -m, -n, -f, -s or -l"),
        (&["-m", "x"], "a topic is missing: -t"),
        (&["-t", "a", "-m", "x", "-n"], "one of -m, -n, -f, -s and -l, not two"),
        (&["-t", "a", "-m", "x", "-c"], "option -c needs a client id, -i"),
        (&["-t", "a", "-f", "/dev/null"], "/dev/null is empty; -n publishes an empty message"),
        (&["--mesage", "x"], "unknown option --mesage"),
    ] {
        assert_eq!(failure("pub", args), format!("pub: {why}"));
    }
    for (args, why) in [
        (&["-t", "a#"][..], "option -t: \"a#\": misplaced wildcard in a topic filter"),
        (&["-t", "a", "-F", "%y"], "option -F: %y is unknown"),
        (&["a"], "unexpected argument \"a\""),
    ] {
        assert_eq!(failure("sub", args), format!("sub: {why}"));
    }
}

#[track_caller]
fn fails_without_marker(example: Example) {
    let done = example.run();
    let text = String::from_utf8_lossy(&done.out) + done.err.as_str();
    assert_eq!(done.status, Some(1), "{text}");
    assert!(!text.contains("marker"), "{text}");
}

/// Neither a wrong command line nor an account of the packets shows it.
#[test]
fn no_example_shows_a_password() {
    let broker = Config::new().login("meter", "marker").start();
    let place = broker.address();
    let port = closed_port();
    for name in ["pub", "sub", "quickstart"] {
        let url = if name == "quickstart" { "--broker" } else { "-L" };
        for (option, value) in [
            (url, format!("mqtt://meter:marker@127.0.0.1:{port}/a")),
            (url, format!("mqtt://meter:marker@no-such-host.invalid:{port}/a")),
            (url, "mqtt://meter:%marker@h/a".into()),
            (url, "mqtt://meter:marker/marker@h/a".into()),
            (url, format!("mqtts://meter:marker@{place}/a")),
            (url, format!("meter:marker@{place}")),
            ("--host", format!("mqtt://meter:marker@{place}")),
            ("-p", format!("mqtt://meter:marker@{place}")),
            ("--user", format!("mqtt://meter:marker@{place}")),
        ] {
            let message: &[&str] = if name == "pub" { &["-m", "x"] } else { &[] };
            fails_without_marker(Example::new(name).args(&[option, &value]).args(message));
        }
        fails_without_marker(Example::new(name).args(&[&format!("mqtt://meter:marker@{place}")]));
    }
    let url = format!("mqtt://meter:marker@{place}/a");
    let done = Example::new("pub").args(&["-L", &url, "-m", "x", "-q", "1", "-d"]).run();
    assert!(done.err.contains("user \"meter\" with a password"), "{}", done.err);
    assert!(!done.err.contains("marker"), "{}", done.err);
}

#[test]
fn debug_shows_every_packet_on_standard_error() {
    let broker = Mosquitto::start();
    let publish = Example::new("pub").broker(broker.address());
    let done = publish.args(&["-t", "a", "-m", "x", "-q", "2", "-i", "c", "-d"]).run();
    let err = without_ids(&done.err);
    let told: Vec<&str> =
        err.lines().filter_map(|line| line.split_once("  pub    ")).map(|(_, told)| told).collect();
    assert_eq!(
        told,
        [
            &format!("-- connection to {} open", broker.address()),
            "-> CONNECT client id \"c\", MQTT 3.1.1, keep alive 60 s, clean session",
            "<- CONNACK accepted, session new",
            "-> PUBLISH \"a\", QoS 2, id N, 1 byte: \"x\"",
            "<- PUBREC id N",
            "-> PUBREL id N",
            "<- PUBCOMP id N",
            "-> DISCONNECT",
            "-- connection closed",
        ]
    );
}

#[test]
fn pub_falls_back_to_mqtt_31_if_311_is_refused() {
    let broker = FakeBroker::start(Protocol::V31, |door| {
        let mut link = door.accept(SOON);
        let connect = link.receive(SOON);
        assert!(
            matches!(connect.packet(), Packet::Connect(connect) if connect.protocol == Protocol::V311)
        );
        link.send(&Packet::ConnAck(ConnAck {
            session_present: false,
            result: Err(Refusal::ProtocolVersion),
        }));
        link.wait_closed(SOON);
        let (mut link, connect) = door.admit(false);
        assert!(
            matches!(connect.packet(), Packet::Connect(connect) if connect.protocol == Protocol::V31)
        );
        let publish = link.receive(SOON);
        let Packet::Publish(publish) = publish.packet() else { panic!("{publish:?}") };
        assert_eq!((publish.topic, publish.payload), (topic!("a"), &b"x"[..]));
        link.send(&Packet::PubAck(publish.id.expect("QoS 1 has an id")));
        assert_eq!(link.receive(SOON).packet(), Packet::Disconnect);
    });
    let publish = Example::new("pub").broker(broker.address());
    assert_eq!(publish.args(&["-t", "a", "-m", "x", "-q", "1"]).run().text(), "");
    broker.finish(SOON);
}

#[test]
fn pub_does_not_end_before_its_message_is_acknowledged() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, _) = door.admit(false);
        assert!(matches!(link.receive(SOON).packet(), Packet::Publish(publish) if !publish.dup));
        // The connection breaks before the PUBACK.
        drop(link);
        let (mut link, _) = door.admit(true);
        let publish = link.receive(SOON);
        let Packet::Publish(publish) = publish.packet() else { panic!("{publish:?}") };
        assert!(publish.dup && publish.payload == b"x", "{publish:?}");
        link.send(&Packet::PubAck(publish.id.expect("QoS 1 has an id")));
        assert_eq!(link.receive(SOON).packet(), Packet::Disconnect);
        link.wait_closed(SOON);
    });
    let publish = Example::new("pub").broker(broker.address());
    let done = publish.args(&["-t", "a", "-m", "x", "-q", "1", "-c", "-i", "p"]).run();
    assert_eq!(done.status, Some(0), "{}", done.err);
    let place = broker.address();
    assert!(done.err.contains(&format!("pub: {place}: ")), "{}", done.err);
    assert!(done.err.ends_with("connected again, its session goes on\n"), "{}", done.err);
    broker.finish(SOON);
}

#[test]
fn pub_says_that_it_is_unknown_whether_a_message_arrived() {
    let broker = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, _) = door.admit(false);
        let publish = link.receive(SOON);
        let Packet::Publish(publish) = publish.packet() else { panic!("{publish:?}") };
        link.send(&Packet::PubRec(publish.id.expect("QoS 2 has an id")));
        assert!(matches!(link.receive(SOON).packet(), Packet::PubRel { .. }));
        drop(link);
        // The session is a new one, in which the PUBREL would have no meaning.
        let (mut link, _) = door.admit(false);
        assert_eq!(link.receive(SOON).packet(), Packet::Disconnect);
    });
    let publish = Example::new("pub").broker(broker.address());
    let done = publish.args(&["-t", "a", "-m", "x", "-q", "2"]).run();
    assert_eq!(done.status, Some(1), "{}", done.err);
    let why = "pub: 1 of 1 messages: the connection broke, nobody knows whether they arrived";
    assert!(done.err.contains(why), "{}", done.err);
    broker.finish(SOON);
}
