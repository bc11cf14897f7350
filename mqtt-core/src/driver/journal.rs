//! Where records are kept over a power cut.
//!
//! With `Options::journal` a client gives [`Record`]s, [`Action::Persist`](crate::Action::Persist), that its driver
//! appends to a [`Journal`]; after a restart [`replay`] rebuilds the session from them. `file::FileJournal` keeps them in
//! a file (feature `journal-file`, on Unix), `flash::FlashJournal` in flash memory (feature `journal-flash`).
//!
//! ```
//! use mqtt_core::{Action, Instant, Options, Publish, QoS, StaticClient, driver::journal::{Journal, replay}, topic};
//! # use mqtt_core::{Record, RestoreError, driver::journal::ReplayError};
//! # #[derive(Default)]
//! # struct Ram(Vec<Vec<u8>>);
//! # impl Journal for Ram {
//! #     type Error = core::convert::Infallible;
//! #     async fn append(&mut self, record: &Record<'_>) -> Result<(), Self::Error> {
//! #         self.0.push(record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect());
//! #         Ok(())
//! #     }
//! #     async fn read(
//! #         &mut self,
//! #         mut take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
//! #     ) -> Result<(), ReplayError<Self::Error>> {
//! #         for (number, record) in (0..).zip(&self.0) {
//! #             take(record).map_err(|error| ReplayError::Record { number, error })?;
//! #         }
//! #         Ok(())
//! #     }
//! #     fn is_long(&self) -> bool { self.0.len() > 100 }
//! # }
//! # async fn run() -> Result<(), Box<dyn core::error::Error>> {
//! # let mut journal = Ram::default();
//! let options = Options::new("meter-7").clean_session(false).journal(true);
//! let mut client = StaticClient::<512, 4>::new_static(&options)?;
//! replay(&mut journal, &mut client).await?;
//!
//! let _ = client.publish(&Publish::new(topic!("meter/7"), b"81.2").qos(QoS::ExactlyOnce))?;
//! let now = Instant::from_millis(0);
//! assert!(matches!(client.poll(now), Action::Connect { .. })); // takes a while
//! if let Action::Persist(record) = client.poll(now) {
//!     journal.append(&record).await?;
//!     client.persisted();
//! }
//!
//! // Power fails here. What was accepted is still there:
//! let mut client = StaticClient::<512, 4>::new_static(&options)?;
//! replay(&mut journal, &mut client).await?;
//! assert_eq!(client.in_flight(), 1);
//! # Ok(())
//! # }
//! # let mut run = core::pin::pin!(run());
//! # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
//! # assert!(matches!(run.as_mut().poll(&mut context), core::task::Poll::Ready(Ok(()))));
//! ```

#[cfg(all(feature = "journal-file", unix))]
pub mod file;
#[cfg(feature = "journal-flash")]
pub mod flash;

use thiserror::Error;

use crate::{Client, Record, RestoreError, Slot};

/// A medium that keeps records over a power cut: a file, flash memory, a table of a database.
///
/// A blocking medium implements the functions without ever awaiting anything.
pub trait Journal {
    /// What can go wrong with the medium.
    type Error;

    /// Appends `record`, and is done once it is durable. A snapshot replaces all records before it, which may be dropped
    /// once the snapshot is durable, and not before.
    ///
    /// # Errors
    ///
    /// The record is not durable; part of it may be there. It is given again, with what came about since.
    fn append(&mut self, record: &Record<'_>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Hands every record to `take`, oldest first, up to the end or to the first that it refuses.
    ///
    /// A last record that is [torn](RestoreError::Torn) is left out, and its remains give way to the next
    /// [`append`](Journal::append).
    ///
    /// # Errors
    ///
    /// The medium's, or which record was refused.
    fn read(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> impl Future<Output = Result<(), ReplayError<Self::Error>>>;

    /// Whether it is time for a snapshot: the driver calls `Client::compact` then.
    fn is_long(&self) -> bool;
}

/// Why a session was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError<E> {
    /// The medium failed.
    #[error("journal: {0}")]
    Medium(E),
    /// A record was refused.
    #[error("journal, record {number}: {error}")]
    Record {
        /// Which one, counted from 0.
        number: usize,
        /// Why.
        error: RestoreError,
    },
}

/// Rebuilds the session of `client`, which has not been used yet, from `journal`.
///
/// # Errors
///
/// [`ReplayError`]. What was restored before the failure stays; whoever wants to go on without the rest may.
pub async fn replay<J, B, S>(
    journal: &mut J,
    client: &mut Client<B, S>,
) -> Result<(), ReplayError<J::Error>>
where
    J: Journal,
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    journal.read(|record| client.restore(record)).await
}
