//! The evidence in Mosquitto's own log: the promises of a killed broker for each message.
//!
//! A *life* is the time from a start of the broker to its end. If it ends with SIGKILL, the next life knows only the
//! saved state: it may miss messages that were acknowledged, send finished messages again, or use packet ids again that
//! are still taken. After SIGTERM the broker saves its state.
//!
//! One fault needs no kill of the broker. If a connection breaks while a session is being resumed, Mosquitto 2.0.11
//! sends the PUBLISH of an exchange again after its PUBREL, which [MQTT-4.3.3-1] forbids. By then the subscriber has
//! forgotten the id, as it must, and cannot distinguish the message from a new one.

use std::collections::HashMap;

use mqtt_core::QoS;

use crate::{
    message::{self, Meaning},
    publisher, subscriber,
};

/// The packets of one message.
#[derive(Clone, Debug, Default)]
struct Trace {
    /// When it first came from the publisher.
    came: Option<usize>,
    /// Lives in which the broker took responsibility for it with a PUBACK or PUBREC.
    taken: Vec<usize>,
    sent: Vec<Sent>,
    /// Lives in which the subscriber acknowledged it: PUBACK or PUBREC.
    acknowledged: Vec<usize>,
    /// When the broker ended the exchange of QoS 2 with the subscriber, and under which packet id: PUBREL.
    released: Vec<(usize, u16)>,
}

impl Trace {
    /// Whether a PUBREL for the packet id of `from` was sent between `from` and `to`.
    fn is_released(&self, from: &Sent, to: &Sent) -> bool {
        self.released.iter().any(|(when, id)| *id == from.id && (from.when..to.when).contains(when))
    }
}

/// A PUBLISH to the subscriber.
#[derive(Clone, Copy, Debug)]
struct Sent {
    life: usize,
    id: u16,
    again: bool,
    when: usize,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGTERM.
    Stopped,
    /// SIGKILL.
    Killed,
}

/// The log of all lives.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    lives: Vec<End>,
    lines: usize,
    messages: HashMap<u64, Trace>,
    /// The message that each packet id of the publisher and the subscriber stood for last.
    from_publisher: HashMap<u16, u64>,
    to_subscriber: HashMap<u16, u64>,
}

