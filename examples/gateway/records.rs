//! The crash records in files: that of this run, and those that the broker does not have yet.
//!
//! | file in the folder | content |
//! |---|---|
//! | `run.record` | this run: provisional, or its last words. A clean end removes it |
//! | `unsent-K.record` | an earlier run, which is not in the journal of the client yet |
//! | `sent-N.record` | an earlier run, published as number N. It is removed once the broker has it |
//!
//! A file is written under another name, made durable and renamed, so each one is whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;
use watchdog_core::{CrashRecord, Failure};

/// A file or the folder could not be used.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct RecordsError {
    /// The file.
    pub path: PathBuf,
    /// The error of the system.
    pub error: io::Error,
}

/// At most so many earlier runs wait for the broker. If there are more, the newest ones are only counted.
const MOST: usize = 16;

const RUN: &str = "run.record";
const UNSENT: &str = "unsent-";
const SENT: &str = "sent-";

/// The folder of the records.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
    /// What ended the run before this one.
    before: Option<CrashRecord>,
}

impl Records {
    /// Begins a run: sets the record of the run before aside, and writes a provisional one.
    ///
    /// # Errors
    ///
    /// [`RecordsError`]: the folder cannot be used.
    pub fn begin(folder: &Path) -> Result<Self, RecordsError> {
        let mut records = Self { folder: folder.into(), before: None };
        let run = records.path(RUN);
        records.before = read(&run).map_err(at(&run))?;
        let (unsent, sent) = (records.unsent()?, records.sent()?);
        if records.before.is_some() && unsent.len() + sent.len() < MOST {
            let aside = unsent.last().map_or(1, |(last, _)| last + 1);
            records.rename(RUN, &unsent_name(aside))?;
        }
        let provisional = CrashRecord::running().after(records.before.as_ref());
        records.write(&provisional)?;
        Ok(records)
    }

    /// What ended the run before this one; `None`: it ended on purpose, or there was none.
    #[must_use]
    pub const fn before(&self) -> Option<&CrashRecord> {
        self.before.as_ref()
    }

    /// Writes the last words of this run. No lock is taken, because any thread may hang.
    ///
    /// # Errors
    ///
    /// [`RecordsError`]: the provisional record stays.
    pub fn last_words(&self, failure: Failure) -> Result<(), RecordsError> {
        self.write(&CrashRecord::new(failure).after(self.before.as_ref()))
    }

    /// Ends the run on purpose: nothing is to be told of it.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn end(&self) -> Result<(), RecordsError> {
        self.remove(RUN)
    }

    /// The earlier runs that are not in the journal yet, the oldest first.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn unsent(&self) -> Result<Vec<(u64, CrashRecord)>, RecordsError> {
        self.listed(UNSENT)
    }

    /// The earlier runs that were published, by their numbers.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn sent(&self) -> Result<Vec<(u64, CrashRecord)>, RecordsError> {
        self.listed(SENT)
    }

    /// An earlier run is going to be published as this number.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn sending(&self, unsent: u64, number: u64) -> Result<(), RecordsError> {
        self.rename(&unsent_name(unsent), &sent_name(number))
    }

    /// It was not accepted, or is lost: it has to be published again.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn take_back(&self, number: u64) -> Result<(), RecordsError> {
        let last = self.unsent()?.last().map_or(0, |(last, _)| *last);
        self.rename(&sent_name(number), &unsent_name(last + 1))
    }

    /// The broker has it.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn told(&self, number: u64) -> Result<(), RecordsError> {
        self.remove(&sent_name(number))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Records that are damaged are left out: only another program can have changed them.
    fn listed(&self, kind: &str) -> Result<Vec<(u64, CrashRecord)>, RecordsError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let path = entry.map_err(at(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix(kind).and_then(|rest| rest.strip_suffix(".record"));
            let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
            if let Some(record) = read(&path).map_err(at(&path))? {
                found.push((number, record));
            }
        }
        found.sort_unstable_by_key(|(number, _)| *number);
        Ok(found)
    }

    fn write(&self, record: &CrashRecord) -> Result<(), RecordsError> {
        let (new, run) = (self.path("run.new"), self.path(RUN));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(&record.to_bytes())?;
            file.sync_all()
        });
        written.map_err(at(&new))?;
        fs::rename(&new, &run).and_then(|()| self.sync()).map_err(at(&run))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), RecordsError> {
        let from = self.path(from);
        fs::rename(&from, self.path(to)).and_then(|()| self.sync()).map_err(at(&from))
    }

    fn remove(&self, name: &str) -> Result<(), RecordsError> {
        let path = self.path(name);
        fs::remove_file(&path).and_then(|()| self.sync()).map_err(at(&path))
    }

    /// Makes the names in the folder durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn unsent_name(number: u64) -> String {
    format!("{UNSENT}{number}.record")
}

