//! The sessions of an application at its brokers: what the client tells of them has to be true.

use mqtt_core::{BoxedClient, Protocol, Reason, SessionStatus};

use super::App;
use crate::{
    checks::Invariant, landscape::MOST_BROKERS, ledger::Pair, setup::DeviceSetup, stage::Stage,
    trace::What,
};

/// Whether the client should find its session at a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expected {
    #[default]
    No,
    Yes,
    /// Power was lost, and the last record was older than the last news of the broker.
    Unknown,
}

/// By broker.
pub(super) type Expectations = [Expected; MOST_BROKERS];

/// The acceptance of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) pair: Pair,
    pub(crate) endpoint: u8,
    /// The broker says that it has a session.
    pub(crate) present: bool,
    /// The client asked for a clean session.
    pub(crate) clean: bool,
}

/// The application's view of its sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) expected: Expectations,
    /// The last arrival, what was expected of it, and whether the client came from another broker.
    last: Option<(Arrival, Expected, bool)>,
    /// Sessions in a row that each broker has lost, by its own word.
    lost_in_a_row: [u8; MOST_BROKERS],
    /// The present connection ends a session for good.
    ends: bool,
    /// The application has asked for the end of the present connection.
    leaves: bool,
    /// The endpoint of the last attempt, by the word of the client.
    endpoint: u8,
}

impl Sessions {
    /// Whether `broker` has lost the session each time it was asked lately.
    pub(super) const fn are_lost_each_time(&self, broker: usize) -> bool {
        self.lost_in_a_row[broker] >= 2
    }

    /// Power is lost, and there is no journal.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The client is restored from a record that holds these expectations.
    pub(super) fn restored(&mut self, recorded: Expectations) {
        for (now, before) in self.expected.iter_mut().zip(recorded) {
            *now = if *now == before { before } else { Expected::Unknown };
        }
        self.last = None;
        self.ends = false;
        self.endpoint = 0;
    }
}

impl App {
    /// The application asks for the end of the connection.
    pub(crate) fn leaves(&mut self, client: &mut BoxedClient) {
        self.sessions.leaves = true;
        client.disconnect();
    }

    /// A broker has accepted the client, which is about to say so.
    pub(crate) fn arrives(
        &mut self,
        stage: &mut Stage<'_>,
        arrival: Arrival,
        protocol: Protocol,
        setup: &DeviceSetup,
    ) {
        let Arrival { pair, present, clean, .. } = arrival;
        self.broker = pair.broker;
        let moved = stage.ledger.arrives(pair);
        stage.totals.moves += u64::from(moved);
        let expected = &mut self.sessions.expected[pair.broker];
        let before = std::mem::replace(expected, if clean { Expected::No } else { Expected::Yes });
        self.sessions.last = Some((arrival, before, moved));
        // A client that keeps its sessions ends one only if it cannot remember all ids.
        let ends = clean && !setup.clean;
        self.sessions.ends = ends;
        let anew = moved || clean || protocol == Protocol::V311 && !present;
        // It is open whether its publishes belong to the broker whose session it ends.
        if anew && setup.resends_lost || ends {
            stage.ledger.excuses_repetitions(pair.device);
        }
    }

    /// The client says that it connects.
    pub(super) fn connects_to(&mut self, stage: &mut Stage<'_>, endpoint: u8) {
        stage.note(self.device, What::Connecting { endpoint });
        self.sessions.endpoint = endpoint;
    }

    /// The client says that a broker has accepted it.
    pub(super) fn went_up(
        &mut self,
        stage: &mut Stage<'_>,
        endpoint: u8,
        session: SessionStatus,
        protocol: Protocol,
        setup: &DeviceSetup,
    ) {
        let (device, pair) = (self.device, self.pair());
        stage.note(device, What::Up { endpoint, session });
        stage.totals.connections += 1;
        let Some((arrival, expected, moved)) = self.sessions.last else {
            stage.fail(Invariant::Sessions, device, || "up without a CONNACK".to_owned());
            return;
        };
        if endpoint != arrival.endpoint {
            stage.fail(Invariant::Sessions, device, || {
                format!("up at endpoint {endpoint}, and it was {}", arrival.endpoint)
            });
        }
        let v31 = protocol == Protocol::V31;
        if !self.sessions.ends && !is_true(session, arrival.present, expected, v31) {
            let present = arrival.present;
            stage.fail(Invariant::Sessions, device, || {
                format!("{session:?} is told; present: {present}, expected: {expected:?}")
            });
        }
        let new = matches!(session, SessionStatus::New | SessionStatus::Lost);
        // 3.1 does not say whether there was a session. A client that was elsewhere reclaims its ids.
        if session == SessionStatus::Found || v31 && !setup.clean || moved && !new {
            stage.ledger.set_found(pair, true);
        } else if new {
            stage.ledger.set_found(pair, false);
        }
        if new {
            stage.ledger.hears_of_a_new_session(device);
        }
        self.news[pair.broker] |= new;
        let lost = &mut self.sessions.lost_in_a_row[pair.broker];
        *lost = if session == SessionStatus::Lost { lost.saturating_add(1) } else { 0 };
    }

    /// The connection, or the attempt to connect, is over.
    pub(super) fn went_down(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        endpoint: u8,
        reason: Reason,
    ) {
        let device = self.device;
        stage.note(device, What::Down { endpoint, reason });
        if endpoint != self.sessions.endpoint {
            stage.fail(Invariant::Sessions, device, || {
                format!("down at endpoint {endpoint}, and it was {}", self.sessions.endpoint)
            });
        }
        let ends = std::mem::take(&mut self.sessions.ends);
        let leaves = std::mem::take(&mut self.sessions.leaves) && reason == Reason::Requested;
        if ends != (reason == Reason::SessionEnded) && !(ends && leaves) {
            stage.fail(Invariant::Sessions, device, || {
                format!("{reason:?}, and a session was ended: {ends}")
            });
        }
        if ends {
            stage.totals.ended += 1;
            stage.ledger.is_told_of_an_end(self.pair());
        }
        let unreadable = std::mem::take(&mut self.unreadable);
        if let Reason::Fatal(fatal) = reason {
            self.connection_failed(stage, client, fatal, unreadable);
        }
    }
}

/// Whether this is what the broker and the past of the client say.
fn is_true(told: SessionStatus, present: bool, expected: Expected, v31: bool) -> bool {
    let (may_expect, may_not) = (expected != Expected::No, expected != Expected::Yes);
    match told {
        SessionStatus::New => !present && may_not,
        SessionStatus::Resumed => (present || v31) && may_expect,
        SessionStatus::Lost => !present && !v31 && may_expect,
        SessionStatus::Found => present && may_not,
        _ => false,
    }
}
