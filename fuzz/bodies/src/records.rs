//! `restore`, given records of every kind.
//!
//! A client lives with a broker and leaves records ([`Life`]). Another client, in storage of another size, is given
//! some of them: unchanged, cut, swapped, spliced, changed with a right checksum, and bytes that never were records. A
//! refused record changes nothing. After any accepted records the client goes on: ids in flight are unique, and with
//! honest brokers every restored request ends in one event. If it was given all records unchanged, it goes on with the
//! brokers of the first life, and no message is swallowed under an id that one of them still holds.

mod broker;
mod life;

use mqtt_core::{
    Options, Protocol, Reconnect, RestoreError, Slot,
    codec::{Decoded, Packet},
};
use test_kit::{
    record::{CHECKSUM, is_whole, resealed, sealed},
    script::HeapClient,
};

use crate::input::Input;
use life::Life;

/// Takes settings, the first life, settings, how the records are changed, and the second life.
pub fn journal(data: &[u8]) {
    let mut input = Input::new(data);
    let storage = Storage::read(&mut input);
    let Some(client) = storage.client() else { return };
    let len = usize::from(input.byte());
    let mut first = Life::new(client, storage.sessions());
    first.live(&mut Input::new(input.take(len)));
    let brokers_before = storage.brokers;
    let (records, brokers) = first.lose_power();

    let storage = Storage::read(&mut input);
    let Some(mut client) = storage.client() else { return };
    let count = input.byte() % 32;
    let mut taken = Vec::new();
    for _ in 0..count {
        for record in made_of(&records, &mut input) {
            if restore(&mut client, &record) {
                taken.push(record);
            }
        }
    }
    let mut second = Life::new(client, storage.sessions());
    if taken == records && storage.brokers == brokers_before {
        second.meet(brokers);
    }
    let snapshot = second.snapshot();
    storage.check(&snapshot, &taken, &second);
    second.expect(requests_in(&snapshot));
    second.live(&mut input);
    second.settle();
}

/// Options and sizes.
struct Storage {
    options: Options<'static>,
    outbox: usize,
    window: usize,
    /// How many endpoints there are, and whether they share their sessions.
    brokers: (u8, bool),
}

impl Storage {
    /// Takes three bytes.
    fn read(input: &mut Input<'_>) -> Self {
        let (flags, outbox, window) = (input.byte(), input.byte(), input.byte());
        let brokers = (1 + (window >> 3 & 3), window & 32 != 0);
        let options = Options::new("fuzz")
            .clean_session(flags & 1 != 0)
            .journal(true)
            .manual_acknowledge(flags & 2 != 0)
            .renew_subscriptions(flags & 4 == 0)
            .record_delay(u32::from(flags >> 6) * 500)
            .receive_capacity(16 + usize::from(flags >> 3 & 7) * 8)
            .cluster(brokers.1)
            .reconnect(Reconnect::after(1_000).endpoints(brokers.0));
        let (outbox, window) = (60 + usize::from(outbox) * 3, 1 + usize::from(window % 8));
        Self { options, outbox, window, brokers }
    }

    /// How many brokers keep a session of the client: the nodes of a cluster are one.
    fn sessions(&self) -> usize {
        let (endpoints, cluster) = self.brokers;
        if cluster { 1 } else { endpoints.into() }
    }

    fn client(&self) -> Option<HeapClient> {
        let (outbox, slots) = (vec![0xA5; self.outbox], vec![Slot::EMPTY; self.window]);
        HeapClient::new(&self.options, outbox, slots).ok()
    }

    /// Refused records have left no trace, and the client's own snapshot can be restored.
    fn check(&self, snapshot: &[u8], taken: &[Vec<u8>], client: &Life) {
        assert!(snapshot.len() <= self.outbox + 3 * self.window + 32, "{}", snapshot.len());
        let mut twin = self.client().expect("as before");
        for record in taken {
            assert_eq!(twin.restore(record), Ok(()));
        }
        let mut twin = Life::new(twin, self.sessions());
        assert_eq!(twin.snapshot(), snapshot, "a refused record has left something");
        twin.expect(requests_in(snapshot));
        twin.fill();
        twin.settle();
        let mut heir = self.client().expect("as before");
        assert_eq!(heir.restore(snapshot), Ok(()), "a snapshot of its own");
        assert_eq!(heir.in_flight(), client.client.in_flight());
        assert_eq!(heir.position(), client.client.position());
        assert!(heir.subscriptions().eq(client.client.subscriptions()));
    }
}

