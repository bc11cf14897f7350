//! [`Runner`]: the future that connects, reads, writes, and keeps the deadlines.

use core::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};

use super::{
    Client, Dial, Link, Requests, RunError, Share,
    keeping::{Clock, Kept, NoJournal, Recorder, Recording, keep},
    payloads::{Feeder, From, NoPayloads, Payloads},
    race::race,
    receiving::receive,
    sending::send,
};
use crate::{
    driver::journal::Journal,
    error::{ConfigError, TransportFault},
    event::Event,
    framer::Framer,
    time::Instant,
};

/// How long the end of a connection waits for the broker, which closes it after a DISCONNECT, in milliseconds.
const LONGEST_END: u64 = 5_000;

/// How long the broker alone may close it, in milliseconds. Then the client closes its half.
const BROKER_FIRST: u64 = 500;

/// Serves the connection of a client. There is one for each client; see [`split`].
pub struct Runner<'s, L> {
    share: &'s L,
    framer: Framer<&'s mut [u8]>,
    out: &'s mut [u8],
}

impl<L> fmt::Debug for Runner<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("input", &self.framer)
            .field("output", &format_args!("{} bytes", self.out.len()))
            .finish()
    }
}

/// The two halves of a client: the runner, and the client that tasks make requests with.
///
/// A packet that does not fit in `read` comes in pieces; `read` has at least 16 bytes, and replaces
/// `Options::receive_capacity`. Bytes go out by way of `write`: it should hold the largest packet that is frequent,
/// because a short one makes many small segments.
///
/// # Errors
///
/// [`ConfigError::ReceiveCapacity`] if `read` is too small, [`ConfigError::NoWriteBuffer`] if `write` is empty.
pub fn split<'s, L: Share>(
    share: &'s L,
    read: &'s mut [u8],
    write: &'s mut [u8],
) -> Result<(Runner<'s, L>, Client<'s, L>), ConfigError> {
    share.with(|state| state.client.set_receive_capacity(read.len()))?;
    if write.is_empty() {
        return Err(ConfigError::NoWriteBuffer);
    }
    let runner = Runner { share, framer: Framer::new(read), out: write };
    Ok((runner, Client::new(Requests::new(share))))
}

