//! One conversation, with its link cut after every possible number of bytes in either direction: each QoS keeps its
//! promise. Invariants 1 to 3.

use std::collections::BTreeMap;

use mqtt_core::{
    Client, Event, Instant, Options, Protocol, Publish, QoS, Reason, Slot,
    codec::{Packet, PacketId},
    topic,
};
use test_kit::{
    drive::{Step, World, act, receive_from},
    wire::{PUBREC, ack, answer_to, connack, take_packets},
};

/// The server's half of section 4.3, with a session that outlives connections.
#[derive(Default)]
struct Broker {
    held: Vec<u8>,
    session: bool,
    /// QoS 2 ids taken and not released.
    taken: Vec<PacketId>,
    /// Messages as subscribers would see them.
    published: Vec<(u8, String)>,
}

impl Broker {
    fn disconnected(&mut self) {
        self.held.clear();
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut held = std::mem::take(&mut self.held);
        let mut answers = Vec::new();
        take_packets(&mut held, Protocol::V311, |packet| answers.extend(self.answer(&packet)));
        self.held = held;
        answers
    }

    fn answer(&mut self, packet: &Packet<'_>) -> Vec<u8> {
        match packet {
            Packet::Connect(_) => connack(std::mem::replace(&mut self.session, true)).into(),
            Packet::Publish(publish) => {
                let text = String::from_utf8_lossy(publish.payload).into_owned();
                let message = (publish.qos as u8, text);
                match (publish.qos, publish.id) {
                    (QoS::ExactlyOnce, Some(id)) => {
                        if !self.taken.contains(&id) {
                            self.taken.push(id);
                            self.published.push(message);
                        }
                        ack(PUBREC, id.get()).into()
                    }
                    _ => {
                        self.published.push(message);
                        answer_to(packet).unwrap_or_default()
                    }
                }
            }
            Packet::PubRel { id, .. } => {
                self.taken.retain(|taken| taken != id);
                answer_to(packet).unwrap_or_default()
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// The broker behind a link that breaks.
struct Link<'c> {
    broker: Broker,
    /// On its way to the client.
    inbox: Vec<u8>,
    /// The link takes at most this many bytes at once.
    piece: usize,
    /// Bytes that have crossed, either way.
    crossed: usize,
    /// The link breaks after this number of bytes.
    cuts: &'c [usize],
}

impl Link<'_> {
    /// Bytes that may cross before the link breaks.
    fn budget(&self) -> usize {
        self.cuts.first().map_or(usize::MAX, |cut| cut - self.crossed)
    }

    /// Whether the link breaks now.
    fn breaks(&mut self) -> bool {
        let breaks = self.budget() == 0;
        if breaks {
            self.cuts = &self.cuts[1..];
            self.inbox.clear();
            self.broker.disconnected();
        }
        breaks
    }
}

impl<B, S> World<B, S> for Link<'_> {
    fn close(&mut self, reason: Reason) {
        panic!("closed: {reason}");
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.piece).min(self.budget());
        let answer = self.broker.hear(&bytes[..taken]);
        self.crossed += taken;
        let heard = answer.len().min(self.budget());
        self.inbox.extend(&answer[..heard]);
        self.crossed += heard;
        taken
    }
}

/// Deliveries, how often each publish was reported done, and how many bytes crossed.
struct Outcome {
    broker: Broker,
    done: BTreeMap<String, usize>,
    crossed: usize,
}

/// Publishes `messages` over a link that breaks whenever one of `cuts` has crossed, counted in bytes of both
/// directions.
fn converse(messages: &[(QoS, String)], cuts: &[usize], piece: usize, window: usize) -> Outcome {
    let options = Options::new("me").clean_session(false).keep_alive(0);
    let mut client =
        Client::new(&options, vec![0; 200], vec![Slot::EMPTY; window]).expect("the options fit");
    let broker = Broker::default();
    let mut link = Link { broker, inbox: Vec::new(), piece, crossed: 0, cuts };
    let mut to_publish = messages.iter();
    let mut next = to_publish.next();
    let (mut names, mut done) = (BTreeMap::new(), BTreeMap::new());
    let mut now = 0;
    for _ in 0..100_000 {
        now += 1;
        while let Some((qos, text)) = next {
            let publish = Publish::new(topic!("t"), text.as_bytes()).qos(*qos);
            let Ok(handle) = client.publish(&publish) else { break };
            names.insert(handle, text.clone());
            next = to_publish.next();
        }
        let at = Instant::from_millis(now);
        let faithful = receive_from(&mut client, &mut link.inbox, at, |event| match event {
            // Lost: a publish of QoS 0 that was on its way.
            Event::Published(handle) | Event::Lost(handle) => {
                *done.entry(names.remove(&handle).expect("one event")).or_default() += 1;
            }
            Event::Connecting { .. } | Event::Up { .. } | Event::Down { .. } => {}
            other => panic!("unexpected {other:?}"),
        });
        assert_eq!(faithful, Ok(()), "the broker is faithful");
        let step = act(&mut client, &mut link, at);
        if link.breaks() {
            client.closed(at);
        } else if let Step::Wait(until) = step {
            if until != Instant::FAR_FUTURE {
                now = now.max(until.as_millis());
            } else if next.is_none() && names.is_empty() {
                return Outcome { broker: link.broker, done, crossed: link.crossed };
            }
        }
    }
    panic!("no end: {} left, {done:?}", names.len());
}

fn messages(count: usize) -> Vec<(QoS, String)> {
    let turn = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce, QoS::ExactlyOnce];
    (0..count).map(|n| (turn[n % 4], format!("{n:02}"))).collect()
}

fn check(messages: &[(QoS, String)], outcome: &Outcome, cuts: &[usize]) {
    for (qos, text) in messages {
        let times = outcome.broker.published.iter().filter(|(_, seen)| seen == text).count();
        let kept = match qos {
            QoS::AtMostOnce => times <= 1,
            QoS::AtLeastOnce => times >= 1,
            QoS::ExactlyOnce => times == 1,
        };
        assert!(kept, "{text} at {qos:?} arrived {times} times, cut at {cuts:?}");
        assert_eq!(outcome.done.get(text), Some(&1), "{text} ends in one event, cut at {cuts:?}");
    }
    // [MQTT-4.6.0-1]: first arrivals of one QoS come in order.
    for qos in [1, 2] {
        let mut first = Vec::new();
        for (_, text) in outcome.broker.published.iter().filter(|(seen, _)| *seen == qos) {
            if !first.contains(text) {
                first.push(text.clone());
            }
        }
        assert!(first.is_sorted(), "{first:?}, cut at {cuts:?}");
    }
}

#[test]
fn each_qos_keeps_its_promise_wherever_the_link_is_cut() {
    let messages = messages(12);
    for window in [1, 4] {
        let whole = converse(&messages, &[], usize::MAX, window);
        check(&messages, &whole, &[]);
        for cut in 1..=whole.crossed {
            for piece in [usize::MAX, 3] {
                check(&messages, &converse(&messages, &[cut], piece, window), &[cut]);
            }
        }
    }
}

#[test]
fn each_qos_keeps_its_promise_when_the_link_is_cut_twice() {
    let messages = messages(4);
    let whole = converse(&messages, &[], usize::MAX, 4);
    for first in 1..=whole.crossed {
        for second in first + 1..=whole.crossed + 60 {
            let cuts = [first, second];
            check(&messages, &converse(&messages, &cuts, usize::MAX, 4), &cuts);
        }
    }
}
