//! Publishes from a source: the payload of a message, by its number, read while it is sent. A source may have no bytes for
//! a while, or fail.

use std::borrow::Cow;

use mqtt_core::{Action as Told, PublishFrom, SourceFault, SourceId, topic};
use test_kit::text;

use super::{State, withdrawn};
use crate::{config::Config, device::NOW, rules::Verdict, trace::Trace};

/// At least as long as the head of any publish here.
const HEAD: usize = 16;

/// The message with this number, from its source.
pub(super) fn publish(config: &Config, message: u8) -> PublishFrom<'static> {
    PublishFrom::new(topic!("o"), SourceId::new(message.into()), config.payload as u32)
}

/// The bytes that the client offers the transport, with those of a source.
pub(super) fn to_send<'a>(told: &Told<'a>) -> Option<Cow<'a, [u8]>> {
    match told {
        Told::Transmit(bytes) => Some(Cow::Borrowed(bytes)),
        Told::TransmitFrom(piece) => {
            let mut bytes = vec![0; HEAD];
            let head = piece.copy_head(&mut bytes);
            bytes.truncate(head);
            bytes.resize(bytes.len() + piece.left as usize, piece.source.get() as u8);
            Some(Cow::Owned(bytes))
        }
        Told::Connect { .. } | Told::Close(_) | Told::Persist(_) | Told::Wait(_) => None,
    }
}

impl State {
    /// Whether the client asks for bytes of a source, and no transport has a copy of them.
    pub(super) fn asks_for_source(&self) -> bool {
        let mut client = self.client.0.clone();
        self.copied.is_empty() && matches!(client.poll(NOW), Told::TransmitFrom(_))
    }

    pub(super) fn source_fails(&mut self, trace: &mut Trace) -> Verdict {
        let Told::TransmitFrom(piece) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        let (handle, message) = (piece.handle, piece.source.get() as u8);
        trace.say(|| format!("message {message}, id {}", text::id_of(handle)));
        self.source_faults -= 1;
        self.requests.source_fails(message);
        self.client.0.source_failed(handle, SourceFault::Failed);
        Ok(())
    }

    pub(super) fn source_pauses(&mut self) -> Verdict {
        let Told::TransmitFrom(piece) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        let handle = piece.handle;
        self.source_faults -= 1;
        self.paused = Some(handle);
        self.client.0.source_pending(handle, NOW);
        Ok(())
    }

    pub(super) fn source_goes_on(&mut self) {
        if let Some(handle) = self.paused.take() {
            self.client.0.source_ready(handle);
        }
    }
}
