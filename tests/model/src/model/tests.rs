//! Each property fails for its own rule, and the smallest world is explored to its end.

use mqtt_core::QoS;
use stateright::Model as _;

use super::World;
use crate::{
    check::{End, check},
    config::{ALL, Config},
    rules::{Broken, Rule},
    trace::Trace,
    world::{Action, State},
};

fn smallest() -> Config {
    *ALL.iter().find(|config| config.name == "smallest").expect("it is there")
}

/// The names of the properties that do not hold in `state`.
fn violated(world: &World, state: &State) -> Vec<&'static str> {
    let failing = world.properties().into_iter();
    failing
        .filter(|property| !(property.condition)(world, state))
        .map(|property| property.name)
        .collect()
}

/// The last state of a world without faults.
fn finished(world: &World) -> State {
    let mut state = State::new(&world.0);
    let mut actions = Vec::new();
    loop {
        state.progress(&world.0, &mut actions);
        let done = |action| state.carry_out(&world.0, action, &mut Trace::Off);
        if !actions.drain(..).any(done) {
            return state;
        }
    }
}

#[test]
fn the_smallest_world_is_explored_to_its_end() {
    let outcome = check(&smallest());
    assert!(matches!(outcome.end, End::Complete { longest: 1.., calm: 1.. }), "{outcome:?}");
    assert!(outcome.states > 100 && outcome.steps >= outcome.states, "{outcome:?}");
}

#[test]
fn nothing_is_violated_if_all_is_done() {
    let world = World(smallest());
    let state = finished(&world);
    assert!(state.is_finished(&world.0));
    assert_eq!(violated(&world, &state), [""; 0]);
}

#[test]
fn each_property_fails_for_its_rule_alone() {
    let world = World(smallest());
    for rule in [
        Rule::ExactlyOnce,
        Rule::AtLeastOnce,
        Rule::Order,
        Rule::PacketIds,
        Rule::OneEvent,
        Rule::Protocol,
        Rule::Progress,
        Rule::NoPanic,
    ] {
        let mut state = State::new(&world.0);
        state.broken = Some(Broken::new(rule, "by hand"));
        assert_eq!(violated(&world, &state), [rule.name()]);
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        assert_eq!(actions, [], "nothing follows");
    }
}

#[test]
fn a_panic_is_a_broken_rule() {
    let world = World(smallest());
    let mut state = State::new(&world.0);
    // No cut is left, so the count would fall below zero.
    let cut = Action::Cut { lose_session: false };
    state = world.next_state(&state, cut).expect("the first one is possible");
    let state = world.next_state(&state, cut).expect("a state that tells of it");
    assert_eq!(violated(&world, &state), [Rule::NoPanic.name()]);
}

#[test]
fn a_world_that_stops_before_all_is_done_is_stuck() {
    let world = World(smallest());
    let mut state = finished(&world);
    state.forget_what_was_delivered(&world.0);
    assert!(world.is_stuck(&state));
    assert_eq!(violated(&world, &state), [Rule::AtLeastOnce.name()]);
}

/// A limit of MQTT 3.1.1 that no client can change. It also proves that the checker finds faults of the real client.
#[test]
fn a_lost_session_that_the_client_never_hears_of_doubles_a_message() {
    let config = Config {
        outbound: &[QoS::ExactlyOnce],
        cuts: 2,
        lost_sessions: 1,
        loss_unheard: true,
        ..smallest()
    };
    let outcome = check(&config);
    let End::Violated(violation) = outcome.end else { panic!("{outcome:?}") };
    assert_eq!(violation.property, Rule::ExactlyOnce.name());
    let way = violation.way.join("\n");
    assert!(way.contains("LINK CUT, SESSION LOST"), "{way}");
    assert!(way.ends_with("broken: exactly once: a QoS 2 message was handed over twice"), "{way}");
}

#[test]
fn a_way_is_shown_with_its_packets_and_events() {
    let world = World(smallest());
    let actions = [
        Action::Publish,
        Action::Connect,
        Action::Connected,
        Action::TransmitPart,
        Action::Transmit(1),
        Action::Arrive,
        Action::Deliver(0),
        Action::Cut { lose_session: false },
    ];
    assert_eq!(
        world.tell(&actions),
        [
            "  1. publish: message 0, QoS 2, id 1",
            "  2. time to connect: connecting 0",
            "  3. connected",
            "  4. client writes: 1 of 15 bytes",
            "  5. client writes: CONNECT V311 c",
            "  6. broker gets: CONNECT V311 c; answered by CONNACK",
            "  7. client gets: CONNACK; up New V311",
            "  8. LINK CUT: down: the transport closed",
        ]
    );
}

#[test]
fn every_world_has_a_name_of_its_own_and_a_description() {
    for (number, config) in ALL.iter().enumerate() {
        assert!(ALL.iter().skip(number + 1).all(|other| other.name != config.name));
        assert!(!config.describe().is_empty());
        // It can be made.
        assert_eq!(State::new(config).broken, None);
    }
}
