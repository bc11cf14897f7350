//! The attempts to connect: which broker is asked next, in which version, and when.
//!
//! # Turns
//!
//! The brokers take turns. The turn of a broker ends when it cannot be reached, when it refuses, or when a connection
//! to it has ended; then the next one follows, or the first one with `Reconnect::prefer_first`. If messages were passed
//! over, or a session was ended to begin a new one, the same broker is asked again at once.
//!
//! With `Reconnect::return_after` the first broker is *visited* out of turn. If it does not accept the connection, the
//! turn goes on where it was.
//!
//! Turns are counted until a connection is stable, and the delays follow from the count: see `Reconnect`. A round has a
//! turn for each broker.
//!
//! An attempt that is given up for want of a CONNACK doubles the time of the next one, also at another broker: if many
//! clients connect at once, a broker may need longer than `Options::connect_timeout` for all of them, and each attempt
//! that is given up and begun anew costs it more. A connection that is accepted ends that.
//!
//! # The version, with `Version::Auto`
//!
//! 1. A turn begins with an attempt in 3.1.1, or in 3.1 if its broker is settled on 3.1.
//! 2. If the broker refuses that with code 1 (the version), or the connection is closed between CONNECT and CONNACK,
//!    one attempt in the other version follows at the same broker. It follows at once after a refusal, and after the
//!    first delay of `Reconnect` after a close. A close says nothing about a broker that has accepted 3.1.1 before.
//! 3. The turn ends with that attempt. The next one, at this or at another broker, begins with rule 1.
//! 4. Only a refusal of 3.1.1 with code 1 settles a broker on 3.1. A refusal of 3.1 with code 1, or a connection that is
//!    accepted in 3.1.1, ends that.
//!
//! So a link that breaks at the wrong moment costs one attempt, or one connection in 3.1, and no more. A broker of 3.1
//! that closes in silence, as [MQTT-3.1.2-1] allows, costs one attempt more at each connection.
//!
//! The client remembers this for each of the first 32 endpoints. All others are asked each time as at the first time.

use super::{Machine, State};
use crate::{
    codec::{Protocol, Refusal},
    error::{Fatal, Reason},
    reconnect::Reconnect,
    time::Instant,
    timers::Timer,
};

/// Connections in a row that are accepted and closed soon after, until the application is told so.
const KICKED_OUT: u8 = 3;

/// How often the time for an attempt may double.
const MOST_DOUBLINGS: u8 = 3;

/// Rounds after which the delays grow no more, whatever the policy is.
const ROUNDS: u16 = 33;

/// The attempts up to now.
#[derive(Clone, Debug, Hash)]
pub(super) struct Attempts {
    /// The endpoints that have accepted 3.1.1 and have not refused it since then, one bit each.
    newer: u32,
    /// The endpoints that are settled on 3.1, one bit each.
    older: u32,
    /// Turns that have ended since a connection was last stable, or ended on request.
    failures: u16,
    /// The turn of the connection or attempt; offline, that of the next attempt. Less than the number of brokers.
    turn: u8,
    /// The endpoint of the last attempt.
    pub(super) endpoint: u8,
    /// The endpoint of the next attempt; during an attempt or a connection, its own.
    next: u8,
    /// Brokers in a row that refused and will do so again.
    refusals: u8,
    /// Connections in a row that were accepted, and closed soon after.
    kicked_out: u8,
    /// How often the time for an attempt has doubled.
    doublings: u8,
    /// The version is chosen for each attempt.
    negotiates: bool,
    /// The attempt is the second one of its turn, in the other version.
    second: bool,
    /// A connection of this turn has been stable.
    stable: bool,
    /// The attempt is a visit at the first broker, out of turn.
    visits: bool,
    /// How often the client has looked for a quiet moment to leave for such a visit.
    pub(super) looks: u8,
    /// The delay before the very first attempt has begun, or is not wanted.
    begun: bool,
}

/// How the next attempt follows at the same broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    AtOnce,
    Later,
}

/// The bit of `endpoint`; none beyond the 32nd.
const fn bit(endpoint: u8) -> u32 {
    if endpoint < 32 { 1 << endpoint } else { 0 }
}

