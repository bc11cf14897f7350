//! `--trace` of the examples: a file that tshark, which this project did not write, understands.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mqtt_core::QoS;
use system_tests::{Capture, Config, Example, Mosquitto, Publisher, content};
use tempfile::TempDir;

// Types of packets, as Wireshark numbers them: section 2.2.1 of the standard.
const CONNECT: &str = "1";
const CONNACK: &str = "2";
const PUBLISH: &str = "3";
const PUBREC: &str = "5";
const PUBREL: &str = "6";
const PUBCOMP: &str = "7";
const DISCONNECT: &str = "14";

const TYPE: &str = "mqtt.msgtype";

/// A folder of the test's own, and the path of a file in it that is not there yet.
fn file(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join(name);
    (folder, path)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set")
}

#[test]
fn tshark_sees_every_packet_of_a_publish_in_order() {
    let broker = Mosquitto::start();
    let (_folder, path) = file("pub.pcapng");
    let before = since_1970();
    let publish = Example::new("pub").broker(broker.address());
    let publish = publish.args(&["-t", "a/b", "-m", "x", "-q", "2", "-i", "meter"]);
    assert_eq!(publish.args(&["--trace", path.to_str().expect("a plain name")]).run().text(), "");
    let after = since_1970();

    let capture = Capture::at(&path);
    capture.is_sound();
    let types = [CONNECT, CONNACK, PUBLISH, PUBREC, PUBREL, PUBCOMP, DISCONNECT];
    assert_eq!(capture.values("mqtt", TYPE), types);
    assert_eq!(capture.values("mqtt.clientid", "mqtt.clientid"), ["meter"]);
    assert_eq!(capture.lines("mqtt.topic", &["mqtt.topic", "mqtt.msg"]), ["a/b 78"]);
    let comment = format!("pub to {}; the headers of IP and TCP are made up", broker.address());
    assert_eq!(capture.values("frame.comment", "frame.comment"), [comment]);
    for time in capture.values("ip", "frame.time_epoch") {
        let time = Duration::from_secs_f64(time.parse().expect("a number of seconds"));
        // A number with a fraction is not exact.
        let slack = Duration::from_micros(1);
        assert!(before <= time + slack && time <= after + slack, "{before:?} {time:?} {after:?}");
    }
}

#[test]
fn a_tcp_connection_in_a_trace_begins_and_ends() {
    let broker = Mosquitto::start();
    let (_folder, path) = file("pub.pcapng");
    let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
    assert_eq!(publish.args(&["--trace", path.to_str().expect("a plain name")]).run().text(), "");
    let flags = Capture::at(&path).values("tcp.flags.syn == 1 || tcp.flags.fin == 1", "tcp.flags");
    assert_eq!(flags, ["0x0002", "0x0012", "0x0011", "0x0011"]);
}

#[test]
fn a_message_of_many_segments_is_whole_for_tshark() {
    let broker = Mosquitto::start();
    let payload = content(200_000);
    Publisher::new(&broker, "p").publish("big", &payload, QoS::AtLeastOnce, true);
    let (_folder, path) = file("sub.pcapng");
    let sub = Example::new("sub").broker(broker.address());
    let sub = sub.args(&["-t", "big", "-q", "1", "-C", "1", "-N"]);
    let sub = sub.args(&["--trace", path.to_str().expect("a plain name")]);
    assert!(sub.run().well() == payload, "what sub got");

    let capture = Capture::at(&path);
    capture.is_sound();
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(capture.values("mqtt.msgtype == 3", "mqtt.msg") == [hex], "what tshark sees");
}

#[test]
fn no_trace_holds_the_password() {
    let broker = Config::new().login("meter", "marker").start();
    for name in ["x.pcapng", "x.txt"] {
        let (_folder, path) = file(name);
        let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
        let publish = publish.args(&["-u", "meter", "-P", "marker", "-q", "1"]);
        let trace = path.to_str().expect("a plain name");
        assert_eq!(publish.args(&["--trace", trace]).run().text(), "");
        let bytes = fs::read(&path).expect("it was written");
        let has = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(has(b"meter") && !has(b"marker"), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_password_in_a_trace_is_replaced_by_as_many_stars() {
    let broker = Config::new().login("meter", "marker").start();
    let (_folder, path) = file("pub.pcapng");
    let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
    let publish = publish.args(&["-u", "meter", "-P", "marker"]);
    assert_eq!(publish.args(&["--trace", path.to_str().expect("a plain name")]).run().text(), "");
    let login = Capture::at(&path).lines("mqtt.username", &["mqtt.username", "mqtt.passwd"]);
    assert_eq!(login, ["meter ******"]);
}

#[test]
fn the_clients_of_one_trace_are_connections_of_their_own() {
    let (_folder, path) = file("quickstart.pcapng");
    let quickstart = Example::new("quickstart");
    let trace = ["--trace", path.to_str().expect("a plain name")];
    let _told = quickstart.args(&trace).run().text();
    let capture = Capture::at(&path);
    capture.is_sound();
    let clients = capture.lines("mqtt.clientid", &["tcp.stream", "mqtt.clientid"]);
    let clients: Vec<&str> =
        clients.iter().filter_map(|line| line.rsplit_once('-')).map(|(name, _)| name).collect();
    assert_eq!(clients, ["0 bob", "1 alice", "2 carol"]);
}

#[test]
fn a_trace_with_another_name_is_text() {
    let broker = Mosquitto::start();
    let (_folder, path) = file("pub.txt");
    let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
    assert_eq!(publish.args(&["--trace", path.to_str().expect("a plain name")]).run().text(), "");
    let text = fs::read_to_string(&path).expect("it was written");
    for told in
        ["  pub    -> CONNECT client id", "  pub    -> PUBLISH \"a\", QoS 0, 1 byte: \"x\"\n"]
    {
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_dash_traces_to_standard_error() {
    let broker = Mosquitto::start();
    let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
    let done = publish.args(&["--trace", "-"]).run();
    assert_eq!(done.status, Some(0));
    assert!(done.err.contains("  pub    -> DISCONNECT\n"), "{}", done.err);
}

#[test]
fn a_full_disk_ends_the_trace_and_not_the_client() {
    let broker = Mosquitto::start();
    let publish = Example::new("pub").broker(broker.address()).args(&["-t", "a", "-m", "x"]);
    let done = publish.args(&["-q", "2", "--trace", "/dev/full"]).run();
    assert_eq!(done.status, Some(0), "{}", done.err);
    assert!(
        done.err.starts_with("pub: --trace /dev/full: No space left on device"),
        "{}",
        done.err
    );
}

#[test]
fn a_trace_that_cannot_be_made_is_an_error() {
    let publish = Example::new("pub").args(&["-t", "a", "-m", "x"]);
    let why = publish.args(&["--trace", "/no-such-folder/x.pcapng"]).run().failure();
    assert!(why.starts_with("pub: --trace /no-such-folder/x.pcapng: No such file"), "{why}");
}
