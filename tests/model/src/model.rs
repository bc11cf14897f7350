//! A world as a model of `stateright`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::{Model, Property};

use crate::{
    config::Config,
    descent::Paths,
    rules::{Broken, Rule},
    trace::Trace,
    world::{Action, State},
};

/// One world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World(pub(crate) Config);

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut disturbances = Vec::new();
        self.split(state, actions, &mut disturbances);
        actions.append(&mut disturbances);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.carry_out(&mut next, action, &mut Trace::Off).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(state: &State, rule: Rule) -> bool {
            state.broken.is_none_or(|broken| broken.rule != rule)
        }
        vec![
            Property::always(Rule::ExactlyOnce.name(), |_, state| keeps(state, Rule::ExactlyOnce)),
            Property::always(Rule::AtLeastOnce.name(), |world: &Self, state: &State| {
                keeps(state, Rule::AtLeastOnce) && !world.is_stuck(state)
            }),
            Property::always(Rule::Order.name(), |_, state| keeps(state, Rule::Order)),
            Property::always(Rule::PacketIds.name(), |_, state| keeps(state, Rule::PacketIds)),
            Property::always(Rule::OneEvent.name(), |_, state| keeps(state, Rule::OneEvent)),
            Property::always(Rule::Protocol.name(), |_, state| keeps(state, Rule::Protocol)),
            Property::always(Rule::SessionStatus.name(), |_, state| {
                keeps(state, Rule::SessionStatus)
            }),
            Property::always(Rule::Progress.name(), |_, state| keeps(state, Rule::Progress)),
            Property::always(Rule::NoPanic.name(), |_, state| keeps(state, Rule::NoPanic)),
        ]
    }
}

impl Paths for World {
    fn split(&self, state: &State, progress: &mut Vec<Action>, disturbances: &mut Vec<Action>) {
        // Nothing behind a broken rule is meaningful.
        if state.broken.is_none() {
            state.progress(&self.0, progress);
            state.disturbances(&self.0, disturbances);
        }
    }
}

impl World {
    /// Carries `action` out. Returns false if it turns out to be impossible now.
    fn carry_out(&self, state: &mut State, action: Action, trace: &mut Trace) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| state.carry_out(&self.0, action, trace)));
        done.unwrap_or_else(|_| {
            // Of this state only the broken rule is used from now on.
            state.broken = Some(Broken::new(Rule::NoPanic, "a call panics"));
            true
        })
    }

    /// Whether nothing more happens by itself, although not everything is done.
    pub(crate) fn is_stuck(&self, state: &State) -> bool {
        if state.broken.is_some() || state.is_finished(&self.0) {
            return false;
        }
        let mut actions = Vec::new();
        state.progress(&self.0, &mut actions);
        // All other actions can certainly be carried out.
        let may_fail = |action: &Action| {
            matches!(
                action,
                Action::Publish | Action::Subscribe | Action::Acknowledge(_) | Action::Deliver(_)
            )
        };
        actions.iter().all(may_fail)
            && actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }

    /// The way that `actions` take from the beginning: a line for each, with its packets and events.
    pub(crate) fn tell(&self, actions: &[Action]) -> Vec<String> {
        let mut state = State::new(&self.0);
        let mut lines = Vec::new();
        for (number, action) in (1..).zip(actions) {
            let mut trace = Trace::Lines(Vec::new());
            self.carry_out(&mut state, *action, &mut trace);
            lines.push(format!("{number:3}. {}", trace.line(*action)));
        }
        let end = match state.broken {
            Some(broken) => format!("broken: {}: {}", broken.rule.name(), broken.how),
            None if self.is_stuck(&state) => "stuck: nothing more happens of itself".to_owned(),
            None => return lines,
        };
        lines.push(format!("     {end}"));
        lines
    }
}

#[cfg(test)]
mod tests;
