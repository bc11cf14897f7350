//! One client and two brokers that share nothing (M5, M9): each keeps a session of its own, and the connection is cut
//! at a chosen packet.
//!
//! The client takes the brokers in turn, so each cut leads it to the other one.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::Config as Sizes;
use mqtt_core::driver::journal::file::{FileError, FileJournal};
use mqtt_core::{Event, Handle, Options, QoS, SessionStatus, Version};
use system_tests::packets::{PUBACK, PUBLISH, PUBREC, PUBREL};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Config, Device, Message, Mosquitto, Publisher, SOON, Subscriber,
    Tap, To,
};
use tempfile::TempDir;

/// The packets after which the client holds the id of a message, and the broker still has it.
const CUTS_IN: [(To, u8); 2] = [(To::Broker, PUBREC), (To::Client, PUBREL)];
/// The packets before which nobody can say whether a publish of QoS 2 arrives.
const CUTS_OUT: [(To, u8); 2] = [(To::Client, PUBREC), (To::Broker, PUBREL)];

/// A broker, with a tap before it.
struct Site {
    endpoint: u8,
    broker: Mosquitto,
    tap: Tap,
}

/// Two brokers: the client begins with A, and B is the other one.
fn start() -> [Site; 2] {
    [0, 1].map(|endpoint| {
        let broker = Config::new().line("set_tcp_nodelay true").start();
        let tap = Tap::new(broker.address());
        Site { endpoint, broker, tap }
    })
}

impl Site {
    /// Somebody publishes a message there.
    fn publish(&self, payload: &str) {
        let publisher = Publisher::new(&self.broker, "publisher");
        publisher.publish("n", payload.as_bytes(), QoS::ExactlyOnce, false);
    }

    /// Somebody who gets the messages there.
    fn witness(&self) -> Subscriber {
        Subscriber::new(&self.broker, "witness").filter("n", QoS::ExactlyOnce).start()
    }

    /// Waits until it has sent a message under the first packet id.
    fn sent_under_first_id(&self) {
        self.broker.log().wait("Sending PUBLISH to device (d0, q2, r0, m1, 'n'", SOON);
    }

    /// Waits until it has accepted the client, and says this of the session.
    #[track_caller]
    fn accepts(&self, device: &mut Device, expected: SessionStatus) {
        device.until("a connection", |event| {
            let Event::Up { endpoint, session, .. } = event else { return None };
            assert_eq!((*endpoint, *session), (self.endpoint, expected));
            Some(())
        });
    }
}

/// Both addresses, for `Config::connect`.
fn addresses([a, b]: &[Site; 2]) -> [String; 2] {
    [a, b].map(|site| site.tap.address().to_string())
}

/// A client that both brokers know. It is connected to B, and subscribed to `n` at both.
fn device(sites: &[Site; 2], options: &Options<'_>) -> Device {
    let addresses = addresses(sites);
    let parts = Sizes::new(options).connect(&addresses.each_ref().map(String::as_str));
    let mut device = Device::new(parts.expect("the broker accepts it"));
    let [a, b] = sites;
    a.accepts(&mut device, SessionStatus::New);
    device.subscribe("n", QoS::ExactlyOnce);
    a.tap.cut();
    b.accepts(&mut device, SessionStatus::New);
    device.until("a subscription at the other broker", |event| {
        let Event::Renewed { granted, .. } = event else { return None };
        assert!(granted.iter().eq([Some(QoS::ExactlyOnce)]));
        Some(())
    });
    device
}

fn lasting(version: Version) -> Options<'static> {
    Options::new("device").version(version).clean_session(false).reconnect(AGAIN_AT_ONCE)
}

/// Waits until a publish is lost. It must not be told as published.
#[track_caller]
fn lost(device: &mut Device, publish: Handle) {
    device.until("the loss of a publish", |event| {
        assert_ne!(*event, Event::Published(publish));
        (*event == Event::Lost(publish)).then_some(())
    });
}

/// In 3.1 nobody says whether the broker has a session. So PUBRELs go out before the first publish of QoS 2.
#[track_caller]
fn reclaim(device: &mut Device) {
    device.publish("other", b"first", QoS::ExactlyOnce, false);
}

