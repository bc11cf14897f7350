//! The answers of the broker, and the events that they lead to.

use mqtt_core::{
    Granted, Handle, PacketId, Protocol, QoS,
    codec::{Packet, PacketType, SubAck},
};

use super::{Asked, End, Request, Sender};

/// The effect of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// It leads to an event.
    Event,
    /// The PUBLISH gives way to a PUBREL.
    Release,
    /// No request awaits it. It is ignored and counted, and a PUBREC is answered.
    Unexpected,
    /// It answers a request that was given up.
    Late,
    /// It ends the connection.
    Broken,
}

/// An event about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Published(Handle),
    Downgraded(Handle),
    Subscribed(Handle),
    Unsubscribed(Handle),
    /// Of the subscriptions from this position on.
    Renewed(usize),
}

/// The answer that a request awaits.
fn awaited(request: &Request) -> PacketType {
    match &request.asked {
        Asked::Publish { qos: QoS::ExactlyOnce, .. } if request.released => PacketType::PubComp,
        Asked::Publish { qos: QoS::ExactlyOnce, .. } => PacketType::PubRec,
        Asked::Publish { .. } => PacketType::PubAck,
        Asked::Subscribe(_) => PacketType::SubAck,
        Asked::Unsubscribe(_) => PacketType::UnsubAck,
    }
}

impl Sender {
    /// The client took an answer.
    pub(in super::super) fn answer(&mut self, packet: &Packet<'_>, protocol: Protocol) -> Verdict {
        let (kind, id) = match packet {
            Packet::PubAck(id) => (PacketType::PubAck, *id),
            Packet::PubRec(id) => (PacketType::PubRec, *id),
            Packet::PubComp(id) => (PacketType::PubComp, *id),
            Packet::SubAck(SubAck { id, .. }) => (PacketType::SubAck, *id),
            Packet::UnsubAck(id) => (PacketType::UnsubAck, *id),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::Publish(_)
            | Packet::PubRel { .. }
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => panic!("{packet:?} is no answer"),
        };
        if let Packet::SubAck(suback) = packet {
            if self.strict && protocol == Protocol::V31 && suback.granted.has_refusals() {
                return Verdict::Broken;
            }
            if self.renewal.has_sent(id) {
                return self.renewal_answered(suback.granted);
            }
        }
        // A 3.1 broker may get, and answer, a retry that crossed the first answer.
        let publish = !matches!(kind, PacketType::SubAck | PacketType::UnsubAck);
        let strict = self.strict && !(publish && protocol == Protocol::V31);
        let (places, expected) = (self.places, self.expected);
        let Some(request) = self.under(id).filter(|request| request.shown) else {
            return self.unexpected(kind, id, strict);
        };
        assert!(request.sent, "{kind:?} to a packet that the driver has not reported");
        assert_eq!(expected, None, "an event is missing");
        let handle = request.handle;
        let event = match (awaited(request), kind) {
            (PacketType::PubRec, PacketType::PubAck) if !strict => Expected::Downgraded(handle),
            (PacketType::PubRec, PacketType::PubRec) => {
                self.places += 1;
                self.release(id, places + 1);
                return Verdict::Release;
            }
            (PacketType::PubComp, PacketType::PubRec) if !strict => {
                self.places += 1;
                self.unexpected = self.unexpected.wrapping_add(1);
                self.release(id, places + 1);
                return Verdict::Unexpected;
            }
            (PacketType::SubAck, PacketType::SubAck) => {
                let Asked::Subscribe(filters) = &request.asked else { panic!("{request:?}") };
                let Packet::SubAck(suback) = packet else { panic!("{packet:?}") };
                // [MQTT-3.8.4-5]
                if suback.granted.len() != filters.len() {
                    return Verdict::Broken;
                }
                Expected::Subscribed(handle)
            }
            (PacketType::UnsubAck, PacketType::UnsubAck) => Expected::Unsubscribed(handle),
            (awaited, kind) if awaited == kind => Expected::Published(handle),
            _ => return self.unexpected(kind, id, strict),
        };
        self.expected = Some(event);
        Verdict::Event
    }

