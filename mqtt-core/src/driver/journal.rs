//! Journals: they keep records over a power cut.
//!
//! With `Options::journal` a client hands out [`Record`]s ([`Action::Persist`](crate::Action::Persist)). Its driver
//! appends them to a [`Journal`], and after a restart [`replay`] rebuilds the session from them. `file::FileJournal`
//! keeps them in a file (feature `journal-file`, on Unix), `flash::FlashJournal` in flash memory (feature
//! `journal-flash`).
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
//! // Power fails here. The accepted message is still there:
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
/// A blocking medium implements the functions without awaiting anything.
pub trait Journal {
    /// The error of the medium.
    type Error;

    /// Appends `record` and is ready once the record is durable. A snapshot replaces all records before it; they may be
    /// dropped only after the snapshot is durable.
    ///
    /// The future may be dropped at any time. That is as if power had failed at that moment: part of the record may be in
    /// the medium, and the next call brings its content again.
    ///
    /// # Errors
    ///
    /// The record is not durable, but part of it may be in the medium. The client hands its content out again, together
    /// with later changes.
    fn append(&mut self, record: &Record<'_>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Hands every record to `take`, oldest first, until the end or until `take` refuses one.
    ///
    /// If the last record is [torn](RestoreError::Torn), it is left out, and the next [`append`](Journal::append)
    /// overwrites it.
    ///
    /// # Errors
    ///
    /// The error of the medium, or the number of the record that was refused.
    fn read(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> impl Future<Output = Result<(), ReplayError<Self::Error>>>;

    /// Whether it is time for a snapshot. If so, the driver calls `Client::compact`.
    fn is_long(&self) -> bool;
}

/// Bytes of the longest record of a client with `outbox` bytes and `window` slots: the content of the outbox, the packet
/// ids of the broker's messages, and the fields that every record has.
#[must_use]
pub const fn longest_record(outbox: usize, window: usize) -> usize {
    outbox + 3 * window + 64
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
        /// Number of the record, counted from 0.
        number: usize,
        /// Why it was refused.
        error: RestoreError,
    },
}

/// Rebuilds the session of `client`, which has not been used yet, from `journal`.
///
/// # Errors
///
/// [`ReplayError`]. The records that were restored before the failure count; the application may go on without the
/// rest.
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
