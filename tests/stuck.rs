//! A request that a real broker does not allow (M18): Mosquitto closes at a packet above `max_packet_size`, on every
//! connection. The application hears of it, takes it back, and everything else arrives.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use mqtt_core::driver::blocking::Config as Sizes;
use mqtt_core::driver::journal::file::FileJournal;
use mqtt_core::{Event, Handle, Options, QoS};
use system_tests::{AGAIN_AT_ONCE, Config, Device, Message, Mosquitto, SOON, Subscriber};
use tempfile::TempDir;

const TOPIC: &str = "meter";

fn options() -> Options<'static> {
    Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE)
}

fn strict_broker() -> Mosquitto {
    Config::new().line("max_packet_size 1000").start()
}

fn small() -> Message {
    Message::new(TOPIC, b"1", QoS::AtLeastOnce, false)
}

/// Publishes a message that is too large and a small one behind it. Gives the handle of the first.
fn publish_both(device: &Device) -> Handle {
    let large = device.client().publish(TOPIC, &[0; 2_000], QoS::AtLeastOnce, false).unwrap();
    let _ = device.client().publish(TOPIC, b"1", QoS::AtLeastOnce, false).unwrap();
    large
}

/// The request that is told as stuck.
fn stuck(device: &mut Device) -> Handle {
    device.until("a stuck request", |event| {
        if let Event::Stuck { handle, .. } = event { Some(*handle) } else { None }
    })
}

#[test]
fn a_publish_at_which_the_broker_closes_is_told_and_a_cancel_lets_the_next_one_through() {
    let broker = strict_broker();
    let witness = Subscriber::new(&broker, "witness").filter(TOPIC, QoS::AtLeastOnce).start();
    let mut device = Device::connect(broker.address(), &options());
    let large = publish_both(&device);
    assert_eq!(stuck(&mut device), large);
    device.client().cancel(large).unwrap();
    device.until("its end", |event| {
        (*event == Event::Cancelled { handle: large, sent: true }).then_some(())
    });
    device.until("the small message", |event| matches!(event, Event::Published(_)).then_some(()));
    assert_eq!(witness.next(SOON), small());
}

#[test]
fn a_publish_at_which_the_broker_closes_is_given_up_if_the_options_say_so() {
    let broker = strict_broker();
    let witness = Subscriber::new(&broker, "witness").filter(TOPIC, QoS::AtLeastOnce).start();
    let mut device = Device::connect(broker.address(), &options().give_up_stuck(true));
    let large = publish_both(&device);
    device.until("its end", |event| (*event == Event::GivenUp(large)).then_some(()));
    device.until("the small message", |event| matches!(event, Event::Published(_)).then_some(()));
    assert_eq!(witness.next(SOON), small());
}

/// The cancelled message does not come back from the journal.
#[test]
fn a_restart_from_the_journal_meets_the_same_request_and_a_cancel_is_durable() {
    let broker = strict_broker();
    let witness = Subscriber::new(&broker, "witness").filter(TOPIC, QoS::AtLeastOnce).start();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("journal");
    let start = || {
        let journal = FileJournal::open(&file).unwrap();
        Device::sized(broker.address(), Sizes::new(&options()).journal(journal))
    };
    let mut device = start();
    let _ = publish_both(&device);
    let _ = stuck(&mut device);
    drop(device);
    let mut device = start();
    let large = stuck(&mut device);
    device.client().cancel(large).unwrap();
    device.until("its end", |event| matches!(event, Event::Cancelled { .. }).then_some(()));
    drop(device);
    let mut device = start();
    device.until("the small message", |event| matches!(event, Event::Published(_)).then_some(()));
    assert_eq!(witness.next(SOON), small());
    assert_eq!(device.client().in_flight(), 0);
}
