//! A sequence chart of a run, as Mermaid text. It shows the notes before the end, of the devices and the message
//! concerned.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    checks::Violation,
    trace::{Note, Summary, What},
};

/// The chart shows at most this many notes of the message that the broken promise is about.
const OF_MESSAGE: usize = 60;

/// The chart of the run of `seed`, with the last `most` notes of the device that broke a promise.
pub(crate) fn draw(
    seed: u64,
    violation: Option<&Violation>,
    notes: &[Note],
    most: usize,
) -> String {
    let last = notes.last().map_or(0, |note| note.device);
    let subject = violation.map_or(last, |violation| violation.device as u8);
    let message = violation.and_then(|violation| mentioned(&violation.words));
    let of_device = |note: &Note| note.device == subject || concerns_all(note.what);
    let of_message = |note: &Note| message.is_some() && number(note.what) == message;
    let (mut devices_left, mut messages_left) = (most, OF_MESSAGE);
    let mut shown: Vec<&Note> = notes
        .iter()
        .rev()
        .filter(|note| {
            let left = if of_message(note) { &mut messages_left } else { &mut devices_left };
            let wanted = (of_message(note) || of_device(note)) && *left != 0;
            *left -= usize::from(wanted);
            wanted
        })
        .collect();
    shown.reverse();
    let devices: BTreeSet<u8> = shown.iter().map(|note| note.device).collect();
    let mut text = String::from("sequenceDiagram\n");
    let _ = writeln!(text, "    %% cargo xtask sim --seeds 1 --from {seed}");
    for device in &devices {
        let _ = writeln!(text, "    participant A{device} as application {device}");
        let _ = writeln!(text, "    participant C{device} as client {device}");
    }
    text.push_str("    participant B as broker\n");
    let brokers: BTreeSet<u8> = shown.iter().filter_map(|note| broker(note.what)).collect();
    for broker in brokers.range(1..) {
        let _ = writeln!(text, "    participant B{broker} as broker {broker}");
    }
    let mut before = u64::MAX;
    for note in shown {
        if note.at != before {
            let (seconds, millis) = (note.at / 1_000, note.at % 1_000);
            let _ = writeln!(text, "    Note over B: {seconds}.{millis:03} s");
            before = note.at;
        }
        line(&mut text, note);
    }
    if let Some(violation) = violation {
        let words = violation.to_string().replace([';', '#', '\n'], " ");
        let _ = writeln!(text, "    Note over B: {words}");
    }
    text
}

fn line(text: &mut String, note: &Note) {
    let d = note.device;
    let _ = match note.what {
        What::DeviceSent(packet) => {
            writeln!(text, "    C{d}-){}: {}", peer(packet), label(packet))
        }
        What::BrokerGot(packet) => {
            writeln!(text, "    Note right of {}: has {}", peer(packet), label(packet))
        }
        What::BrokerSent(packet) => {
            writeln!(text, "    {}-)C{d}: {}", peer(packet), label(packet))
        }
        What::HandedOver { number, qos } => {
            writeln!(text, "    C{d}->>A{d}: message {} q{}", name(number), qos as u8)
        }
        What::Kept { number, qos } => {
            writeln!(text, "    Note left of A{d}: keeps {} q{}", name(number), qos as u8)
        }
        What::Accepted { number, id } => {
            writeln!(text, "    A{d}->>C{d}: publish {} id {id}", name(Some(number)))
        }
        What::Published { number } => {
            writeln!(text, "    C{d}->>A{d}: published {}", name(Some(number)))
        }
        What::Lost { number } => writeln!(text, "    C{d}->>A{d}: lost {}", name(Some(number))),
        What::Dropped { number } => {
            writeln!(text, "    C{d}->>A{d}: dropped {}", name(Some(number)))
        }
        What::Cancels { id } => writeln!(text, "    A{d}->>C{d}: cancel id {id}"),
        What::Cancelled { id, sent } => {
            writeln!(text, "    C{d}->>A{d}: cancelled id {id}, sent: {sent}")
        }
        What::Stuck { id } => writeln!(text, "    C{d}->>A{d}: stuck is id {id}"),
        What::NotReclaimed => writeln!(text, "    C{d}->>A{d}: ids are not reclaimed"),
        What::RenewalStuck { first, count } => {
            writeln!(text, "    C{d}->>A{d}: stuck are {count} subscriptions from {first} on")
        }
        What::Skipped { id, qos } => {
            writeln!(text, "    C{d}->>A{d}: skipped id {id}, QoS {}", qos as u8)
        }
        What::ForgetsMessage { id } => writeln!(text, "    A{d}->>C{d}: forget message {id}"),
        What::GivenUp { id } => writeln!(text, "    C{d}->>A{d}: given up id {id}"),
        What::Downgraded { number } => {
            writeln!(text, "    C{d}->>A{d}: downgraded {}", name(Some(number)))
        }
        What::Connecting { endpoint } => {
            writeln!(text, "    C{d}->>A{d}: connecting to {endpoint}")
        }
        What::Up { endpoint, session } => {
            writeln!(text, "    C{d}->>A{d}: up at {endpoint}, session {session:?}")
        }
        What::Down { endpoint, reason } => {
            writeln!(text, "    C{d}->>A{d}: down at {endpoint}: {reason}")
        }
        What::PowerOn => writeln!(text, "    Note over C{d}: power on"),
        What::Recorded { len, snapshot } => {
            let kind = if snapshot { "snapshot" } else { "record" };
            writeln!(text, "    Note over C{d}: {kind} of {len} bytes is durable")
        }
        What::Restored { records, position } => {
            writeln!(text, "    Note over C{d}: {records} records restored, position {position}")
        }
        What::Fault(fault) => writeln!(text, "    Note over C{d}: fault: {}", fault.words()),
        What::Quirk(quirk) => writeln!(text, "    Note over C{d}: quirk: {}", quirk.words()),
        What::BrokerUp => writeln!(text, "    Note over B: up again"),
        What::Only { broker } => {
            writeln!(text, "    Note over B: only broker {broker} can be reached")
        }
        What::Heal => writeln!(text, "    Note over B: faults stop"),
    };
}

