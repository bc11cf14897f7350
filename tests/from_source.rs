//! Messages whose payload is read while it is sent (M13), against Mosquitto: far larger than the outbox, in their place
//! among the others, and whole after the broker was killed in the middle.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{Client, Config as Sizes, Payload};
use mqtt_core::driver::journal::file::FileJournal;
use mqtt_core::driver::tokio;
use mqtt_core::{Event, Fatal, Options, QoS, Reason, SourceFault, SourceId};
use system_tests::{AGAIN_AT_ONCE, Config, Device, Message, Mosquitto, SOON, Subscriber, content};

const MIB: usize = 1 << 20;

/// The number of the payload.
const IMAGE: SourceId = SourceId::new(7);

/// A file with these bytes.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("it is written");
    file
}

/// A file whose second half can be read once the gate is open. It counts the bytes that were read.
struct Gated {
    file: File,
    half: u64,
    open: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
}

impl Payload for Gated {
    fn len(&mut self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.half && !self.open.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.file.read_at(offset, buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The topics of the first messages that the broker has received from the device.
fn topics_in_order(broker: &Mosquitto, count: usize) -> Vec<String> {
    let topic = |n| {
        let line = broker.log().nth(n, "Received PUBLISH from device", SOON);
        line.split('\'').nth(1).expect("a topic").to_owned()
    };
    (1..=count).map(topic).collect()
}

#[test]
fn a_file_of_64_mebibytes_leaves_through_an_outbox_of_4_kibibytes_in_its_place() {
    let broker = Mosquitto::start();
    let options = Options::new("device");
    let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(4096));
    let subscriber = Subscriber::new(&broker, "raw").filter("t", QoS::ExactlyOnce).start_raw();
    let payload = content(64 * MIB);
    let image = file(&payload);
    let begun = Instant::now();
    let client = device.client().clone();
    let before = client.publish("n", b"1", QoS::AtLeastOnce, false);
    let large = client.publish_from("t", IMAGE, image, QoS::AtLeastOnce, false);
    let after = client.publish("n", b"333", QoS::AtLeastOnce, false);
    device.published(before);
    device.published(large);
    device.published(after);
    assert!(subscriber.payload(SOON) == payload, "it is unchanged");
    assert_eq!(topics_in_order(&broker, 3), ["n", "t", "n"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "took {:?}", begun.elapsed());
    device.disconnect();
}

#[test]
fn a_file_of_64_mebibytes_is_sent_by_a_task() {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::new(&broker, "raw").filter("t", QoS::ExactlyOnce).start_raw();
    let payload = content(64 * MIB);
    let image = file(&payload);
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let options = Options::new("device");
        let config = tokio::Config::new(&options).outbox(4096);
        let address = broker.address().to_string();
        let (client, events) = tokio::Client::connect(config, &[&address]).await.expect("up");
        let _events = events.into_queue(10);
        let before = client.publish("n", b"1", QoS::AtLeastOnce, false).await.expect("room");
        let sent = client.publish_from("t", IMAGE, image, QoS::ExactlyOnce, false).await;
        let after = client.publish("n", b"3", QoS::AtLeastOnce, false).await.expect("room");
        for handle in [before, sent.expect("room"), after] {
            assert_eq!(client.wait(handle).await.expect("an end"), tokio::Outcome::Published);
        }
        client.finish(SOON).await.expect("nothing is left");
    });
    assert!(subscriber.payload(SOON) == payload, "it is unchanged");
}

#[test]
fn a_file_is_sent_again_from_its_beginning_if_the_broker_is_killed_in_the_middle() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut broker = Config::new().persistence().start();
        let options = Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE);
        let mut device = Device::sized(broker.address(), Sizes::new(&options).outbox(4096));
        device.up();
        broker.save();
        let bytes = content(4 * MIB);
        let (open, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let half = 2 * MIB as u64;
        let image =
            Gated { file: file(&bytes), half, open: Arc::clone(&open), read: Arc::clone(&read) };
        let client = device.client().clone();
        let large = client.publish_from("t", IMAGE, image, qos, true);
        let after = client.publish("n", b"333", qos, true);
        device.drive_until("half of it", || read.load(Ordering::Relaxed) >= half);
        broker.kill();
        device.down();
        open.store(true, Ordering::Relaxed);
        broker.start_again();
        device.published(large);
        device.published(after);
        assert_eq!(read.load(Ordering::Relaxed), half + bytes.len() as u64);
        // They were retained.
        let raw = Subscriber::new(&broker, "raw").filter("t", QoS::ExactlyOnce).start_raw();
        assert!(raw.payload(SOON) == bytes, "{qos:?}");
        let other = Subscriber::new(&broker, "other").filter("n", QoS::ExactlyOnce).start();
        assert_eq!(other.next(SOON), Message::new("n", b"333", qos, true));
        device.disconnect();
    }
}

