//! The driver: it carries out the actions of `Client::poll` in virtual time.
//!
//! [`act`] carries out one action, [`drive`] all that are due, [`receive`] hands over events. A test implements
//! [`World`] for everything outside the client. Nothing here allocates. No loop runs for ever: a client that always has
//! one more action or event fails the test (invariant 4).

use mqtt_core::{Action, Client, Event, Fatal, Instant, Piece, Reason, Record, Slot, SourceFault};

/// Actions or events in a row that no healthy client comes to.
const MOST: usize = 1_000_000;

/// Bytes of a source that go out at once, with the head.
const BUFFER: usize = 64;

/// The surroundings of a client: its transport, its journal, its application.
///
/// Only `transmit` has to be written. By default a transport opens at once and every record becomes durable.
pub trait World<B, S> {
    /// Called before each action of [`drive`]: gives the client the bytes that came in, takes its events, makes
    /// requests.
    fn before(&mut self, _client: &mut Client<B, S>, _now: Instant) {}

    /// The client asks for a connection.
    fn connect(&mut self, _endpoint: u8) -> Opening {
        Opening::Open
    }

    /// The client ends its connection, which may be broken already.
    fn close(&mut self, _reason: Reason) {}

    /// The client gives a record to be made durable.
    fn persist(&mut self, _record: &Record<'_>) -> Persisting {
        Persisting::Durable
    }

    /// The client asks for bytes of a source. By default there is none.
    fn read(&mut self, _piece: &Piece<'_>, _space: &mut [u8]) -> Reading {
        Reading::Failed(SourceFault::Gone)
    }

    /// The client has bytes to send. Returns how many of them the transport takes.
    fn transmit(&mut self, bytes: &[u8]) -> usize;
}

/// The fate of a transport that the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is open, and the driver reports that to the client.
    Open,
    /// It opens later. The test calls `Client::connected` or `Client::closed` itself.
    Later,
}

/// The fate of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisting {
    /// It is durable, and the driver reports that to the client.
    Durable,
    /// It is not durable yet. The driver stops, so that the test can confirm the record, lose power, or try again.
    NotYet,
}

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// So many bytes, now in the space.
    Bytes(usize),
    /// None yet.
    Pending,
    /// None any more.
    Failed(SourceFault),
}

/// How an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It was carried out.
    Done,
    /// There is nothing to do until then.
    Wait(Instant),
    /// The world holds the driver up: the transport takes no byte, or a record is not durable.
    HeldUp,
}

/// Carries out the next action of `client`.
#[inline]
pub fn act<B, S, W>(client: &mut Client<B, S>, world: &mut W, now: Instant) -> Step
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
    W: World<B, S>,
{
    match client.poll(now) {
        Action::Connect { endpoint } => {
            if world.connect(endpoint) == Opening::Open {
                client.connected(now);
            }
            Step::Done
        }
        Action::Close(reason) => {
            world.close(reason);
            client.closed(now);
            Step::Done
        }
        Action::Persist(record) => match world.persist(&record) {
            Persisting::Durable => {
                client.persisted();
                Step::Done
            }
            Persisting::NotYet => Step::HeldUp,
        },
        Action::Transmit(bytes) => {
            let taken = world.transmit(bytes);
            client.transmitted(taken, now);
            if taken == 0 { Step::HeldUp } else { Step::Done }
        }
        Action::TransmitFrom(piece) => {
            let mut buffer = [0; BUFFER];
            let head = piece.copy_head(&mut buffer);
            let handle = piece.handle;
            let most = (BUFFER - head).min(piece.left as usize);
            let reading = match &mut buffer[head..head + most] {
                [] => Reading::Bytes(0),
                space => world.read(&piece, space),
            };
            match reading {
                Reading::Bytes(count) => {
                    let taken = world.transmit(&buffer[..head + count]);
                    client.transmitted(taken, now);
                    if taken == 0 { Step::HeldUp } else { Step::Done }
                }
                Reading::Pending => {
                    client.source_pending(handle, now);
                    Step::Done
                }
                Reading::Failed(fault) => {
                    client.source_failed(handle, fault);
                    Step::Done
                }
            }
        }
        Action::Wait(until) => Step::Wait(until),
    }
}

/// Carries out all that is due at `now`. Returns the end of the wait, or `None` if the world holds it up.
#[inline]
pub fn drive<B, S, W>(client: &mut Client<B, S>, world: &mut W, now: Instant) -> Option<Instant>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
    W: World<B, S>,
{
    let mut looked = false;
    for _ in 0..MOST {
        world.before(client, now);
        match act(client, world, now) {
            Step::Done => looked = false,
            // A time-out for input is judged after another look at the input.
            Step::Wait(until) if until <= now && !looked => looked = true,
            Step::Wait(until) => return Some(until),
            Step::HeldUp => return None,
        }
    }
    panic!("actions without end");
}

/// Gives `client` the bytes in `input` until it wants no more, and each event to `event`.
///
/// # Errors
///
/// The broker broke a rule; see `Client::receive`.
#[inline]
pub fn receive<B, S>(
    client: &mut Client<B, S>,
    input: &mut &[u8],
    now: Instant,
    mut event: impl FnMut(Event<'_>),
) -> Result<(), Fatal>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    for _ in 0..MOST {
        match client.receive(input, now)? {
            Some(next) => event(next),
            None => return Ok(()),
        }
    }
    panic!("events without end");
}

/// As [`receive`], from a buffer that keeps the bytes that the client has not taken.
///
/// # Errors
///
/// As [`receive`].
pub fn receive_from<B, S>(
    client: &mut Client<B, S>,
    buffer: &mut Vec<u8>,
    now: Instant,
    event: impl FnMut(Event<'_>),
) -> Result<(), Fatal>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    let mut rest = &buffer[..];
    let outcome = receive(client, &mut rest, now, event);
    let taken = buffer.len() - rest.len();
    buffer.drain(..taken);
    outcome
}
