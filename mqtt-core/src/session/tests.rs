//! Ids and handles against plain sets.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, vec, vec::Vec};

use proptest::prelude::*;

use super::{Inbound, LAST_ID, Requests, Slot, qos::Awaits};
use crate::codec::{PacketId, QoS};

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

proptest! {
    /// [MQTT-2.3.1-2]: over any order of beginnings and ends, the ids in flight differ and each finds its request.
    #[test]
    fn requests_are_found_by_their_ids(
        window in 1_usize..9,
        steps in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut requests = Requests::new(&mut slots);
        let mut model = BTreeMap::new();
        for (place, step) in (0..).zip(steps) {
            let next = requests.next_id(&slots);
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

    /// The table of QoS 2 ids is a set, however its ids collide.
    #[test]
    fn ids_are_seen_from_publish_to_pubrel(
        window in 1_usize..9,
        steps in prop::collection::vec((any::<bool>(), 1_u16..20), 0..200),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut inbound = Inbound::default();
        let mut model = Vec::new();
        for (arrives, number) in steps {
            if !arrives {
                inbound.forget(&mut slots, id(number));
                model.retain(|known| *known != number);
            } else if !model.contains(&number) && inbound.has_room(&slots) {
                inbound.remember(&mut slots, id(number));
                model.push(number);
            }
            prop_assert_eq!(inbound.has_room(&slots), model.len() < window);
            for number in 1..20 {
                prop_assert_eq!(inbound.has_seen(&slots, id(number)), model.contains(&number));
            }
        }
    }
}

#[test]
fn ids_start_again_below_those_of_renewals() {
    let mut slots = vec![Slot::EMPTY; 3];
    let mut requests = Requests::new(&mut slots);
    let mut highest = 0;
    for _ in 0..70_000 {
        let new = requests.next_id(&slots).unwrap();
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
    let mut requests = Requests::new(&mut slots);
    for expected in 1..100 {
        let new = requests.next_id(&slots).unwrap();
        assert_eq!(new.get(), expected);
        let _ = requests.begin(&mut slots, new, Awaits::PubAck, 0);
        let found = requests.find(&slots, new).unwrap();
        requests.end(&mut slots, found.index);
    }
}

/// [MQTT-4.6.0-2]
#[test]
fn what_is_owed_settles_in_order_of_arrival() {
    let mut slots = vec![Slot::EMPTY; 2];
    let mut inbound = Inbound::default();
    for round in 0..20 {
        let (a, b) = (id(round + 1), id(round + 2));
        let first = inbound.owe(&mut slots, a, QoS::AtLeastOnce);
        let second = inbound.owe(&mut slots, b, QoS::AtLeastOnce);
        assert!(!inbound.can_owe(&slots));
        assert!(inbound.take(&mut slots, second).is_some());
        assert_eq!(inbound.settled(&slots), None);
        assert!(inbound.take(&mut slots, first).is_some());
        for expected in [a, b] {
            assert_eq!(inbound.settled(&slots), Some((expected, QoS::AtLeastOnce)));
            inbound.settle(&mut slots);
        }
        assert!(inbound.take(&mut slots, second).is_none());
    }
}