impl Attempts {
    /// Before the first attempt. `negotiates`: the version is chosen for each one.
    pub(super) const fn new(negotiates: bool, policy: &Reconnect) -> Self {
        Self {
            newer: 0,
            older: 0,
            failures: 0,
            turn: 0,
            endpoint: 0,
            next: policy.endpoint_at(0),
            refusals: 0,
            kicked_out: 0,
            doublings: 0,
            negotiates,
            second: false,
            stable: false,
            visits: false,
            looks: 0,
            begun: false,
        }
    }

    /// Milliseconds by which the attempt that is due is put off, because it is the very first one.
    pub(super) const fn first_delay(&mut self, policy: &Reconnect) -> u32 {
        if self.begun {
            return 0;
        }
        self.begun = true;
        policy.first_delay()
    }

    /// The application does not want to wait.
    pub(super) const fn hurry(&mut self) {
        self.begun = true;
    }

    /// The connection is stable. Gives whether it is one to the first broker.
    pub(super) const fn stable(&mut self) -> bool {
        self.failures = 0;
        self.looks = 0;
        self.stable = true;
        self.turn == 0
    }

    /// The broker has accepted this version, or refused it.
    const fn knows(&mut self, protocol: Protocol, accepted: bool) {
        let bit = bit(self.endpoint);
        self.newer &= !bit;
        self.older &= !bit;
        match (protocol, accepted) {
            (Protocol::V311, true) => self.newer |= bit,
            (Protocol::V311, false) => self.older |= bit,
            (Protocol::V31, _) => {}
        }
    }

    /// The turn ends for `reason`. Gives the milliseconds to the next one.
    fn end_turn(&mut self, reason: Reason, policy: &Reconnect) -> u32 {
        let failures = self.failures;
        let brokers = policy.brokers();
        let begins_anew = self.stable && policy.prefers_first();
        self.turn = if begins_anew || self.turn + 1 >= brokers { 0 } else { self.turn + 1 };
        self.stable = false;
        // After the highest number a round begins that has the longest delay.
        let start_of_round = ROUNDS.wrapping_mul(brokers.into());
        self.failures = match (reason, failures.checked_add(1)) {
            (Reason::Requested, _) => 0,
            (_, more) => more.unwrap_or(start_of_round),
        };
        let refused = self.is_refused_by_all(reason, brokers);
        policy.pause(failures.into(), refused)
    }

    /// Whether every broker in turn has refused, and a retry seldom mends that.
    fn is_refused_by_all(&mut self, reason: Reason, brokers: u8) -> bool {
        let Reason::Fatal(Fatal::Refused(
            Refusal::ProtocolVersion
            | Refusal::IdentifierRejected
            | Refusal::BadLogin
            | Refusal::NotAuthorized,
        )) = reason
        else {
            self.refusals = 0;
            return false;
        };
        self.refusals = self.refusals.saturating_add(1);
        let all = self.refusals >= brokers;
        if all {
            self.refusals = 0;
        }
        all
    }
}

impl State {
    /// An attempt begins; gives its endpoint.
    pub(super) const fn begin_attempt(&mut self) -> u8 {
        self.attempts.endpoint = self.attempts.next;
        self.attempts.endpoint
    }

    /// The time in milliseconds that an attempt may take.
    pub(crate) const fn connect_timeout(&self) -> u32 {
        self.settings.connect_timeout.saturating_mul(1 << self.attempts.doublings)
    }

    /// Starts the time for this attempt.
    #[inline(never)] // for less flash
    pub(super) fn expect_connack(&mut self, now: Instant) {
        self.timers.set(Timer::Connect, now.plus_millis(u64::from(self.connect_timeout())));
    }

    /// The broker has accepted the connection.
    pub(super) fn accepted(&mut self) {
        self.attempts.doublings = 0;
        if self.attempts.visits {
            self.attempts.visits = false;
            self.attempts.turn = 0;
        }
        if self.protocol == Protocol::V311 {
            self.attempts.knows(Protocol::V311, true);
        }
        self.counters.connections = self.counters.connections.wrapping_add(1);
    }

