use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::*;
use crate::board::Line as Told;

/// A gateway that has lost its broker a while ago, and whose second sensor hangs.
fn shown() -> Snapshot {
    let task = |name: &str, left, deadline| TaskRow { name: name.into(), left, deadline };
    let mut counters = mqtt_core::Counters::default();
    counters.connections = 2;
    Snapshot {
        name: "gateway".into(),
        uptime: 3_723_000,
        link: ConnectionState::Up,
        broker: "broker.plant.example:1883".into(),
        hardware: "systemd after 10s".into(),
        unanswered: 3,
        counters,
        figures: crate::uplink::Figures {
            accepted: 1_234,
            dropped: 5,
            acknowledged: 1_230,
            round_trip: Some(std::time::Duration::from_micros(1_850)),
        },
        tasks: vec![
            task("sensor1", 2_900, 3_000),
            task("sensor2", 400, 2_500),
            task("link", 195_000, 195_000),
        ],
        lines: (1..=50).map(|n| Told { at: n * 1_000, text: format!("event {n}") }).collect(),
    }
}

fn drawn(width: u16, height: u16, shown: &Snapshot) -> Buffer {
    let backend = TestBackend::new(width, height);
    let mut terminal = Terminal::new(backend).expect("it cannot fail");
    terminal.draw(|frame| draw(frame, shown)).expect("it cannot fail");
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width).map(|row| row.concat()).collect()
}

#[test]
fn a_terminal_of_80_by_24_shows_everything() {
    let rows = rows(&drawn(80, 24, &shown()));
    let expected = [
        " gateway                                                    up 1:02:03   q: end",
        "┌ link ────────────────────────────────────────┐┌ messages ────────────────────┐",
        "│ state        ● online                        ││ queue        0               │",
        "│ broker       broker.plant.example:1883       ││ in flight    3               │",
        "│ round trip   1.8 ms                          ││ readings     1234 accepted   │",
        "│ connections  2                               ││ dropped      5               │",
        "│ bites        systemd after 10s               ││ acknowledged 1230            │",
        "└──────────────────────────────────────────────┘└──────────────────────────────┘",
        "┌ tasks: the rest of each deadline ────────────────────────────────────────────┐",
    ];
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row.trim_end(), expected.trim_end());
    }
    let all = rows.join("\n");
    assert!(all.contains("│ sensor1     ████"), "{all}");
    assert!(all.contains("0.4 s of 2.5 s"), "{all}");
    assert!(all.contains("195 s of 195 s"), "{all}");
    assert!(all.contains("50.0 s  event 50") && !all.contains("event 30 "), "{all}");
}

#[test]
fn a_larger_terminal_shows_more_events_and_longer_bars() {
    let small = rows(&drawn(80, 24, &shown())).join("\n");
    let large = rows(&drawn(120, 40, &shown())).join("\n");
    assert!(large.matches("event ").count() >= small.matches("event ").count() + 16, "{large}");
    assert!(large.matches('█').count() > small.matches('█').count() + 60, "{large}");
}

#[test]
fn no_size_of_a_terminal_makes_it_panic() {
    for (width, height) in [(20, 5), (1, 1), (0, 0), (3, 40), (200, 2), (15, 15), (500, 200)] {
        let _ = drawn(width, height, &shown());
        let mut empty = shown();
        (empty.tasks, empty.lines) = (vec![], vec![]);
        let _ = drawn(width, height, &empty);
    }
    let many =
        Snapshot { tasks: std::iter::repeat_n(shown().tasks, 40).flatten().collect(), ..shown() };
    assert!(rows(&drawn(80, 24, &many)).join("\n").contains("event 50"), "events keep their place");
}

#[test]
fn a_bar_is_empty_only_if_the_task_starves() {
    let row = |left| TaskRow { name: String::new(), left, deadline: 3_000 };
    assert_eq!(bar(&row(0), 10), (String::new(), "░".repeat(10)));
    assert_eq!(bar(&row(1), 10).0, "█");
    assert_eq!(bar(&row(3_000), 10).0, "█".repeat(10));
    assert_eq!(bar(&row(9_000), 10).0, "█".repeat(10), "never longer than its place");
}

#[test]
fn what_waits_while_the_link_is_down_is_the_queue() {
    let offline = Snapshot { link: ConnectionState::Waiting, ..shown() };
    let rows = rows(&drawn(80, 24, &offline)).join("\n");
    assert!(rows.contains("● offline") && rows.contains("queue        3"), "{rows}");
    assert!(rows.contains("in flight    0"), "{rows}");
}
