//! Explores a world to its end and reports the result.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    config::Config,
    descent::{Descent, descend},
    model::World,
    world::Action,
};

/// The result of the exploration of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Different states.
    pub states: usize,
    /// Steps from one state to another.
    pub steps: usize,
    /// How long it took.
    pub time: Duration,
    /// How it ended.
    pub end: End,
}

/// How an exploration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every state was visited, and every rule holds in each.
    Complete {
        /// Actions on the longest way.
        longest: u16,
        /// Actions on the longest way without a fault.
        calm: u16,
    },
    /// A rule is broken.
    Violated(Violation),
    /// Not every state was visited, so the checker has a bug.
    Incomplete(String),
}

/// A broken rule and a shortest way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property, or "no livelock".
    pub property: &'static str,
    /// One line for each action, and one for the broken rule.
    pub way: Vec<String>,
}

/// Explores a world to its end, or to the first broken rule, on two threads.
#[must_use]
pub fn check(config: &Config) -> Outcome {
    let started = Instant::now();
    let world = World(*config);
    let stop = Arc::new(AtomicBool::new(false));
    let descent = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || descend(&world, &stop))
    };
    // On one thread, so that it always takes the same way. The other thread runs the descent.
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    let found = shortest(&checker).map(|found| shorten(world, found));
    stop.store(found.is_some(), Ordering::Relaxed);
    let descent = match descent.join() {
        Ok(descent) => descent,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let violated = |property, actions: &[Action]| {
        End::Violated(Violation { property, way: world.tell(actions) })
    };
    let end = match (found, descent) {
        (Some((property, actions)), _) => violated(property, &actions),
        (None, Descent::Circle(actions)) => violated("no livelock", &actions),
        (None, Descent::Ends { states: met, longest, calm }) if met == states => {
            if checker.is_done() && states > 0 {
                End::Complete { longest, calm }
            } else {
                End::Incomplete("the checker has not visited every state".to_owned())
            }
        }
        (None, Descent::Ends { states: met, .. }) => {
            End::Incomplete(format!("{met} states depth first, {states} breadth first"))
        }
        (None, Descent::Stopped) => End::Incomplete("it was stopped".to_owned()),
    };
    Outcome { states, steps, time: started.elapsed(), end }
}

type Found = (&'static str, Vec<Action>);

/// The shortest way to a broken rule that `checker` has found.
fn shortest(checker: &impl Checker<World>) -> Option<Found> {
    let found = checker.discoveries().into_iter();
    found
        .map(|(property, path)| (property, path.into_actions()))
        .min_by_key(|(property, actions)| (actions.len(), *property))
}

/// A shortest way to any broken rule. `stateright` stops only after every 1,500 states, and reports the last broken
/// rule that it met by then.
fn shorten(world: World, mut found: Found) -> Found {
    loop {
        // The depth counts states with the first one, and stays below the limit.
        let limit = found.1.len() + 1;
        let builder = world.checker().finish_when(HasDiscoveries::AnyFailures);
        let checker = builder.target_max_depth(limit).spawn_bfs().join();
        match shortest(&checker) {
            Some(shorter) if shorter.1.len() < found.1.len() => found = shorter,
            Some(_) | None => return found,
        }
    }
}
