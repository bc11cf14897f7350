//! The cost of a journal in erasures: the measurement for the table in the documentation of `driver::journal::flash`.
//!
//! `cargo test -p mqtt-core --features journal-flash --test flash wear -- --ignored --nocapture` prints the table anew.

use core::fmt::{Display, Formatter, Result};

use mqtt_core::QoS;

use crate::{
    device::{Device, options},
    nor::Nor,
};

const PAGE: usize = 4096;
const PAGES: usize = 16;
/// `scratch_len(OUTBOX, WINDOW)`.
const SCRATCH: usize = 2144;
const OUTBOX: usize = 2048;
const WINDOW: usize = 8;
/// Erasures that a page of NOR flash survives.
const CYCLES: f64 = 100_000.0;
const DAYS: f64 = 3652.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Published(QoS),
    Received,
}

const TRAFFIC: [Traffic; 3] =
    [Traffic::Published(QoS::AtLeastOnce), Traffic::Published(QoS::ExactlyOnce), Traffic::Received];
const PAYLOADS: [usize; 3] = [16, 128, 1024];

impl Display for Traffic {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Published(QoS::ExactlyOnce) => "published, QoS 2",
            Self::Published(_) => "published, QoS 1",
            Self::Received => "received, QoS 2",
        })
    }
}

/// How long to measure: for this many messages, or until this many pages were erased.
#[derive(Clone, Copy)]
struct Span {
    messages: u32,
    erasures: u64,
}

/// Page erasures for each message, with ten messages a second.
fn erasures(traffic: Traffic, payload: usize, delay: u32, span: Span) -> f64 {
    let options = options().record_delay(delay);
    let flash = Nor::<1, 1, PAGE>::new(PAGES);
    let mut device = Device::<1, 1, PAGE, SCRATCH>::new(&options, OUTBOX, WINDOW, flash);
    device.drive();
    let payload = vec![b'x'; payload];
    // From one change of the half to another.
    let (mut first, mut last) = (None, (0, 0));
    let mut erased = 0;
    for nth in 0..span.messages {
        match traffic {
            Traffic::Published(qos) => device.publish(&payload, qos).unwrap(),
            Traffic::Received => device.hear((nth + 1) as u16, &payload),
        }
        device.drive();
        device.millis += 100;
        device.drive();
        let now = device.flash().erasures.iter().sum();
        if now != erased {
            erased = now;
            last = (nth, erased);
            first.get_or_insert(last);
            if erased >= span.erasures {
                break;
            }
        }
    }
    let first = first.unwrap();
    assert!(last.1 > first.1, "more messages are needed");
    let erasures = &device.flash().erasures;
    let uneven = erasures.iter().max().unwrap() - erasures.iter().min().unwrap();
    assert!(uneven <= 1, "{erasures:?}");
    (last.1 - first.1) as f64 / f64::from(last.0 - first.0)
}

/// A line of the table: erasures for a million messages, and messages a day for ten years; recorded at once, and with a
/// delay.
fn line(traffic: Traffic, payload: usize, span: Span) -> [f64; 4] {
    let of_delay = |delay| {
        let each = erasures(traffic, payload, delay, span);
        [each * 1e6, CYCLES * PAGES as f64 / each / DAYS]
    };
    let ([now, now_daily], [later, later_daily]) = (of_delay(0), of_delay(1_000));
    [now, now_daily, later, later_daily]
}

fn head(traffic: Traffic, payload: usize) -> String {
    format!("//! | {traffic} | {payload} ")
}

#[test]
fn the_documentation_says_correctly_how_often_flash_is_erased() {
    let documentation = include_str!("../../src/driver/journal/flash.rs");
    for traffic in TRAFFIC {
        for payload in PAYLOADS {
            let head = head(traffic, payload);
            let said = documentation.lines().find_map(|line| line.strip_prefix(&head));
            let said = said.unwrap_or_else(|| panic!("no line begins with {head}"));
            let numbers = said.split('|').filter(|cell| !cell.is_empty());
            let said: Vec<f64> =
                numbers.map(|cell| cell.trim().replace(',', "").parse().unwrap()).collect();
            let span = Span { messages: 20_000, erasures: 3 * PAGES as u64 / 2 };
            let measured = line(traffic, payload, span);
            assert_eq!(said.len(), measured.len());
            for (said, measured) in said.iter().zip(measured) {
                let off = (said - measured).abs() / measured;
                assert!(off < 0.05, "{head}: {said} is said, {measured:.0} measured");
            }
        }
    }
}

#[test]
#[ignore = "prints the table of the documentation"]
fn the_table_of_the_documentation() {
    for traffic in TRAFFIC {
        for payload in PAYLOADS {
            let span = Span { messages: 20_000, erasures: u64::MAX };
            let [now, now_daily, later, later_daily] = line(traffic, payload, span);
            let head = head(traffic, payload);
            println!("{head}| {now:.0} | {now_daily:.0} | {later:.0} | {later_daily:.0} |");
        }
    }
}