/// Whether the record was taken.
fn restore(client: &mut HeapClient, record: &[u8]) -> bool {
    let before = seen_from_outside(client);
    let outcome = client.restore(record);
    assert!(client.outbox_free() <= before.free.max(client.outbox_free()));
    let Err(error) = outcome else { return true };
    assert_eq!(seen_from_outside(client), before, "{error}");
    match error {
        RestoreError::Torn => assert!(!is_whole(record)),
        RestoreError::Version { found } => assert!(found != 1 && record.first() == Some(&found)),
        RestoreError::Malformed => assert!(is_whole(record)),
        RestoreError::OutboxTooSmall { needed, capacity }
        | RestoreError::TooManySubscriptions { needed, capacity } => assert!(needed > capacity),
        RestoreError::Window { needed, slots } => assert!(needed > slots),
        RestoreError::InUse | RestoreError::NoJournal | _ => panic!("no reason for {error}"),
    }
    false
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    in_flight: usize,
    free: usize,
    position: u64,
    protocol: Protocol,
    subscriptions: Vec<String>,
}

fn seen_from_outside(client: &HeapClient) -> Seen {
    Seen {
        in_flight: client.in_flight(),
        free: client.outbox_free(),
        position: client.position(),
        protocol: client.protocol(),
        subscriptions: client.subscriptions().map(|kept| format!("{kept:?}")).collect(),
    }
}

/// Records as the input says, whole or not.
fn made_of(records: &[Vec<u8>], input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let any = |input: &mut Input<'_>| {
        let nth = usize::from(input.byte()).checked_rem(records.len());
        nth.and_then(|nth| records.get(nth)).cloned().unwrap_or_default()
    };
    let made = match input.byte() % 8 {
        0 => return records.to_vec(),
        1 => any(input),
        2 => {
            let (record, len) = (any(input), usize::from(input.byte()));
            record.get(..len.min(record.len())).unwrap_or_default().to_vec()
        }
        3 => {
            let mut record = any(input);
            change(&mut record, input);
            return vec![record];
        }
        4 => {
            let mut record = any(input);
            change(&mut record, input);
            resealed(&record)
        }
        5 => {
            // The front of one record and the back of another.
            let (front, back) = (any(input), any(input));
            let (cut, from) = (usize::from(input.byte()), usize::from(input.byte()));
            let front = front.get(..cut.min(front.len())).unwrap_or_default();
            let back = back.get(from.min(back.len())..).unwrap_or_default();
            resealed(&[front, back].concat())
        }
        6 => {
            let len = usize::from(input.byte());
            sealed(&[&[1], input.take(len)].concat())
        }
        _ => {
            let len = usize::from(input.byte() % 64);
            input.take(len).to_vec()
        }
    };
    vec![made]
}

fn change(record: &mut [u8], input: &mut Input<'_>) {
    for _ in 0..=input.byte() % 4 {
        let at = usize::from(input.word()).checked_rem(record.len());
        if let Some(byte) = at.and_then(|at| record.get_mut(at)) {
            *byte = input.byte();
        }
    }
}

/// The ids of the requests in a snapshot: the released ids, and the ids of its PUBLISH packets.
fn requests_in(snapshot: &[u8]) -> Vec<u16> {
    let mut ids = Vec::new();
    let (header, body) = snapshot.split_at(10);
    let has = |flag: u8| header.get(1).is_some_and(|flags| flags & flag != 0);
    let ahead_of_the_notes = usize::from(has(32)) * 4 + usize::from(has(128)) * 9;
    let body = body.get(ahead_of_the_notes..).expect("reclaimed ids, and known brokers");
    let mut rest = body.get(..body.len() - CHECKSUM).expect("a checksum");
    while let Some((&[fate, high, low], behind)) = rest.split_first_chunk() {
        if fate == 0 {
            break;
        } else if fate == 2 {
            ids.push(u16::from_be_bytes([high, low]));
        }
        rest = behind;
    }
    rest = rest.get(1..).expect("an end of the notes");
    if has(2) {
        let (len, behind) = rest.split_first_chunk().expect("a length");
        rest = behind.get(u32::from_be_bytes(*len) as usize..).expect("subscriptions");
    }
    while !rest.is_empty() {
        match Packet::decode(rest, Protocol::V311) {
            Ok(Decoded::Packet { packet: Packet::Publish(publish), len }) => {
                ids.push(publish.id.expect("of QoS 1 or 2").get());
                rest = rest.get(len..).unwrap_or_default();
            }
            other => panic!("{other:?} in a snapshot"),
        }
    }
    ids
}
