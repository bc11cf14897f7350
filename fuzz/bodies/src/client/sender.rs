//! The promises about requests: every request ends in one event, its packets are sent in order, and each answer of the
//! broker has the effect that the standard, or `Options::strict`, says.

mod answers;
mod renewal;
mod stuck;

use std::{collections::VecDeque, ops::RangeInclusive};

use mqtt_core::{
    Handle, PacketId, Protocol, Publish, QoS, RequestError,
    codec::{Packet, Subscribe, Unsubscribe},
};

use super::settings::Settings;
use answers::Expected;
pub(super) use answers::Verdict;
use renewal::Renewal;
use stuck::Stuck;
use test_kit::wire::next_packet;

/// Packet ids from here on belong to renewed subscriptions.
pub(super) const RENEWALS: u16 = 0xFFFE;
/// The client remembers this many ids of requests that were given up.
const ABANDONED: usize = 8;

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Publish { topic: &'static str, payload: Vec<u8>, qos: QoS, retain: bool },
    Subscribe(Vec<(&'static str, QoS)>),
    Unsubscribe(Vec<&'static str>),
}

impl Asked {
    /// The request has no filter, so it has no form on the wire.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Publish { .. } => false,
            Self::Subscribe(filters) => filters.is_empty(),
            Self::Unsubscribe(filters) => filters.is_empty(),
        }
    }

    pub(super) const fn qos(&self) -> Option<QoS> {
        match self {
            Self::Publish { qos, .. } => Some(*qos),
            Self::Subscribe(_) | Self::Unsubscribe(_) => None,
        }
    }
}

/// The end of a request whose event is to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lost,
    Cancelled { sent: bool },
    GivenUp,
}

#[derive(Debug)]
pub(super) struct Request {
    handle: Handle,
    asked: Asked,
    /// The place of its packet among all packets that await an answer.
    place: u64,
    /// The PUBREC has come, so its packet is the PUBREL; on this connection.
    released: bool,
    released_now: bool,
    /// Bytes of its packet were shown to the driver on this connection.
    shown: bool,
    /// The transport has taken its packet on this connection; at QoS 0 on any.
    sent: bool,
    /// Bytes of it were shown on an earlier connection of the broker's present session, and on any.
    before: bool,
    ever: bool,
    /// It was cancelled while it was being sent.
    finishing: bool,
    end: Option<End>,
}

impl Request {
    fn is_at_most_once(&self) -> bool {
        self.asked.qos() == Some(QoS::AtMostOnce)
    }

    fn is_exactly_once(&self) -> bool {
        self.asked.qos() == Some(QoS::ExactlyOnce)
    }

    fn is_unsent_qos_0(&self) -> bool {
        self.is_at_most_once() && !self.sent && self.end.is_none()
    }

    /// It can be answered.
    fn awaits_answer(&self) -> bool {
        self.end.is_none() && !self.finishing && !self.is_at_most_once()
    }
}

#[derive(Debug)]
pub(super) struct Sender {
    strict: bool,
    gives_up: bool,
    renews: bool,
    requests: Vec<Request>,
    accepted: u64,
    places: u64,
    /// The place of the request that was sent last on this connection.
    last_sent: u64,
    /// Ids of requests that were given up, oldest first.
    abandoned: VecDeque<PacketId>,
    /// The PUBREL of no request, and its place.
    stray: Option<(PacketId, u64)>,
    /// The event that the last answer leads to.
    expected: Option<Expected>,
    /// Answers that no request awaited.
    pub(super) unexpected: u32,
    renewal: Renewal,
    stuck: Stuck,
    /// A request was taken back after it was shown on this connection, or a filter while its renewal is awaited. So no
    /// other one is to blame for the end.
    blameless: bool,
    subscriptions: Vec<(String, QoS)>,
}

impl Sender {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            strict: settings.strict,
            gives_up: settings.gives_up,
            renews: settings.renews,
            requests: Vec::new(),
            accepted: 0,
            places: 0,
            last_sent: 0,
            abandoned: VecDeque::new(),
            stray: None,
            expected: None,
            unexpected: 0,
            renewal: Renewal::new(settings.filters_per_subscribe),
            stuck: Stuck::new(settings.stuck_after),
            blameless: false,
            subscriptions: Vec::new(),
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// Whether the request `handle` awaits an answer.
    pub(super) fn awaits_answer(&self, handle: Handle) -> bool {
        self.requests.iter().any(|request| request.handle == handle && request.awaits_answer())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.requests.iter().filter(|request| !request.is_at_most_once()).count()
    }

    /// Requests accepted so far.
    pub(super) const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The handle of one of the requests.
    pub(super) fn handle(&self, nth: u8) -> Option<Handle> {
        let nth = usize::from(nth).checked_rem(self.requests.len())?;
        self.requests.get(nth).map(|request| request.handle)
    }