impl<L: Share> Runner<'_, L> {
    /// Serves the connection until the client is stopped: after `disconnect`, or after the connection ended with
    /// `Reconnect::never`. Then it may be called again, after `connect`.
    ///
    /// `dial` opens transports; `delay` and `now` are the clock, which counts on while the device sleeps. `handle` gets
    /// every event. It may make requests, and it may wait: meanwhile nothing is received, so the broker waits as well, and
    /// no connection begins, but everything is sent that is due. It cannot wait for room or for an outcome, because the
    /// answers that it would wait for stand behind its event in the stream; a task of its own can.
    ///
    /// The future may be dropped at any time: the connection is then gone, an event that the handler had begun counts
    /// as handled, and the next call goes on with the session.
    ///
    /// # Errors
    ///
    /// [`RunError::NoJournal`] if the options ask for a journal: see [`run_with`](Self::run_with).
    #[expect(clippy::manual_async_fn, reason = "an async function keeps its arguments twice")]
    pub fn run<D: Dial>(
        &mut self,
        mut dial: D,
        mut delay: impl DelayNs,
        now: impl Fn() -> Instant,
        mut handle: impl AsyncFnMut(Requests<'_, L>, Event<'_>),
    ) -> impl Future<Output = Result<(), RunError<Infallible>>> {
        async move {
            self.serve(&mut NoJournal, &mut NoPayloads, &mut dial, &mut delay, &now, &mut handle)
                .await
        }
    }

    /// As [`run`](Self::run), with a journal, for `Options::journal`. A record is copied to `record`, so that requests
    /// can be made while it is written: `driver::journal::longest_record` says how long it may get.
    ///
    /// # Errors
    ///
    /// [`RunError`]. The connection is then gone, and nothing was sent that is not recorded.
    #[expect(clippy::manual_async_fn, reason = "an async function keeps its arguments twice")]
    pub fn run_with<D: Dial, J: Journal>(
        &mut self,
        journal: &mut J,
        record: &mut [u8],
        mut dial: D,
        mut delay: impl DelayNs,
        now: impl Fn() -> Instant,
        mut handle: impl AsyncFnMut(Requests<'_, L>, Event<'_>),
    ) -> impl Future<Output = Result<(), RunError<J::Error>>> {
        async move {
            let mut recorder = Recording { journal, space: record, len: 0 };
            self.serve(&mut recorder, &mut NoPayloads, &mut dial, &mut delay, &now, &mut handle)
                .await
        }
    }

    /// As [`run`](Self::run), with the payloads of publishes from a source, for `Options::sources`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    #[expect(clippy::manual_async_fn, reason = "an async function keeps its arguments twice")]
    pub fn run_from<D: Dial>(
        &mut self,
        payloads: &mut impl Payloads,
        mut dial: D,
        mut delay: impl DelayNs,
        now: impl Fn() -> Instant,
        mut handle: impl AsyncFnMut(Requests<'_, L>, Event<'_>),
    ) -> impl Future<Output = Result<(), RunError<Infallible>>> {
        async move {
            let mut feeder = From(payloads);
            self.serve(&mut NoJournal, &mut feeder, &mut dial, &mut delay, &now, &mut handle).await
        }
    }

    /// As [`run_with`](Self::run_with), with the payloads of publishes from a source.
    ///
    /// # Errors
    ///
    /// As [`run_with`](Self::run_with).
    #[expect(clippy::manual_async_fn, reason = "an async function keeps its arguments twice")]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the program of its own")]
    pub fn run_with_from<D: Dial, J: Journal>(
        &mut self,
        journal: &mut J,
        record: &mut [u8],
        payloads: &mut impl Payloads,
        mut dial: D,
        mut delay: impl DelayNs,
        now: impl Fn() -> Instant,
        mut handle: impl AsyncFnMut(Requests<'_, L>, Event<'_>),
    ) -> impl Future<Output = Result<(), RunError<J::Error>>> {
        async move {
            let mut recorder = Recording { journal, space: record, len: 0 };
            let mut feeder = From(payloads);
            self.serve(&mut recorder, &mut feeder, &mut dial, &mut delay, &now, &mut handle).await
        }
    }

    async fn serve<D: Dial, R: Recorder, F: Feeder>(
        &mut self,
        recorder: &mut R,
        feeder: &mut F,
        dial: &mut D,
        delay: &mut impl DelayNs,
        now: &impl Fn() -> Instant,
        handle: &mut impl AsyncFnMut(Requests<'_, L>, Event<'_>),
    ) -> Result<(), RunError<R::Error>> {
        let Self { share, framer, out } = self;
        if !F::ANY && share.with(|state| state.client.has_sources_on()) {
            return Err(RunError::NoPayloads);
        }
        let mut clock = Clock { delay, now };
        framer.clear();
        share.with(|state| {
            state.begin(now());
            if recorder.is_long() {
                state.client.compact();
            }
        });
        loop {
            let opened = {
                let dialled = async {
                    let endpoint = poll_fn(|_| {
                        share.with(|state| state.connect).map_or(Poll::Pending, Poll::Ready)
                    })
                    .await;
                    dial.dial(endpoint).await
                };
                let no_reader: Option<<D::Link<'_> as Link>::Reader<'_>> = None;
                let received = receive(*share, framer, no_reader, now, handle);
                let kept = keep(*share, &mut clock, recorder);
                together(*share, pin!(kept), pin!(dialled), pin!(received)).await
            };
            let mut link = match opened {
                End::Second(Ok(link)) => link,
                End::Second(Err(fault)) => {
                    share.with(|state| state.end(Some(fault), now()));
                    continue;
                }
                End::Kept(kept) => match kept {
                    Ok(Kept::Stopped) => return Ok(()),
                    Ok(Kept::Close(_)) => {
                        share.with(|state| state.end(None, now()));
                        continue;
                    }
                    Err(error) => {
                        share.with(|state| state.end(None, now()));
                        return Err(error);
                    }
                },
                // Without a reader nothing ends there.
                End::Received(_) => {
                    share.with(|state| state.end(None, now()));
                    continue;
                }
            };
            share.with(|state| state.begin_link(now()));
            let ended = {
                let buffers = <D::Link<'_> as Link>::BUFFERS;
                let (reader, mut writer) = link.split();
                let received = receive(*share, framer, Some(reader), now, handle);
                let sent = send(*share, feeder, out, &mut writer, buffers, now);
                let kept = keep(*share, &mut clock, recorder);
                together(*share, pin!(kept), pin!(sent), pin!(received)).await
            };
            framer.clear();
            let (fault, error) = match ended {
                End::Kept(Ok(Kept::Close(reason))) => {
                    if reason.is_orderly() {
                        finish(&mut link, out, &mut clock).await;
                    }
                    (None, None)
                }
                End::Kept(Ok(Kept::Stopped)) => (None, None),
                End::Kept(Err(error)) => (None, Some(error)),
                // Whether the end of the peer comes as a reset is chance.
                End::Second(fault) | End::Received(fault) => {
                    (fault.filter(|fault| *fault != TransportFault::Reset), None)
                }
            };
            drop(link);
            share.with(|state| state.end(fault, now()));
            if let Some(error) = error {
                return Err(error);
            }
        }
    }
}

