//! Delays and the order of the endpoints.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{vec, vec::Vec};

use super::Reconnect;

#[test]
fn delays_double_up_to_the_cap() {
    let policy = Reconnect::after(100).at_most(1_000);
    for (failures, full) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1_000), (31, 1_000)] {
        let delay = policy.delay(failures).unwrap_or(0);
        assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
    }
    assert!(policy.delay(u32::MAX).is_some_and(|delay| delay <= 1_000));
}

#[test]
fn delays_that_begin_with_none_grow_from_a_second_on() {
    let policy = Reconnect::after(0).at_most(5_000);
    for (failures, full) in [(0, 0), (1, 1_000), (2, 2_000), (3, 4_000), (4, 5_000), (99, 5_000)] {
        let delay = policy.delay(failures).unwrap_or(9_999);
        assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
    }
    assert!(Reconnect::after(0).at_most(10).delay(7).is_some_and(|delay| delay <= 10));
}

#[test]
fn delays_double_after_each_round_over_the_brokers() {
    let policy = Reconnect::after(100).at_most(1_000).endpoints(3);
    let full = [100, 100, 100, 200, 100, 100, 400, 100, 100, 800, 100, 100, 1_000, 100, 100];
    for (failures, full) in (0..).zip(full) {
        let delay = policy.delay(failures).unwrap_or(0);
        assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
    }
    let at_once = Reconnect::after(0).endpoints(2);
    let delays = [0, 1, 3, 5].map(|failures| at_once.delay(failures));
    assert_eq!(delays, [Some(0); 4]);
    assert!(at_once.delay(4).is_some_and(|delay| (1_000..=2_000).contains(&delay)));
}

#[test]
fn after_refusals_the_delay_is_at_least_the_one_set_and_saturates() {
    let policy = Reconnect::after(100).at_most(1_000).refused_after(10_000);
    for failures in [0, 1, 9, u32::MAX] {
        let delay = policy.pause(failures, true);
        assert!((10_000..=15_000).contains(&delay), "{delay}");
    }
    assert_eq!(policy.refused_after(u32::MAX).pause(0, true), u32::MAX);
    assert!(policy.refused_after(0).pause(9, true) >= 500);
}

#[test]
fn two_seeds_give_two_delays() {
    let delay = |seed| Reconnect::after(60_000).seed(seed).delay(0);
    assert_ne!(delay(1), delay(2));
    assert_eq!(delay(1), delay(1));
}

#[test]
fn endpoints_take_turns() {
    let policy = Reconnect::after(1).endpoints(3);
    let turns = [0, 1, 2, 3, 4].map(|attempt| policy.endpoint(attempt));
    assert_eq!(turns, [0, 1, 2, 0, 1]);
    assert_eq!(Reconnect::after(1).endpoints(0).endpoint(9), 0);
    assert_eq!(Reconnect::after(1).endpoints(0).shuffle_endpoints(true).endpoint(9), 0);
}

#[test]
fn a_shuffled_round_asks_each_endpoint_once_and_each_round_has_the_same_order() {
    for count in [1, 2, 3, 4, 16, 254, 255] {
        let policy = Reconnect::after(1).endpoints(count).shuffle_endpoints(true);
        for seed in [0, 1, 2, 0x8000_0000, u32::MAX] {
            let policy = policy.seed(seed);
            let mut asked = [0; 255];
            for turn in 0..u32::from(count) {
                let endpoint = policy.endpoint(turn);
                assert!(endpoint < count);
                assert_eq!(endpoint, policy.endpoint(turn + 7 * u32::from(count)));
                asked[usize::from(endpoint)] += 1;
            }
            assert!(asked[..usize::from(count)].iter().all(|times| *times == 1), "{seed}");
        }
    }
}

/// How many of `clients` have each endpoint as the first one that is up.
fn load(clients: &[Reconnect], count: u8, down: &[u8]) -> Vec<u32> {
    let mut load = vec![0; usize::from(count)];
    for client in clients {
        let order = (0..u32::from(count)).map(|turn| client.endpoint(turn));
        let first = order.into_iter().find(|endpoint| !down.contains(endpoint));
        load[usize::from(first.unwrap_or(0))] += 1;
    }
    load
}

#[test]
fn a_shuffled_fleet_is_even_and_the_load_of_dead_nodes_goes_to_all_others() {
    // Serial numbers, and numbers without a pattern.
    for step in [1, 0x9E37_79B1_u32] {
        for count in [2, 3, 4, 5, 6, 10] {
            let seeds = (0..3_000_u32).map(|number| number.wrapping_mul(step));
            let policy = Reconnect::after(1).endpoints(count).shuffle_endpoints(true);
            let clients: Vec<_> = seeds.map(|seed| policy.seed(seed)).collect();
            let even = |load: &[u32], down: &[u8], total: u32| {
                let up = u32::from(count) - down.len() as u32;
                for (endpoint, clients) in (0..).zip(load) {
                    let share = if down.contains(&endpoint) { 0 } else { total / up };
                    // Five standard deviations.
                    let bound = 5.0 * f64::from(share).sqrt();
                    let off = f64::from(clients.abs_diff(share));
                    assert!(off <= bound, "{count}, {down:?} down: {load:?}");
                }
            };
            let before = load(&clients, count, &[]);
            even(&before, &[], 3_000);
            for dead in 0..count {
                let after = load(&clients, count, &[dead]);
                let moved: Vec<_> =
                    after.iter().zip(&before).map(|(a, b)| a.saturating_sub(*b)).collect();
                even(&moved, &[dead], before[usize::from(dead)]);
                let next = (dead + 1) % count;
                if next != dead && count > 2 {
                    even(&load(&clients, count, &[dead, next]), &[dead, next], 3_000);
                }
            }
        }
    }
}

#[test]
fn first_delays_fill_their_time_evenly_and_are_none_by_default() {
    assert_eq!(Reconnect::after(1).seed(9).first_delay(), 0);
    let mut tenths = [0; 10];
    for seed in 0..3_000 {
        let delay = Reconnect::after(1).first_within(9_999).seed(seed).first_delay();
        tenths[delay as usize / 1_000] += 1;
    }
    assert!(tenths.iter().all(|count| (240..=360).contains(count)), "{tenths:?}");
}

#[test]
fn a_default_seed_is_used_only_if_there_is_no_other() {
    let policy = Reconnect::after(60_000);
    assert_eq!(policy.default_seed(5).delay(0), policy.seed(5).delay(0));
    assert_eq!(policy.seed(0).default_seed(5), policy.seed(0));
}