/// Opens a journal that was closed.
///
/// Another test may be starting a program. The new process has the file open until it runs the program.
fn open(file: &Path) -> FileJournal {
    let limit = Instant::now() + SOON;
    loop {
        match FileJournal::open(file) {
            Ok(journal) => return journal,
            Err(FileError::InUse { .. }) if Instant::now() < limit => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn message(payload: &str) -> Message {
    Message::new("n", payload.as_bytes(), QoS::ExactlyOnce, false)
}

/// Both brokers count their packet ids from 1.
///
/// The test was seen to fail: if the client does not know which broker an id belongs to, the message at A is taken for
/// that of B and never told.
#[test]
fn a_message_under_an_id_that_another_broker_has_in_use_arrives() {
    for (version, _) in BOTH_VERSIONS {
        for (to, kind) in CUTS_IN {
            let sites = start();
            let [a, b] = &sites;
            let mut device = device(&sites, &lasting(version));

            b.tap.cut_at(to, kind);
            b.publish("at B");
            assert_eq!(device.message(), message("at B"));
            a.accepts(&mut device, SessionStatus::Resumed);
            a.publish("at A");
            assert_eq!(device.message(), message("at A"), "{version:?}, cut at {kind:#x}");
            a.sent_under_first_id();
            b.sent_under_first_id();

            // Back at B, which has not ended the exchange: the message does not come again.
            a.tap.cut();
            b.accepts(&mut device, SessionStatus::Resumed);
            b.publish("later");
            assert_eq!(device.message(), message("later"), "{version:?}, cut at {kind:#x}");
            device.disconnect();
        }
    }
}

/// Neither broker has ended its exchange when the client comes back.
#[test]
fn messages_under_one_id_at_both_brokers_arrive_once_each() {
    for (version, _) in BOTH_VERSIONS {
        for (to, kind) in CUTS_IN {
            let sites = start();
            let [a, b] = &sites;
            let mut device = device(&sites, &lasting(version));

            for (here, there, payload) in [(b, a, "at B"), (a, b, "at A")] {
                here.tap.cut_at(to, kind);
                here.publish(payload);
                assert_eq!(device.message(), message(payload), "{version:?}, cut at {kind:#x}");
                there.accepts(&mut device, SessionStatus::Resumed);
            }
            a.sent_under_first_id();
            b.sent_under_first_id();
            for (here, there, payload) in [(b, a, "later at B"), (a, b, "later at A")] {
                here.publish(payload);
                assert_eq!(device.message(), message(payload), "{version:?}, cut at {kind:#x}");
                here.tap.cut();
                there.accepts(&mut device, SessionStatus::Resumed);
            }
            device.disconnect();
        }
    }
}

/// The other broker would answer the PUBREL of a message that it does not know, and the client would tell the message
/// as published.
#[test]
fn a_qos_2_publish_under_way_is_lost_at_another_broker_and_nothing_of_it_goes_there() {
    for (version, _) in BOTH_VERSIONS {
        for (to, kind) in CUTS_OUT {
            let sites = start();
            let [a, b] = &sites;
            let (at_a, at_b) = (a.witness(), b.witness());
            let mut device = device(&sites, &lasting(version));
            reclaim(&mut device);

            b.tap.cut_at(to, kind);
            let under_way = device.client().publish("n", b"at B", QoS::ExactlyOnce, false);
            lost(&mut device, under_way.expect("room"));
            device.publish("n", b"at A", QoS::AtLeastOnce, false);
            assert_eq!(at_a.next(SOON).payload, b"at A", "{version:?}, cut at {kind:#x}");
            assert_eq!(a.tap.count(To::Broker, PUBREL), 0, "{version:?}, cut at {kind:#x}");
            assert_eq!(a.tap.count(To::Broker, PUBLISH), 1, "{version:?}, cut at {kind:#x}");

            // B still holds the packet id. A new message under it must not be taken for the old one.
            a.tap.cut();
            b.accepts(&mut device, SessionStatus::Resumed);
            device.publish("n", b"later", QoS::ExactlyOnce, false);
            assert_eq!(at_b.next(SOON), message("at B"));
            assert_eq!(at_b.next(SOON), message("later"), "{version:?}, cut at {kind:#x}");
            device.disconnect();
        }
    }
}

#[test]
fn a_qos_1_publish_and_one_that_was_never_sent_go_to_the_next_broker() {
    for (version, _) in BOTH_VERSIONS {
        let sites = start();
        let [a, b] = &sites;
        let witness = a.witness();
        let mut device = device(&sites, &lasting(version));

        b.tap.cut_at(To::Client, PUBACK);
        let under_way = device.client().publish("n", b"sent", QoS::AtLeastOnce, false);
        device.down();
        let unsent = device.client().publish("n", b"unsent", QoS::ExactlyOnce, false);
        device.published(under_way);
        device.published(unsent);
        let received = witness.take(2, SOON).into_iter().map(|message| message.payload);
        assert!(received.eq([b"sent".to_vec(), b"unsent".to_vec()]), "{version:?}");
        device.disconnect();
    }
}

/// The record names the broker that the publish was sent to. The first broker of the new process is another one.
#[test]
fn a_qos_2_publish_from_before_a_restart_is_lost_if_another_broker_accepts_the_client() {
    for (version, _) in BOTH_VERSIONS {
        let sites = start();
        let [a, b] = &sites;
        let witness = a.witness();
        let folder = TempDir::with_prefix("journal-").expect("a temporary folder can be made");
        let addresses = addresses(&sites);
        let restart = || {
            let journal = open(&folder.path().join("journal"));
            let sizes = Sizes::new(&lasting(version)).journal(journal);
            let brokers = addresses.each_ref().map(String::as_str);
            Device::new(sizes.start(&brokers).expect("a good journal"))
        };

        a.tap.shut();
        let mut device = restart();
        b.accepts(&mut device, SessionStatus::New);
        reclaim(&mut device);
        b.tap.cut_at(To::Broker, PUBREL);
        let _ = device.client().publish("n", b"at B", QoS::ExactlyOnce, false).expect("room");
        device.down();
        drop(device);

        a.tap.open();
        let mut device = restart();
        a.accepts(&mut device, SessionStatus::New);
        device.until("the loss of a publish", |event| {
            assert!(!matches!(event, Event::Published(_)), "{event:?}");
            matches!(event, Event::Lost(_)).then_some(())
        });
        device.publish("n", b"at A", QoS::ExactlyOnce, false);
        assert_eq!(witness.next(SOON), message("at A"), "{version:?}");
        device.disconnect();
    }
}