    fn renewal_answered(&mut self, granted: Granted<'_>) -> Verdict {
        let asked = self.renewal.awaited().map(|(_, count)| count);
        if asked != Some(granted.len()) {
            return Verdict::Broken;
        }
        let (first, all) = self.renewal.answered();
        if all {
            self.stuck.all_renewed();
        }
        self.expected = Some(Expected::Renewed(first));
        Verdict::Event
    }

    /// The PUBREL takes the place of the PUBLISH, or goes out again.
    fn release(&mut self, id: PacketId, place: u64) {
        let Some(request) = self.under(id) else { return };
        request.ever |= request.shown;
        (request.shown, request.sent) = (false, false);
        (request.released, request.released_now) = (true, true);
        request.place = place;
    }

    fn unexpected(&mut self, kind: PacketType, id: PacketId, strict: bool) -> Verdict {
        let abandoned = self.abandoned.contains(&id);
        if strict && !abandoned {
            return Verdict::Broken;
        }
        if kind == PacketType::PubRec {
            let waits = self.under(id).is_some_and(|request| request.released);
            if !waits {
                self.places += 1;
                let stray = self.stray.replace((id, self.places));
                assert_eq!(stray, None, "the next PUBREC waits");
            }
        } else {
            self.abandoned.retain(|kept| *kept != id);
        }
        if abandoned {
            return Verdict::Late;
        }
        self.unexpected = self.unexpected.wrapping_add(1);
        Verdict::Unexpected
    }

    /// A request has got its only event.
    fn ends(&mut self, handle: Handle) -> Request {
        let at = self.requests.iter().position(|request| request.handle == handle);
        self.requests.remove(at.unwrap_or_else(|| panic!("{handle:?} is not awaited")))
    }

    fn was_expected(&mut self, event: Expected) {
        assert_eq!(self.expected.take(), Some(event));
    }

    pub(in super::super) fn published(&mut self, handle: Handle) {
        let request = self.ends(handle);
        if request.is_at_most_once() {
            assert!(request.sent && request.end.is_none(), "not sent: {request:?}");
        } else {
            self.was_expected(Expected::Published(handle));
        }
    }

    pub(in super::super) fn downgraded(&mut self, handle: Handle) {
        self.was_expected(Expected::Downgraded(handle));
        self.ends(handle);
    }

    pub(in super::super) fn subscribed(&mut self, handle: Handle, granted: Granted<'_>) {
        self.was_expected(Expected::Subscribed(handle));
        let Asked::Subscribe(filters) = self.ends(handle).asked else { panic!("{handle:?}") };
        for ((filter, qos), granted) in filters.into_iter().zip(granted.iter()) {
            if granted.is_none() || !self.renews {
                continue;
            }
            // [MQTT-3.8.4-3]: the newer subscription replaces the older one.
            match self.subscriptions.iter_mut().find(|(kept, _)| kept == filter) {
                Some(kept) => kept.1 = qos,
                None => self.subscriptions.push((filter.to_owned(), qos)),
            }
            self.renewal.has(filter);
        }
    }

    pub(in super::super) fn unsubscribed(&mut self, handle: Handle) {
        self.was_expected(Expected::Unsubscribed(handle));
        let Asked::Unsubscribe(filters) = self.ends(handle).asked else { panic!("{handle:?}") };
        for filter in filters {
            self.subscriptions.retain(|(kept, _)| kept != filter);
            self.renewal.has(filter);
        }
    }

    pub(in super::super) fn renewed(&mut self, first: usize, granted: Granted<'_>) {
        assert!(!granted.is_empty());
        self.was_expected(Expected::Renewed(first));
        self.renewal.is_told();
    }

    pub(in super::super) fn lost(&mut self, handle: Handle) {
        assert_eq!(self.ends(handle).end, Some(End::Lost));
    }

    pub(in super::super) fn cancelled(&mut self, handle: Handle, sent: bool) {
        assert_eq!(self.ends(handle).end, Some(End::Cancelled { sent }));
    }

    pub(in super::super) fn given_up(&mut self, handle: Handle) {
        assert_eq!(self.ends(handle).end, Some(End::GivenUp));
    }
}
