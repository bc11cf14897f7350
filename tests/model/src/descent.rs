//! Shows that every way ends, by a second exploration of the same states, depth first.
//!
//! `stateright` can check that something happens *eventually*, but it takes a path that closes a circle for a path that
//! has not ended, and finds no fault with it. This descent looks for a circle: a state that is met again while it is on
//! the current way. If there is no circle, every way is finite. If also all is done in every state that has no way on
//! without a disturbance, then everything is delivered in the end, in whatever order application, driver, link and
//! broker take their turns. No fairness is assumed. Each fault happens a limited number of times, so circles consist
//! only of progress.
//!
//! The length of the longest way bounds the work between two disturbances: no livelock, no busy loop.
//!
//! This exploration uses another hash than `stateright`. Both find the same number of states, which is evidence that
//! neither took two states for one.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, Hash},
    sync::atomic::{AtomicBool, Ordering},
};

use foldhash::quality::FixedState;
use stateright::Model;

/// A model that separates progress from disturbances.
pub(crate) trait Paths: Model {
    /// The actions of progress in `state`, and the disturbances.
    fn split(
        &self,
        state: &Self::State,
        progress: &mut Vec<Self::Action>,
        disturbances: &mut Vec<Self::Action>,
    );
}

/// The result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Descent<A> {
    /// Every way ends.
    Ends {
        /// The number of states.
        states: usize,
        /// Actions of the longest way.
        longest: u16,
        /// Actions of the longest way without a disturbance, from any state.
        calm: u16,
    },
    /// The last action leads back to a state on this way.
    Circle(Vec<A>),
    /// It was stopped.
    Stopped,
}

/// The most actions that can follow: with disturbances, and without.
#[derive(Clone, Copy, Default)]
struct Reach {
    longest: u16,
    calm: u16,
}

/// A state on the current way.
struct Step<M: Model> {
    state: M::State,
    key: u64,
    /// Actions still to be tried, from the end: first progress, then this many disturbances.
    left: Vec<M::Action>,
    disturbances: usize,
    /// The action that is being tried.
    trying: Option<M::Action>,
    reach: Reach,
}

impl<M: Paths> Step<M> {
    fn new(model: &M, state: M::State, key: u64) -> Self {
        let (mut left, mut progress) = (Vec::new(), Vec::new());
        model.split(&state, &mut progress, &mut left);
        let disturbances = left.len();
        left.append(&mut progress);
        Self { state, key, left, disturbances, trying: None, reach: Reach::default() }
    }

    /// The action that is being tried leads to a state from which the ways in `reach` begin.
    fn leads_to(&mut self, reach: Reach) {
        self.reach.longest = self.reach.longest.max(reach.longest.saturating_add(1));
        let is_progress = self.left.len() >= self.disturbances;
        if is_progress {
            self.reach.calm = self.reach.calm.max(reach.calm.saturating_add(1));
        }
    }
}

/// Goes every way in `model`.
pub(crate) fn descend<M>(model: &M, stop: &AtomicBool) -> Descent<M::Action>
where
    M: Paths,
    M::State: Hash,
    M::Action: Clone,
{
    // `None`: on the current way.
    let mut known: HashMap<u64, Option<Reach>, FixedState> = HashMap::default();
    let mut end = Reach::default();
    for state in model.init_states() {
        let key = key(&state);
        if known.insert(key, None).is_some() {
            continue;
        }
        let mut way = vec![Step::new(model, state, key)];
        while let Some(step) = way.last_mut() {
            if stop.load(Ordering::Relaxed) {
                return Descent::Stopped;
            }
            let Some(action) = step.left.pop() else {
                let (key, reach) = (step.key, step.reach);
                known.insert(key, Some(reach));
                way.pop();
                match way.last_mut() {
                    Some(before) => before.leads_to(reach),
                    None => end.longest = end.longest.max(reach.longest),
                }
                continue;
            };
            step.trying = Some(action.clone());
            let Some(next) = model.next_state(&step.state, action) else { continue };
            let key = self::key(&next);
            match known.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(None);
                    way.push(Step::new(model, next, key));
                }
                Entry::Occupied(entry) => match entry.get() {
                    Some(reach) => step.leads_to(*reach),
                    None => {
                        return Descent::Circle(
                            way.into_iter().filter_map(|step| step.trying).collect(),
                        );
                    }
                },
            }
        }
    }
    let calm = known.values().flatten().map(|reach| reach.calm).max().unwrap_or_default();
    Descent::Ends { states: known.len(), longest: end.longest, calm }
}

fn key(state: &impl Hash) -> u64 {
    FixedState::default().hash_one(state)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use stateright::Model;

    use super::{Descent, Paths, descend};

    /// From each state to others. Steps to odd numbers are disturbances.
    struct Graph(&'static [&'static [usize]]);

    impl Model for Graph {
        type State = usize;
        type Action = usize;

        fn init_states(&self) -> Vec<usize> {
            vec![0]
        }

        fn actions(&self, state: &usize, actions: &mut Vec<usize>) {
            actions.extend(self.0.get(*state).copied().unwrap_or_default());
        }

        fn next_state(&self, _: &usize, action: usize) -> Option<usize> {
            Some(action)
        }
    }

    impl Paths for Graph {
        fn split(&self, state: &usize, progress: &mut Vec<usize>, disturbances: &mut Vec<usize>) {
            self.actions(state, progress);
            disturbances.extend(progress.iter().filter(|next| **next % 2 == 1));
            progress.retain(|next| next % 2 == 0);
        }
    }

    fn go(graph: &'static [&'static [usize]]) -> Descent<usize> {
        descend(&Graph(graph), &AtomicBool::new(false))
    }

    #[test]
    fn the_longest_way_is_found_even_if_a_shorter_one_came_first() {
        let graph: &[&[usize]] = &[&[4, 2], &[], &[4], &[], &[6], &[], &[]];
        assert_eq!(go(graph), Descent::Ends { states: 4, longest: 3, calm: 3 });
    }

    #[test]
    fn a_disturbance_ends_a_calm_way() {
        let graph: &[&[usize]] = &[&[1], &[2], &[4], &[], &[3]];
        assert_eq!(go(graph), Descent::Ends { states: 5, longest: 4, calm: 2 });
    }

    #[test]
    fn a_circle_is_found_with_the_way_to_it() {
        let graph: &[&[usize]] = &[&[2], &[], &[4], &[], &[2]];
        assert_eq!(go(graph), Descent::Circle(vec![2, 4, 2]));
        assert_eq!(go(&[&[0]]), Descent::Circle(vec![0]));
    }

    #[test]
    fn two_ways_that_meet_are_not_a_circle() {
        let graph: &[&[usize]] = &[&[2, 4], &[], &[6], &[], &[6], &[], &[]];
        assert_eq!(go(graph), Descent::Ends { states: 4, longest: 2, calm: 2 });
    }

    #[test]
    fn it_stops_when_told_to() {
        assert_eq!(descend(&Graph(&[&[0]]), &AtomicBool::new(true)), Descent::Stopped);
    }
}
