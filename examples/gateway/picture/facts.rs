//! The facts in the picture: a gateway whose second sensor hangs, a second before the bite.

use std::time::Duration;

use mqtt_core::{ConnectionState, Counters};
use mqtt_gateway::{
    board::{Line, Snapshot, TaskRow},
    uplink::Figures,
};

/// The facts.
pub(crate) fn shown() -> Snapshot {
    let task = |name: &str, left, deadline| TaskRow { name: name.into(), left, deadline };
    let line = |at, text: &str| Line { at, text: text.into() };
    let mut counters = Counters::default();
    counters.connections = 2;
    Snapshot {
        name: "gateway".into(),
        uptime: 191_800,
        link: ConnectionState::Up,
        broker: "mqtts://b.plant.example:8883".into(),
        hardware: "systemd after 10s".into(),
        unanswered: 2,
        counters,
        figures: Figures {
            accepted: 614,
            dropped: 0,
            acknowledged: 616,
            round_trip: Some(Duration::from_micros(8_200)),
        },
        tasks: vec![
            task("sensor1", 2_400, 3_000),
            task("sensor2", 1_100, 2_500),
            task("sensor3", 6_800, 10_000),
            task("link", 194_900, 195_000),
        ],
        lines: vec![
            line(3, "the journal has 0 messages without an answer"),
            line(4, "bites: systemd after 10s"),
            line(61, "online: mqtts://a.plant.example:8883, a new session"),
            line(87_204, "offline: mqtts://a.plant.example:8883: the transport closed"),
            line(87_951, "online: mqtts://b.plant.example:8883, a new session"),
            line(120_377, "command: sensor3: period 5s"),
            line(190_402, "sensor2: hangs, as injected"),
        ],
    }
}
