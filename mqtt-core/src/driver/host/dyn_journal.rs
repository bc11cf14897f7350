//! Any [`Journal`] behind one type, so that a blocking client is not generic. Its futures are run to their end.

use std::{
    boxed::Box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use super::Error;
use crate::{
    client::BoxedClient,
    driver::journal::{Journal, ReplayError, replay},
    session::Record,
};

/// A [`Journal`] as a trait object.
pub(crate) trait DynJournal: Send {
    fn replay(&mut self, client: &mut BoxedClient) -> Result<(), Error>;
    fn append(&mut self, record: &Record<'_>) -> Result<(), Error>;
    fn is_long(&self) -> bool;
}

impl<J> DynJournal for J
where
    J: Journal + Send,
    J::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    fn replay(&mut self, client: &mut BoxedClient) -> Result<(), Error> {
        block_on(replay(self, client)).map_err(|error| match error {
            ReplayError::Medium(error) => Error::journal(error.into()),
            ReplayError::Record { number, error } => Error::Restore { number, error },
        })
    }

    fn append(&mut self, record: &Record<'_>) -> Result<(), Error> {
        block_on(Journal::append(self, record)).map_err(|error| Error::journal(error.into()))
    }

    fn is_long(&self) -> bool {
        Journal::is_long(self)
    }
}

/// Runs `future` to its end. The thread sleeps while the future is pending.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
