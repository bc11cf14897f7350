//! The manners of a broker: its quirks, drawn from the seed. Most brokers have none.
//!
//! Most quirks here break the standard, and each was seen at some broker in use. The effect of a quirk on a promise is
//! written in [`checks`](crate::checks).

use fastrand::Rng;
use mqtt_core::{
    PacketId, Protocol, Publish,
    codec::{Packet, PacketType},
};

use super::{MOST_IGNORING, Outlet, session::Session};
use crate::{
    link::Way,
    quirks::Quirk,
    setup::pick,
    stage::Stage,
    topics::{self, FILTERS, TOPICS},
    trace::{Summary, What},
};

/// The most filters in a SUBSCRIBE, at a broker with a limit.
const MOST_FILTERS: usize = 8;

/// Packet ids from here on are those of renewals, and come again soon.
const RENEWALS: u16 = u16::MAX - 1;

/// The most connections for which a broker ignores packets that it does not ignore for ever.
const FEW: u32 = 4;

/// The manners.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    pub(crate) quirks: Vec<Quirk>,
    /// The topic, filter and size at which it closes, or which it ignores, from this time on, in milliseconds.
    pub(crate) topic: usize,
    pub(crate) filter: usize,
    pub(crate) largest: usize,
    pub(crate) from: u64,
    /// For how many connections of a device it ignores packets; `u32::MAX`: for ever.
    pub(crate) lasts: u32,
}

impl Default for Manners {
    /// Good ones.
    fn default() -> Self {
        Self { quirks: Vec::new(), topic: 0, filter: 0, largest: usize::MAX, from: 0, lasts: 0 }
    }
}

