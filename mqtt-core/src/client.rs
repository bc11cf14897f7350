//! [`Client`]: the state machine with its storage. All of its logic is in one copy that is not generic; this is the
//! shell.

use core::hash::Hasher;

use crate::{
    codec::{Protocol, Publish, QoS},
    error::{ConfigError, Fatal, RequestError, RestoreError},
    event::{Action, ConnectionState, Counters, Delivery, Event, Handle},
    machine::{Core, Machine},
    options::Options,
    session::{Slot, Subscription},
    time::Instant,
    topic::Filter,
};

/// An MQTT client: a state machine that does no IO, reads no clock and never blocks.
///
/// `B` holds the outbox, bytes that wait for the broker or for its answer; `S` holds the slots, one for each request
/// in flight. Both are the caller's: arrays, borrowed slices, boxes. See [`StaticClient`], and `BoxedClient` with the
/// feature `alloc`.
///
/// A driver does two things: it calls [`receive`](Self::receive) with the bytes that came until that gives `None`, and
/// carries out what [`poll`](Self::poll) says until that is [`Action::Wait`]. Requests are accepted in between, at any
/// time, also offline.
///
/// ```
/// use mqtt_core::{Action, Event, Instant, Options, Publish, QoS, StaticClient, topic};
///
/// let mut client = StaticClient::<256, 4>::new_static(&Options::new("doc"))?;
/// let now = Instant::from_millis(0);
///
/// assert_eq!(client.poll(now), Action::Connect { endpoint: 0 });
/// client.connected(now);
/// let Action::Transmit(bytes) = client.poll(now) else { panic!("a CONNECT is due") };
/// let sent = bytes.len(); // a real driver writes them
/// client.transmitted(sent, now);
///
/// let mut input: &[u8] = &[0x20, 2, 0, 0]; // a real driver reads them: a CONNACK
/// assert_eq!(client.receive(&mut input, now)?, Some(Event::Connecting { endpoint: 0 }));
/// assert!(matches!(client.receive(&mut input, now)?, Some(Event::Up { .. })));
///
/// let handle = client.publish(&Publish::new(topic!("a/b"), b"hi").qos(QoS::AtLeastOnce))?;
/// assert!(matches!(client.poll(now), Action::Transmit(bytes) if bytes.len() == 11));
/// client.transmitted(11, now);
/// let mut input: &[u8] = &[0x40, 2, 0, 1]; // the PUBACK
/// assert_eq!(client.receive(&mut input, now)?, Some(Event::Published(handle)));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client<B, S> {
    machine: Machine,
    bytes: B,
    slots: S,
}

/// A client whose storage is inside it: an outbox of `BYTES` bytes, `WINDOW` requests in flight.
pub type StaticClient<const BYTES: usize, const WINDOW: usize> =
    Client<[u8; BYTES], [Slot; WINDOW]>;

/// A client whose storage is on the heap.
#[cfg(feature = "alloc")]
pub type BoxedClient = Client<alloc::boxed::Box<[u8]>, alloc::boxed::Box<[Slot]>>;

/// The fixed part of a client, in bytes, on a 64-bit and on a 32-bit machine; the storage comes on top.
pub(crate) const FIXED_SIZE: usize = if size_of::<usize>() == 8 { 592 } else { 456 };
const _: () = assert!(size_of::<StaticClient<0, 0>>() <= FIXED_SIZE);

impl<const BYTES: usize, const WINDOW: usize> StaticClient<BYTES, WINDOW> {
    /// A client with its storage inside it.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn new_static(options: &Options<'_>) -> Result<Self, ConfigError> {
        Self::new(options, [0; BYTES], [Slot::EMPTY; WINDOW])
    }
}

#[cfg(feature = "alloc")]
impl BoxedClient {
    /// A client with an outbox of `bytes` bytes and `window` requests in flight, on the heap.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn new_boxed(
        options: &Options<'_>,
        bytes: usize,
        window: usize,
    ) -> Result<Self, ConfigError> {
        Self::new(options, alloc::vec![0; bytes].into(), alloc::vec![Slot::EMPTY; window].into())
    }
}