    pub(super) fn id_in_flight(&self, nth: u8) -> u16 {
        let ids: Vec<PacketId> =
            self.requests.iter().filter_map(|request| request.handle.packet_id()).collect();
        let nth = usize::from(nth).checked_rem(ids.len());
        nth.and_then(|nth| ids.get(nth)).map_or(1, |id| id.get())
    }

    /// The packet ids of the requests that the client still has, and whether one is a publish that waits for its PUBREC.
    pub(super) fn ids(&self) -> impl Iterator<Item = (u16, bool)> {
        let requests = self.requests.iter().filter(|request| request.end.is_none());
        requests.filter_map(|request| {
            let id = request.handle.packet_id()?;
            Some((id.get(), request.is_exactly_once() && !request.released))
        })
    }

    /// The place of the first publish of QoS 2 of which nothing was shown on this connection.
    pub(super) fn waiting_exactly_once(&self) -> Option<u64> {
        let mut requests = self.requests.iter();
        let waits = |request: &&Request| {
            request.is_exactly_once()
                && request.end.is_none()
                && !request.released
                && !request.shown
        };
        requests.find(waits).map(|request| request.place)
    }

    /// Publishes of QoS 2 that take a place in `Options::exactly_once_window`.
    pub(super) fn exactly_once(&self) -> usize {
        let counts = |request: &&Request| {
            let lost = request.end.is_none_or(|end| end == End::Lost);
            request.is_exactly_once() && lost && !request.finishing
        };
        self.requests.iter().filter(counts).count()
    }

    /// `reclaimed`: the only ids for publishes of QoS 2, and for no other requests.
    pub(super) fn accept(
        &mut self,
        handle: Handle,
        asked: Asked,
        reclaimed: Option<&RangeInclusive<u16>>,
    ) {
        let id = handle.packet_id();
        assert_eq!(id.is_none(), asked.qos() == Some(QoS::AtMostOnce));
        assert!(self.requests.iter().all(|request| request.handle != handle));
        if let Some(id) = id {
            assert!(id.get() < RENEWALS);
            assert!(self.under(id).is_none(), "{id:?} is in use");
            assert!(!self.abandoned.contains(&id), "{id:?} may still be answered");
            let exactly_once = asked.qos() == Some(QoS::ExactlyOnce);
            let fits = reclaimed.is_none_or(|range| range.contains(&id.get()) == exactly_once);
            assert!(fits, "{id:?} for {asked:?}, {reclaimed:?} is reclaimed");
        }
        self.places += 1;
        self.accepted += 1;
        self.requests.push(Request {
            handle,
            asked,
            place: self.places,
            released: false,
            released_now: false,
            shown: false,
            sent: false,
            before: false,
            ever: false,
            finishing: false,
            end: None,
        });
    }

    /// The request under this id whose packet the client still has.
    fn under(&mut self, id: PacketId) -> Option<&mut Request> {
        let is_it = |request: &&mut Request| {
            request.end.is_none() && request.handle.packet_id() == Some(id)
        };
        self.requests.iter_mut().find(is_it)
    }

    /// The application takes back a request.
    pub(super) fn cancel(&mut self, handle: Handle, result: Result<(), RequestError>) {
        let told = self.stuck.is_told(handle);
        let request = self.requests.iter_mut().find(|request| request.handle == handle);
        let request = request.expect("one of the requests");
        let error = if request.is_at_most_once() {
            Some(RequestError::AtMostOnce)
        } else if request.end.is_some() || request.finishing {
            Some(RequestError::NotInFlight)
        } else {
            (request.released && !told).then_some(RequestError::Released)
        };
        assert_eq!(result.err(), error, "{request:?}");
        if error.is_some() {
            return;
        }
        let sent = request.ever || request.shown;
        self.blameless |= request.shown;
        let being_sent = request.shown && !request.sent;
        request.finishing = being_sent;
        request.end = (!being_sent).then_some(End::Cancelled { sent });
        if sent {
            self.abandon(handle);
        }
    }

    /// The id of the request stays out of use.
    fn abandon(&mut self, handle: Handle) {
        let id = handle.packet_id().expect("it awaits an answer");
        self.abandoned.retain(|kept| *kept != id);
        if self.abandoned.len() == ABANDONED {
            self.abandoned.pop_front();
        }
        self.abandoned.push_back(id);
    }

