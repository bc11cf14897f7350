//! Events about the connection that `receive` has not given yet, in their order.

use crate::{error::Reason, event::Event};

/// At most one end and one beginning of an attempt are untold. If an attempt begins and ends before the end of the
/// previous one was told, it leaves no trace. Only the end of a session is told instead of the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Untold {
    Nothing,
    /// The driver was told to open a transport to this endpoint.
    Connecting(u8),
    /// The connection to this endpoint, or the attempt, is over.
    Down(u8, Reason),
    DownThenConnecting(u8, Reason, u8),
    ConnectingThenDown(u8, Reason),
    /// The beginning of an attempt was told, and the driver has put it off. There is nothing to tell.
    Deferred,
}

impl Untold {
    /// An attempt begins.
    pub(super) const fn connecting(&mut self, endpoint: u8) {
        *self = match *self {
            Self::Nothing | Self::Connecting(_) | Self::ConnectingThenDown(..) => {
                Self::Connecting(endpoint)
            }
            Self::Down(ended, reason) | Self::DownThenConnecting(ended, reason, _) => {
                Self::DownThenConnecting(ended, reason, endpoint)
            }
            Self::Deferred => Self::Nothing,
        };
    }

    /// The driver puts off the attempt that has begun.
    pub(super) const fn deferred(&mut self) {
        *self = match *self {
            Self::Nothing | Self::Deferred => Self::Deferred,
            Self::Connecting(_) | Self::ConnectingThenDown(..) => Self::Nothing,
            Self::Down(ended, reason) | Self::DownThenConnecting(ended, reason, _) => {
                Self::Down(ended, reason)
            }
        };
    }

    /// The connection, or the attempt, has ended.
    pub(super) const fn down(&mut self, endpoint: u8, reason: Reason) {
        *self = match *self {
            Self::Nothing | Self::Deferred => Self::Down(endpoint, reason),
            Self::Connecting(endpoint) => Self::ConnectingThenDown(endpoint, reason),
            // It tells of messages that are lost.
            _ if matches!(reason, Reason::SessionEnded) => Self::Down(endpoint, reason),
            Self::Down(ended, first) | Self::DownThenConnecting(ended, first, _) => {
                Self::Down(ended, first)
            }
            Self::ConnectingThenDown(endpoint, first) => Self::ConnectingThenDown(endpoint, first),
        };
    }

    /// The application ends the attempts; this reason replaces an untold one.
    pub(super) const fn stopped(&mut self, endpoint: u8, reason: Reason) {
        *self = match *self {
            Self::Nothing | Self::Deferred | Self::Down(..) | Self::DownThenConnecting(..) => {
                Self::Down(endpoint, reason)
            }
            Self::Connecting(endpoint) | Self::ConnectingThenDown(endpoint, _) => {
                Self::ConnectingThenDown(endpoint, reason)
            }
        };
    }

    /// The next event.
    pub(super) const fn next<'i>(&mut self) -> Option<Event<'i>> {
        let (event, rest) = match *self {
            Self::Nothing | Self::Deferred => return None,
            Self::Connecting(endpoint) => (Event::Connecting { endpoint }, Self::Nothing),
            Self::Down(endpoint, reason) => (Event::Down { endpoint, reason }, Self::Nothing),
            Self::DownThenConnecting(endpoint, reason, next) => {
                (Event::Down { endpoint, reason }, Self::Connecting(next))
            }
            Self::ConnectingThenDown(endpoint, reason) => {
                (Event::Connecting { endpoint }, Self::Down(endpoint, reason))
            }
        };
        *self = rest;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::Untold;
    use crate::{error::Reason, event::Event};

    fn told(mut untold: Untold) -> [Option<Event<'static>>; 3] {
        [untold.next(), untold.next(), untold.next()]
    }

    const DOWN: Option<Event<'_>> =
        Some(Event::Down { endpoint: 7, reason: Reason::TransportClosed });
    const CONNECTING: Option<Event<'_>> = Some(Event::Connecting { endpoint: 7 });

    #[test]
    fn events_come_in_the_order_in_which_they_happened() {
        let mut untold = Untold::Nothing;
        untold.connecting(7);
        assert_eq!(told(untold), [CONNECTING, None, None]);
        untold.down(7, Reason::TransportClosed);
        assert_eq!(told(untold), [CONNECTING, DOWN, None]);
        let mut untold = Untold::Down(7, Reason::TransportClosed);
        untold.connecting(7);
        assert_eq!(told(untold), [DOWN, CONNECTING, None]);
    }

    #[test]
    fn an_attempt_that_ended_before_anything_was_told_leaves_no_trace() {
        let mut untold = Untold::DownThenConnecting(7, Reason::TransportClosed, 3);
        untold.down(7, Reason::PassedOver);
        assert_eq!(told(untold), [DOWN, None, None]);
        let mut untold = Untold::ConnectingThenDown(3, Reason::PassedOver);
        untold.connecting(7);
        assert_eq!(told(untold), [CONNECTING, None, None]);
    }

    #[test]
    fn the_end_of_a_session_leaves_a_trace() {
        let mut untold = Untold::Down(3, Reason::TransportClosed);
        untold.connecting(7);
        untold.down(7, Reason::SessionEnded);
        untold.connecting(7);
        untold.down(7, Reason::TransportClosed);
        let ended = Some(Event::Down { endpoint: 7, reason: Reason::SessionEnded });
        assert_eq!(told(untold), [ended, None, None]);
    }

    #[test]
    fn a_stop_on_request_replaces_the_untold_reason() {
        let mut untold = Untold::ConnectingThenDown(7, Reason::PassedOver);
        untold.stopped(7, Reason::TransportClosed);
        assert_eq!(told(untold), [CONNECTING, DOWN, None]);
    }
}
