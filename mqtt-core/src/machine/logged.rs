//! The lines for the logger. Without the features `log` and `defmt` these functions do nothing.

use crate::{
    codec::PacketId,
    error::Reason,
    event::{SessionStatus, SkipCause},
    log::log,
    session::StuckAt,
};

/// An attempt to connect begins.
pub(super) fn connecting(endpoint: u8) {
    log!(debug, "mqtt: connects to broker {}", endpoint);
}

/// The broker has accepted the connection.
pub(super) fn accepted(endpoint: u8, session: SessionStatus) {
    let session = match session {
        SessionStatus::New => "new session",
        SessionStatus::Resumed => "the session goes on",
        SessionStatus::Lost => "the session is lost",
        SessionStatus::Found => "unknown session found",
    };
    log!(info, "mqtt: connected to broker {}, {}", endpoint, session);
}

/// The connection, or the attempt, has ended.
pub(super) fn ended(endpoint: u8, reason: Reason) {
    match reason {
        Reason::Requested | Reason::PassedOver | Reason::SessionEnded | Reason::Returning => {
            log!(info, "mqtt: no longer connected to broker {}: {}", endpoint, reason);
        }
        Reason::TransportClosed
        | Reason::TransportFailed(_)
        | Reason::KickedOut { .. }
        | Reason::Fatal(_) => {
            log!(warn, "mqtt: not connected to broker {}: {}", endpoint, reason);
        }
    }
}

/// The next connection sends packets again.
pub(super) fn sent_again(packets: u32) {
    if packets != 0 {
        log!(info, "mqtt: {} packets were not answered and are sent again", packets);
    }
}

/// A message is not handed over.
pub(super) fn skipped(len: usize, cause: SkipCause) {
    match cause {
        SkipCause::TooLarge => {
            log!(warn, "mqtt: a message of {} bytes is skipped: it is too large", len);
        }
        SkipCause::Unreadable(violation) => {
            log!(warn, "mqtt: a message of {} bytes is skipped: {}", len, violation);
        }
        SkipCause::NoSlot => {
            log!(warn, "mqtt: a message of {} bytes is skipped: no slot is left", len);
        }
    }
}

/// The broker did not answer for packet ids of a former session.
pub(super) fn not_reclaimed() {
    log!(warn, "mqtt: the broker does not release packet ids of a former session");
}

/// Connections end at the same packet.
pub(super) fn stuck(at: &StuckAt) {
    match at {
        StuckAt::Request { handle, connections } => {
            let id = handle.packet_id().map_or(0, PacketId::get);
            log!(
                warn,
                "mqtt: {} connections ended at the request with packet id {}",
                connections,
                id
            );
        }
        StuckAt::Renewal { first, connections, .. } => {
            log!(
                warn,
                "mqtt: {} connections ended at the renewal of subscription {}",
                connections,
                first
            );
        }
    }
}