    /// The driver is shown `bytes`. They begin with the bytes of the packet in part that were taken.
    pub(super) fn show(&mut self, bytes: &[u8], protocol: Protocol) {
        let mut rest = bytes;
        let mut at_most_once = 0;
        while let Some((packet, behind)) = next_packet(rest, protocol) {
            rest = behind;
            match packet {
                Packet::Publish(Publish { id: Some(id), .. }) => self.shows(id),
                Packet::Publish(_) => at_most_once += 1,
                Packet::PubRel { id, .. } => {
                    if !self.is_stray(id) {
                        self.shows(id);
                    }
                }
                Packet::Subscribe(Subscribe { id, .. }) => {
                    if id.get() >= RENEWALS {
                        self.renewal.show(&self.subscriptions, self.stuck.one_by_one());
                    } else {
                        self.shows(id);
                    }
                }
                Packet::Unsubscribe(Unsubscribe { id, .. }) => self.shows(id),
                Packet::Connect(_)
                | Packet::ConnAck(_)
                | Packet::PubAck(_)
                | Packet::PubRec(_)
                | Packet::PubComp(_)
                | Packet::SubAck(_)
                | Packet::UnsubAck(_)
                | Packet::PingReq
                | Packet::PingResp
                | Packet::Disconnect => {}
            }
        }
        let unsent = self.requests.iter_mut().filter(|request| request.is_unsent_qos_0());
        unsent.take(at_most_once).for_each(|request| request.shown = true);
        // Only the packet of a renewal has its bytes apart.
        if !rest.is_empty() {
            assert_eq!(rest.first().map(|first| first >> 4), Some(8), "a packet in part");
            self.renewal.show(&self.subscriptions, self.stuck.one_by_one());
        }
    }

    /// Whether a publish of QoS 2 was shown on this connection, or its PUBREL.
    pub(super) fn shows_exactly_once(&self) -> bool {
        let mut requests = self.requests.iter();
        requests.any(|request| request.is_exactly_once() && request.shown)
    }

    /// While a publish of QoS 2 is held back, no request behind it was shown.
    pub(super) fn none_overtakes(&self) {
        let Some(first) = self.waiting_exactly_once() else { return };
        for request in self.requests.iter().filter(|request| request.shown) {
            assert!(request.place < first, "{request:?} overtakes the publish at {first}");
        }
    }

    /// Whether the PUBREL of no request waits, with this id.
    pub(super) fn has_stray(&self, id: PacketId) -> bool {
        self.stray.is_some_and(|(stray, _)| stray == id)
    }

    fn shows(&mut self, id: PacketId) {
        self.under(id).expect("a packet of a request").shown = true;
    }

    /// Whether a PUBREL for `id` is the one of no request.
    fn is_stray(&mut self, id: PacketId) -> bool {
        let Some((stray, place)) = self.stray.filter(|(stray, _)| *stray == id) else {
            return false;
        };
        let request = self.under(stray).filter(|request| request.released && !request.sent);
        request.is_none_or(|request| request.place > place)
    }

    /// The packet of a request goes out.
    fn goes_out(request: &mut Request, last: &mut u64) {
        assert!(request.shown, "sent before it was shown");
        assert!(!request.sent, "sent twice on a connection");
        // [MQTT-4.6.0-1], [MQTT-4.6.0-4]: in the order of acceptance, and of the PUBRECs.
        assert!(*last < request.place, "out of order");
        *last = request.place;
        request.sent = true;
        if request.finishing {
            request.end = Some(End::Cancelled { sent: true });
        }
    }

    pub(super) fn sent_publish(&mut self, publish: &Publish<'_>) {
        let mut last = self.last_sent;
        let request = match publish.id {
            Some(id) => self.under(id),
            None => self.requests.iter_mut().find(|request| request.is_unsent_qos_0()),
        };
        let request = request.unwrap_or_else(|| panic!("nobody asked for {publish:?}"));
        let Asked::Publish { topic, payload, qos, retain } = &request.asked else {
            panic!("{:?} was asked for, {publish:?} is sent", request.asked);
        };
        assert_eq!((publish.topic.as_str(), publish.payload), (*topic, payload.as_slice()));
        assert_eq!((publish.qos, publish.retain), (*qos, *retain));
        // [MQTT-4.3.3-1]
        assert!(!request.released, "not after the PUBREC");
        // [MQTT-3.3.1-1]: bytes that were shown count as sent.
        assert_eq!(publish.dup, request.before, "DUP of {request:?}");
        Self::goes_out(request, &mut last);
        self.last_sent = last;
    }

    /// The PUBREL of a request, or of none.
    pub(super) fn sent_release(&mut self, id: PacketId) {
        if self.is_stray(id) {
            self.stray = None;
            return;
        }
        let mut last = self.last_sent;
        let stray = self.stray;
        let request = self.under(id).expect("a PUBREL for a request");
        assert!(request.released, "a PUBREL before the PUBREC");
        // [MQTT-4.6.0-4]
        let late = stray.is_some_and(|(_, place)| request.released_now && place < request.place);
        assert!(!late, "the PUBREL for {stray:?} comes first");
        Self::goes_out(request, &mut last);
        self.last_sent = last;
    }