/// A payload that publishes while it is read.
struct Busy(Client);

impl Payload for Busy {
    fn len(&mut self) -> io::Result<u64> {
        Ok(MIB as u64)
    }

    fn read_at(&mut self, _offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.publish("n", b"x", QoS::AtMostOnce, false).map_err(io::Error::other)?;
        buffer.fill(7);
        Ok(buffer.len())
    }
}

#[test]
fn the_client_can_be_used_while_a_payload_is_read() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    let busy = Busy(device.client().clone());
    let large = device.client().publish_from("t", IMAGE, busy, QoS::AtLeastOnce, false);
    device.published(large);
    assert_eq!(topics_in_order(&broker, 3), ["t", "n", "n"]);
    device.disconnect();
}

#[test]
fn after_a_restart_the_payloads_of_the_journal_are_opened_again() {
    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options::new("device").clean_session(false);
    let sizes = || {
        let journal = FileJournal::open(folder.path().join("session")).expect("a journal");
        Sizes::new(&options).outbox(4096).journal(journal)
    };
    let bytes = content(MIB);
    {
        // It never connects.
        let (client, _events) = sizes().start(&["127.0.0.1:1"]).expect("a client");
        for (source, topic) in [(7, "kept"), (8, "gone")] {
            let (image, source) = (file(&bytes), SourceId::new(source));
            let _ =
                client.publish_from(topic, source, image, QoS::AtLeastOnce, true).expect("room");
        }
    }
    let image = file(&bytes);
    let config = sizes().payloads(move |publish| {
        assert_eq!(publish.len as usize, MIB);
        let image = image.try_clone().ok().filter(|_| publish.source == IMAGE)?;
        Some(Box::new(image) as Box<dyn Payload>)
    });
    let mut device = Device::sized(broker.address(), config);
    device.until("the lost one", |event| matches!(event, Event::SourceFailed(_)).then_some(()));
    device.publish("after", b"1", QoS::AtLeastOnce, false);
    device.disconnect();
    assert_eq!(topics_in_order(&broker, 2), ["kept", "after"]);
    let raw = Subscriber::new(&broker, "raw").filter("kept", QoS::ExactlyOnce).start_raw();
    assert!(raw.payload(SOON) == bytes);
}

/// A payload that cannot be read from its middle on.
struct Broken(usize);

impl Payload for Broken {
    fn len(&mut self) -> io::Result<u64> {
        Ok(MIB as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.0.saturating_sub(offset as usize).min(buffer.len());
        let failed = || io::Error::other("the card was taken out");
        if left == 0 { Err(failed()) } else { Ok(left) }
    }
}

#[test]
fn a_payload_that_fails_ends_its_message_alone_and_the_others_go_on() {
    let broker = Mosquitto::start();
    let options = Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE);
    for (bytes, closes) in [(0, false), (MIB / 2, true)] {
        let mut device = Device::connect(broker.address(), &options);
        device.up();
        let client = device.client().clone();
        let failing = client
            .publish_from("t", IMAGE, Broken(bytes), QoS::AtLeastOnce, false)
            .expect("there is room");
        let after = client.publish("n", b"after", QoS::AtLeastOnce, false);
        device.until("its end", |event| (*event == Event::SourceFailed(failing)).then_some(()));
        if closes {
            let fault = SourceFault::Failed;
            assert_eq!(device.down(), Reason::Fatal(Fatal::Source { source_id: IMAGE, fault }));
        }
        device.published(after);
        device.disconnect();
    }
}

#[test]
fn a_clean_disconnect_waits_for_the_whole_payload() {
    let broker = Mosquitto::start();
    let device = Device::connect(broker.address(), &Options::new("device"));
    let subscriber = Subscriber::new(&broker, "raw").filter("t", QoS::ExactlyOnce).start_raw();
    let payload = content(16 * MIB);
    let client = device.client().clone();
    let _ = client.publish_from("t", IMAGE, file(&payload), QoS::AtMostOnce, false).expect("room");
    device.disconnect();
    assert!(subscriber.payload(SOON) == payload, "it is unchanged");
    broker.log().wait("Received DISCONNECT from device", SOON);
}
