//! The caller's storage, its limits, and calls out of order.

use mqtt_core::{
    Action, Client, ConfigError, Instant, Options, Publish, QoS, Slot, StaticClient, topic,
};

use test_kit::script::Script;

#[test]
fn storage_can_be_borrowed_or_owned_or_inside_the_client() {
    let options = Options::new("me");
    let (mut bytes, mut slots) = ([0; 100], [Slot::EMPTY; 2]);
    assert!(Client::new(&options, &mut bytes[..], &mut slots[..]).is_ok());
    assert!(Client::new(&options, vec![0; 100], vec![Slot::EMPTY; 2]).is_ok());
    assert!(StaticClient::<100, 2>::new_static(&options).is_ok());
}

#[test]
fn storage_that_is_too_small_is_refused_with_the_size_that_is_needed() {
    let options = Options::new("me");
    let error = StaticClient::<10, 1>::new_static(&options).unwrap_err();
    let ConfigError::OutboxTooSmall { needed, capacity: 10 } = error else { panic!("{error}") };
    assert!(Client::new(&options, vec![0; needed], [Slot::EMPTY]).is_ok());
    assert!(Client::new(&options, vec![0; needed - 1], [Slot::EMPTY]).is_err());
}

#[test]
fn a_window_has_at_least_one_slot_and_at_most_as_many_as_there_are_ids() {
    let options = Options::new("me");
    for (count, fits) in [(0, false), (1, true), (65_533, true), (65_534, false)] {
        let client = Client::new(&options, vec![0; 100], vec![Slot::EMPTY; count]);
        assert_eq!(client.is_ok(), fits, "{count}");
    }
}

/// Places in the outbox have 32 bits. No memory is used for the bytes here, because nobody touches them.
#[cfg(target_pointer_width = "64")]
#[test]
fn an_outbox_of_4_gib_is_refused_and_one_of_a_byte_less_is_not() {
    let options = Options::new("me");
    let most = u32::MAX as usize;
    let large = Client::new(&options, vec![0; most + 1], [Slot::EMPTY]);
    let refusal = ConfigError::OutboxTooLarge { capacity: most + 1, most };
    assert_eq!(large.err(), Some(refusal));
    let mut client = Client::new(&options, vec![0; most], [Slot::EMPTY]).unwrap();
    assert!(client.publish(&Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce)).is_ok());
}

#[test]
fn a_receive_capacity_below_the_fixed_packets_is_refused() {
    let options = Options::new("me").receive_capacity(15);
    let error = StaticClient::<100, 1>::new_static(&options).unwrap_err();
    assert_eq!(error, ConfigError::ReceiveCapacity { capacity: 15 });
}

#[test]
fn calls_in_the_wrong_state_change_nothing() {
    let mut client = StaticClient::<100, 2>::new_static(&Options::new("me")).unwrap();
    let now = Instant::default();
    client.connected(now);
    client.transmitted(1_000, now);
    client.closed(now);
    let mut input: &[u8] = b"\x20\x02\0\0";
    assert_eq!(client.receive(&mut input, now), Ok(None));
    assert_eq!(client.poll(now), Action::Connect { endpoint: 0 });
    assert_eq!(client.poll(now), Action::Wait(Instant::from_millis(20_000)));
    client.transmitted(usize::MAX, now);
    client.connected(now);
    client.connected(now);
    assert!(matches!(client.poll(now), Action::Transmit(_)));
}

/// The caller promises that the storage keeps its length. If it does not, an assertion fails in a debug build. A
/// release build may break promises of the library, but does not panic.
#[test]
fn storage_that_changes_its_length_fails_an_assertion_in_debug_builds_only() {
    let run = std::panic::catch_unwind(use_storage_that_changes_its_length);
    assert_eq!(run.is_err(), cfg!(debug_assertions));
}

fn use_storage_that_changes_its_length() {
    #[derive(Default)]
    struct Shrinking {
        bytes: Vec<u8>,
        asked: usize,
    }
    impl AsRef<[u8]> for Shrinking {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    impl AsMut<[u8]> for Shrinking {
        fn as_mut(&mut self) -> &mut [u8] {
            self.asked += 1;
            let len = if self.asked % 3 == 0 { 7 } else { self.bytes.len() };
            &mut self.bytes[..len]
        }
    }
    let storage = Shrinking { bytes: vec![0; 200], asked: 0 };
    let mut client = Client::new(&Options::new("me"), storage, vec![Slot::EMPTY; 4]).unwrap();
    let now = Instant::default();
    for round in 0..200_u32 {
        client.connect();
        let _ = client.poll(now);
        client.connected(now);
        let publish = Publish::new(topic!("t"), b"payload").qos(QoS::ExactlyOnce);
        let _refused = client.publish(&publish);
        let _refused = client.publish(&publish.qos(QoS::AtMostOnce));
        let _ = client.poll(now);
        client.transmitted(round as usize % 40, now);
        let mut input: &[u8] = b"\x20\x02\0\0\x50\x02\0\x01\x50\x02\0\x02\x34\x06\0\x01t\0\x05x";
        while client.receive(&mut input, now).is_ok_and(|event| event.is_some()) {}
        if round % 7 == 0 {
            client.closed(now);
        }
    }
}

#[test]
fn clones_have_one_digest_until_one_of_them_changes() {
    use std::hash::{DefaultHasher, Hasher as _};
    let digest = |script: &Script| {
        let mut hasher = DefaultHasher::new();
        script.client.digest(&mut hasher);
        hasher.finish()
    };
    let script = Script::up(&Options::new("c"));
    let mut other = Script::new(&Options::new("c"));
    other.client = script.client.clone();
    assert_eq!(digest(&script), digest(&other));
    let publish = Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce);
    let _ = other.client.publish(&publish).unwrap();
    assert_ne!(digest(&script), digest(&other));
}
