//! The packets that make subscriptions again: a few filters at a time, each behind the answer to the one before.

use std::collections::BTreeMap;

use mqtt_core::{PacketId, QoS, codec::Subscribe};

#[derive(Debug)]
pub(super) struct Renewal {
    /// Filters that a packet has at most.
    most: usize,
    most_now: usize,
    /// The position of the first filter of the packet that is sent, or comes next.
    first: usize,
    /// Its filters; empty before it is shown.
    asked: Vec<(String, QoS)>,
    /// Those among them that were forgotten since they were shown.
    forgotten: usize,
    /// Filters that are asked for later.
    behind: usize,
    /// Its packet id, once it is sent.
    id: Option<PacketId>,
    /// A packet was shown on this connection.
    begun: bool,
    /// The subscriptions that the broker's session lacks, and those that were renewed on this connection.
    lacking: BTreeMap<String, QoS>,
    renewed: BTreeMap<String, QoS>,
}

impl Renewal {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            most_now: most,
            first: 0,
            asked: Vec::new(),
            forgotten: 0,
            behind: 0,
            id: None,
            begun: false,
            lacking: BTreeMap::new(),
            renewed: BTreeMap::new(),
        }
    }

    pub(super) fn lacks(&mut self, subscriptions: &[(String, QoS)]) {
        self.lacking = subscriptions.iter().cloned().collect();
    }

    /// The driver is shown the next packet, or its beginning.
    pub(super) fn show(&mut self, subscriptions: &[(String, QoS)], one_by_one: bool) {
        if !self.begun {
            self.most_now = if one_by_one { 1 } else { self.most };
            self.begun = true;
        }
        if self.asked.is_empty() {
            let next = subscriptions.iter().skip(self.first).take(self.most_now);
            self.asked = next.cloned().collect();
            assert!(!self.asked.is_empty(), "all are renewed");
            self.behind = subscriptions.len() - self.first - self.asked.len();
        }
    }

    pub(super) fn sent(&mut self, subscribe: &Subscribe<'_>) {
        let filters: Vec<_> =
            subscribe.filters().map(|(filter, qos)| (filter.as_str().to_owned(), qos)).collect();
        assert_eq!(filters, self.asked, "other filters are due");
        assert_eq!(self.id.replace(subscribe.id), None, "before the answer");
        self.renewed.extend(filters);
    }

    /// Whether a packet was shown and is not answered.
    pub(super) fn is_awaited(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The position of the first filter that awaits an answer, and how many do.
    pub(super) fn awaited(&self) -> Option<(usize, usize)> {
        self.is_awaited().then_some((self.first, self.asked.len()))
    }

    /// Whether `id` is the one of a packet that was sent.
    pub(super) fn has_sent(&self, id: PacketId) -> bool {
        self.id == Some(id)
    }

    /// The answer came. Returns the position of the first filter; and whether it was the last answer.
    pub(super) fn answered(&mut self) -> (usize, bool) {
        let first = self.first;
        self.first += self.asked.len() - std::mem::take(&mut self.forgotten);
        self.asked.clear();
        self.id = None;
        (first, self.behind == 0)
    }

    /// The broker has these filters.
    pub(super) fn is_told(&mut self) {
        let renewed = &self.renewed;
        self.lacking.retain(|filter, qos| renewed.get(filter) != Some(qos));
    }

    pub(super) fn has(&mut self, filter: &str) {
        self.lacking.remove(filter);
    }

    /// The subscription at this position is gone.
    pub(super) fn forgets(&mut self, filter: &str, at: usize) {
        self.lacking.remove(filter);
        if at < self.first {
            self.first -= 1;
        } else if at < self.first + self.asked.len() - self.forgotten {
            self.forgotten += 1;
        } else {
            self.behind = self.behind.saturating_sub(1);
        }
    }

    /// All filters that the broker lacks are sent.
    pub(super) fn is_complete(&self) {
        for (filter, qos) in &self.lacking {
            assert_eq!(self.renewed.get(filter), Some(qos), "{filter} was not renewed");
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.first = 0;
        self.asked.clear();
        self.forgotten = 0;
        self.id = None;
        self.begun = false;
        self.renewed.clear();
    }
}
