//! The fate of each request of the client's application.

use mqtt_core::{Handle, QoS};

use super::{Broken, Rule, Set, Verdict};

/// The requests of one client over all its lives: which message each packet id stands for, which requests still wait
/// for their event, and which were taken back.
///
/// A request has the number of its message. The SUBSCRIBE that the application makes in between has the number behind
/// the last message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    entries: Vec<Request>,
    /// Those of QoS 2.
    exactly_once: Set,
    /// Connections that the broker ended on purpose since the last event of a request.
    fruitless: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Request {
    /// 0: never accepted.
    id: u16,
    /// The handle of this life, while its event is to come.
    handle: Option<Handle>,
    /// Its packet reached the broker, and no answer has ended it.
    on_wire: bool,
    sent: Sent,
    lost: bool,
    /// The client took its PUBREC.
    released: bool,
    /// The application was told that it stands in the way.
    stuck: bool,
    back: Option<TakenBack>,
}

/// Whether a publish of QoS 2 may have left, and in which session. Other requests are sent again in any session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Sent {
    #[default]
    No,
    /// The driver was shown it in this session.
    Yes,
    /// Power failed, so the client does not know whether it was sent.
    Maybe,
    /// It was sent in a session that is lost, or that belongs to another broker. Nobody can say whether it arrived.
    InOtherSession,
    /// It may be so, and the client need not know it.
    MaybeInOtherSession,
}

/// A request that the application took back, that the client gave up, or whose source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TakenBack {
    recorded: Recorded,
    /// Its packet may still be on its way, on this connection.
    may_arrive: bool,
    /// What its event said.
    sent: Option<bool>,
    /// Its packet may have been sent, so its id stays out of use until it is answered.
    id_in_use: bool,
}

/// Whether the journal knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Recorded {
    No,
    BeingWritten,
    Yes,
}

/// The event that ends a request which was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `Event::Cancelled`, with its `sent`.
    Cancelled(bool),
    /// `Event::GivenUp`.
    GivenUp,
    /// `Event::SourceFailed`.
    SourceFailed,
}

impl Requests {
    /// The requests for `messages`, and a SUBSCRIBE.
    pub(crate) fn of(messages: &[QoS]) -> Self {
        let numbered = (0..).zip(messages);
        let exactly_once = numbered.filter(|(_, qos)| **qos == QoS::ExactlyOnce);
        Self {
            entries: vec![Request::default(); messages.len() + 1],
            exactly_once: exactly_once.map(|(number, _)| number).fold(Set::EMPTY, Set::with),
            fruitless: 0,
        }
    }

    fn get(&self, request: u8) -> Option<&Request> {
        self.entries.get(usize::from(request))
    }

