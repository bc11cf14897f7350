//! Requests that stand in the way: the connections in a row that ended with the same first unanswered request.

use mqtt_core::Handle;

use super::{End, Sender};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspect {
    Nobody,
    Request(Handle),
    /// The renewal from this position on.
    Renewal(usize),
}

#[derive(Debug)]
pub(super) struct Stuck {
    /// `Options::stuck_after`.
    after: u16,
    suspect: Suspect,
    ends: u16,
    told: bool,
    untold: bool,
    one_by_one: bool,
}

impl Stuck {
    pub(super) const fn new(after: u8) -> Self {
        Self {
            after: after as u16,
            suspect: Suspect::Nobody,
            ends: 0,
            told: false,
            untold: false,
            one_by_one: false,
        }
    }

    /// Whether filters are asked for one by one.
    pub(super) const fn one_by_one(&self) -> bool {
        self.one_by_one
    }

    /// All subscriptions are renewed.
    pub(super) const fn all_renewed(&mut self) {
        self.one_by_one = false;
    }

    /// No request is suspected, so none is held back.
    pub(super) const fn is_calm(&self) -> bool {
        self.ends == 0
    }

    /// The positions of subscriptions have changed.
    pub(super) fn forget_renewal(&mut self) {
        if let Suspect::Renewal(_) = self.suspect {
            let Self { after, one_by_one, .. } = *self;
            *self = Self { one_by_one, ..Self::new(0) };
            self.after = after;
        }
    }

    /// The application was told of this request.
    pub(super) fn is_told(&self, handle: Handle) -> bool {
        self.told && self.suspect == Suspect::Request(handle)
    }
}

impl Sender {
    /// The connection ended, perhaps because of a packet.
    pub(super) fn count_end(&mut self) {
        let mut unanswered: Vec<_> = self
            .requests
            .iter()
            .filter(|request| request.shown && request.awaits_answer())
            .collect();
        unanswered.sort_by_key(|request| request.place);
        let (suspect, alone) = match (self.renewal.awaited(), unanswered.first()) {
            (Some((first, count)), other) => {
                (Suspect::Renewal(first), count == 1 && other.is_none())
            }
            (None, Some(request)) => (Suspect::Request(request.handle), unanswered.len() == 1),
            (None, None) => (Suspect::Nobody, true),
        };
        let suspected = match self.stuck.suspect {
            Suspect::Request(handle) => self
                .requests
                .iter()
                .any(|request| request.handle == handle && request.end.is_none()),
            Suspect::Nobody | Suspect::Renewal(_) => false,
        };
        // If the suspect was not sent, this end says nothing about it.
        if self.stuck.after == 0 || suspect == Suspect::Nobody && suspected {
            return;
        }
        let stuck = &mut self.stuck;
        if suspect == Suspect::Nobody || suspect != stuck.suspect {
            *stuck = Stuck { suspect, ends: 0, told: false, untold: false, ..*stuck };
        }
        if suspect == Suspect::Nobody {
            return;
        }
        stuck.ends += 1;
        if matches!(suspect, Suspect::Renewal(_)) && stuck.ends + 1 >= stuck.after {
            stuck.one_by_one = true;
        }
        if alone && stuck.ends >= stuck.after && stuck.ends % stuck.after == 0 {
            (stuck.told, stuck.untold) = (true, true);
        }
    }

    /// The application is told of a request.
    pub(in super::super) fn is_stuck(&mut self, handle: Handle, connections: u16) {
        let stuck = &mut self.stuck;
        assert!(std::mem::take(&mut stuck.untold), "told without a reason");
        assert_eq!((stuck.suspect, stuck.ends), (Suspect::Request(handle), connections));
        assert!(self.awaits_answer(handle), "{handle:?} has ended");
        if !self.gives_up {
            return;
        }
        let request = self.requests.iter_mut().find(|request| request.handle == handle);
        request.expect("it awaits an answer").end = Some(End::GivenUp);
        self.abandon(handle);
    }

    /// The application is told of a renewal.
    pub(in super::super) fn is_renewal_stuck(
        &mut self,
        first: usize,
        count: usize,
        connections: u16,
    ) {
        let stuck = &mut self.stuck;
        assert!(std::mem::take(&mut stuck.untold), "told without a reason");
        assert_eq!((stuck.suspect, stuck.ends), (Suspect::Renewal(first), connections));
        assert_eq!(count, 1, "one filter at a time");
        if self.gives_up {
            self.forget_subscription(first);
        }
    }

    /// The application has been told of everything.
    pub(in super::super) fn all_is_told(&self) {
        assert!(self.expected.is_none(), "{:?} is not told", self.expected);
        for request in &self.requests {
            let ended = request.end.is_some() || request.is_at_most_once() && request.sent;
            assert!(!ended, "nobody is told of the end of {request:?}");
        }
        let is_live = match self.stuck.suspect {
            Suspect::Nobody => false,
            Suspect::Request(handle) => self.awaits_answer(handle),
            Suspect::Renewal(_) => true,
        };
        assert!(!(self.stuck.untold && is_live), "nobody is told of {:?}", self.stuck);
    }
}
