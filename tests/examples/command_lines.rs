//! Command lines of `pub` and `sub`: repeated messages, quiet ones, and the words about what is not here.

use std::time::{Duration, Instant};

use mqtt_core::QoS;
use system_tests::{Example, Message, Mosquitto, SOON, Subscriber};

use crate::closed_port;

#[test]
fn a_message_can_be_repeated() {
    let broker = Mosquitto::start();
    let theirs = Subscriber::new(&broker, "theirs").filter("a", QoS::ExactlyOnce).start();
    for qos in ["0", "1", "2"] {
        let publish = Example::new("pub").broker(broker.address()).input(b"x");
        let publish = publish.args(&["-t", "a", "-s", "-q", qos, "--repeat", "100"]);
        assert_eq!(publish.run().text(), "");
        let took = theirs.take(100, SOON);
        assert!(took.iter().all(|message| message.payload == b"x"), "{took:?}");
    }
    let start = Instant::now();
    let publish = Example::new("pub").broker(broker.address());
    let publish = publish.args(&["-t", "a", "-n", "-q", "1"]);
    let publish = publish.args(&["--repeat", "3", "--repeat-delay", "0.2"]);
    assert_eq!(publish.run().text(), "");
    assert!(start.elapsed() >= Duration::from_millis(400));
    let empty = Message::new("a", b"", QoS::AtLeastOnce, false);
    assert_eq!(theirs.take(3, SOON), [empty.clone(), empty.clone(), empty]);
}

#[test]
fn a_client_id_can_have_a_prefix() {
    let broker = Mosquitto::start();
    for (name, more) in [("pub", ["-m", "x"]), ("sub", ["-C", "1"])] {
        let prefix = format!("{name}-of-meter-");
        let example = Example::new(name).broker(broker.address()).args(&["-t", "a", "-q", "1"]);
        let running = example.args(&["-I", &prefix]).args(&more).start();
        let line = broker.log().line(&format!(" as {prefix}"), SOON);
        let (_, id) = line.split_once(&prefix).expect("it is in the line");
        let id = id.split(' ').next().expect("a word");
        assert!(id.parse::<u32>().is_ok(), "{line}");
        drop(running);
    }
}

#[test]
fn quiet_programs_tell_by_their_status_alone() {
    let port = closed_port().to_string();
    for name in ["pub", "sub"] {
        let example = Example::new(name).args(&["-h", "127.0.0.1", "-p", &port, "-t", "a"]);
        let example = if name == "pub" { example.args(&["-m", "x"]) } else { example };
        let done = example.args(&["--quiet"]).run();
        assert_eq!((done.status, done.err.as_str(), done.out.as_slice()), (Some(1), "", &b""[..]));
    }
}

#[test]
fn programs_tell_their_version() {
    for name in ["pub", "sub"] {
        let text = Example::new(name).args(&["--version"]).run().text();
        assert_eq!(
            text,
            format!("{name}, an example of mqtt-core {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn what_is_not_here_is_refused_with_a_word() {
    const FIVE: &str = "it is one of MQTT 5, and this speaks MQTT 3.1.1 and 3.1";
    let failure = |name, args: &[&str]| Example::new(name).args(args).run().failure();
    for name in ["pub", "sub"] {
        let message: &[&str] = if name == "pub" { &["-m", "x"] } else { &[] };
        for (args, why) in [
            (&["-D", "connect", "session-expiry-interval", "5"][..], format!("option -D: {FIVE}")),
            (&["--property", "x"], format!("option --property: {FIVE}")),
            (&["-x", "5"], format!("option -x: {FIVE}")),
            (
                &["-V", "mqttv5"],
                "option -V: \"mqttv5\" is not mqttv31, mqttv311 or auto; there is no MQTT 5 here"
                    .into(),
            ),
            (
                &["--proxy", "socks5h://h"],
                "option --proxy: there are no proxies in this program".into(),
            ),
            (&["-i", "a", "-I", "b"], "options -i and -I do not go together".into()),
        ] {
            let args = [&["-t", "a"][..], message, args].concat();
            assert_eq!(failure(name, &args), format!("{name}: {why}"));
        }
    }
    for (args, why) in [
        (&["-W", "0"][..], "option -W: 0 seconds are no time to wait"),
        (&["-W", "-1"], "option -W: \"-1\" is not a number of seconds"),
        (&["-C", "0"], "option -C: 0 messages are none to wait for"),
        (&["-T", "a#"], "option -T: \"a#\": misplaced wildcard in a topic filter"),
        (&["-U", "a#"], "option -U: \"a#\": misplaced wildcard in a topic filter"),
        (&["-R", "--retained-only"], "-R and --retained-only leave nothing"),
    ] {
        assert_eq!(failure("sub", &[&["-t", "a"], args].concat()), format!("sub: {why}"));
    }
    for (args, why) in [
        (&["-m", "x", "--repeat", "0"][..], "option --repeat: 0 messages are none to publish"),
        (&["-m", "x", "--repeat", "-1"], "option --repeat: \"-1\" is not a count of messages"),
        (
            &["-m", "x", "--repeat-delay", "-1"],
            "option --repeat-delay: -1 is not a number of seconds",
        ),
        (
            &["-m", "x", "--repeat-delay", "x"],
            "option --repeat-delay: \"x\" is not a number of seconds",
        ),
        (&["-l", "--repeat", "2"], "--repeat goes with -m, -n, -f and -s, not with -l"),
    ] {
        assert_eq!(failure("pub", &[&["-t", "a"], args].concat()), format!("pub: {why}"));
    }
}

#[test]
fn a_very_long_argument_is_not_repeated_whole() {
    let long = "a".repeat(70_000);
    let wild = format!("{long}#");
    let url = format!("mqtt://127.0.0.1:{}/{long}", closed_port());
    for args in [
        &["-m", "x", "-t", &long][..],
        &["-m", "x", "-t", &wild],
        &["-m", "x", "-t", "a", "--will-topic", &long],
        &["-m", "x", "-t", "a", "-q", &long],
        &["-m", "x", "-t", "a", "-p", &long],
        &["-m", "x", "-t", "a", "-V", &long],
        &["-m", "x", "-t", "a", "-h", &long],
        &["-m", "x", "-t", "a", "--cafile", &long],
        &["-t", "a", "-f", &long],
        &["-m", "x", "-L", &url],
        &[&long],
        &[&format!("--{long}")],
    ] {
        let done = Example::new("pub").args(args).run();
        assert_eq!((done.status, done.out.as_slice()), (Some(1), &b""[..]));
        assert!(done.err.len() < 1000 && done.err.lines().count() < 3, "{} bytes", done.err.len());
    }
    let failure = Example::new("pub").args(&["-m", "x", "-t", &long]).run().failure();
    assert!(failure.contains("(70000 bytes)"), "{failure}");
}
