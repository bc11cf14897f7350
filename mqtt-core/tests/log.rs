//! The lines that reach a logger: what seldom happens, and no secret.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};
use mqtt_core::{Login, Options, Publish, QoS, topic};
use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, ack, packet},
};

thread_local! {
    /// The lines of this test; each test has its own thread.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(format!("{} {}", record.level(), record.args())));
    }

    fn flush(&self) {}
}

/// A client that the broker has accepted.
fn up(options: &Options<'_>) -> Script {
    // Another test may have set the logger already.
    let _set = log::set_logger(&Capture);
    log::set_max_level(LevelFilter::Trace);
    Script::up(options)
}

fn logged() -> Vec<String> {
    LINES.take()
}

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

#[test]
fn a_connection_and_its_end_on_request_are_logged() {
    let mut script = up(&persistent());
    script.client.disconnect();
    script.run();
    assert_eq!(
        logged(),
        [
            "DEBUG mqtt: connects to broker 0",
            "INFO mqtt: connected to broker 0, new session",
            "INFO mqtt: no longer connected to broker 0: disconnected on request",
        ]
    );
}

#[test]
fn a_break_and_the_packets_that_are_sent_again_are_logged() {
    let mut script = up(&persistent());
    logged();
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
    for _ in 0..2 {
        let _ = script.client.publish(&publish).unwrap();
    }
    script.run();
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    assert_eq!(
        logged(),
        [
            "WARN mqtt: not connected to broker 0: the transport closed",
            "INFO mqtt: 2 packets were not answered and are sent again",
            "DEBUG mqtt: connects to broker 0",
            "INFO mqtt: connected to broker 0, the session goes on",
        ]
    );
}

#[test]
fn a_refusal_is_logged_with_its_cause() {
    let mut script = up(&persistent());
    script.cut();
    logged();
    script.later(1_000_000);
    script.run();
    script.hear(b"\x20\x02\0\x05");
    let lines = logged();
    let why = "WARN mqtt: not connected to broker 0: connection refused: not authorized";
    assert!(lines.iter().any(|line| line == why), "{lines:?}");
}

#[test]
fn a_message_that_is_skipped_is_logged_with_its_cause() {
    let mut script = up(&persistent().max_packet(50));
    logged();
    script.hear(&packet(0x30, &[b"\0\x01t", &[b'x'; 100]]));
    assert_eq!(logged(), ["WARN mqtt: a message of 105 bytes is skipped: it is too large"]);
}

#[test]
fn a_request_at_which_connections_end_is_logged() {
    let mut script = up(&persistent().stuck_after(2));
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&publish).unwrap();
    script.run();
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.cut();
    script.told();
    let lines = logged();
    let stuck = "WARN mqtt: 2 connections ended at the request with packet id ";
    assert!(lines.iter().any(|line| line.starts_with(stuck)), "{lines:?}");
}

#[test]
fn what_happens_often_is_not_logged() {
    let mut script = up(&persistent());
    logged();
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&publish).unwrap();
    script.run();
    script.hear(&ack(PUBACK, 1));
    script.hear(b"\x30\x04\0\x01tx");
    script.later(60_000);
    script.run();
    assert_eq!(logged(), [""; 0]);
}

#[test]
fn no_line_shows_a_topic_a_payload_or_a_login() {
    let login = Login::new("marker-user", Some(b"marker-password"));
    let mut script = up(&persistent().login(login).max_packet(80).stuck_after(2));
    let publish = Publish::new(topic!("marker-topic"), b"marker-payload").qos(QoS::ExactlyOnce);
    let _ = script.client.publish(&publish).unwrap();
    script.run();
    script.hear(&packet(0x30, &[b"\0\x0Cmarker-topic", &[b'x'; 100]]));
    for connack in [ACCEPTED_SESSION_PRESENT, ACCEPTED, ACCEPTED_SESSION_PRESENT] {
        script.reconnect(connack);
    }
    script.client.disconnect();
    script.run();
    let lines = logged();
    assert!(lines.len() > 10, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("marker")), "{lines:?}");
}