impl Evidence {
    /// Adds the log of the life that followed the last one.
    pub(crate) fn add_life<'l>(&mut self, log: impl IntoIterator<Item = &'l str>, end: End) {
        for line in log {
            self.lines += 1;
            // Other lines are of no interest.
            let _other = self.add(line);
        }
        self.lives.push(end);
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (life, when) = (self.lives.len(), self.lines);
        let mut words = line.split(' ');
        let received = match words.next()? {
            "Received" => true,
            "Sending" => false,
            _ => return None,
        };
        let (packet, _direction, client) = (words.next()?, words.next()?, words.next()?);
        let id = id_of(line)?;
        let ids = match client {
            publisher::ID => &mut self.from_publisher,
            subscriber::ID => &mut self.to_subscriber,
            _ => return None,
        };
        if packet == "PUBLISH" {
            let topic = line.split('\'').nth(1)?;
            let Meaning::Number(number) = message::meaning(topic)? else {
                ids.remove(&id);
                return None;
            };
            ids.insert(id, number);
        }
        let trace = self.messages.entry(*ids.get(&id)?).or_default();
        match (client, packet, received) {
            (publisher::ID, "PUBLISH", true) => {
                trace.came.get_or_insert(when);
            }
            (publisher::ID, "PUBACK" | "PUBREC", false) => trace.taken.push(life),
            (subscriber::ID, "PUBLISH", false) => {
                trace.sent.push(Sent { life, id, again: line.contains("(d1,"), when });
            }
            (subscriber::ID, "PUBACK" | "PUBREC", true) => trace.acknowledged.push(life),
            (subscriber::ID, "PUBREL", false) => trace.released.push((when, id)),
            _ => {}
        }
        Some(())
    }

    /// Whether that life ended with SIGKILL.
    fn was_killed(&self, life: usize) -> bool {
        self.lives.get(life) == Some(&End::Killed)
    }

    /// Why `number` never arrived, if the broker is to blame.
    pub(crate) fn of_lost(&self, number: u64) -> Option<String> {
        let trace = self.messages.get(&number)?;
        let taken = *trace.taken.last()?;
        if trace.acknowledged.is_empty() && self.was_killed(taken) {
            return Some(format!(
                "acknowledged to the publisher in life {taken}, which was killed; no later life delivered it"
            ));
        }
        // The subscriber has taken it for an earlier message with the same id.
        trace.sent.iter().find_map(|sent| {
            let (other, life) = self.unfinished(number, sent)?;
            Some(format!(
                "sent in life {} as id {}, which message {other} still had from life {life}, which was killed",
                sent.life, sent.id
            ))
        })
    }

    /// The message that had the id of `sent` in an earlier life, and never got its PUBREL.
    fn unfinished(&self, number: u64, sent: &Sent) -> Option<(u64, usize)> {
        let others = self.messages.iter().filter(|(other, _)| **other != number);
        others.into_iter().find_map(|(other, trace)| {
            let exactly_once = message::qos_of(*other) == QoS::ExactlyOnce;
            let before = trace.sent.iter().find(|earlier| {
                let (id, life) = (earlier.id, earlier.life);
                let may_be_unknown = life < sent.life && self.was_killed(life);
                id == sent.id && may_be_unknown && !trace.is_released(earlier, sent)
            })?;
            exactly_once.then_some((*other, before.life))
        })
    }

    /// Why `number`, of QoS 2, arrived more than once, if the broker is to blame.
    pub(crate) fn of_doubled(&self, number: u64) -> Option<String> {
        let trace = self.messages.get(&number)?;
        trace.sent.iter().zip(trace.sent.iter().skip(1)).find_map(|(first, again)| {
            let (life, later) = (first.life, again.life);
            let how = if trace.is_released(first, again) {
                "again after its PUBREL, against [MQTT-4.3.3-1]"
            } else if life == later {
                return None;
            } else if first.id != again.id {
                "under another id in a later life"
            } else if !again.again {
                "in a later life without DUP, against [MQTT-3.3.1-1]"
            } else {
                return None;
            };
            Some(format!("sent as id {} in life {life}, and {how}, {later}", first.id))
        })
    }

    /// Why `number` arrived after `later`, if the broker is to blame.
    pub(crate) fn of_disorder(&self, number: u64, later: u64) -> Option<String> {
        let (trace, other) = (self.messages.get(&number)?, self.messages.get(&later)?);
        let came_in_order = trace.came? < other.came?;
        // Messages sent before the last kill may not have arrived.
        let sent = trace.sent.iter().map(|sent| sent.when).min()?;
        let sent_in_order = sent < other.sent.iter().map(|sent| sent.when).min()?;
        if came_in_order && !sent_in_order {
            return Some(format!("came before {later}, and was sent behind it"));
        }
        self.of_lost(number).or_else(|| self.of_doubled(number))
    }
}

