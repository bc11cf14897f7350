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