fn sent_name(number: u64) -> String {
    format!("{SENT}{number}.record")
}

fn at(path: &Path) -> impl Fn(io::Error) -> RecordsError + '_ {
    |error| RecordsError { path: path.into(), error }
}

/// The record in a file; `None` if there is no file, or no record in it.
fn read(path: &Path) -> io::Result<Option<CrashRecord>> {
    match fs::read(path) {
        Ok(bytes) => {
            let bytes = <[u8; CrashRecord::LEN]>::try_from(bytes.as_slice()).ok();
            Ok(bytes.and_then(|bytes| CrashRecord::from_bytes(&bytes).ok()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::{Fault, Instant, Name, TaskId};

    use super::*;

    const FAILURE: Failure = Failure {
        task: TaskId::new(1),
        name: Name::NONE,
        fault: Fault::Starved,
        step: None,
        since: Instant::from_millis(1),
        at: Instant::from_millis(9),
    };

    #[test]
    fn a_run_that_ends_on_purpose_leaves_nothing_and_any_other_end_leaves_a_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let begin = || Records::begin(folder.path()).expect("the folder is writable");
        let first = begin();
        assert_eq!((first.before(), first.unsent().expect("readable")), (None, vec![]));
        first.end().expect("it is there");
        assert_eq!(begin().before(), None);
        // The last one was killed.
        let third = begin();
        assert_eq!(third.before().map(|record| (record.failure, record.in_a_row)), Some((None, 1)));
        third.last_words(FAILURE).expect("writable");
        let fourth = begin();
        let before = fourth.before().map(|record| (record.failure, record.in_a_row));
        assert_eq!(before, Some((Some(FAILURE), 2)));
        let unsent = fourth.unsent().expect("readable");
        assert_eq!(unsent.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_record_is_kept_until_it_is_told_however_often_it_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let begin = || Records::begin(folder.path()).expect("the folder is writable");
        drop(begin());
        let records = begin();
        let numbers = |listed: Result<Vec<(u64, CrashRecord)>, RecordsError>| {
            let listed = listed.expect("the folder is readable");
            listed.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        let both = || (numbers(records.unsent()), numbers(records.sent()));
        assert_eq!(both(), (vec![1], vec![]));
        records.sending(1, 70).expect("it is there");
        assert_eq!(both(), (vec![], vec![70]));
        records.take_back(70).expect("it is there");
        assert_eq!(both(), (vec![1], vec![]));
        records.sending(1, 90).expect("it is there");
        records.told(90).expect("it is there");
        assert_eq!(both(), (vec![], vec![]));
        assert!(records.told(90).is_err_and(|error| error.to_string().contains("sent-90.record")));
    }

    #[test]
    fn a_gateway_that_bites_again_and_again_offline_keeps_the_oldest_records_and_counts_all() {
        let folder = tempfile::tempdir().expect("a folder");
        for _ in 0..MOST + 5 {
            drop(Records::begin(folder.path()).expect("writable"));
        }
        let records = Records::begin(folder.path()).expect("writable");
        assert_eq!(records.unsent().expect("readable").len(), MOST);
        assert_eq!(records.before().map(|record| usize::from(record.in_a_row)), Some(MOST + 5));
    }

    #[test]
    fn bytes_that_are_no_record_are_not_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(RUN), [7; CrashRecord::LEN]).expect("writable");
        fs::write(folder.path().join("sent-x.record"), "").expect("writable");
        let records = Records::begin(folder.path()).expect("writable");
        assert_eq!((records.before(), records.sent().expect("readable")), (None, vec![]));
    }
}
