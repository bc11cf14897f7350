//! Requests that stand in the way: the connections in a row that ended with the same first unanswered request.

use mqtt_core::Handle;

use super::{End, Sender};

/// What speaks against a suspect.
#[derive(Clone, Copy, Debug)]
struct Case<S> {
    suspect: Option<S>,
    ends: u16,
    told: bool,
    untold: bool,
}

impl<S: Copy + PartialEq> Case<S> {
    const NONE: Self = Self { suspect: None, ends: 0, told: false, untold: false };

    fn count(&mut self, suspect: S, alone: bool, after: u16) {
        if self.suspect != Some(suspect) {
            *self = Self { suspect: Some(suspect), ..Self::NONE };
        }
        self.ends += 1;
        if alone && self.ends >= after && self.ends % after == 0 {
            (self.told, self.untold) = (true, true);
        }
    }

    /// The application is told of the suspect.
    fn tell(&mut self, suspect: S, connections: u16) {
        assert!(std::mem::take(&mut self.untold), "told without a reason");
        assert!(self.suspect == Some(suspect), "told of another one");
        assert_eq!(self.ends, connections);
    }
}

#[derive(Debug)]
pub(super) struct Stuck {
    /// `Options::stuck_after`.
    after: u16,
    request: Case<Handle>,
    /// By the position of the first subscription that was asked for. Renewals come first, so an end at one says nothing
    /// about a request.
    renewal: Case<usize>,
    one_by_one: bool,
}

impl Stuck {
    pub(super) const fn new(after: u8) -> Self {
        let (request, renewal) = (Case::<Handle>::NONE, Case::<usize>::NONE);
        Self { after: after as u16, request, renewal, one_by_one: false }
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
        self.request.ends == 0 && self.renewal.ends == 0
    }

    /// The positions of subscriptions have changed.
    pub(super) const fn forget_renewal(&mut self) {
        self.renewal = Case::<usize>::NONE;
    }

    /// The application was told of this request.
    pub(super) fn is_told(&self, handle: Handle) -> bool {
        self.request.told && self.request.suspect == Some(handle)
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
        let suspected = self.stuck.request.suspect.is_some_and(|handle| {
            self.requests.iter().any(|request| request.handle == handle && request.end.is_none())
        });
        let stuck = &mut self.stuck;
        if stuck.after == 0 {
            return;
        }
        match (self.renewal.awaited(), unanswered.first()) {
            (Some((first, count)), other) => {
                stuck.renewal.count(first, count == 1 && other.is_none(), stuck.after);
                stuck.one_by_one |= stuck.renewal.ends + 1 >= stuck.after;
            }
            (None, Some(request)) => {
                stuck.forget_renewal();
                stuck.request.count(request.handle, unanswered.len() == 1, stuck.after);
            }
            // If the suspect was not sent, this end says nothing about it.
            (None, None) if suspected => {}
            (None, None) => {
                stuck.forget_renewal();
                stuck.request = Case::<Handle>::NONE;
            }
        }
    }

    /// The application is told of a request.
    pub(in super::super) fn is_stuck(&mut self, handle: Handle, connections: u16) {
        self.stuck.request.tell(handle, connections);
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
        self.stuck.renewal.tell(first, connections);
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
        let Stuck { request, renewal, .. } = &self.stuck;
        let is_live = request.suspect.is_some_and(|handle| self.awaits_answer(handle));
        let untold = renewal.untold || request.untold && is_live;
        assert!(!untold, "nobody is told of {:?}", self.stuck);
    }
}
