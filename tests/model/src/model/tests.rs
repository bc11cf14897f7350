//! Each property fails for its own rule, and the smallest world is explored to its end.

use mqtt_core::QoS;
use stateright::Model as _;

use super::World;
use crate::{
    broker::Method,
    check::{End, check},
    config::{ALL, Brokers, Config, Partial},
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
        Rule::SessionStatus,
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

/// The client at two brokers with sessions of their own, which it takes for a cluster. It has subscribed at the first.
fn taken_for_a_cluster() -> Config {
    Config {
        brokers: Brokers::TwoAsCluster,
        outbound: &[QoS::ExactlyOnce],
        inbound: &[QoS::ExactlyOnce],
        filters: 1,
        cuts: 2,
        partial: Partial::Never,
        ..smallest()
    }
}

/// The link breaks, and the client is up again, at the other broker.
const CHANGE: [Action; 6] = [
    Action::Cut { lose_session: false },
    Action::Connect,
    Action::Connected,
    Action::Transmit(1),
    Action::Arrive,
    Action::Deliver(0),
];

/// The subscription is made again. Its packet lies apart from its header.
const RENEWAL: [Action; 4] =
    [Action::Transmit(0), Action::Transmit(1), Action::Arrive, Action::Deliver(0)];

/// The last lines of a way.
fn ends_with(lines: &[String], end: &[&str]) {
    let from = lines.len().saturating_sub(end.len());
    assert_eq!(
        lines.get(from..),
        Some(&end.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
    );
}

/// The second broker delivers a message under id 1, and the link breaks before its PUBREL. The first broker uses the
/// same id for another message.
#[test]
fn a_message_that_is_taken_for_one_of_another_broker_is_missed() {
    let message = [Action::Send, Action::Deliver(0)];
    let answer = [Action::Transmit(1), Action::Arrive];
    let way = [&CHANGE[..], &RENEWAL, &message, &CHANGE, &message, &answer].concat();
    ends_with(
        &World(taken_for_a_cluster()).tell(&way),
        &[
            " 19. broker sends: PUBLISH i \\x00 q2 1",
            " 20. client gets: PUBLISH i \\x00 q2 1",
            " 21. client writes: PUBREC 1",
            " 22. broker gets: PUBREC 1",
            "     broken: at least once: a message is acknowledged that the application does not have",
        ],
    );
}

/// The second broker holds a publish, and the first one answers its PUBREL.
#[test]
fn a_publish_that_is_released_at_another_broker_is_not_published() {
    let there_and_back = [Action::Transmit(1), Action::Arrive, Action::Deliver(0)];
    let publish = [&[Action::Publish], &there_and_back[..]].concat();
    let way = [&CHANGE[..], &RENEWAL, &publish, &CHANGE, &there_and_back].concat();
    for method in [Method::A, Method::B] {
        ends_with(
            &World(Config { method, ..taken_for_a_cluster() }).tell(&way),
            &[
                " 21. client writes: PUBREL 2",
                " 22. broker gets: PUBREL 2; answered by PUBCOMP 2",
                " 23. client gets: PUBCOMP 2; published 2",
                "     broken: one event a request: published, though no broker has it, or the one that \
                 has it holds it",
            ],
        );
    }
}

#[test]
fn brokers_that_are_taken_for_a_cluster_break_a_rule() {
    let both = taken_for_a_cluster();
    for config in [Config { outbound: &[], ..both }, Config { inbound: &[], filters: 0, ..both }] {
        let outcome = check(&config);
        assert!(matches!(outcome.end, End::Violated(_)), "{}: {outcome:?}", config.describe());
    }
}
