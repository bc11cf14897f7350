//! The example `sleepy_node` (C5, M23): few wake-ups in a day of virtual time, and the same node with Mosquitto, where a
//! minute takes 300 ms.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use mqtt_core::QoS;
use system_tests::packets::{PINGREQ, PUBLISH};
use system_tests::{Example, Mosquitto, SOON, Subscriber, Tap, Tapped, To};

/// The columns of a row of the table, without the first.
fn row(table: &str, slack: &str) -> Vec<String> {
    let begin = format!("| {slack} |");
    let line =
        table.lines().find_map(|line| line.strip_prefix(&begin)).expect("it is in the table");
    line.split('|').map(|column| column.trim().to_owned()).collect()
}

#[test]
fn with_slack_every_wake_up_of_a_day_but_those_of_lost_links_is_one_of_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("day.svg");
    let svg = path.to_str().expect("a path in UTF-8");
    let table = Example::new("sleepy_node").args(&["--svg", svg]).run().text();
    // measure, publish, PINGREQ, record, feed, reconnect
    let (without, with) = (row(&table, "none"), row(&table, "10 min"));
    assert_eq!(without[..6], ["1296", "144", "71", "24", "286", "25"]);
    assert_eq!(with[..6], ["1296", "144", "0", "0", "0", "6"]);
    assert_eq!((without[11].as_str(), with[11].as_str()), ("288", "289"), "feeds in all");

    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sleepy-node.svg");
    let committed = fs::read_to_string(committed).expect("the plot is in docs");
    assert_eq!(
        fs::read_to_string(path).expect("it was written"),
        committed,
        "cargo run --example sleepy_node -- --svg docs/sleepy-node.svg"
    );
    let page = include_str!("../docs/sleepy-node.md");
    for line in table.lines() {
        assert!(page.contains(line), "docs/sleepy-node.md lacks\n{line}");
    }
}

#[test]
fn at_qos_1_no_message_is_lost_with_the_links_and_no_pingreq_is_sent() {
    let table = Example::new("sleepy_node").args(&["--qos", "1"]).run().text();
    for slack in ["none", "2 s", "30 s", "1 min", "10 min"] {
        let row = row(&table, slack);
        assert_eq!((row[9].as_str(), row[13].as_str()), ("0", "168 of 168"), "{slack}");
    }
}

/// Lives for 31 short minutes. Returns the packets that went to the broker.
fn live(broker: &Mosquitto, id: &str, slack: &str) -> Vec<Tapped> {
    let tap = Tap::new(broker.address());
    let filter = format!("{id}/#");
    let subscriber =
        Subscriber::new(broker, &format!("{id}-reader")).filter(&filter, QoS::AtLeastOnce).start();
    let node = Example::new("sleepy_node").broker(tap.address());
    let node = node.args(&["-i", id, "--minute", "300", "--minutes", "31", "--slack", slack]);
    let told = node.run().text();
    assert!(told.ends_with("       3  messages published\n"), "{told}");
    for number in ["10", "20", "30"] {
        let message = subscriber.next(SOON);
        assert_eq!(message.topic, format!("{id}/measured"));
        assert_eq!(message.payload, number.as_bytes());
    }
    broker.log().wait(&format!("Received DISCONNECT from {id}"), SOON);
    assert_eq!(broker.log().count(&format!("as {id} (")), 1, "one connection");
    for end in ["has exceeded timeout", "closed its connection"] {
        assert_eq!(broker.log().count(&format!("Client {id} {end}")), 0, "{}", broker.log());
    }
    tap.packets().into_iter().filter(|packet| packet.to == To::Broker).collect()
}

/// For each PINGREQ, whether it came together with the packet before it, which is a PUBLISH.
fn together(packets: &[Tapped]) -> Vec<bool> {
    let pairs = packets.windows(2).filter(|pair| pair[1].first == PINGREQ);
    // A PINGREQ by itself comes 1.5 s after a publish.
    let near = |pair: &[Tapped]| pair[1].at - pair[0].at < Duration::from_millis(500);
    pairs.map(|pair| pair[0].first & 0xF0 == PUBLISH && near(pair)).collect()
}

#[test]
fn with_slack_each_pingreq_reaches_mosquitto_together_with_a_publish() {
    let broker = Mosquitto::start();
    let together = together(&live(&broker, "sleepy", "600"));
    assert!(together.len() >= 2 && together.iter().all(|together| *together), "{together:?}");
}

#[test]
fn without_slack_pingreqs_have_wake_ups_of_their_own() {
    let broker = Mosquitto::start();
    let together = together(&live(&broker, "restless", "0"));
    assert!(together.contains(&false), "{together:?}");
}

#[test]
fn wrong_arguments_and_files_are_named() {
    for (arguments, why) in [
        (&["--qos", "2"][..], "option --qos: the broker of this day knows 0 and 1"),
        (&["-h", "localhost", "--minute", "99"], "option --minute: it is not from 100 to 60000"),
        (&["--slack", "3"], "a trial needs -h HOST"),
        (&["--svg", "/nowhere/day.svg"], "/nowhere/day.svg: "),
    ] {
        let done = Example::new("sleepy_node").args(arguments).run();
        assert_eq!(done.status, Some(1), "{arguments:?}");
        assert!(done.err.starts_with(&format!("sleepy_node: {why}")), "{}", done.err);
    }
}
