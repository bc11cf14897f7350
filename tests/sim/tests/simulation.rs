//! The simulation keeps its own promises: the same seed gives the same run, faults occur, and a world without faults
//! delivers everything.

use simulation::{
    Campaign, Failure, Fault, Invariant, Quirk, Violation, chart, run, run_without_faults,
};

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_runs() {
    let hashes: std::collections::BTreeSet<u64> = (0..20).map(|seed| run(seed).hash).collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let of = |threads| Campaign { from: 100, seeds: 40, threads, stop_at_first: false }.run();
    let (one, three) = (of(1), of(3));
    assert_eq!(one, three);
    assert_eq!(one.0.seeds, 40);
}

#[test]
fn every_kind_of_fault_occurs_in_200_seeds() {
    let (totals, _) = Campaign { from: 0, seeds: 200, threads: 2, stop_at_first: false }.run();
    for fault in Fault::ALL {
        assert_ne!(totals.count(fault), 0, "{}", fault.words());
    }
}

#[test]
fn every_quirk_shows_in_500_seeds() {
    let (totals, _) = Campaign { from: 0, seeds: 500, threads: 2, stop_at_first: false }.run();
    for quirk in Quirk::ALL {
        assert_ne!(totals.shown(quirk).seeds, 0, "{}", quirk.words());
    }
}

#[test]
fn changes_of_broker_and_fleets_occur_in_200_seeds() {
    let (totals, _) = Campaign { from: 0, seeds: 200, threads: 2, stop_at_first: false }.run();
    assert!(totals.moves > 40 && totals.fleets != 0, "{} {}", totals.moves, totals.fleets);
}

#[test]
fn without_faults_everything_is_delivered_and_nothing_is_lost() {
    let mut received = [0; 3];
    for seed in 0..50 {
        let outcome = run_without_faults(seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let totals = outcome.totals;
        assert_eq!((totals.faults(), totals.lost), (0, 0), "seed {seed}");
        for (sum, more) in received.iter_mut().zip(totals.received) {
            *sum += more;
        }
    }
    assert!(received.into_iter().all(|count| count > 100), "{received:?}");
}

#[test]
fn a_failure_says_how_to_replay_it() {
    let violation = Violation {
        invariant: Invariant::Order,
        device: 1,
        at: 2_500,
        words: "one after the other".to_owned(),
    };
    let failure = Failure { seed: 77, violation, quirks: Vec::new() };
    assert_eq!(failure.replay(), "cargo xtask sim --seeds 1 --from 77");
    let words = failure.violation.to_string();
    assert!(words.contains(Invariant::Order.words()) && words.contains("2.500 s"), "{words}");
}

#[test]
fn a_run_can_be_drawn() {
    let text = chart(5, 100);
    assert!(text.starts_with("sequenceDiagram\n") && text.contains("--from 5\n"), "{text}");
    assert!(text.contains("participant B as broker") && text.lines().count() > 20, "{text}");
}
