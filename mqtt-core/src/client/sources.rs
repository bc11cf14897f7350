//! Publishes whose payload stays where it is.

use super::Client;
use crate::{
    error::RequestError,
    session::{Handle, Slot},
    source::{PublishFrom, SourceFault},
    time::Instant,
};

impl<B, S> Client<B, S>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    /// Accepts a message whose payload is read from a source while it is sent, also while offline. Only its head goes
    /// into the outbox, and 13 bytes that name the source, so a message may be far larger than the outbox. Needs
    /// `Options::sources`.
    ///
    /// It has its place in the order of all publishes, and until all its bytes are sent, no other packet is. In
    /// everything else it is like a message of [`publish`](Self::publish). The source has to give the same bytes
    /// until the publish has ended: after a broken connection they are read again from the first one on, and with a
    /// journal after a restart as well. If `len` is 0, no source is asked.
    ///
    /// ```
    /// use mqtt_core::{Action, Event, Instant, Options, PublishFrom, QoS, SourceId, StaticClient, topic};
    ///
    /// let file = vec![7; 100_000];
    /// let mut client = StaticClient::<256, 4>::new_static(&Options::new("doc").sources(true))?;
    /// let now = Instant::from_millis(0);
    /// # let Action::Connect { .. } = client.poll(now) else { panic!() };
    /// # client.connected(now);
    /// # let Action::Transmit(bytes) = client.poll(now) else { panic!() };
    /// # let sent = bytes.len();
    /// # client.transmitted(sent, now);
    /// # let mut input: &[u8] = &[0x20, 2, 0, 0];
    /// # while client.receive(&mut input, now)?.is_some() {}
    /// // The client is online.
    /// let publish = PublishFrom::new(topic!("log"), SourceId::new(1), 100_000).qos(QoS::AtLeastOnce);
    /// let handle = client.publish_from(&publish)?;
    ///
    /// let mut buffer = [0; 512];
    /// let mut wire = Vec::new();
    /// while let Action::TransmitFrom(piece) = client.poll(now) {
    ///     let head = piece.copy_head(&mut buffer);
    ///     let from = &file[piece.offset as usize..];
    ///     let count = from.len().min(buffer.len() - head);
    ///     buffer[head..head + count].copy_from_slice(&from[..count]);
    ///     wire.extend_from_slice(&buffer[..head + count]); // a real driver writes them
    ///     client.transmitted(head + count, now);
    /// }
    /// assert_eq!(wire.len(), 4 + 2 + 3 + 2 + 100_000);
    /// let mut input: &[u8] = &[0x40, 2, 0, 1]; // the PUBACK
    /// assert_eq!(client.receive(&mut input, now)?, Some(Event::Published(handle)));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), for the part that goes into the outbox, and
    /// [`NoSources`](RequestError::NoSources).
    pub fn publish_from(&mut self, publish: &PublishFrom<'_>) -> Result<Handle, RequestError> {
        self.machine().publish_from(publish)
    }

    /// The answer 'not yet' to [`Action::TransmitFrom`](crate::Action::TransmitFrom): the source of the publish `handle`
    /// has no bytes now. [`poll`](Self::poll) then waits until [`source_ready`](Self::source_ready).
    ///
    /// Nothing else is sent meanwhile, no acknowledgement and no PINGREQ. So this is for a moment: if it lasts, the
    /// connection ends with [`Fatal::Source`](crate::Fatal::Source), `Options::ping_timeout` after three quarters of the
    /// keep alive at the latest (without a keep alive, after `Options::answer_timeout`). The source is asked once more
    /// before that. A publish of QoS 1 or 2 is then sent again, and one of QoS 0 is `Lost`.
    ///
    /// If another publish is being sent, or none, the call has no effect.
    pub fn source_pending(&mut self, handle: Handle, now: Instant) {
        self.machine().source_pending(handle, now);
    }

    /// The source of the publish `handle` has bytes again.
    pub fn source_ready(&mut self, handle: Handle) {
        self.machine().source_ready(handle);
    }

    /// The source of the publish `handle` will not give the bytes that
    /// [`Action::TransmitFrom`](crate::Action::TransmitFrom) asks for, and nothing was written for this action. The
    /// publish ends as [`Event::SourceFailed`](crate::Event::SourceFailed).
    ///
    /// If bytes of the packet are sent, it cannot be finished, and the connection ends with
    /// [`Fatal::Source`](crate::Fatal::Source). So a driver reads some bytes of the source before it writes the first
    /// byte of the head. If none were sent, the connection goes on.
    ///
    /// If another publish is being sent, or none, the call has no effect.
    pub fn source_failed(&mut self, handle: Handle, fault: SourceFault) {
        self.machine().source_failed(handle, fault);
    }

    /// Whether `Options::sources` is on.
    #[cfg(feature = "embedded-io-async")]
    pub(crate) const fn has_sources_on(&self) -> bool {
        self.session.has_sources_on()
    }

    /// The publishes of QoS 1 and 2 from a source that the broker may not have, in the order in which they are sent.
    ///
    /// After [`restore`](Self::restore) these name the sources that the client is going to ask for again.
    pub fn sources(&self) -> impl Iterator<Item = (Handle, PublishFrom<'_>)> {
        self.session.publishes_from(self.bytes.as_ref(), self.slots.as_ref())
    }
}