impl<B, S> Client<B, S>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    /// A client with `outbox` and `slots` for storage; what they held is overwritten. It asks for a connection at the
    /// first [`poll`](Self::poll).
    ///
    /// The CONNECT is encoded into the outbox and stays there, so `options` may go.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the options contradict one another or the storage is too small or too large.
    pub fn new(options: &Options<'_>, mut outbox: B, mut slots: S) -> Result<Self, ConfigError> {
        let machine = Machine::new(options, outbox.as_mut(), slots.as_mut())?;
        Ok(Self { machine, bytes: outbox, slots })
    }

    fn core(&mut self) -> Core<'_> {
        Core {
            machine: &mut self.machine,
            bytes: self.bytes.as_mut(),
            slots: self.slots.as_mut(),
            full: false,
        }
    }

    /// What the driver has to do next, most urgent first. Call it after every change, until it says
    /// [`Action::Wait`].
    pub fn poll(&mut self, now: Instant) -> Action<'_> {
        self.core().poll(now)
    }

    /// The next event from `input`, the bytes that the driver has read and this call has not yet taken: it shortens
    /// `input` from the front by what it takes. Call it until it gives `None`, then [`poll`](Self::poll).
    ///
    /// `None` means that `input` holds no further whole packet, or that the answer to the next one finds no room
    /// before the transport has taken some bytes; what is left of `input` is to be given again, with more behind it.
    /// Events that need no input (a QoS 0 publish was sent, the connection is gone) come from here as well. The event
    /// borrows the input, not the client.
    ///
    /// # Errors
    ///
    /// [`Fatal`] where the broker broke a rule or a limit: said once, then [`poll`](Self::poll) says
    /// [`Action::Close`]. The session is kept.
    pub fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Result<Option<Event<'i>>, Fatal> {
        self.core().receive(input, now)
    }

    /// The transport is open.
    pub fn connected(&mut self, _now: Instant) {
        self.core().connected();
    }

    /// The transport is closed, or could not be opened. What was read from it and not taken is void.
    pub fn closed(&mut self, now: Instant) {
        self.core().closed(now);
    }

    /// The transport has taken the first `count` bytes that [`Action::Transmit`] gave.
    pub fn transmitted(&mut self, count: usize, now: Instant) {
        self.core().transmitted(count, now);
    }

    /// Accepts a message for the broker, also while offline. The packet id and DUP of `publish` are not used.
    ///
    /// It is copied into the outbox, once. QoS 1 and 2 take a slot until [`Event::Published`] or [`Event::Lost`];
    /// QoS 0 takes none, and `Published` says that the transport has it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: [`WindowFull`](RequestError::WindowFull), [`OutboxFull`](RequestError::OutboxFull),
    /// [`TooLarge`](RequestError::TooLarge) or [`Encode`](RequestError::Encode); nothing has changed then.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.core().publish(publish)
    }

    /// Asks for the messages that match `filters`, each with the highest QoS wanted; answered by
    /// [`Event::Subscribed`].
    ///
    /// Granted subscriptions stay in the outbox, to be made again should the broker lose the session, unless
    /// `Options::renew_subscriptions` is off.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`TooManySubscriptions`](RequestError::TooManySubscriptions).
    pub fn subscribe(&mut self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, RequestError> {
        self.core().subscribe(filters)
    }

    /// Ends the subscriptions to exactly these `filters`; answered by [`Event::Unsubscribed`].
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn unsubscribe(&mut self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.core().unsubscribe(filters)
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`. In any order: the broker gets the acknowledgements
    /// in the order in which the messages came [MQTT-4.6.0-2], so one message that is never acknowledged holds back
    /// those behind it, and `receive` takes no more than there are slots.
    ///
    /// # Errors
    ///
    /// [`StaleDelivery`](RequestError::StaleDelivery) where that was done before, or the connection is gone; the
    /// message then comes again.
    pub fn acknowledge(&mut self, delivery: Delivery) -> Result<(), RequestError> {
        self.core().acknowledge(delivery)
    }

    /// Ends the connection once what was accepted is sent, with a DISCONNECT: the will is not published. Nothing more
    /// is received, and the client stays offline until [`connect`](Self::connect).
    ///
    /// It does not wait for answers. Requests that have none stay in the session, or end as [`Event::Lost`].
    pub fn disconnect(&mut self) {
        self.core().disconnect();
    }

    /// Connects now: after [`disconnect`](Self::disconnect), with `Reconnect::never`, or ahead of the back-off. No
    /// effect while there is a connection.
    pub fn connect(&mut self) {
        self.core().connect();
    }

    /// The record that the last [`poll`](Self::poll) gave is durable.
    pub fn persisted(&mut self) {
        self.core().persisted();
    }

    /// Has the next record state the whole session: once it is durable, those before it may go.
    pub fn compact(&mut self) {
        self.core().compact();
    }

    /// Rebuilds the session from its records, one call a record, oldest first, before the first request and the first
    /// [`poll`](Self::poll).
    ///
    /// Should the last record be torn, power failed while it was written: nothing that it tells has been acted on.
    /// The outbox and the window may be larger than they were, or smaller as far as all finds room.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing has changed then.
    pub fn restore(&mut self, record: &[u8]) -> Result<(), RestoreError> {
        self.core().restore(record)
    }

    /// Sets a number of the application's that is kept with the next record: what is accepted, acknowledged or taken
    /// before the next [`poll`](Self::poll) and the position become durable together.
    ///
    /// An application that publishes from a source sets the position behind what it has published; one that stores
    /// what it receives sets the length of its store. After a power cut it goes on from [`position`](Self::position): it
    /// publishes from there, or cuts its store back to there, and nothing is lost or doubled.
    pub fn set_position(&mut self, position: u64) {
        self.core().set_position(position);
    }

    /// The last position set or restored; 0 at first.
    pub const fn position(&self) -> u64 {
        self.machine.position()
    }

    /// Feeds to `hasher` all that decides about what the client does from now on: two clients with the same digest
    /// answer the same calls with the same events and actions. The counters are left out. For model checkers.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        self.machine.digest(self.bytes.as_ref(), self.slots.as_ref(), hasher);
    }

    /// Where the connection stands.
    pub const fn state(&self) -> ConnectionState {
        self.machine.state()
    }

    /// The protocol version in use; with `Version::Auto`, the one to be tried next or the one that worked.
    pub const fn protocol(&self) -> Protocol {
        self.machine.protocol()
    }

    /// Numbers since the client was made.
    pub const fn counters(&self) -> &Counters {
        self.machine.counters()
    }

    /// Requests that await the broker's answer, or wait to be sent; at most the number of slots.
    pub fn in_flight(&self) -> usize {
        self.machine.in_flight()
    }

    /// Bytes that requests can still take in the outbox.
    pub fn outbox_free(&self) -> usize {
        self.machine.outbox_free(self.bytes.as_ref())
    }

    /// The publishes of QoS 1 and 2 that have not ended, in the order in which they are sent; without the message where
    /// the broker has it already and only the end of its exchange is to come.
    ///
    /// After [`restore`](Self::restore) these are the ones of the former life, with the handles that their events will
    /// carry.
    pub fn publishes(&self) -> impl Iterator<Item = (Handle, Option<Publish<'_>>)> {
        self.machine.publishes(self.bytes.as_ref(), self.slots.as_ref())
    }

    /// The subscriptions that are made again should the broker lose the session.
    pub fn subscriptions(&self) -> impl Iterator<Item = Subscription<'_>> {
        self.machine.subscriptions(self.bytes.as_ref())
    }

    /// Sets `Options::receive_capacity` anew, for drivers that own the buffer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ReceiveCapacity`] below 16.
    pub fn set_receive_capacity(&mut self, bytes: usize) -> Result<(), ConfigError> {
        self.machine.set_receive_capacity(bytes)
    }
}
