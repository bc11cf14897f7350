//! The settings of a session, fixed when the client is made.

use super::{
    Sources,
    changes::Recorder,
    known::{Endpoints, MOST_BROKERS},
    qos::InDoubt,
    subscriptions::Renewals,
};
use crate::error::ConfigError;

/// Whether the broker keeps the session beyond the connection [MQTT-3.1.2-4].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lifetime {
    /// Clean session: it ends with the connection.
    Connection,
    /// It outlives connections.
    Persistent,
}

/// Who acknowledges a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Acknowledge {
    /// The client, when it hands the message to the application.
    Automatic,
    /// The application, with `Client::acknowledge`.
    Manual,
}

/// What an answer does that no request awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Strictness {
    /// It is ignored.
    Lenient,
    /// It ends the connection [MQTT-4.8.0-1].
    Strict,
}

/// When subscriptions are made again, if they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RenewOn {
    /// If the broker does not have them.
    Loss,
    /// On each connection.
    Connection,
}

/// See the methods of `Options` with these names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionSettings {
    pub(crate) acknowledge: Acknowledge,
    pub(crate) renewals: Renewals,
    pub(crate) filters_per_subscribe: u16,
    /// Publishes of QoS 2 that may be in flight or wait at once; 0: none is ever sent.
    pub(crate) exactly_once_window: u16,
    pub(crate) stuck_after: u8,
    pub(crate) give_up_stuck: bool,
    pub(crate) endpoints: Endpoints,
    pub(crate) renew_on: RenewOn,
    pub(crate) in_doubt: InDoubt,
    /// `Some` if there is a journal.
    pub(crate) recorder: Option<&'static Recorder>,
    /// `Some` if publishes from a source are on.
    pub(crate) sources: Option<&'static Sources>,
}

impl SessionSettings {
    /// Whether a session at each of so many brokers is possible.
    pub(crate) fn check(&self, clean: bool, brokers: u8) -> Result<(), ConfigError> {
        let separate = !clean && self.endpoints == Endpoints::Separate;
        if separate && brokers > MOST_BROKERS {
            return Err(ConfigError::Brokers { count: brokers, most: MOST_BROKERS });
        }
        Ok(())
    }

    pub(crate) const DEFAULT: Self = Self {
        acknowledge: Acknowledge::Automatic,
        renewals: Renewals::On,
        filters_per_subscribe: 8,
        exactly_once_window: 19,
        stuck_after: 3,
        give_up_stuck: false,
        endpoints: Endpoints::Separate,
        renew_on: RenewOn::Loss,
        in_doubt: InDoubt::Lost,
        recorder: None,
        sources: None,
    };
}