    /// The client accepted `request`.
    ///
    /// # Errors
    ///
    /// [`Rule::PacketIds`] if another request in flight has its id, or one that was given up and may be answered.
    pub(crate) fn accepted(&mut self, request: u8, handle: Handle) -> Verdict {
        let id = handle.packet_id().map_or(0, |id| id.get());
        let in_use = |(other, entry): (usize, &Request)| {
            let given_up = entry.back.is_some_and(|back| back.id_in_use);
            other != usize::from(request)
                && entry.id == id
                && (entry.handle.is_some() || entry.on_wire || given_up)
        };
        if id == 0 || self.entries.iter().enumerate().any(in_use) {
            return Err(Broken::new(Rule::PacketIds, "an id in flight was given to a new request"));
        }
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            *entry = Request { id, handle: Some(handle), ..Request::default() };
        }
        Ok(())
    }

    /// The request that `id` stands for: one that waits for its answer, or else the latest one with it. The SUBSCRIBE is
    /// the last entry and may be older than the messages.
    fn request(&self, id: u16) -> Option<u8> {
        let waits = |entry: &Request| entry.id == id && (entry.handle.is_some() || entry.on_wire);
        let last = || self.entries.iter().rposition(|entry| entry.id == id);
        self.entries.iter().rposition(waits).or_else(last).map(|request| request as u8)
    }

    /// Whether `id` stands for `request`.
    pub(crate) fn stands_for(&self, id: u16, request: u8) -> bool {
        self.request(id) == Some(request)
    }

    /// The handle of `request`, while its event is to come.
    pub(crate) fn handle(&self, request: u8) -> Option<Handle> {
        self.get(request)?.handle
    }

    /// The packet of `request` reached the broker.
    ///
    /// # Errors
    ///
    /// [`Rule::PacketIds`] if it was accepted with another id, or another message is in flight with this id;
    /// [`Rule::Protocol`] if it is sent again without DUP; [`Rule::OneEvent`] if it was taken back and is sent again,
    /// or was told as not sent.
    pub(crate) fn arrived(&mut self, request: u8, id: u16, dup: bool) -> Verdict {
        let other = |(other, entry): (usize, &Request)| {
            other != usize::from(request) && entry.id == id && entry.on_wire
        };
        if self.entries.iter().enumerate().any(other) {
            return Err(Broken::new(Rule::PacketIds, "two messages are in flight under one id"));
        }
        let Some(entry) = self.entries.get_mut(usize::from(request)).filter(|it| it.id == id)
        else {
            let how = "a request under another id than it was given";
            return Err(Broken::new(Rule::PacketIds, how));
        };
        if entry.back.is_some_and(|back| !back.may_arrive || back.sent == Some(false)) {
            return Err(Broken::new(Rule::OneEvent, "a request is sent after it was taken back"));
        }
        if entry.on_wire && !dup {
            return Err(Broken::new(Rule::Protocol, "MQTT-3.3.1-1: re-sent without DUP"));
        }
        entry.on_wire = true;
        Ok(())
    }

    /// The client took a PUBREC for `id`.
    pub(crate) fn pubrec_came(&mut self, id: u16) {
        if let Some(request) = self.request(id) {
            if let Some(entry) = self.entries.get_mut(usize::from(request)) {
                entry.released = true;
            }
        }
    }

    /// The client took the last answer to `id`. If its request was given up, the id is free.
    pub(crate) fn answered(&mut self, id: u16) {
        for entry in self.entries.iter_mut().filter(|entry| entry.id == id) {
            if let Some(back) = &mut entry.back {
                back.id_in_use = false;
                entry.on_wire = false;
            }
        }
    }

    /// `Event::Published` or `Event::Subscribed`. Returns its request.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if no request waits for it.
    pub(crate) fn done(&mut self, handle: Handle) -> Result<u8, Broken> {
        let request = self.ended(handle)?;
        if self.get(request).is_some_and(|entry| entry.back.is_some()) {
            return Err(Broken::new(Rule::OneEvent, "an answer is told for what was taken back"));
        }
        Ok(request)
    }

    /// The publishes of QoS 2 that may be shown to the driver for the first time in this session, and their ids.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = (u8, u16)> {
        (0..).zip(&self.entries).filter_map(|(request, entry)| {
            let unsent = !matches!(entry.sent, Sent::Yes | Sent::InOtherSession);
            let may = self.exactly_once.has(request) && entry.handle.is_some() && unsent;
            may.then_some((request, entry.id))
        })
    }

    /// The driver is shown the packet of one of these.
    pub(crate) fn shown(&mut self, request: u8) {
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            entry.sent = Sent::Yes;
        }
    }

    /// Whether a publish of QoS 2 was sent in another session, and must not be sent again.
    pub(crate) fn was_sent_elsewhere(&self, request: u8) -> bool {
        self.get(request).is_some_and(|entry| entry.sent == Sent::InOtherSession)
    }

    /// The broker has accepted a connection, with another session than before, or with one that may be another one in
    /// the eyes of the client: it is not `certain`.
    pub(crate) fn session_changed(&mut self, certain: bool) {
        for entry in &mut self.entries {
            entry.sent = match (entry.sent, certain) {
                (Sent::No, _) => Sent::No,
                (Sent::Yes | Sent::InOtherSession, true) => Sent::InOtherSession,
                (Sent::Yes | Sent::InOtherSession, false)
                | (Sent::Maybe | Sent::MaybeInOtherSession, _) => Sent::MaybeInOtherSession,
            };
        }
    }

    /// `Event::Lost`.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if no request waits for it; [`Rule::AtLeastOnce`] if it was not sent in another session.
    pub(crate) fn lost(&mut self, handle: Handle) -> Result<u8, Broken> {
        let request = self.find(handle)?;
        let sent = self.get(request).map(|entry| entry.sent);
        if !matches!(sent, Some(Sent::InOtherSession | Sent::MaybeInOtherSession)) {
            let how = "lost, though it was not sent in a session that is gone or elsewhere";
            return Err(Broken::new(Rule::AtLeastOnce, how));
        }
        self.done(handle)?;
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            entry.lost = true;
        }
        Ok(request)
    }

    /// `Event::Cancelled`, `Event::GivenUp` or `Event::SourceFailed`.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if no request waits for it, or it was sent although the event says that it was not.
    pub(crate) fn taken_back(&mut self, handle: Handle, end: End) -> Verdict {
        let on_wire = |request| self.get(request).is_some_and(|entry: &Request| entry.on_wire);
        let arrived = self.find(handle).is_ok_and(on_wire);
        let request = self.ended(handle)?;
        let entry = self.entries.get_mut(usize::from(request));
        let Some(back) = entry.and_then(|entry| entry.back.as_mut()) else {
            return Err(Broken::new(Rule::OneEvent, "a request ends though nobody took it back"));
        };
        let sent = end != End::Cancelled(false);
        if arrived && !sent {
            return Err(Broken::new(Rule::OneEvent, "told as not sent, though it arrived"));
        }
        back.sent = Some(sent);
        back.id_in_use &= sent;
        Ok(())
    }

    /// The request of `handle`, if it waits for its event.
    fn find(&self, handle: Handle) -> Result<u8, Broken> {
        let request = self.entries.iter().position(|entry| entry.handle == Some(handle));
        let Some(request) = request else {
            let how = "a second event for one request, or one for a request that never was";
            return Err(Broken::new(Rule::OneEvent, how));
        };
        Ok(request as u8)
    }

    fn ended(&mut self, handle: Handle) -> Result<u8, Broken> {
        let request = self.find(handle)?;
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            entry.handle = None;
            entry.on_wire = false;
            entry.sent = Sent::No;
        }
        self.fruitless = 0;
        Ok(request)
    }

    /// The application takes `request` back, or the client gives it up.
    pub(crate) fn take_back(&mut self, request: u8) {
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            entry.back = Some(TakenBack {
                recorded: Recorded::No,
                may_arrive: true,
                sent: None,
                id_in_use: true,
            });
        }
    }

    /// The source of `request` fails, and its packet will not get whole on this connection. The id stays in use if the
    /// packet arrived before, and its answer has not come.
    pub(crate) fn source_fails(&mut self, request: u8) {
        self.take_back(request);
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            let on_wire = entry.on_wire;
            if let Some(back) = &mut entry.back {
                back.may_arrive = false;
                back.id_in_use = on_wire;
            }
        }
    }

    /// Whether the application may take `request` back now.
    pub(crate) fn can_be_taken_back(&self, request: u8) -> bool {
        self.get(request).is_some_and(|entry| entry.handle.is_some() && entry.back.is_none())
    }

    /// Whether `request` was taken back.
    pub(crate) fn is_taken_back(&self, request: u8) -> bool {
        self.get(request).is_some_and(|entry| entry.back.is_some())
    }

    /// Whether the client took the PUBREC of `request`, so it cannot be taken back, unless it is stuck.
    pub(crate) fn is_released(&self, request: u8) -> bool {
        self.get(request).is_some_and(|entry| entry.released && !entry.stuck)
    }

    /// `Event::Stuck`. Returns its request.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if the request is not in flight.
    pub(crate) fn stuck(&mut self, handle: Handle) -> Result<u8, Broken> {
        let request = self.find(handle)?;
        if let Some(entry) = self.entries.get_mut(usize::from(request)) {
            entry.stuck = true;
        }
        self.fruitless = 0;
        Ok(request)
    }

    /// The broker has ended a connection on purpose, or a time-out has.
    ///
    /// # Errors
    ///
    /// [`Rule::Progress`] if more than `most` connections in a row bring no event of a request.
    pub(crate) fn connection_ended(&mut self, most: u8) -> Verdict {
        self.fruitless += 1;
        if self.fruitless > most {
            let how = "the connection ends again and again, and no event names the request";
            return Err(Broken::new(Rule::Progress, how));
        }
        Ok(())
    }

    /// The client was about to end the connection of itself, or the link broke: this connection says nothing about a
    /// request, and the next ones may have to find out anew.
    pub(crate) fn interrupted(&mut self) {
        self.fruitless = 0;
    }

    /// The connection is over. Returns the ids of requests that were given up.
    pub(crate) fn disconnected(&mut self) -> impl Iterator<Item = u16> {
        self.entries.iter_mut().filter_map(|entry| {
            let back = entry.back.as_mut()?;
            back.may_arrive = false;
            back.id_in_use.then_some(entry.id)
        })
    }

    /// The broker has lost the session. Messages that are sent again count as new.
    pub(crate) fn session_lost(&mut self) {
        for entry in &mut self.entries {
            entry.on_wire = false;
            if let Some(back) = &mut entry.back {
                back.id_in_use = false;
            }
        }
    }

    /// A record is being written.
    pub(crate) fn recording(&mut self) {
        self.record(Recorded::No, Recorded::BeingWritten);
    }

    /// That record is durable.
    pub(crate) fn recorded(&mut self) {
        self.record(Recorded::BeingWritten, Recorded::Yes);
    }

    /// That record failed.
    pub(crate) fn not_recorded(&mut self) {
        self.record(Recorded::BeingWritten, Recorded::No);
    }

    fn record(&mut self, from: Recorded, to: Recorded) {
        for back in self.entries.iter_mut().filter_map(|entry| entry.back.as_mut()) {
            if back.recorded == from {
                back.recorded = to;
            }
        }
    }

    /// Power came back, and the requests with the handles `restored` are in flight. The messages from `accepted` on
    /// will be accepted again.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if a request is restored that was taken back, and a durable record says so.
    pub(crate) fn restarted(
        &mut self,
        restored: impl Iterator<Item = Handle>,
        accepted: u8,
    ) -> Verdict {
        self.fruitless = 0;
        for (message, entry) in (0..).zip(&mut self.entries) {
            entry.handle = None;
            entry.released = false;
            entry.stuck = false;
            entry.sent = Sent::No;
            if message >= accepted {
                *entry = Request::default();
            }
        }
        for handle in restored {
            let request = handle.packet_id().and_then(|id| self.request(id.get()));
            let entry = request.and_then(|request| self.entries.get_mut(usize::from(request)));
            let Some(entry) = entry else {
                return Err(Broken::new(Rule::OneEvent, "a request is restored that never was"));
            };
            entry.handle = Some(handle);
            let exactly_once = request.is_some_and(|request| self.exactly_once.has(request));
            entry.sent = if exactly_once { Sent::Maybe } else { Sent::No };
            if entry.back.take().is_some_and(|back| back.recorded == Recorded::Yes) {
                let how = "a request comes back that was taken back";
                return Err(Broken::new(Rule::OneEvent, how));
            }
        }
        Ok(())
    }

    /// Whether any request waits for its event, or was taken back and the journal does not know of it.
    pub(crate) fn is_open(&self, journal: bool) -> bool {
        self.entries.iter().any(|entry| {
            let unrecorded = |back: TakenBack| back.recorded != Recorded::Yes;
            entry.handle.is_some() || journal && entry.back.is_some_and(unrecorded)
        })
    }

    /// Whether `request` was reported as lost.
    pub(crate) fn is_lost(&self, request: u8) -> bool {
        self.get(request).is_some_and(|entry| entry.lost)
    }
}
