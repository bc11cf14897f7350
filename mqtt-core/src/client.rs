//! [`Client`]: the state machine with its storage. This is a generic shell; the logic behind it is in one copy that is
//! not generic.

mod questions;
mod sources;

use core::fmt;

pub use questions::Room;

use crate::{
    codec::{Login, PacketId, Publish, QoS, Will},
    error::{ConfigError, Fatal, Reason, RequestError, RestoreError, TransportFault},
    event::{Action, Event},
    machine::{Machine, State},
    options::Options,
    session::{Delivery, Handle, Session, Slot},
    time::Instant,
    topic::Filter,
};

/// An MQTT client: a state machine that does no IO, reads no clock and never blocks.
///
/// `B` holds the outbox, bytes that wait for the broker or for its answer; `S` holds the slots, one for each request
/// in flight. Both are the caller's: arrays, borrowed slices, boxes. See [`StaticClient`], and `BoxedClient` with the
/// feature `alloc`. Their lengths must not change: if one does, a debug assertion fails, and a release build loses
/// packets.
///
/// A driver repeats two steps: it calls [`receive`](Self::receive) with the bytes that came until it gives `None`, and
/// carries out the actions that [`poll`](Self::poll) gives until it gives [`Action::Wait`]. Requests are accepted in
/// between, at any time, also offline.
///
/// There are four kinds of methods:
///
/// | kind | methods |
/// |---|---|
/// | the driver's loop | [`receive`](Self::receive), [`poll`](Self::poll); for a device that sleeps [`awake`](Self::awake) |
/// | the driver's reports on actions | [`connected`](Self::connected), [`defer_connect`](Self::defer_connect), [`closed`](Self::closed), [`transmitted`](Self::transmitted), [`persisted`](Self::persisted); for a publish from a source [`source_pending`](Self::source_pending), [`source_ready`](Self::source_ready), [`source_failed`](Self::source_failed) |
/// | the application's requests | [`publish`](Self::publish), [`publish_from`](Self::publish_from), [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe), [`acknowledge`](Self::acknowledge), [`forget_message`](Self::forget_message), [`cancel`](Self::cancel), [`forget_subscriptions`](Self::forget_subscriptions), [`disconnect`](Self::disconnect), [`connect`](Self::connect); for a journal [`restore`](Self::restore), [`compact`](Self::compact), [`set_position`](Self::set_position) |
/// | questions | [`state`](Self::state), [`protocol`](Self::protocol), [`connect_timeout`](Self::connect_timeout), [`counters`](Self::counters), [`in_flight`](Self::in_flight), [`outbox_free`](Self::outbox_free), [`room`](Self::room), [`publishes`](Self::publishes), [`sources`](Self::sources), [`subscriptions`](Self::subscriptions), [`position`](Self::position) |
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
#[derive(Clone)]
pub struct Client<B, S> {
    state: State,
    session: Session,
    bytes: B,
    slots: S,
}

/// Without the bytes of the outbox: the CONNECT in it holds the password.
impl<B: AsRef<[u8]>, S: AsRef<[Slot]>> fmt::Debug for Client<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.state)
            .field("session", &self.session)
            .field("outbox", &format_args!("{} bytes", self.bytes.as_ref().len()))
            .field("slots", &self.slots.as_ref().len())
            .finish()
    }
}

/// A client whose storage is inside it: an outbox of `BYTES` bytes, `WINDOW` requests in flight.
pub type StaticClient<const BYTES: usize, const WINDOW: usize> =
    Client<[u8; BYTES], [Slot; WINDOW]>;

/// A client whose storage is on the heap.
#[cfg(feature = "alloc")]
pub type BoxedClient = Client<alloc::boxed::Box<[u8]>, alloc::boxed::Box<[Slot]>>;

