//! Clients that share a framer, beside a model of each.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{vec, vec::Vec};

use proptest::{collection, prelude::*};

use super::{Framer, Rest};

const CLIENTS: usize = 3;

/// A turn of one client: it reads so many bytes, then consumes so many.
#[derive(Clone, Copy, Debug)]
struct Turn {
    client: usize,
    reads: usize,
    consumes: usize,
}

fn turn() -> impl Strategy<Value = Turn> {
    (0..CLIENTS, 0..12_usize, 0..12_usize).prop_map(|(client, reads, consumes)| Turn {
        client,
        reads,
        consumes,
    })
}

proptest! {
    #[test]
    fn each_client_has_its_own_bytes_in_order(
        capacity in 1..20_usize,
        turns in collection::vec(turn(), 0..60),
    ) {
        let mut shared = Framer::new(vec![0; capacity]);
        let mut rests = [const { Rest::new() }; CLIENTS];
        let mut models: [Vec<u8>; CLIENTS] = Default::default();
        let mut next = 0_u8;
        for Turn { client, reads, consumes } in turns {
            let model = &mut models[client];
            rests[client].with(&mut shared, |framer| {
                prop_assert_eq!(framer.input(), &model[..]);
                let space = framer.space();
                let count = reads.min(space.len());
                for byte in &mut space[..count] {
                    *byte = next;
                    model.push(next);
                    next = next.wrapping_add(1);
                }
                framer.filled(count);
                framer.consume(consumes);
                model.drain(..consumes.min(model.len()));
                prop_assert_eq!(framer.input(), &model[..]);
                Ok(())
            })?;
            prop_assert_eq!(rests[client].len(), model.len());
            prop_assert_eq!(rests[client].is_empty(), model.is_empty());
            prop_assert!(shared.input().is_empty(), "nothing is left for the next client");
        }
    }
}

#[test]
fn bytes_of_a_connection_that_has_ended_are_dropped() {
    let mut shared = Framer::new([0; 8]);
    let mut rest = Rest::new();
    rest.with(&mut shared, |framer| framer.filled(5));
    assert_eq!(rest.len(), 5);
    rest.clear();
    assert!(rest.with(&mut shared, |framer| framer.input().is_empty()));
}

#[test]
fn input_that_someone_left_in_the_framer_is_not_taken_for_that_of_the_client() {
    let mut shared = Framer::new([0; 8]);
    shared.filled(3);
    let mut rest = Rest::new();
    assert!(rest.with(&mut shared, |framer| framer.input().is_empty()));
}

#[test]
fn a_smaller_framer_loses_what_does_not_fit_and_causes_no_panic() {
    let mut rest = Rest::new();
    rest.with(&mut Framer::new([7; 8]), |framer| framer.filled(8));
    rest.with(&mut Framer::new([0; 4]), |framer| assert_eq!(framer.input(), [7; 4]));
    assert_eq!(rest.len(), 4);
}

#[test]
fn its_debug_text_has_no_bytes() {
    let mut rest = Rest::new();
    rest.with(&mut Framer::new(*b"secret"), |framer| framer.filled(6));
    assert_eq!(std::format!("{rest:?}"), "Rest(6 bytes)");
}
