//! The place of one conversation: the broker, the clients that join, and the minutes of the differences.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mqtt_core::Options;

use super::party::Party;
use super::talker::Connect;
use crate::AGAIN_AT_ONCE;
use crate::brokers::{Broker, Engine, Known};

/// Milliseconds for an answer. A broker on a busy machine needs less.
const ANSWER: u32 = 3_000;

/// A difference from the standard that a conversation has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The statement of the standard that is broken or that allows it; an empty text if there is none.
    pub statement: &'static str,
    /// The behaviour of the broker: the same words in each run.
    pub seen: String,
    /// Events of the client, for the report of a failure.
    pub detail: String,
}

/// The result of one conversation.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The conversation.
    pub conversation: &'static str,
    /// Differences, in the order in which they were seen.
    pub differences: Vec<Difference>,
    /// Why it could not be held with this broker.
    pub not_possible: Option<String>,
    /// Times that it has measured.
    pub measured: Vec<(&'static str, Duration)>,
    /// How long it took.
    pub took: Duration,
}

/// Why a conversation ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The difference is in the minutes.
    Noted,
    /// The client refused a request.
    Refused(String),
    /// It cannot be held with this broker.
    NotPossible(&'static str),
}

/// The differences so far, shared by all who take part.
#[derive(Clone)]
pub(super) struct Minutes {
    differences: Rc<RefCell<Vec<Difference>>>,
    /// Those of this conversation that are known of the broker.
    known: Rc<[&'static str]>,
}

impl Minutes {
    fn new(conversation: &str, known: &[Known]) -> Self {
        let known = known.iter().filter(|known| known.conversations.contains(&conversation));
        Self { differences: Rc::default(), known: known.map(|known| known.seen).collect() }
    }

    /// Whether this broker is known for it.
    pub(super) fn is_known(&self, seen: &str) -> bool {
        self.known.contains(&seen)
    }

    /// Notes a difference, once.
    pub(super) fn note(&self, statement: &'static str, seen: String, detail: String) {
        let mut differences = self.differences.borrow_mut();
        if differences.iter().all(|noted| noted.seen != seen) {
            differences.push(Difference { statement, seen, detail });
        }
    }
}

/// The place of one conversation.
pub struct Room<'a> {
    pub(super) engine: &'a Engine,
    pub(super) broker: &'a mut dyn Broker,
    connect: Connect<'a>,
    minutes: Minutes,
    conversation: &'static str,
    measured: RefCell<Vec<(&'static str, Duration)>>,
    started: Instant,
    /// Makes client ids and topics that no other conversation uses.
    number: usize,
}

impl std::fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("broker", &self.broker).finish_non_exhaustive()
    }
}

impl<'a> Room<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        broker: &'a mut dyn Broker,
        connect: Connect<'a>,
        conversation: &'static str,
        number: usize,
    ) -> Self {
        let minutes = Minutes::new(conversation, engine.known);
        let (measured, started) = (RefCell::default(), Instant::now());
        Self { engine, broker, connect, minutes, conversation, measured, number, started }
    }

    pub(super) fn verdict(self, result: Result<(), Stop>) -> Verdict {
        let mut not_possible = None;
        match result {
            Ok(()) | Err(Stop::Noted) => {}
            Err(Stop::NotPossible(why)) => not_possible = Some(why.to_owned()),
            Err(Stop::Refused(why)) => {
                self.minutes.note("", format!("the client refuses: {why}"), String::new());
            }
        }
        Verdict {
            conversation: self.conversation,
            differences: self.minutes.differences.take(),
            not_possible,
            measured: self.measured.take(),
            took: self.started.elapsed(),
        }
    }

    /// Whether this broker is known for it.
    pub(super) fn is_known(&self, seen: &str) -> bool {
        self.minutes.is_known(seen)
    }

    /// A client id of this conversation alone; at most 23 characters.
    pub(super) fn id(&self, name: &str) -> String {
        format!("c{}{name}", self.number)
    }

    /// A topic or filter of this conversation alone.
    pub(super) fn topic(&self, levels: &str) -> String {
        format!("t{}/{levels}", self.number)
    }

    /// Notes a difference unless `right`.
    pub(super) fn check(&self, right: bool, statement: &'static str, seen: &str) {
        self.check_with(right, statement, seen, String::new);
    }

    /// Notes a difference unless `right`, with a detail for the report.
    pub(super) fn check_with(
        &self,
        right: bool,
        statement: &'static str,
        seen: &str,
        detail: impl FnOnce() -> String,
    ) {
        if !right {
            self.minutes.note(statement, seen.to_owned(), detail());
        }
    }

    /// Notes a time for the output of the test.
    pub(super) fn measure(&self, what: &'static str, took: Duration) {
        self.measured.borrow_mut().push((what, took));
    }

    /// Ends the conversation with a difference unless `right`.
    pub(super) fn require(
        &self,
        right: bool,
        statement: &'static str,
        seen: &str,
    ) -> Result<(), Stop> {
        self.check(right, statement, seen);
        if right { Ok(()) } else { Err(Stop::Noted) }
    }

    /// Options that connect again at once and do not wait long for a broker that does not answer.
    pub(super) fn options<'o>(&self, id: &'o str) -> Options<'o> {
        Options::new(id).reconnect(AGAIN_AT_ONCE).ping_timeout(ANSWER).answer_timeout(ANSWER)
    }

    /// A client that is accepted, with a clean session.
    pub(super) fn join(&self, name: &str) -> Result<Party, Stop> {
        self.join_with(&self.options(&self.id(name)))
    }

    /// A client that is accepted, with these options.
    pub(super) fn join_with(&self, options: &Options<'_>) -> Result<Party, Stop> {
        let mut party = self.start(self.broker.address(), options);
        party.up()?;
        Ok(party)
    }

    /// A client that may connect through something else.
    pub(super) fn start(&self, address: SocketAddr, options: &Options<'_>) -> Party {
        Party::new((self.connect)(address, options), self.minutes.clone())
    }
}
