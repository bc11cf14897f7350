//! The fate of each request of the client's application.

use mqtt_core::Handle;

use super::{Broken, Rule, Verdict};

/// The requests of one client over all its lives: which message each packet id stands for, and which requests still
/// wait for their event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    /// By message.
    entries: Vec<Request>,
    /// Requests restored after a power cut whose events are still to come. Their handles are unknown.
    restored: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Request {
    /// 0: never accepted.
    id: u16,
    /// The handle of this life, while its event is to come.
    handle: Option<Handle>,
    /// Its PUBLISH reached the broker, and no answer has ended it.
    on_wire: bool,
    lost: bool,
}

impl Requests {
    /// The requests for this many messages.
    pub(crate) fn of(messages: usize) -> Self {
        Self { entries: vec![Request::default(); messages], restored: 0 }
    }

    /// The client accepted `message`.
    ///
    /// # Errors
    ///
    /// [`Rule::PacketIds`] if another request in flight has its id.
    pub(crate) fn accepted(&mut self, message: u8, handle: Handle) -> Verdict {
        let id = handle.packet_id().map_or(0, |id| id.get());
        let in_use = |(other, request): (usize, &Request)| {
            other != usize::from(message)
                && request.id == id
                && (request.handle.is_some() || request.on_wire)
        };
        if id == 0 || self.entries.iter().enumerate().any(in_use) {
            return Err(Broken::new(Rule::PacketIds, "an id in flight was given to a new request"));
        }
        if let Some(request) = self.entries.get_mut(usize::from(message)) {
            *request = Request { id, handle: Some(handle), ..Request::default() };
        }
        Ok(())
    }

    /// The message that `id` stands for: the message of the latest request with it.
    pub(crate) fn message(&self, id: u16) -> Option<u8> {
        self.entries.iter().rposition(|request| request.id == id).map(|message| message as u8)
    }

    /// The PUBLISH of `message` reached the broker.
    ///
    /// # Errors
    ///
    /// [`Rule::PacketIds`] if it was accepted with another id, or another message is in flight with this id;
    /// [`Rule::Protocol`] if it is sent again without DUP.
    pub(crate) fn published(&mut self, message: u8, id: u16, dup: bool) -> Verdict {
        let other = |(other, request): (usize, &Request)| {
            other != usize::from(message) && request.id == id && request.on_wire
        };
        if self.entries.iter().enumerate().any(other) {
            return Err(Broken::new(Rule::PacketIds, "two messages are in flight under one id"));
        }
        match self.entries.get_mut(usize::from(message)) {
            Some(request) if request.id == id => {
                if request.on_wire && !dup {
                    return Err(Broken::new(Rule::Protocol, "MQTT-3.3.1-1: re-sent without DUP"));
                }
                request.on_wire = true;
                Ok(())
            }
            _ => Err(Broken::new(Rule::PacketIds, "a PUBLISH under another id than it was given")),
        }
    }

    /// `Event::Published`. Returns its message.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if no request waits for it.
    pub(crate) fn done(&mut self, handle: Handle) -> Result<u8, Broken> {
        self.ended(handle)
    }

    /// `Event::Lost`, after the broker has lost a session.
    ///
    /// # Errors
    ///
    /// [`Rule::OneEvent`] if no request waits for it.
    pub(crate) fn lost(&mut self, handle: Handle) -> Result<u8, Broken> {
        let message = self.ended(handle)?;
        if let Some(request) = self.entries.get_mut(usize::from(message)) {
            request.lost = true;
        }
        Ok(message)
    }

    fn ended(&mut self, handle: Handle) -> Result<u8, Broken> {
        let message = handle.packet_id().and_then(|id| self.message(id.get()));
        let request = message.and_then(|message| self.entries.get_mut(usize::from(message)));
        let (Some(message), Some(request)) = (message, request) else {
            return Err(Broken::new(Rule::OneEvent, "an event for a request that never was"));
        };
        if request.handle == Some(handle) {
            request.handle = None;
        } else if request.handle.is_none() && self.restored > 0 {
            self.restored -= 1;
        } else {
            return Err(Broken::new(Rule::OneEvent, "a second event for one request"));
        }
        request.on_wire = false;
        Ok(message)
    }

    /// The broker has lost the session. Messages that are sent again count as new.
    pub(crate) fn session_lost(&mut self) {
        for request in &mut self.entries {
            request.on_wire = false;
        }
    }

    /// Power came back, and this many requests were restored. The messages from `accepted` on will be accepted again.
    pub(crate) fn restarted(&mut self, restored: usize, accepted: u8) {
        self.restored = restored;
        for (message, request) in (0..).zip(&mut self.entries) {
            request.handle = None;
            if message >= accepted {
                *request = Request::default();
            }
        }
    }

    /// Whether any request waits for its event.
    pub(crate) fn is_open(&self) -> bool {
        self.restored != 0 || self.entries.iter().any(|request| request.handle.is_some())
    }

    /// Whether `message` was reported as lost.
    pub(crate) fn is_lost(&self, message: u8) -> bool {
        self.entries.get(usize::from(message)).is_some_and(|request| request.lost)
    }
}
