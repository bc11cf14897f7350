//! The receiver's memory against plain lists.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::{Inbound, PacketId, QoS, Slot};

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

proptest! {
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

proptest! {
    #[test]
    fn the_table_does_not_depend_on_the_order_of_arrival(
        window in 1_usize..12,
        ids in prop::collection::btree_set(1_u16..40, 0..12),
        mut gone in prop::collection::vec(1_u16..40, 0..12),
    ) {
        let table = |ids: &mut dyn Iterator<Item = u16>| {
            let mut slots = vec![Slot::EMPTY; window];
            let mut inbound = Inbound::default();
            for number in ids.take(window) {
                inbound.remember(&mut slots, id(number));
            }
            (slots, inbound)
        };
        let stay: Vec<u16> = ids.iter().copied().take(window).collect();
        let (upwards, _) = table(&mut stay.iter().copied());
        prop_assert_eq!(&table(&mut stay.iter().rev().copied()).0, &upwards);
        // Others come and go in between.
        gone.retain(|number| !stay.contains(number));
        gone.sort_unstable();
        gone.dedup();
        gone.truncate(window - stay.len());
        let (mut slots, mut inbound) = table(&mut gone.iter().chain(&stay).copied());
        for number in gone {
            inbound.forget(&mut slots, id(number));
        }
        prop_assert_eq!(slots, upwards);
    }

    #[test]
    fn stale_ids_are_dropped_and_the_others_stay(
        window in 1_usize..12,
        old in prop::collection::btree_set(1_u16..40, 0..12),
        repeated in prop::collection::vec(1_u16..40, 0..12),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut inbound = Inbound::default();
        let old: Vec<u16> = old.into_iter().take(window).collect();
        for number in &old {
            inbound.remember(&mut slots, id(*number));
        }
        inbound.suspect_lost(&mut slots);
        for number in &repeated {
            let known = inbound.is_repeated(&mut slots, id(*number), true, false);
            prop_assert_eq!(known, old.contains(number));
        }
        let stale = old.iter().any(|number| !repeated.contains(number));
        prop_assert_eq!(inbound.drop_stale(&mut slots), stale);
        for number in 1..40 {
            let stays = old.contains(&number) && repeated.contains(&number);
            prop_assert_eq!(inbound.has_seen(&slots, id(number)), stays, "{}", number);
        }
        prop_assert!(!inbound.drop_stale(&mut slots));
    }
}

/// [MQTT-4.6.0-2]
#[test]
fn acknowledgements_leave_the_ring_in_order_of_arrival() {
    let mut slots = vec![Slot::EMPTY; 2];
    let mut inbound = Inbound::default();
    for round in 0..20 {
        let (a, b) = (id(round + 1), id(round + 2));
        let first = inbound.owe(&mut slots, a, QoS::AtLeastOnce);
        let second = inbound.owe(&mut slots, b, QoS::AtLeastOnce);
        assert!(!inbound.can_owe(&slots));
        assert!(inbound.acknowledge(&mut slots, second).is_some());
        assert_eq!(inbound.oldest_acknowledged(&slots), None);
        assert!(inbound.acknowledge(&mut slots, first).is_some());
        for expected in [a, b] {
            assert_eq!(inbound.oldest_acknowledged(&slots), Some((expected, QoS::AtLeastOnce)));
            inbound.remove_oldest(&mut slots);
        }
        assert!(inbound.acknowledge(&mut slots, second).is_none());
    }
}

proptest! {
    /// The table is one set for each broker, and all of them together have as many places as there are slots.
    #[test]
    fn ids_belong_to_the_broker_that_sent_them(
        window in 1_usize..9,
        steps in prop::collection::vec((0_u8..3, 0_u8..4, 1_u16..12), 0..200),
    ) {
        let mut slots = vec![Slot::EMPTY; window];
        let mut inbound = Inbound::default();
        let mut here = 0;
        let mut model: Vec<(u8, u16)> = Vec::new();
        for (broker, step, number) in steps {
            match step {
                0 => {
                    inbound.move_to(&mut slots, broker);
                    here = broker;
                }
                1 => {
                    inbound.forget(&mut slots, id(number));
                    model.retain(|known| *known != (here, number));
                }
                2 if number == 1 => {
                    inbound.clear(&mut slots);
                    model.retain(|known| known.0 != here);
                }
                2 if number == 2 => match inbound.forget_absent(&mut slots) {
                    Some(broker) => {
                        prop_assert!(broker != here && model.iter().any(|known| known.0 == broker));
                        model.retain(|known| known.0 != broker);
                    }
                    None => prop_assert!(model.iter().all(|known| known.0 == here)),
                },
                _ if !model.contains(&(here, number)) && inbound.has_room(&slots) => {
                    inbound.remember(&mut slots, id(number));
                    model.push((here, number));
                }
                _ => {}
            }
            prop_assert_eq!(inbound.seen(), model.len());
            let at_home = model.iter().filter(|known| known.0 == here).count();
            prop_assert_eq!(inbound.seen_here(), at_home);
            for number in 1..12 {
                for broker in 0..3 {
                    let known = model.contains(&(broker, number));
                    prop_assert_eq!(inbound.has_seen_of(&slots, id(number), broker), known);
                }
            }
        }
    }
}
