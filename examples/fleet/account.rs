//! The account of one session: its connections, and its messages from end to end.

use std::time::Duration;

use mqtt_core::{Event, Message};
use mqtt_examples::sequence::{Arrival, Sequence};

use crate::{
    figures::{Figures, Seen},
    gate::Gate,
};

#[derive(Default)]
pub(crate) struct Account {
    /// Messages that the client has accepted. They are numbered from 0.
    pub(crate) published: u32,
    /// Those that have come back.
    arrived: Sequence,
    /// When the attempt began, or when the link was lost.
    since: Duration,
    is_connecting: bool,
    /// It lost its link, and is not up again.
    is_lost: bool,
}

impl Account {
    /// An attempt to connect begins.
    pub(crate) fn attempt(&mut self, at: Duration, figures: &mut Figures) {
        self.is_connecting = true;
        if !self.is_lost {
            self.since = at;
        }
        figures.attempt(at);
    }

    /// Something has happened.
    pub(crate) fn note(
        &mut self,
        event: &Event<'_>,
        run: u32,
        at: Duration,
        figures: &mut Figures,
        gate: &mut Gate,
    ) {
        if let Event::Message(message) = event {
            self.take(message, run, at, figures);
        } else if let Event::Up { session, .. } = event {
            self.end_attempt(gate);
            let took = at.saturating_sub(self.since);
            if std::mem::take(&mut self.is_lost) {
                figures.back.add(took);
            } else {
                figures.connected.add(took);
            }
            figures.up(*session);
        } else if let Event::Down { reason, .. } = event {
            let was_up = !self.end_attempt(gate);
            if was_up {
                self.is_lost = true;
                self.since = at;
            }
            figures.down(*reason, was_up, at);
        } else if let Event::Published(_) | Event::Downgraded(_) = event {
            figures.acknowledged += 1;
        } else if let Event::Lost(_) = event {
            figures.lost_publishes += 1;
        } else if let Event::Subscribed { granted, .. } | Event::Renewed { granted, .. } = event {
            figures.refused += granted.iter().filter(|code| code.is_none()).count();
        }
    }

    /// Whether an attempt was under way.
    fn end_attempt(&mut self, gate: &mut Gate) -> bool {
        let was_connecting = std::mem::take(&mut self.is_connecting);
        if was_connecting {
            gate.leave();
        }
        was_connecting
    }

    fn take(&mut self, message: &Message<'_>, run: u32, at: Duration, figures: &mut Figures) {
        let Some(payload) = Payload::read(message.payload).filter(|payload| payload.run == run)
        else {
            figures.seen(Seen::Foreign);
            return;
        };
        match self.arrived.note(payload.number) {
            Arrival::Next { .. } | Arrival::Late => {
                figures.seen(Seen::First);
                figures.round_trip.add(at.saturating_sub(payload.at));
            }
            Arrival::Again | Arrival::TooLow => figures.seen(Seen::Again),
        }
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// A number of this run: messages of an earlier one may wait in the session.
    pub(crate) run: u32,
    pub(crate) number: u32,
    /// When it was published, since the start of the program.
    pub(crate) at: Duration,
}

impl Payload {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let micros = u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX);
        let fields =
            u128::from(self.run) << 96 | u128::from(self.number) << 64 | u128::from(micros);
        fields.to_be_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let fields = u128::from_be_bytes(bytes.try_into().ok()?);
        let at = Duration::from_micros(fields as u64);
        Some(Self { run: (fields >> 96) as u32, number: (fields >> 64) as u32, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_as_it_was_written() {
        let payload = Payload { run: u32::MAX, number: 7, at: Duration::from_micros(1 << 40) };
        assert_eq!(Payload::read(&payload.to_bytes()), Some(payload));
        assert_eq!(Payload::read(b"short"), None);
        assert_eq!(Payload::read(&[0; 17]), None);
    }
}