/// The fixed part of a client, in bytes, on a 64-bit and on a 32-bit machine; the storage comes on top.
pub(crate) const FIXED_SIZE: usize = if size_of::<usize>() == 8 { 976 } else { 784 };
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
    /// A client with `outbox` and `slots` for storage; their contents are overwritten. It asks for a connection at the
    /// first [`poll`](Self::poll).
    ///
    /// The CONNECT is encoded into the outbox and stays there, so `options` may go.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the options contradict one another or the storage is too small or too large.
    pub fn new(options: &Options<'_>, mut outbox: B, mut slots: S) -> Result<Self, ConfigError> {
        let Options { connect, settings, session, connect_room } = options;
        session.check(connect.clean_session, settings.reconnect.brokers())?;
        let (bytes, slots_given) = (outbox.as_mut(), slots.as_ref());
        let state = State::new(connect, settings, bytes, slots_given, *connect_room)?;
        let clean = connect.clean_session;
        let session = state.new_session(clean, *session, slots.as_mut(), *connect_room);
        Ok(Self { state, session, bytes: outbox, slots })
    }

    fn machine(&mut self) -> Machine<'_> {
        self.state.with(self.session.with(self.bytes.as_mut(), self.slots.as_mut()))
    }

    /// The driver's next task, most urgent first. Call it after every change, until it gives [`Action::Wait`].
    ///
    /// A time-out for input (the CONNACK, a PINGRESP, an answer) ends the connection only after a call of
    /// [`receive`](Self::receive) that was made past the deadline with everything that the transport held. So `poll`
    /// first gives a `Wait` until that deadline, which is not in the future. The driver reads once without waiting and
    /// calls `receive`, also if no bytes came. If none came, the next `poll` gives [`Action::Close`]. Calls of `poll`
    /// in between change nothing, so other threads may make requests and poll.
    ///
    /// In the same way a transport that takes no bytes is offered them once more, with [`Action::Transmit`], before
    /// the connection ends.
    pub fn poll(&mut self, now: Instant) -> Action<'_> {
        self.machine().poll(now)
    }

    /// The device is awake anyway: the next [`poll`](Self::poll) gives the work that would be due within `slack`
    /// milliseconds. It is for devices that sleep, so that one wake-up serves for two.
    ///
    /// | work | within the slack |
    /// |---|---|
    /// | the PINGREQ of [`Options::keep_alive`](crate::Options::keep_alive), and the one of [`ping_on_silence`](crate::Options::ping_on_silence) | now, one for both; none if bytes wait to be sent, or if the broker has a request to answer: these serve as well |
    /// | the record of [`record_delay`](crate::Options::record_delay) | now |
    /// | the end of a connection by any time-out | never early; the time for a PINGRESP starts with its PINGREQ |
    /// | an attempt to connect, a return to the first broker | never early: the back-off protects the broker |
    ///
    /// Nothing gets later, so the broker never waits for longer than without slack [MQTT-3.1.2-23].
    ///
    /// The right slack is the time to the next wake-up that the device has planned. Then nothing is done early that this
    /// wake-up would do in time, and as few wake-ups are left as the keep alive allows. With less slack some are left that
    /// could be spared. With more slack PINGREQs are sent that nobody needs: one at each call, if it is as long as the time
    /// after which one is due.
    ///
    /// Call it at a wake-up that uses the radio, after the requests of this wake-up and before `poll`: a PINGREQ then
    /// leaves in one write with a publish of QoS 0. Call it again after the answers, and the record of their outcome is
    /// written at once. It is an argument and no setting, because only the device knows why it is awake and when it wakes
    /// up next.
    ///
    /// ```
    /// use mqtt_core::{Action, Instant, Options, Publish, StaticClient, topic};
    ///
    /// // A PINGREQ is due 15 minutes after the broker was heard last.
    /// let options = Options::new("meter-3").keep_alive(20 * 60);
    /// let mut client = StaticClient::<256, 4>::new_static(&options)?;
    /// # let start = Instant::from_millis(0);
    /// # assert!(matches!(client.poll(start), Action::Connect { .. }));
    /// # client.connected(start);
    /// # let Action::Transmit(bytes) = client.poll(start) else { panic!("a CONNECT is due") };
    /// # let sent = bytes.len();
    /// # client.transmitted(sent, start);
    /// # let mut input: &[u8] = &[0x20, 2, 0, 0];
    /// # while client.receive(&mut input, start)?.is_some() {}
    /// // Ten minutes later the device wakes up to publish.
    /// let now = Instant::from_millis(10 * 60_000);
    /// client.publish(&Publish::new(topic!("meter/3"), b"42"))?;
    /// client.awake(6 * 60_000, now);
    /// let Action::Transmit(bytes) = client.poll(now) else { panic!("a PUBLISH is due") };
    /// assert_eq!(bytes, b"\x30\x0B\0\x07meter/342\xC0\0"); // PUBLISH and PINGREQ
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn awake(&mut self, slack: u32, now: Instant) {
        self.machine().awake(slack, now);
    }

    /// The next event. `input` holds the bytes that the driver has read and no earlier call has taken; the call takes
    /// bytes from its front. Call it until it gives `None`, then [`poll`](Self::poll). Call it after each read, also
    /// if no bytes came: that is the proof that they are missing.
    ///
    /// `None` means that `input` holds no further whole packet, or that the answer to the next one has no room before
    /// the transport has taken some bytes. Keep the rest of `input` and give it again, with new bytes behind it. New
    /// bytes prove that the link is alive, also those of a packet that is not whole yet.
    /// Events that need no input (a QoS 0 publish was sent, the connection is gone) come from here as well. The event
    /// borrows the input, not the client.
    ///
    /// # Errors
    ///
    /// [`Fatal`] if the broker broke a rule or a limit. The error comes once, then [`poll`](Self::poll) gives
    /// [`Action::Close`]. The session is kept.
    pub fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Result<Option<Event<'i>>, Fatal> {
        self.machine().receive(input, now)
    }

    /// The transport is open.
    pub fn connected(&mut self, _now: Instant) {
        self.machine().connected();
    }

    /// The answer 'not yet' to [`Action::Connect`], for drivers that limit how many transports they open at once or in
    /// a second. At `until`, [`poll`](Self::poll) gives the same action again. The attempt goes back to waiting: its
    /// time-out does not run, it is no failure, and no [`Event::Down`] comes.
    ///
    /// With [`Instant::FAR_FUTURE`] the attempt waits for [`connect`](Self::connect), which also asks earlier than
    /// `until`. Without an `Action::Connect` that waits for its answer, the call has no effect: [`poll`](Self::poll)
    /// then says what to do instead.
    pub fn defer_connect(&mut self, until: Instant) {
        self.machine().defer_connect(until);
    }

    /// The transport is closed, or could not be opened. Bytes that were read from it and not taken are void.
    pub fn closed(&mut self, now: Instant) {
        self.machine().closed(Reason::TransportClosed, now);
    }

    /// As [`closed`](Self::closed), for drivers that know why: [`Event::Down`] says so, unless the client has a reason of
    /// its own.
    pub fn failed(&mut self, fault: TransportFault, now: Instant) {
        self.machine().closed(Reason::TransportFailed(fault), now);
    }

    /// The transport has taken the first `count` bytes that [`Action::Transmit`] gave. After [`Action::TransmitFrom`]:
    /// that many bytes of the rest of the head and of the payload, not more than there are.
    pub fn transmitted(&mut self, count: usize, now: Instant) {
        self.machine().transmitted(count, now);
    }

    /// Accepts a message for the broker, also while offline. The packet id and DUP of `publish` are not used.
    ///
    /// It is copied into the outbox, once. QoS 1 and 2 take a slot until [`Event::Published`] or [`Event::Lost`].
    /// QoS 0 takes none, and its `Published` means that the transport has taken it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: [`WindowFull`](RequestError::WindowFull), [`OutboxFull`](RequestError::OutboxFull),
    /// [`TooLarge`](RequestError::TooLarge), [`Encode`](RequestError::Encode), or, with `Options::queue_messages`,
    /// [`QueueFull`](RequestError::QueueFull). Nothing has changed then.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.machine().publish(publish)
    }

    /// Asks for the messages that match `filters`, each with the highest QoS wanted; answered by
    /// [`Event::Subscribed`].
    ///
    /// Granted subscriptions stay in the outbox. If the broker loses the session, they are made again, unless
    /// `Options::renew_subscriptions` is off.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`TooManySubscriptions`](RequestError::TooManySubscriptions).
    pub fn subscribe(&mut self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, RequestError> {
        self.machine().subscribe(filters)
    }

    /// Ends the subscriptions to exactly these `filters`; answered by [`Event::Unsubscribed`].
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn unsubscribe(&mut self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.machine().unsubscribe(filters)
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`.
    ///
    /// The calls may come in any order. Acknowledgements go out in order of arrival [MQTT-4.6.0-2], so an
    /// unacknowledged message delays all later ones, and `receive` takes no more messages than there are slots.
    ///
    /// # Errors
    ///
    /// [`StaleDelivery`](RequestError::StaleDelivery) if the message is acknowledged already or its connection is gone;
    /// in the second case it comes again. [`OutboxFull`](RequestError::OutboxFull) if the note for the journal has no
    /// room.
    pub fn acknowledge(&mut self, delivery: Delivery) -> Result<(), RequestError> {
        self.machine().session.acknowledge(delivery)
    }

    /// Takes back a publish of QoS 1 or 2, a subscribe or an unsubscribe that is not answered. The request ends with
    /// [`Event::Cancelled`], which says whether its packet may have been sent.
    ///
    /// It is for a request that stands in the way: a broker that closes the connection at a packet which it does not
    /// allow would close the next one at the same packet. With a journal the request does not come back after a
    /// restart, once the next record is durable.
    ///
    /// A packet that is being sent is finished, and its event comes then. To give up a packet that was sent departs
    /// from [MQTT-4.4.0-1], which wants it sent again. Its packet id stays out of use until the broker answers it or
    /// the session ends [MQTT-2.3.1-3].
    ///
    /// # Errors
    ///
    /// [`NotInFlight`](RequestError::NotInFlight), [`Released`](RequestError::Released) after the PUBREC of a QoS 2
    /// publish, [`AtMostOnce`](RequestError::AtMostOnce) at QoS 0, [`OutboxFull`](RequestError::OutboxFull) if the note
    /// for the journal has no room. Nothing has changed then.
    pub fn cancel(&mut self, handle: Handle) -> Result<(), RequestError> {
        self.machine().session.cancel(handle)
    }

    /// Forgets `count` subscriptions, from the one at position `first` of [`subscriptions`](Self::subscriptions) on:
    /// they are not made again if the broker loses the session. It is for [`Event::RenewalStuck`]. The broker may still
    /// have them.
    ///
    /// # Errors
    ///
    /// [`Renewing`](RequestError::Renewing) while a renewal is being sent; nothing has changed then.
    pub fn forget_subscriptions(&mut self, first: usize, count: usize) -> Result<(), RequestError> {
        if self.machine().session.forget_subscriptions(first, count) {
            Ok(())
        } else {
            Err(RequestError::Renewing)
        }
    }

    /// Forgets a QoS 2 message of the broker whose PUBREL never comes, so its slot is free for another one; for use
    /// after [`Fatal::NotReleased`]. If the broker sends the message again, it counts as new.
    ///
    /// # Errors
    ///
    /// [`OutboxFull`](RequestError::OutboxFull) if the note for the journal has no room.
    pub fn forget_message(&mut self, id: PacketId) -> Result<(), RequestError> {
        self.machine().session.forget_message(id)
    }

    /// Ends the connection with a DISCONNECT once all accepted requests are sent: the will is not published. Nothing
    /// more is received, and the client stays offline until [`connect`](Self::connect).
    ///
    /// It does not wait for answers. Unanswered requests stay in the session, or end as [`Event::Lost`].
    ///
    /// The last call of `disconnect` and `connect` counts, also if both are made before the driver acts. After
    /// `disconnect(); connect();` this connection ends, and the next one begins at once.
    pub fn disconnect(&mut self) {
        self.machine().disconnect();
    }

    /// The login of the next connections, for one that expires.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Connect`]; [`ConfigError::ConnectRoom`] if the CONNECT gets longer than `Options::connect_room`
    /// allows; [`ConfigError::Connecting`] while a CONNECT is being sent. Nothing has changed then.
    pub fn set_login(&mut self, login: Option<Login<'_>>) -> Result<(), ConfigError> {
        self.machine().set_login(login)
    }

    /// The will of the next connections.
    ///
    /// # Errors
    ///
    /// As [`set_login`](Self::set_login).
    pub fn set_will(&mut self, will: Option<Will<'_>>) -> Result<(), ConfigError> {
        self.machine().set_will(will)
    }

    /// Ends every request of a clean session as [`Event::Lost`], if the client is stopped: the session has ended with its
    /// connection, and nobody will answer. It is for drivers whose application ends with the client. Until then requests
    /// wait for [`connect`](Self::connect).
    ///
    /// It has no effect on a session that is kept, which the broker goes on with.
    pub fn lose_requests(&mut self) {
        self.machine().lose_requests();
    }

    /// Connects now: after [`disconnect`](Self::disconnect), with `Reconnect::never`, or ahead of the back-off. If a
    /// connection is ending, the next one begins as soon as it has ended. While a connection is up or being made, the
    /// call has no effect.
    pub fn connect(&mut self) {
        self.machine().connect();
    }

    /// The record that the last [`poll`](Self::poll) gave is durable.
    pub fn persisted(&mut self) {
        self.machine().persisted();
    }

    /// The next record will state the whole session. Once it is durable, the records before it may be deleted.
    pub fn compact(&mut self) {
        self.machine().session.compact();
    }

    /// Rebuilds the session from its records: one call for each record, oldest first, before the first request and the
    /// first [`poll`](Self::poll).
    ///
    /// A torn last record is safe to ignore: power failed while it was written, and nothing in it was sent. The outbox
    /// and the window may have another size than before, if the session fits.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing has changed then.
    pub fn restore(&mut self, record: &[u8]) -> Result<(), RestoreError> {
        self.machine().restore(record)
    }

    /// Sets a number of the application that the next record stores. It becomes durable together with everything that
    /// is accepted, acknowledged or taken before the next [`poll`](Self::poll).
    ///
    /// An application that publishes from a source sets the position in the source behind the published message. One
    /// that stores received messages sets the length of its store. After a power cut the application goes on from
    /// [`position`](Self::position): it publishes from there, or cuts its store back to there, and nothing is lost or
    /// doubled.
    pub fn set_position(&mut self, position: u64) {
        self.machine().session.set_position(position);
    }

    /// The last position set or restored; 0 at first.
    pub const fn position(&self) -> u64 {
        self.session.position()
    }

    /// Sets `Options::skip_unreadable` anew: for an application that hears of a message with an unreadable topic at
    /// each connection, and prefers to lose it.
    pub const fn set_skip_unreadable(&mut self, on: bool) {
        self.state.set_skip_unreadable(on);
    }

    /// Sets `Options::receive_capacity` anew, for drivers that own the buffer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ReceiveCapacity`] below 16.
    pub fn set_receive_capacity(&mut self, bytes: usize) -> Result<(), ConfigError> {
        self.state.set_receive_capacity(bytes)
    }
}