    /// The connection, or the attempt, has ended for `reason`: chooses the next attempt. Gives the milliseconds to it,
    /// for a client that stays online.
    #[inline(never)] // for less flash
    pub(super) fn next_attempt(&mut self, reason: Reason) -> u32 {
        let again = self.other_version(reason);
        let up = self.phase.is_up();
        let Self { attempts, settings, protocol, .. } = self;
        let policy = &settings.reconnect;
        if matches!(reason, Reason::Fatal(Fatal::ConnectTimeout)) {
            attempts.doublings = MOST_DOUBLINGS.min(attempts.doublings + 1);
        }
        attempts.second = again.is_some();
        if again.is_none() && !up {
            attempts.kicked_out = 0;
        }
        let returns = matches!(reason, Reason::Returning);
        let millis = match again {
            Some(Again::Later) if !attempts.visits => policy.pause(0, false),
            Some(_) => 0,
            // Nothing is wrong with this broker.
            None if matches!(reason, Reason::PassedOver | Reason::SessionEnded) => 0,
            None if returns || attempts.visits => {
                attempts.visits = returns;
                attempts.stable = false;
                0
            }
            None => attempts.end_turn(reason, policy),
        };
        attempts.next = policy.endpoint_at(if attempts.visits { 0 } else { attempts.turn });
        if attempts.negotiates {
            let older = if attempts.second {
                matches!(protocol, Protocol::V311)
            } else {
                attempts.older & bit(attempts.next) != 0
            };
            *protocol = if older { Protocol::V31 } else { Protocol::V311 };
        }
        millis
    }

    /// Whether the end of this attempt leaves the other version to be tried at the same broker: rules 2 and 4.
    fn other_version(&mut self, reason: Reason) -> Option<Again> {
        let asked = self.connack_may_follow();
        let attempts = &mut self.attempts;
        let known = attempts.newer & bit(attempts.endpoint) != 0;
        let again = if matches!(reason, Reason::Fatal(Fatal::Refused(Refusal::ProtocolVersion))) {
            Again::AtOnce
        } else if asked && !known && is_of_transport(reason) {
            Again::Later
        } else {
            return None;
        };
        if !attempts.negotiates {
            return None;
        }
        if again == Again::AtOnce {
            attempts.knows(self.protocol, false);
        }
        (!attempts.second).then_some(again)
    }
}

impl Machine<'_> {
    /// The transport of an accepted connection has closed. A broker does that if another client connects with the same
    /// id [MQTT-3.1.4-2].
    pub(super) fn closed_by_peer(&mut self, cause: Reason, now: Instant) -> Reason {
        let state = &mut *self.state;
        let lasted = now.millis_since(state.connect.sent_at());
        let soon = lasted <= u64::from(state.settings.reconnect.longest_delay());
        let connections = &mut state.attempts.kicked_out;
        // An unanswered request may be the cause as well.
        let kicked_out =
            soon && !self.session.awaits_answer() && !self.session.reclaim_awaits_answer();
        *connections = if kicked_out { connections.saturating_add(1) } else { 0 };
        if *connections < KICKED_OUT {
            cause
        } else {
            Reason::KickedOut { connections: *connections }
        }
    }
}

const fn is_of_transport(reason: Reason) -> bool {
    matches!(reason, Reason::TransportClosed | Reason::TransportFailed(_))
}

#[cfg(test)]
mod tests {
    use super::Attempts;
    use crate::{error::Reason, reconnect::Reconnect};

    /// Half a year of failures.
    #[test]
    fn rounds_end_in_the_longest_delay_for_ever() {
        for brokers in [1, 3, 255] {
            let policy = Reconnect::after(10).at_most(60_000).endpoints(brokers);
            let mut attempts = Attempts::new(false, &policy);
            let mut short = 0;
            for failure in 0..200_000_u32 {
                let delay = attempts.end_turn(Reason::TransportClosed, &policy);
                short = if delay >= 30_000 { 0 } else { short + 1 };
                let early = failure < 20 * u32::from(brokers);
                assert!(early || short < u32::from(brokers), "{brokers}, {failure}: {delay}");
            }
        }
    }
}