/// The broker of a packet.
fn peer(Summary { broker, .. }: Summary) -> String {
    if broker == 0 { "B".to_owned() } else { format!("B{broker}") }
}

fn label(Summary { kind, id, dup, qos, number, .. }: Summary) -> String {
    let mut label = format!("{kind:?}").to_uppercase();
    if id != 0 {
        let _ = write!(label, " {id}");
    }
    if let Some(number) = number {
        let _ = write!(label, " {} q{}", name(Some(number)), qos as u8);
    }
    if dup {
        label.push_str(" dup");
    }
    label
}

/// A message by its number; '#' begins an entity in Mermaid.
fn name(number: Option<u32>) -> String {
    number.map_or("without number".to_owned(), |number| format!("m{number}"))
}

/// Whether the note concerns all devices.
const fn concerns_all(what: What) -> bool {
    matches!(what, What::BrokerUp | What::Only { .. } | What::Heal)
}

const fn number(what: What) -> Option<u32> {
    match what {
        What::DeviceSent(packet) | What::BrokerGot(packet) | What::BrokerSent(packet) => {
            packet.number
        }
        What::HandedOver { number, .. } | What::Kept { number, .. } => number,
        What::Accepted { number, .. }
        | What::Published { number }
        | What::Lost { number }
        | What::Downgraded { number }
        | What::Dropped { number } => Some(number),
        What::Cancels { .. }
        | What::Cancelled { .. }
        | What::GivenUp { .. }
        | What::Stuck { .. }
        | What::NotReclaimed
        | What::RenewalStuck { .. }
        | What::Skipped { .. }
        | What::ForgetsMessage { .. }
        | What::Connecting { .. }
        | What::Up { .. }
        | What::Down { .. }
        | What::PowerOn
        | What::Recorded { .. }
        | What::Restored { .. }
        | What::Fault(_)
        | What::Quirk(_)
        | What::BrokerUp
        | What::Only { .. }
        | What::Heal => None,
    }
}

const fn broker(what: What) -> Option<u8> {
    let (What::DeviceSent(packet) | What::BrokerGot(packet) | What::BrokerSent(packet)) = what
    else {
        return None;
    };
    Some(packet.broker)
}

/// The first message that `words` name, such as '#12'.
fn mentioned(words: &str) -> Option<u32> {
    let (_, behind) = words.split_once('#')?;
    let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    behind[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use mqtt_core::{
        QoS,
        codec::{Packet, PacketType},
    };

    use super::{draw, mentioned};
    use crate::{
        checks::{Invariant, Violation},
        trace::{Note, Summary, What},
    };

    #[test]
    fn a_chart_shows_those_concerned_and_ends_with_the_broken_promise() {
        let publish = Summary {
            broker: 0,
            kind: PacketType::Publish,
            id: 3,
            dup: true,
            qos: QoS::ExactlyOnce,
            number: Some(17),
        };
        let notes = [
            Note { at: 1_005, device: 1, what: What::DeviceSent(publish) },
            Note { at: 1_006, device: 2, what: What::Connecting { endpoint: 0 } },
            Note {
                at: 1_007,
                device: 0,
                what: What::HandedOver { number: Some(17), qos: QoS::ExactlyOnce },
            },
        ];
        let violation = Violation {
            invariant: Invariant::ExactlyOnce,
            device: 0,
            at: 1_007,
            words: "message #17 was received 2 times".to_owned(),
        };
        let text = draw(9, Some(&violation), &notes, 100);
        assert!(text.starts_with("sequenceDiagram\n"), "{text}");
        assert!(text.contains("C1-)B: PUBLISH 3 m17 q2 dup"), "{text}");
        assert!(text.contains("--from 9") && !text.contains("C2"), "{text}");
        assert!(text.trim_end().ends_with("received 2 times"), "{text}");
    }

    #[test]
    fn a_second_broker_is_drawn_if_packets_go_there() {
        let ping = |broker| What::DeviceSent(Summary::at(broker, &Packet::PingReq));
        let notes = [0, 2].map(|broker| Note { at: 7, device: 1, what: ping(broker) });
        let text = draw(9, None, &notes, 100);
        for line in ["participant B2 as broker 2", "C1-)B: PINGREQ", "C1-)B2: PINGREQ"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("B1"), "{text}");
    }

    #[test]
    fn the_message_meant_is_found() {
        assert_eq!(mentioned("message #12 and #13"), Some(12));
        assert_eq!(mentioned("nothing"), None);
    }
}
