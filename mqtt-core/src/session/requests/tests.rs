//! Packet ids and handles against a plain map.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, vec, vec::Vec};

use proptest::prelude::*;

use super::{Awaits, LAST_ID, PacketId, Requests, Slot};

proptest! {
    /// [MQTT-2.3.1-2]: over any order of beginnings and ends, the ids in flight differ and each finds its request.
    #[test]
    fn requests_are_found_by_their_ids(
        window in 1_usize..9,
        steps in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut requests = Requests::new(&mut slots, 0);
        let mut model = BTreeMap::new();
        for (place, step) in (0..).zip(steps) {
            let next = requests.next_id(&slots, Awaits::PubAck);
            prop_assert_eq!(next.is_none(), model.len() == window);
            match next {
                Some(new) if step.index(2) == 0 => {
                    let handle = requests.begin(&mut slots, new, Awaits::PubAck, place);
                    prop_assert!(model.insert(new, (place, handle)).is_none(), "{:?} twice", new);
                }
                _ if model.is_empty() => {}
                _ => {
                    let ended = *model.keys().nth(step.index(model.len())).unwrap();
                    model.remove(&ended);
                    let found = requests.find(&slots, ended).unwrap();
                    requests.end(&mut slots, found.index);
                    prop_assert!(requests.find(&slots, ended).is_none());
                }
            }
            prop_assert_eq!(requests.in_flight(), model.len());
            for (id, (place, handle)) in &model {
                let found = requests.find(&slots, *id).unwrap();
                prop_assert_eq!((found.place, found.handle), (*place, *handle));
            }
        }
    }
}

proptest! {
    /// A session moves to another window: ids whose slot is taken lie behind it.
    #[test]
    fn restored_requests_are_found_by_their_ids(
        window in 1_usize..9,
        ids in prop::collection::btree_set(1_u16..40, 0..9),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut requests = Requests::new(&mut slots, 0);
        let mut model: Vec<u16> = ids.into_iter().take(window).collect();
        for id in &model {
            let place = u32::from(*id);
            requests.restore(&mut slots, PacketId::new(*id).unwrap(), Awaits::PubAck, place);
        }
        requests.rebuild(&mut slots);
        for end in ends {
            for id in (1..40).map(|id| PacketId::new(id).unwrap()) {
                let found = requests.find(&slots, id).map(|found| found.place);
                let expected = model.contains(&id.get()).then_some(u32::from(id.get()));
                prop_assert_eq!(found, expected, "{:?}", id);
            }
            prop_assert_eq!(requests.in_flight(), model.len());
            if end.index(2) == 0 && !model.is_empty() {
                let id = model.remove(end.index(model.len()));
                let found = requests.find(&slots, PacketId::new(id).unwrap()).unwrap();
                requests.end(&mut slots, found.index);
            } else if let Some(new) = requests.next_id(&slots, Awaits::PubAck) {
                let place = u32::from(new.get());
                let _ = requests.begin(&mut slots, new, Awaits::PubAck, place);
                model.push(new.get());
            }
        }
    }
}

#[test]
fn ids_start_again_below_the_id_of_renewals() {
    let mut slots = vec![Slot::EMPTY; 3];
    let mut requests = Requests::new(&mut slots, 0);
    let mut highest = 0;
    for _ in 0..70_000 {
        let new = requests.next_id(&slots, Awaits::PubAck).unwrap();
        highest = highest.max(new.get());
        let _ = requests.begin(&mut slots, new, Awaits::PubAck, 0);
        let found = requests.find(&slots, new).unwrap();
        requests.end(&mut slots, found.index);
    }
    assert!(highest <= LAST_ID && highest > LAST_ID - 3, "{highest}");
}

#[test]
fn ids_of_an_orderly_exchange_count_up() {
    let mut slots = vec![Slot::EMPTY; 4];
    let mut requests = Requests::new(&mut slots, 0);
    for expected in 1..100 {
        let new = requests.next_id(&slots, Awaits::PubAck).unwrap();
        assert_eq!(new.get(), expected);
        let _ = requests.begin(&mut slots, new, Awaits::PubAck, 0);
        let found = requests.find(&slots, new).unwrap();
        requests.end(&mut slots, found.index);
    }
}
