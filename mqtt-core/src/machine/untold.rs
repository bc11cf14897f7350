//! Events about the connection that `receive` has not given yet, in their order.

use crate::{error::Reason, event::Event};

/// At most one end and one beginning of an attempt are untold. If an attempt begins and ends before the end of the
/// previous one was told, it leaves no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Untold {
    Nothing,
    /// The driver was told to open a transport to this endpoint.
    Connecting(u8),
    /// The connection, or the attempt, is over.
    Down(Reason),
    DownThenConnecting(Reason, u8),
    ConnectingThenDown(u8, Reason),
}

impl Untold {
    /// An attempt begins.
    pub(super) const fn connecting(&mut self, endpoint: u8) {
        *self = match *self {
            Self::Nothing | Self::Connecting(_) | Self::ConnectingThenDown(..) => {
                Self::Connecting(endpoint)
            }
            Self::Down(reason) | Self::DownThenConnecting(reason, _) => {
                Self::DownThenConnecting(reason, endpoint)
            }
        };
    }

    /// The connection, or the attempt, has ended.
    pub(super) const fn down(&mut self, reason: Reason) {
        *self = match *self {
            Self::Nothing => Self::Down(reason),
            Self::Connecting(endpoint) => Self::ConnectingThenDown(endpoint, reason),
            Self::Down(first) | Self::DownThenConnecting(first, _) => Self::Down(first),
            Self::ConnectingThenDown(endpoint, first) => Self::ConnectingThenDown(endpoint, first),
        };
    }

    /// The application ends the attempts; this reason replaces an untold one.
    pub(super) const fn stopped(&mut self, reason: Reason) {
        *self = match *self {
            Self::Nothing | Self::Down(_) | Self::DownThenConnecting(..) => Self::Down(reason),
            Self::Connecting(endpoint) | Self::ConnectingThenDown(endpoint, _) => {
                Self::ConnectingThenDown(endpoint, reason)
            }
        };
    }

    /// The next event.
    pub(super) const fn next<'i>(&mut self) -> Option<Event<'i>> {
        let (event, rest) = match *self {
            Self::Nothing => return None,
            Self::Connecting(endpoint) => (Event::Connecting { endpoint }, Self::Nothing),
            Self::Down(reason) => (Event::Down(reason), Self::Nothing),
            Self::DownThenConnecting(reason, endpoint) => {
                (Event::Down(reason), Self::Connecting(endpoint))
            }
            Self::ConnectingThenDown(endpoint, reason) => {
                (Event::Connecting { endpoint }, Self::Down(reason))
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

    const DOWN: Option<Event<'_>> = Some(Event::Down(Reason::TransportClosed));
    const CONNECTING: Option<Event<'_>> = Some(Event::Connecting { endpoint: 7 });

    #[test]
    fn events_come_in_the_order_in_which_they_happened() {
        let mut untold = Untold::Nothing;
        untold.connecting(7);
        assert_eq!(told(untold), [CONNECTING, None, None]);
        untold.down(Reason::TransportClosed);
        assert_eq!(told(untold), [CONNECTING, DOWN, None]);
        let mut untold = Untold::Down(Reason::TransportClosed);
        untold.connecting(7);
        assert_eq!(told(untold), [DOWN, CONNECTING, None]);
    }

    #[test]
    fn an_attempt_that_ended_before_anything_was_told_leaves_no_trace() {
        let mut untold = Untold::DownThenConnecting(Reason::TransportClosed, 3);
        untold.down(Reason::PassedOver);
        assert_eq!(told(untold), [DOWN, None, None]);
        let mut untold = Untold::ConnectingThenDown(3, Reason::PassedOver);
        untold.connecting(7);
        assert_eq!(told(untold), [CONNECTING, None, None]);
    }

    #[test]
    fn a_stop_on_request_replaces_the_untold_reason() {
        let mut untold = Untold::ConnectingThenDown(7, Reason::PassedOver);
        untold.stopped(Reason::TransportClosed);
        assert_eq!(told(untold), [CONNECTING, DOWN, None]);
    }
}
