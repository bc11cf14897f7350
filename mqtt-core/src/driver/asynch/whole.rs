//! [`Whole`]: a transport that cannot be split.

use core::{
    cell::{Cell, RefCell, RefMut},
    fmt,
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embedded_io_async::{ErrorType, Read, Write};

use super::Link;

/// A link over a transport that reads and writes, but cannot be split: that of embedded-nal-async, a serial line.
///
/// A read that waits is dropped whenever something is written, so reads have to be cancel-safe: a read that is dropped
/// must not have taken bytes. Between two writes the read is polled once. Nothing is read while a write waits. If the broker stops reading because it cannot write
/// either, the connection stalls, and the client ends it after `Options::ping_timeout`; a transport that can be split
/// has no such limit.
#[derive(Debug)]
pub struct Whole<T, const BUFFERS: bool = false> {
    transport: RefCell<T>,
    turn: Turn,
}

impl<T, const BUFFERS: bool> Whole<T, BUFFERS> {
    /// A link over `transport`. For `BUFFERS` see [`Link::BUFFERS`].
    pub const fn new(transport: T) -> Self {
        let turn =
            Turn { writes: Cell::new(false), reads: Cell::new(false), waiting: Cell::new(None) };
        Self { transport: RefCell::new(transport), turn }
    }
}

/// Whose turn it is to use the transport. Both halves are polled by the same task.
struct Turn {
    /// The writer has it, or wants it.
    writes: Cell<bool>,
    /// The reader waits for its turn, which comes before the next write.
    reads: Cell<bool>,
    /// The half that waits for its turn.
    waiting: Cell<Option<Waker>>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("writes", &self.writes.get()).finish_non_exhaustive()
    }
}

impl Turn {
    /// The other half looks whether it is its turn.
    fn wake(&self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// The reader has had its turn, or does not want it.
    fn has_read(&self) {
        if self.reads.take() {
            self.wake();
        }
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.waiting.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// The incoming direction of a [`Whole`].
#[derive(Debug)]
pub struct WholeReader<'w, T> {
    transport: &'w RefCell<T>,
    turn: &'w Turn,
}

impl<T: ErrorType> ErrorType for WholeReader<'_, T> {
    type Error = T::Error;
}

impl<T: Read> Read for WholeReader<'_, T> {
    #[expect(clippy::await_holding_refcell_ref, reason = "each half takes it in its turn only")]
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, T::Error> {
        let Self { transport, turn } = self;
        let _wish = Wish(turn);
        loop {
            // The writer has borrowed it only in its turn.
            let mut borrowed = poll_fn(|context| match transport.try_borrow_mut() {
                Ok(transport) if !turn.writes.get() => Poll::Ready(transport),
                _ => {
                    turn.reads.set(true);
                    turn.wait(context)
                }
            })
            .await;
            let mut read = pin!(borrowed.read(buffer));
            let done = poll_fn(|context| {
                if turn.writes.get() {
                    return Poll::Ready(None);
                }
                let polled = read.as_mut().poll(context);
                turn.has_read();
                match polled {
                    Poll::Ready(read) => Poll::Ready(Some(read)),
                    Poll::Pending => turn.wait(context),
                }
            })
            .await;
            if let Some(read) = done {
                return read;
            }
            turn.wake();
        }
    }
}

/// The wish of a read for its turn; it ends with the read.
struct Wish<'w>(&'w Turn);

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.has_read();
    }
}

/// The outgoing direction of a [`Whole`].
#[derive(Debug)]
pub struct WholeWriter<'w, T> {
    transport: &'w RefCell<T>,
    turn: &'w Turn,
}

/// The turn of the writer, until this is dropped.
struct Writing<'w, T> {
    transport: RefMut<'w, T>,
    turn: &'w Turn,
}

impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        self.turn.writes.set(false);
        self.turn.wake();
    }
}

impl<'w, T> WholeWriter<'w, T> {
    async fn begin(&mut self) -> Writing<'w, T> {
        let Self { transport, turn } = *self;
        // Otherwise nothing is read while there is always something to write.
        poll_fn(|context| if turn.reads.get() { turn.wait(context) } else { Poll::Ready(()) })
            .await;
        turn.writes.set(true);
        turn.wake();
        let transport = poll_fn(|context| match transport.try_borrow_mut() {
            Ok(transport) => Poll::Ready(transport),
            Err(_) => turn.wait(context),
        })
        .await;
        Writing { transport, turn }
    }
}

impl<T: ErrorType> ErrorType for WholeWriter<'_, T> {
    type Error = T::Error;
}

impl<T: Write> Write for WholeWriter<'_, T> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, T::Error> {
        self.begin().await.transport.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        self.begin().await.transport.flush().await
    }
}

impl<T: Read + Write, const BUFFERS: bool> Link for Whole<T, BUFFERS> {
    type Reader<'l>
        = WholeReader<'l, T>
    where
        Self: 'l;
    type Writer<'l>
        = WholeWriter<'l, T>
    where
        Self: 'l;

    const BUFFERS: bool = BUFFERS;

    fn split(&mut self) -> (WholeReader<'_, T>, WholeWriter<'_, T>) {
        let Self { transport, turn } = self;
        // A writer may have been dropped while it waited for its turn.
        turn.writes.set(false);
        turn.reads.set(false);
        (WholeReader { transport, turn }, WholeWriter { transport, turn })
    }
}