    pub(super) fn sent_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        if subscribe.id.get() >= RENEWALS {
            return self.renewal.sent(subscribe);
        }
        let mut last = self.last_sent;
        let request = self.under(subscribe.id).expect("a SUBSCRIBE for a request");
        let Asked::Subscribe(filters) = &request.asked else { panic!("{:?}", request.asked) };
        assert!(
            subscribe.filters().map(|(filter, qos)| (filter.as_str(), qos)).eq(filters.clone())
        );
        Self::goes_out(request, &mut last);
        self.last_sent = last;
    }

    pub(super) fn sent_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let mut last = self.last_sent;
        let request = self.under(unsubscribe.id).expect("an UNSUBSCRIBE for a request");
        let Asked::Unsubscribe(filters) = &request.asked else { panic!("{:?}", request.asked) };
        assert!(unsubscribe.filters().map(|filter| filter.as_str()).eq(filters.iter().copied()));
        Self::goes_out(request, &mut last);
        self.last_sent = last;
    }

    /// Whether the answer to a renewal is awaited.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewal.is_awaited()
    }

    /// Whether other requests may be held back, because of a renewal or of one that stands in the way.
    pub(super) fn may_hold(&self) -> bool {
        self.is_renewing() || !self.stuck.is_calm()
    }

    /// Every request is sent, unless some are held back. `held`: those from this place on.
    pub(super) fn all_are_sent(&self, held: Option<u64>) {
        if self.may_hold() {
            return;
        }
        let goes_on = |request: &&Request| held.is_none_or(|held| request.place < held);
        for request in self.requests.iter().filter(goes_on) {
            assert!(request.sent, "nobody sends {request:?}");
        }
        assert_eq!(self.stray, None, "nobody sends this PUBREL");
    }

    /// The broker has made a new session. `kept`: it has kept the former one against the client's wish.
    pub(super) fn begins_anew(&mut self, kept: bool) {
        if !kept {
            self.abandoned.clear();
        }
        self.renewal.lacks(&self.subscriptions);
        for request in &mut self.requests {
            if request.end.is_none()
                && request.is_exactly_once()
                && (request.before || request.released)
            {
                request.end = Some(End::Lost);
            }
            request.before = false;
        }
    }

    /// Whether the client has subscriptions to renew, or asks for some.
    pub(super) fn has_subscriptions(&self) -> bool {
        let asks = |request: &Request| {
            matches!(request.asked, Asked::Subscribe(_)) && request.awaits_answer()
        };
        self.renews && (!self.subscriptions.is_empty() || self.requests.iter().any(asks))
    }

    /// The client renews its subscriptions.
    pub(super) fn lacks_subscriptions(&mut self) {
        self.renewal.lacks(&self.subscriptions);
    }

    /// The client has sent all packets.
    pub(super) fn has_renewed(&self) {
        if !self.is_renewing() {
            self.renewal.is_complete();
        }
    }

    /// The client renews these subscriptions.
    pub(super) fn keeps<'s>(&self, kept: impl Iterator<Item = (&'s str, QoS)>) {
        let kept: Vec<(String, QoS)> = kept.map(|(filter, qos)| (filter.to_owned(), qos)).collect();
        assert_eq!(kept, self.subscriptions);
    }

    /// The application forgets the subscription at this position.
    pub(super) fn forget_subscription(&mut self, at: usize) {
        self.stuck.forget_renewal();
        self.blameless |= self.renewal.is_awaited();
        if at < self.subscriptions.len() {
            let (filter, _) = self.subscriptions.remove(at);
            self.renewal.forgets(&filter, at);
        }
    }

    /// The connection is gone. `up`: the broker had accepted it. `blamed`: a packet may be the cause.
    pub(super) fn disconnected(&mut self, up: bool, blamed: bool) {
        if up && blamed && !self.blameless {
            self.count_end();
        }
        self.blameless = false;
        for request in &mut self.requests {
            if request.is_at_most_once() {
                if request.shown && request.is_unsent_qos_0() {
                    request.end = Some(End::Lost);
                }
                continue;
            }
            if request.finishing && request.end.is_none() {
                request.end = Some(End::Cancelled { sent: true });
            }
            request.before |= request.shown;
            request.ever |= request.shown;
            (request.shown, request.sent, request.released_now) = (false, false, false);
        }
        self.last_sent = 0;
        self.stray = None;
        self.expected = None;
        self.renewal.disconnected();
    }
}