/// Which of the loops has ended first.
enum End<K, S> {
    Kept(K),
    Second(S),
    Received(Option<TransportFault>),
}

/// Runs the loops until one has ended. A handler that has begun, and a record that is being written, are not dropped.
async fn together<K, S>(
    share: &impl Share,
    mut kept: Pin<&mut impl Future<Output = K>>,
    mut second: Pin<&mut impl Future<Output = S>>,
    mut received: Pin<&mut impl Future<Output = Option<TransportFault>>>,
) -> End<K, S> {
    let mut end = None;
    let mut receives = true;
    poll_fn(|context| {
        share.with(|state| state.register(context));
        loop {
            let seen = share.with(|state| state.changes());
            // A record that failed counts as being written, until the next run begins.
            let records = share.with(|state| state.is_recording());
            if end.is_none() || records && !matches!(end, Some(End::Kept(_))) {
                if let Poll::Ready(kept) = kept.as_mut().poll(context) {
                    end = Some(End::Kept(kept));
                }
            }
            if end.is_none() {
                if let Poll::Ready(second) = second.as_mut().poll(context) {
                    end = Some(End::Second(second));
                }
            }
            if end.is_some() {
                share.with(|state| state.stop = true);
            }
            if receives {
                if let Poll::Ready(fault) = received.as_mut().poll(context) {
                    receives = false;
                    end = end.take().or(Some(End::Received(fault)));
                }
            }
            if !receives
                && (matches!(end, Some(End::Kept(_))) || !share.with(|state| state.is_recording()))
            {
                if let Some(end) = end.take() {
                    return Poll::Ready(end);
                }
            }
            // What one loop has changed, the others see in the same poll.
            if share.with(|state| state.take_yield() || state.changes() == seen) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Ends a connection in order: everything that was written leaves, and the broker reads it. What still comes is read
/// and dropped, so that no network stack resets the connection before that.
async fn finish<K: Link>(
    link: &mut K,
    scratch: &mut [u8],
    clock: &mut Clock<'_, impl DelayNs, impl Fn() -> Instant>,
) {
    let start = (clock.now)();
    for (end, shut) in [(BROKER_FIRST, false), (LONGEST_END, true)] {
        let ended = async {
            let (_, mut writer) = link.split();
            if writer.flush().await.is_err() {
                return;
            }
            drop(writer);
            if shut {
                link.shut().await;
            }
            until_end(&mut link.split().0, scratch).await;
        };
        let until = clock.until(start.plus_millis(end));
        if race(pin!(ended), pin!(until)).await.is_some() {
            return;
        }
    }
}

/// Reads and drops everything until the peer has closed the connection.
async fn until_end(reader: &mut impl Read, scratch: &mut [u8]) {
    while let Ok(1..) = reader.read(scratch).await {}
}
