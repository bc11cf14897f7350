//! The end of a connection after a DISCONNECT: the broker is to read all that was sent.

use std::{
    io,
    time::{self, Duration},
    vec::Vec,
};

use super::{
    service::{Service, Step, Watch},
    state::{LONGEST_END, State},
};
use crate::{
    driver::{
        readiness::Interest,
        stream::{Stream, is_pause},
    },
    time::Instant,
};

/// How long the broker alone may close it. Then the client half-closes it: a proxy or a WebSocket server may end both
/// directions at that, with bytes for the client under way, and what the broker has not read by then is lost.
const BROKER_FIRST: Duration = Duration::from_millis(500);

impl<W: Watch> Service<W> {
    /// A DISCONNECT was sent: nothing more is sent, and what still comes is read and dropped, so that the system does
    /// not reset the connection before the broker has read all.
    pub(super) fn end(&mut self, state: &mut State, until: time::Instant, now: Instant) -> Step {
        let left = until.saturating_duration_since(time::Instant::now());
        let for_the_broker = (left + BROKER_FIRST).saturating_sub(LONGEST_END);
        let (mut over, mut writable) = (true, false);
        if let Some(link) = &mut state.link {
            let told = if state.finished {
                Ok(())
            } else if for_the_broker.is_zero() {
                let finished = link.finish();
                state.finished = finished.is_ok();
                finished
            } else if link.has_output() {
                link.flush()
            } else {
                Ok(())
            };
            writable = matches!(&told, Err(error) if is_pause(error));
            // A broker that is busy with sending may read nothing until it is read from.
            over = (told.is_err() && !writable) || is_at_end(&mut **link);
            if over && !state.finished {
                // The layers say goodbye to those that still listen.
                let _told = link.finish();
            }
        }
        if over || left.is_zero() {
            self.drop_link(state);
            state.client.closed(now);
            self.shared.tell_all(state);
            return Step::Again;
        }
        let next = if for_the_broker.is_zero() { left } else { for_the_broker };
        let wake_at = now.plus_millis(next.as_millis() as u64 + 1);
        Step::Wait(Some(Interest { readable: true, writable }), wake_at)
    }
}

/// Reads and drops all that is there. Gives whether the peer has closed the connection.
fn is_at_end(link: &mut dyn Stream) -> bool {
    let mut dropped: Vec<u8> = std::vec![0; 4096];
    loop {
        match link.read(&mut dropped) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return !is_pause(&error),
        }
    }
}
