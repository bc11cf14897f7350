//! The first connection, which the start of a client may wait for.

use super::state::State;
use crate::{codec::Protocol, event::ConnectionState};

/// Follows the attempts of a client that starts. Each broker gets its turn.
pub(crate) struct FirstConnection {
    /// Brokers that have not had their turn.
    left: usize,
    protocol: Protocol,
    tried_both: bool,
}

impl FirstConnection {
    pub(crate) fn new(brokers: usize, state: &State) -> Self {
        Self { left: brokers.max(1), protocol: state.client.protocol(), tried_both: false }
    }

    /// An attempt has ended without a connection. Gives whether it was the last one.
    pub(crate) fn has_failed(&mut self, state: &State) -> bool {
        // Version::Auto asks the same broker again, in the other version.
        let next = state.client.protocol();
        let falls_back = core::mem::replace(&mut self.protocol, next) != next;
        if falls_back && !core::mem::replace(&mut self.tried_both, true) {
            return false;
        }
        self.left -= 1;
        self.tried_both = false;
        self.left == 0 || state.connection() == ConnectionState::Stopped
    }
}
