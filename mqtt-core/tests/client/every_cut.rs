//! One conversation, its link cut after every possible number of bytes in either direction: each QoS keeps its promise.
//! Invariants 1 to 3.

use std::collections::BTreeMap;

use mqtt_core::{
    Action, Client, Event, Instant, Options, Publish, QoS, Slot,
    codec::{Decoded, Packet, PacketId},
    topic,
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
        let mut answer = Vec::new();
        let held = std::mem::take(&mut self.held);
        let mut at = 0;
        while let Decoded::Packet { packet, len } =
            Packet::decode(&held[at..], mqtt_core::Protocol::V311).expect("a client sends packets")
        {
            at += len;
            match packet {
                Packet::Connect(_) => {
                    answer.extend([0x20, 2, u8::from(self.session), 0]);
                    self.session = true;
                }
                Packet::Publish(publish) => {
                    let text = String::from_utf8_lossy(publish.payload).into_owned();
                    let message = (publish.qos as u8, text);
                    let [high, low] = publish.id.map_or(0, PacketId::get).to_be_bytes();
                    match (publish.qos, publish.id) {
                        (QoS::AtMostOnce, _) => self.published.push(message),
                        (QoS::AtLeastOnce, _) => {
                            self.published.push(message);
                            answer.extend([0x40, 2, high, low]);
                        }
                        (QoS::ExactlyOnce, Some(id)) => {
                            if !self.taken.contains(&id) {
                                self.taken.push(id);
                                self.published.push(message);
                            }
                            answer.extend([0x50, 2, high, low]);
                        }
                        (QoS::ExactlyOnce, None) => unreachable!("the codec forbids it"),
                    }
                }
                Packet::PubRel { id, .. } => {
                    self.taken.retain(|taken| *taken != id);
                    let [high, low] = id.get().to_be_bytes();
                    answer.extend([0x70, 2, high, low]);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        self.held = held[at..].to_vec();
        answer
    }
}

/// What was delivered, what was reported done, how many bytes crossed.
struct Outcome {
    broker: Broker,
    done: BTreeMap<String, usize>,
    crossed: usize,
}

/// Publishes `messages` over a link that breaks each time so many bytes, either way, have crossed.
fn converse(messages: &[(QoS, String)], cuts: &[usize], piece: usize, window: usize) -> Outcome {
    let options = Options::new("me").clean_session(false).keep_alive(0);
    let mut client =
        Client::new(&options, vec![0; 200], vec![Slot::EMPTY; window]).expect("the options fit");
    let mut broker = Broker::default();
    let mut to_publish = messages.iter();
    let mut next = to_publish.next();
    let (mut names, mut done) = (BTreeMap::new(), BTreeMap::new());
    let (mut inbox, mut now, mut crossed) = (Vec::new(), 0, 0);
    let mut cuts = cuts.iter().copied().peekable();
    for _ in 0..100_000 {
        now += 1;
        while let Some((qos, text)) = next {
            let publish = Publish::new(topic!("t"), text.as_bytes()).qos(*qos);
            let Ok(handle) = client.publish(&publish) else { break };
            names.insert(handle, text.clone());
            next = to_publish.next();
        }
        let at = Instant::from_millis(now);
        let mut input = &inbox[..];
        while let Some(event) = client.receive(&mut input, at).expect("the broker is faithful") {
            match event {
                Event::Published(handle) => {
                    *done.entry(names.remove(&handle).expect("one event")).or_default() += 1;
                }
                Event::Connecting { .. } | Event::Up { .. } | Event::Down(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        inbox = input.to_vec();
        let budget = cuts.peek().map_or(usize::MAX, |cut| cut - crossed);
        let moved = match client.poll(at) {
            Action::Connect { .. } => {
                client.connected(at);
                continue;
            }
            Action::Transmit(bytes) => {
                let taken = bytes.len().min(piece).min(budget);
                let answer = broker.hear(&bytes[..taken]);
                client.transmitted(taken, at);
                crossed += taken;
                let heard = answer.len().min(budget - taken);
                inbox.extend(&answer[..heard]);
                crossed += heard;
                true
            }
            Action::Wait(until) if until == Instant::FAR_FUTURE => false,
            Action::Wait(until) => {
                now = now.max(until.as_millis());
                true
            }
            Action::Close(reason) => panic!("closed: {reason}"),
            Action::Persist(_) => panic!("a record without a journal"),
        };
        if cuts.peek().is_some_and(|cut| *cut <= crossed) {
            cuts.next();
            inbox.clear();
            broker.disconnected();
            client.closed(at);
        } else if !moved && next.is_none() && names.is_empty() {
            return Outcome { broker, done, crossed };
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