impl Manners {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let count = match rng.u32(..100) {
            0..50 => 0,
            50..85 => 1,
            85..97 => 2,
            _ => 4,
        };
        let mut quirks: Vec<Quirk> = (0..count).map(|_| *pick(rng, Quirk::OF_BROKERS)).collect();
        quirks.sort_unstable();
        quirks.dedup();
        Self {
            quirks,
            topic: rng.usize(..TOPICS.len()),
            filter: rng.usize(..FILTERS.len()),
            largest: rng.usize(40..300),
            from: if rng.bool() { 0 } else { rng.u64(..600_000) },
            lasts: if rng.bool() { u32::MAX } else { rng.u32(1..=FEW) },
        }
    }

    /// One more quirk, which shows if sessions are lost or found.
    pub(crate) fn get_worse(&mut self, rng: &mut Rng) {
        self.quirks.push(*pick(rng, Quirk::OF_SESSIONS));
        self.quirks.sort_unstable();
        self.quirks.dedup();
    }

    pub(crate) fn have(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether the broker does not keep to QoS 2, so that a publish of it may have no end.
    pub(crate) fn spoil_exactly_once(&self) -> bool {
        self.quirks.iter().any(|quirk| quirk.spoils_exactly_once())
    }

    /// Whether the broker keeps ids of QoS 2 messages that the client cannot release, or does not know of.
    pub(super) fn leave_ids_behind(&self) -> bool {
        let closes = [Quirk::ClosesAtPubRel, Quirk::ClosesAtUnknownPubRel];
        self.have(Quirk::AbsentThoughKept) || closes.iter().any(|quirk| self.have(*quirk))
    }

    /// Whether the broker takes part in the conversation about a publish to `topic` with a payload of a few bytes.
    pub(crate) fn take_topic(&self, topic: usize) -> bool {
        let closes = self.have(Quirk::ClosesAtTopic) && topic == self.topic;
        !(closes || self.have(Quirk::ClosesAtBlank) && topics::has_blank(topic))
    }

    /// Whether a subscription to `filter` may be gone after a restart.
    pub(crate) fn forget_filter(&self, filter: usize) -> bool {
        self.have(Quirk::ForgetsFilter) && filter == self.filter
    }

    /// As [`take_topic`](Self::take_topic), for a subscription.
    pub(crate) fn take_filter(&self, filter: usize) -> bool {
        let minds = self.have(Quirk::ClosesAtFilter) || self.have(Quirk::IgnoresSubscribe);
        !minds || filter != self.filter
    }

    /// The lie in the CONNACK. `present`: there is a session.
    pub(super) fn lie(&self, present: bool, clean: bool, protocol: Protocol) -> Option<Quirk> {
        let quirk = if present { Quirk::AbsentThoughKept } else { Quirk::PresentThoughClean };
        let may = protocol == Protocol::V311 && (present || clean);
        (may && self.have(quirk)).then_some(quirk)
    }

    /// The quirk for which the broker closes at this packet of `len` bytes.
    pub(super) fn close_at(&self, now: u64, packet: &Packet<'_>, len: usize) -> Option<Quirk> {
        if self.quirks.is_empty() {
            return None;
        }
        let reasons: Vec<(Quirk, bool)> = match packet {
            Packet::Publish(publish) => {
                let topic = topics::topic_index(publish.topic);
                vec![
                    (Quirk::ClosesAtTopic, topic == Some(self.topic) && now >= self.from),
                    (Quirk::ClosesAtBlank, topic.is_some_and(topics::has_blank)),
                    (Quirk::ClosesAtSize, len > self.largest),
                ]
            }
            Packet::Subscribe(subscribe) => {
                let mut filters = subscribe.filters().map(|(filter, _)| filter);
                let has_it =
                    filters.any(|filter| topics::filter_index(filter) == Some(self.filter));
                vec![
                    (Quirk::ClosesAtFilter, has_it && now >= self.from),
                    (Quirk::ClosesAtManyFilters, subscribe.filters().count() > MOST_FILTERS),
                ]
            }
            Packet::PubRel { .. } => vec![(Quirk::ClosesAtPubRel, true)],
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubComp(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => Vec::new(),
        };
        let found = reasons.iter().find(|(quirk, applies)| *applies && self.have(*quirk));
        found.map(|(quirk, _)| *quirk)
    }
}

impl Session {
    /// The quirk for which this packet is ignored.
    pub(super) fn ignores(
        &mut self,
        stage: &Stage<'_>,
        manners: &Manners,
        packet: &Packet<'_>,
    ) -> Option<Quirk> {
        if manners.quirks.is_empty() {
            return None;
        }
        let filter = |filter| topics::filter_index(filter) == Some(manners.filter);
        let mut lasts = manners.lasts;
        let (quirk, applies) = match packet {
            Packet::Publish(publish)
                if publish.id.is_some() && manners.have(Quirk::IgnoresPublish) =>
            {
                let topic = topics::topic_index(publish.topic)?;
                let number = stage.ledger.identify(topic, publish.payload).ok()??;
                let known = *self.ignored.get_or_insert(number) == number;
                (Quirk::IgnoresPublish, known)
            }
            Packet::Subscribe(subscribe) => {
                (Quirk::IgnoresSubscribe, subscribe.filters().any(|(wanted, _)| filter(wanted)))
            }
            Packet::Unsubscribe(unsubscribe) => {
                (Quirk::IgnoresSubscribe, unsubscribe.filters().any(filter))
            }
            Packet::PubRel { id, .. } if manners.have(Quirk::IgnoresUnknownPubRel) => {
                (Quirk::IgnoresUnknownPubRel, !self.knows(*id))
            }
            Packet::PubRel { .. } => (Quirk::IgnoresPubRel, true),
            Packet::PubRec(id) if manners.have(Quirk::IgnoresPubRec) => {
                // Only if there is room for other messages, on both sides. Only for a few connections if each one that
                // ends because of it brings messages again, maybe more than the client takes in one: in 3.1 the retained
                // ones, and otherwise a will.
                let roomy = self.window > 1 && self.slots > 1;
                let v31 = self.attached().is_some_and(|(_, protocol)| protocol == Protocol::V31);
                if v31 || lasts == MOST_IGNORING {
                    lasts = lasts.min(FEW);
                }
                let known = roomy && *self.unreleased.get_or_insert(id.get()) == id.get();
                (Quirk::IgnoresPubRec, known)
            }
            Packet::Publish(_)
            | Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubComp(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => return None,
        };
        let ignored = applies && manners.have(quirk) && stage.now >= manners.from;
        (ignored && self.still_ignores(lasts)).then_some(quirk)
    }

    /// The quirk for which the broker closes at this packet, if that depends on the session.
    pub(super) fn minds(&self, manners: &Manners, packet: &Packet<'_>) -> Option<Quirk> {
        let Packet::PubRel { id, .. } = packet else { return None };
        let quirk = Quirk::ClosesAtUnknownPubRel;
        // If it makes its clients send such packets, it bears them.
        let minds = manners.have(quirk) && !provokes_pubrels(manners);
        (minds && !self.knows(*id)).then_some(quirk)
    }

    /// Whether a publish of QoS 2 is under way with this id.
    fn knows(&self, id: PacketId) -> bool {
        self.inbound.iter().any(|inbound| inbound.id() == id.get())
    }

    /// The broker restarts, and has no subscription to `filter` any more.
    pub(super) fn forgets_filter(&mut self, stage: &mut Stage<'_>, filter: usize) {
        if self.granted(filter).is_some() {
            stage.quirk(self.pair.device, Quirk::ForgetsFilter);
            self.unsubscribe(filter);
        }
    }

    /// A PUBLISH is ignored, so it may be taken after later ones.
    pub(super) fn passes_over(&self, stage: &mut Stage<'_>, publish: &Publish<'_>) {
        let topic = topics::topic_index(publish.topic);
        let number = topic.and_then(|topic| stage.ledger.identify(topic, publish.payload).ok());
        if let Some(number) = number.flatten() {
            stage.ledger.message_mut(number).reordered = true;
        }
    }

    /// Packets are ignored for `connections` connections, counted from the first one with such a packet.
    fn still_ignores(&mut self, connections: u32) -> bool {
        let since = *self.ignores_since.get_or_insert(self.connections);
        self.connections - since < connections
    }
}

impl Outlet<'_, '_> {
    /// Sends an acknowledgement, as good or bad manners have it.
    pub(super) fn answer(&mut self, packet: &Packet<'_>) {
        self.send(packet);
        let Summary { kind, id, .. } = Summary::of(packet);
        // The client owes a PUBREL for a PUBREC, so its id is still in use.
        if kind == PacketType::PubRec {
            self.stage.ledger.sends_pubrec(self.link.pair(), id);
        } else {
            self.stage.ledger.answered(self.link.pair(), id);
        }
        if self.manners.quirks.is_empty() {
            return;
        }
        // If ids come again soon, the second PUBACK may hit a new request.
        let hits = kind == PacketType::PubAck && self.stage.ledger.has_found(self.link.pair());
        let repeats = (self.manners.have(Quirk::AnswersTwice) && !hits, Quirk::AnswersTwice);
        let pubrec = kind == PacketType::PubRec && self.manners.have(Quirk::RepeatsPubRec);
        for (does, quirk) in [repeats, (pubrec, Quirk::RepeatsPubRec)] {
            if does && self.stage.one_in(2) {
                self.quirk(quirk);
                self.send(packet);
            }
        }
        let renewal = kind == PacketType::SubAck && id >= RENEWALS;
        if (self.manners.have(Quirk::AnswersLate) || pubrec) && !renewal {
            self.link.answers.push((kind, id));
            self.repeats_an_old_answer(pubrec);
        }
        if self.manners.have(Quirk::AnswersUnknown) && self.stage.one_in(4) {
            // No request of a run comes to such an id.
            let id = self.stage.rng.u16(40_000..60_000);
            let kinds = [PacketType::PubAck, PacketType::PubRec, PacketType::PubComp];
            let others = [PacketType::SubAck, PacketType::UnsubAck];
            let kind = *pick(&mut self.stage.rng, &[&kinds[..], &others[..]].concat());
            self.quirk(Quirk::AnswersUnknown);
            self.bare(kind, id);
        }
    }

    /// A late repetition may hit a new request if ids come again soon. No client can notice that.
    fn repeats_an_old_answer(&mut self, only_pubrec: bool) {
        if self.stage.ledger.has_found(self.link.pair()) || !self.stage.one_in(3) {
            return;
        }
        let at = self.stage.rng.usize(..self.link.answers.len());
        let (kind, id) = self.link.answers[at];
        if !only_pubrec {
            self.quirk(Quirk::AnswersLate);
            self.bare(kind, id);
        } else if kind == PacketType::PubRec {
            self.quirk(Quirk::RepeatsPubRec);
            self.bare(kind, id);
        }
    }

    pub(super) fn quirk(&mut self, quirk: Quirk) {
        self.stage.quirk(self.link.device, quirk);
    }

    /// An acknowledgement of this kind, for one filter if it is a SUBACK.
    fn bare(&mut self, kind: PacketType, id: u16) {
        if kind == PacketType::PubRec {
            self.stage.ledger.sends_pubrec(self.link.pair(), id);
        }
        let [high, low] = id.to_be_bytes();
        let first = (kind as u8) << 4;
        let summary = Summary { kind, id, ..Summary::at(self.link.broker, &Packet::PingReq) };
        self.stage.note(self.link.device, What::BrokerSent(summary));
        let suback = [first, 3, high, low, 0];
        let plain = [first, 2, high, low];
        let bytes = if kind == PacketType::SubAck { &suback[..] } else { &plain[..] };
        self.link.write(self.stage, Way::Down, bytes);
    }
}

/// Whether a client may send a PUBREL more than once, or for an id without an exchange: it has to answer each PUBREC.
pub(super) fn provokes_pubrels(manners: &Manners) -> bool {
    [Quirk::AnswersTwice, Quirk::AnswersLate, Quirk::AnswersUnknown, Quirk::RepeatsPubRec]
        .iter()
        .any(|quirk| manners.have(*quirk))
}