/// The packet id in a line: `m17` or `Mid: 17`.
fn id_of(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("Mid: ").or_else(|| {
        line.match_indices('m').find_map(|(at, _)| {
            let (before, rest) = (line.get(..at)?, line.get(at + 1..)?);
            (before.ends_with(['(', ' ']) && rest.starts_with(|c: char| c.is_ascii_digit()))
                .then_some((before, rest))
        })
    })?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKEN: [&str; 2] = [
        "Received PUBLISH from publisher (d0, q2, r0, m5, 'cut/2/8', ... (12 bytes))",
        "Sending PUBREC to publisher (m5, rc0)",
    ];
    const SENT: &str = "Sending PUBLISH to subscriber (d0, q2, r0, m9, 'cut/2/8', ... (12 bytes))";
    const PUBREC: &str = "Received PUBREC from subscriber (Mid: 9)";
    const PUBREL: &str = "Sending PUBREL to subscriber (m9)";

    fn evidence(lives: &[&[&str]]) -> Evidence {
        let mut evidence = Evidence::default();
        for (place, life) in lives.iter().enumerate() {
            let end = if place + 1 < lives.len() { End::Killed } else { End::Stopped };
            evidence.add_life(life.iter().copied(), end);
        }
        evidence
    }

    #[test]
    fn ids_are_read_in_both_spellings() {
        assert_eq!(id_of(TAKEN[0]), Some(5));
        assert_eq!(id_of("Sending PUBACK to publisher (m61439, rc0)"), Some(61439));
        assert_eq!(id_of("Received PUBCOMP from subscriber (Mid: 9, RC:0)"), Some(9));
        assert_eq!(id_of("Saving in-memory database to /tmp/mosquitto.db."), None);
    }

    #[test]
    fn the_loss_of_a_message_that_a_killed_broker_had_acknowledged_is_the_brokers() {
        assert!(evidence(&[&TAKEN, &[]]).of_lost(8).is_some());
        assert_eq!(evidence(&[&TAKEN]).of_lost(8), None, "nobody killed it");
        assert_eq!(evidence(&[&TAKEN[..1], &[]]).of_lost(8), None, "not acknowledged");
        assert_eq!(evidence(&[&[], &[]]).of_lost(8), None, "it never came");
        let taken_by_the_subscriber = [&TAKEN[..], &[SENT, PUBREC]].concat();
        assert_eq!(evidence(&[&taken_by_the_subscriber, &[]]).of_lost(8), None);
    }

    #[test]
    fn a_broker_that_was_stopped_has_no_excuse_for_a_loss() {
        let mut evidence = Evidence::default();
        for end in [End::Stopped, End::Killed] {
            evidence.add_life(TAKEN, end);
            assert_eq!(evidence.of_lost(8).is_some(), end == End::Killed);
        }
    }

    #[test]
    fn the_loss_of_a_message_whose_id_another_one_still_has_is_the_brokers() {
        let reused = [
            "Received PUBLISH from publisher (d0, q2, r0, m6, 'cut/2/10', ... (12 bytes))",
            "Sending PUBREC to publisher (m6, rc0)",
            "Sending PUBLISH to subscriber (d0, q2, r0, m9, 'cut/2/10', ... (12 bytes))",
            PUBREC,
        ];
        let first = [&TAKEN[..], &[SENT]].concat();
        assert!(evidence(&[&first, &reused, &[]]).of_lost(10).is_some());
        let ended = [&first[..], &[PUBREC, PUBREL]].concat();
        assert_eq!(evidence(&[&ended, &reused, &[]]).of_lost(10), None);
        // The first message is sent again under another id, and released under that one.
        let (again, released) = (SENT.replace("m9", "m3"), PUBREL.replace("m9", "m3"));
        let renumbered =
            [&[&*again, "Received PUBREC from subscriber (Mid: 3)", &released], &reused[..]];
        assert!(evidence(&[&first, &renumbered.concat(), &[]]).of_lost(10).is_some());
    }

    #[test]
    fn a_message_that_is_sent_again_as_a_new_one_is_doubled_by_the_broker() {
        let (again, other_id) = (SENT.replace("d0", "d1"), SENT.replace("m9", "m10"));
        let first = [&TAKEN[..], &[SENT, PUBREC]].concat();
        let ended = [&first[..], &[PUBREL]].concat();
        assert!(evidence(&[&ended, &[&again]]).of_doubled(8).is_some());
        assert!(evidence(&[&first, &[SENT]]).of_doubled(8).is_some());
        assert!(evidence(&[&first, &[&other_id]]).of_doubled(8).is_some());
        let within_a_life = [&ended[..], &[&again]].concat();
        assert!(evidence(&[&within_a_life]).of_doubled(8).is_some());
    }

    #[test]
    fn a_message_that_is_sent_again_correctly_must_be_known_to_the_subscriber() {
        let again = SENT.replace("d0", "d1");
        let first = [&TAKEN[..], &[SENT, PUBREC]].concat();
        assert_eq!(evidence(&[&first, &[&again]]).of_doubled(8), None);
        let within_a_life = [&first[..], &[&again]].concat();
        assert_eq!(evidence(&[&within_a_life, &[]]).of_doubled(8), None);
    }
}
