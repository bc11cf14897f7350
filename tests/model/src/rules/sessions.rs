//! The client's session at each broker: what `Up` may say about it, and what the client may clean up there.

use mqtt_core::SessionStatus;

use super::{Broken, Rule, Set, Verdict};

/// The client's sessions. The endpoints of a cluster are one broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sessions {
    /// There are two brokers; only then messages and power cuts matter here.
    two: bool,
    first: Session,
    second: Session,
    /// The broker that accepted the last connection.
    home: Option<u8>,
    /// The client may take another broker for that one: power failed, or it has ended a session since.
    unsure: bool,
}

/// The session at one broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    known: Known,
    /// The broker may hold ids of QoS 2 publishes that the client has given up, or that it knows nothing of.
    holds: bool,
    /// Ids of the QoS 2 messages that the client took, each up to its PUBREL.
    taken: Set,
    /// These ids had to give way to those of the other broker, or may have: power failed since.
    gave_way: bool,
}

/// Whether the client knows of a session at the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Known {
    #[default]
    No,
    Yes,
    /// It may have forgotten it, or has ended it.
    Unsure,
}

/// What an accepted connection means for requests that were sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The broker began a new session.
    pub(crate) begins: bool,
    /// The broker is not the one of the last connection.
    pub(crate) elsewhere: bool,
    /// The client certainly knows which broker that was.
    pub(crate) certain: bool,
}

impl Sessions {
    /// No sessions, at two brokers or at one.
    pub(crate) fn of(two: bool) -> Self {
        Self { two, ..Self::default() }
    }

    const fn at(&self, broker: u8) -> &Session {
        if broker == 0 { &self.first } else { &self.second }
    }

    const fn at_mut(&mut self, broker: u8) -> &mut Session {
        if broker == 0 { &mut self.first } else { &mut self.second }
    }

    /// Whether `Up` may say `status` of the session at `broker`. `present`: the CONNACK says that there is one; `None`
    /// with 3.1, which does not say that.
    ///
    /// # Errors
    ///
    /// [`Rule::SessionStatus`].
    pub(crate) fn judge(
        &self,
        broker: u8,
        present: Option<bool>,
        status: SessionStatus,
    ) -> Verdict {
        let (known, unknown) = match present {
            Some(true) => (SessionStatus::Resumed, SessionStatus::Found),
            Some(false) => (SessionStatus::Lost, SessionStatus::New),
            None => (SessionStatus::Resumed, SessionStatus::New),
        };
        let is_honest = match self.at(broker).known {
            Known::Yes => status == known,
            Known::No => status == unknown,
            Known::Unsure => status == known || status == unknown,
        };
        if is_honest {
            Ok(())
        } else {
            let how = "`Up` says of the session at this broker what is not so";
            Err(Broken::new(Rule::SessionStatus, how))
        }
    }

    /// `broker` has accepted the connection; the other arguments are those of [`Sessions::judge`].
    pub(crate) fn up(
        &mut self,
        broker: u8,
        present: Option<bool>,
        status: SessionStatus,
    ) -> Change {
        let begins = matches!(status, SessionStatus::New | SessionStatus::Lost);
        let elsewhere = self.home.is_some_and(|home| home != broker);
        let certain = !std::mem::take(&mut self.unsure);
        self.home = Some(broker);
        let session = self.at_mut(broker);
        session.known = Known::Yes;
        if begins {
            *session = Session { known: Known::Yes, ..Session::default() };
            session.holds = present.is_none();
        } else if elsewhere || !certain || status == SessionStatus::Found {
            session.holds = true;
        }
        Change { begins, elsewhere, certain }
    }

    /// Whether `broker` may hold ids of QoS 2 publishes that are not in flight.
    pub(crate) const fn holds_ids(&self, broker: u8) -> bool {
        self.at(broker).holds
    }

    /// The client took the QoS 2 message under `id`. It can remember `most` ids.
    pub(crate) fn took(&mut self, broker: u8, id: u16, most: usize) {
        let id = id as u8;
        if !self.two || self.at(broker).taken.has(id) {
            return;
        }
        let is_full = self.first.taken.len() + self.second.taken.len() >= most;
        let other = self.at_mut(1 - broker);
        if is_full && other.taken != Set::EMPTY {
            other.gave_way = true;
            other.taken = Set::EMPTY;
        }
        let session = self.at_mut(broker);
        session.taken = session.taken.with(id);
    }

    /// The client took the PUBREL for `id`.
    pub(crate) fn released(&mut self, broker: u8, id: u16) {
        let session = self.at_mut(broker);
        session.taken = session.taken.without(id as u8);
    }

    /// The client asks for a clean session in order to end the one at `broker`.
    ///
    /// # Errors
    ///
    /// [`Rule::Protocol`] if it has no reason.
    pub(crate) fn end(&mut self, broker: u8) -> Verdict {
        if !self.may_end(broker) {
            return Err(Broken::new(Rule::Protocol, "the client ends a session without need"));
        }
        self.at_mut(broker).known = Known::Unsure;
        self.unsure = true;
        Ok(())
    }

    /// Whether the client has a reason to end the session at `broker`.
    pub(crate) const fn may_end(&self, broker: u8) -> bool {
        self.at(broker).gave_way
    }

    /// Power failed: the client may have forgotten what it knew.
    pub(crate) fn restarted(&mut self) {
        for session in [&mut self.first, &mut self.second] {
            if session.known == Known::Yes {
                session.known = Known::Unsure;
            }
            session.gave_way |= self.two;
        }
        self.unsure = self.two;
    }
}

#[cfg(test)]
mod tests;
