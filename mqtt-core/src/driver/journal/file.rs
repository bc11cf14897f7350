//! A journal in a file: its records survive power cuts, or only the end of the process, as you choose.
//!
//! ```no_run
//! use mqtt_core::{Options, QoS, driver::{blocking::Config, journal::file::FileJournal}};
//!
//! let options = Options::new("meter-7").clean_session(false);
//! let journal = FileJournal::open("/var/lib/meter/session.journal")?;
//! let (client, events) = Config::new(&options).journal(journal).start(&["broker:1883"])?;
//! client.publish("meter/7", b"81.2", QoS::ExactlyOnce, false)?; // in the file, also before a connection
//! # let _ = events;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! There are two more files beside it: `….lock`, which keeps a second process out while the journal is created, and
//! `….new`, which exists only while a snapshot is written. A snapshot is written to `….new`, made durable and renamed. The
//! old records exist until the rename.
//!
//! The files can be read and written by their owner only (0600), because a session holds messages. A snapshot keeps the
//! mode of the journal, and its owner where the system lets it. No file is ever made or opened through a symbolic link,
//! but for the path that the application gives.
//!
//! The journal itself is locked as well (`flock`), so a second process is kept out also if `….lock` is deleted. A journal
//! with a second name, a hard link, is refused: a snapshot would replace one of the names, and the other one would lead
//! to an old session. Network file systems have locks and syncs of their own kind: Linux makes a lock on NFS one of the
//! server, others may lock out only processes of the same machine, and a confirmed sync depends on the server's export
//! (`sync`, not `async`). Keep a journal on a local file system.
//!
//! Invariants: before `end` there are only whole records, and all of them are confirmed; behind it there is nothing, or
//! the remains of a failed or interrupted [`append`](Journal::append). If a sync failed, the file may hold less than
//! was written to it: it is never appended to again, only replaced. `file/frame.rs` says how a torn record differs from
//! a damaged one.

mod frame;

use std::{
    borrow::ToOwned,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    vec::Vec,
};

use rustix::fs::{FlockOperation, OFlags};
use thiserror::Error;

use super::{Journal, ReplayError};
use crate::{error::RestoreError, session::Record};
use frame::{Front, Head, Next, Reader};

/// The default size in bytes at which a journal is long.
const LONG: u64 = 1 << 20;

/// The failures that the records survive. This choice decides how long an append takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Survive {
    /// Power cuts: a record is durable once the medium has it (`fdatasync`), a new file once its directory is durable
    /// as well. This depends on the medium: a disk that confirms data which is only in its cache breaks the promise.
    #[default]
    PowerCut,
    /// Only the end of the process, also by SIGKILL: the operating system has the record and writes it later. A power
    /// cut may then lose any of the last records, or leave a file that is [`FileError::Damaged`].
    ProcessKill,
}

/// Why a journal in a file failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// An operation of the operating system failed. After a failed `append` the record is not durable; the records
    /// before it are.
    #[error("{}: {doing}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operation.
        doing: &'static str,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file is open as a journal already, in this process or another one.
    #[error("{}: in use by another process", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file has several names. A snapshot would replace it under one of them only, so two processes could go on with
    /// one session. Remove all names but one.
    #[error("{}: the file has {names} names (hard links), and a journal has one", file.display())]
    Linked {
        /// The file.
        file: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// The file is not a journal. It was not changed.
    #[error("{}: not a journal", file.display())]
    NotAJournal {
        /// The file.
        file: PathBuf,
    },
    /// A later version of this library made the file. It was not changed.
    #[error("{}: a journal of version {found}, this library knows version 1", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u8,
    },
    /// A record that is followed by others is not as it was written: the medium or another program changed it. This
    /// library did not change the file. To start without it, move it away; the broker may still have the session.
    #[error("{}: record {record}, at byte {offset}, is damaged, and others follow it", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Number of the record, counted from 0.
        record: usize,
        /// The offset at which it begins.
        offset: u64,
    },
    /// A sync failed before, so the content of the file is unknown. Only a snapshot is accepted, because it goes to a
    /// new file; [`is_long`](Journal::is_long) asks for one.
    #[error("{}: not trusted since a sync failed, a snapshot is due", file.display())]
    Distrusted {
        /// The file.
        file: PathBuf,
    },
}

/// A journal in a file. See the [module](self).
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    /// Kept open, because closing it releases the lock.
    _lock: File,
    head: Head,
    /// The end of the last whole record.
    end: u64,
    /// The end of the snapshot that the file begins with.
    base: u64,
    long: u64,
    survive: Survive,
    trusted: bool,
    buffer: Vec<u8>,
}

impl FileJournal {
    /// Opens the journal at `path`, or creates it. If the last record is torn, it is cut off.
    ///
    /// # Errors
    ///
    /// Each [`FileError`] but `Distrusted`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = resolve(path.as_ref()).map_err(io_error(path.as_ref(), "resolve"))?;
        let lock = lock(&path)?;
        // A power cut may have left a part of a snapshot.
        match fs::remove_file(beside(&path, ".new")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&path, "remove .new")(error));
            }
            _ => {}
        }
        let found = open_locked(&path)?;
        let front = match &found {
            Some(file) => Front::read(file).map_err(io_error(&path, "read"))?,
            None => Front::Nothing,
        };
        let (file, head) = match (front, found) {
            (Front::Head(head), Some(file)) => (file, head),
            (Front::Version(found), _) => return Err(FileError::Version { file: path, found }),
            (Front::Other, _) => return Err(FileError::NotAJournal { file: path }),
            (Front::Nothing, found) | (Front::Head(_), found @ None) => {
                let head = Head::new();
                let file = replace(&path, &head.encode(), Survive::PowerCut, found.as_ref())?;
                (file.map_err(io_error(&path, "sync the directory"))?, head)
            }
        };
        let mut journal = Self {
            path,
            file,
            _lock: lock,
            head,
            end: frame::FRONT_LEN,
            base: frame::FRONT_LEN,
            long: LONG,
            survive: Survive::default(),
            trusted: true,
            buffer: Vec::new(),
        };
        journal.find_end()?;
        Ok(journal)
    }

    /// Sets the failures that the records survive; power cuts by default.
    #[must_use]
    pub const fn survive(mut self, survive: Survive) -> Self {
        self.survive = survive;
        self
    }

    /// Sets the size in bytes at which the journal [is long](Journal::is_long), 1 MiB by default. A start reads up to
    /// that many bytes. The journal also has to be at least twice as long as its last snapshot, so at most half of the
    /// written bytes are snapshots.
    #[must_use]
    pub const fn long_at(mut self, bytes: u64) -> Self {
        self.long = bytes;
        self
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.end
    }

    /// Goes through the records and cuts off the bytes behind the last one.
    fn find_end(&mut self) -> Result<(), FileError> {
        let len = self.file.metadata().map_err(self.io("size"))?.len();
        self.end = len;
        let (mut end, mut base) = (frame::FRONT_LEN, frame::FRONT_LEN);
        self.each(|record, behind| {
            if end == frame::FRONT_LEN && frame::is_snapshot(record) {
                base = behind;
            }
            end = behind;
            Ok::<_, FileError>(())
        })?;
        (self.end, self.base) = (end, base);
        if end == len {
            return Ok(());
        }
        self.cut().map_err(self.io("cut off a torn record"))
    }

    /// Removes the bytes behind the last whole record and makes that durable.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        // Otherwise, after a power cut, the old bytes might still be there behind a shorter new record.
        self.sync()
    }

    /// Hands each whole record and its end to `take`, until one is refused.
    fn each<E: From<FileError>>(
        &self,
        mut take: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = Reader::new(&self.file, self.head, self.end).map_err(self.io("read"))?;
        loop {
            match reader.next().map_err(self.io("read"))? {
                Next::Record { record, end } => take(record, end)?,
                Next::End => return Ok(()),
                Next::Damaged { record, offset } => {
                    let file = self.path.clone();
                    return Err(FileError::Damaged { file, record, offset }.into());
                }
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.survive {
            Survive::PowerCut => self.file.sync_data(),
            Survive::ProcessKill => Ok(()),
        }
    }

    fn add(&mut self, record: &Record<'_>) -> Result<(), FileError> {
        if !self.trusted {
            return Err(FileError::Distrusted { file: self.path.clone() });
        }
        self.buffer.clear();
        self.head.frame(self.end, record, &mut self.buffer).map_err(self.io("append"))?;
        if let Err(error) = self.file.write_all_at(&self.buffer, self.end) {
            self.trusted = self.cut().is_ok();
            return Err(self.io("append")(error));
        }
        // After a failed sync the cache counts as clean though the medium does not have it, so a second sync proves
        // nothing.
        self.trusted = false;
        self.sync().map_err(self.io("sync"))?;
        self.trusted = true;
        self.end += self.buffer.len() as u64;
        Ok(())
    }

    fn begin_anew(&mut self, snapshot: &Record<'_>) -> Result<(), FileError> {
        let head = Head::new();
        self.buffer.clear();
        self.buffer.extend(head.encode());
        head.frame(frame::FRONT_LEN, snapshot, &mut self.buffer).map_err(self.io("snapshot"))?;
        has_one_name(&self.path, &self.file)?;
        let replaced = replace(&self.path, &self.buffer, self.survive, Some(&self.file))?;
        // From here on the name is the new file's. If the directory is not durable, a power cut brings the old one
        // back.
        self.head = head;
        self.end = self.buffer.len() as u64;
        self.base = self.end;
        self.trusted = false;
        self.file = replaced.map_err(self.io("sync the directory"))?;
        self.trusted = true;
        Ok(())
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(io::Error) -> FileError + use<> {
        io_error(&self.path, doing)
    }
}

impl Journal for FileJournal {
    type Error = FileError;

    /// Blocks until the record is durable; never awaits.
    async fn append(&mut self, record: &Record<'_>) -> Result<(), FileError> {
        if record.is_snapshot() { self.begin_anew(record) } else { self.add(record) }
    }

    async fn read(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), ReplayError<FileError>> {
        let mut number = 0;
        self.each(|record, _| {
            take(record).map_err(|error| ReplayError::Record { number, error })?;
            number += 1;
            Ok(())
        })
    }

    fn is_long(&self) -> bool {
        !self.trusted || self.end >= self.long.max(self.base.saturating_mul(2))
    }
}

impl From<FileError> for ReplayError<FileError> {
    fn from(error: FileError) -> Self {
        Self::Medium(error)
    }
}

fn io_error(file: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileError + use<> {
    let file = file.to_owned();
    move |error| FileError::Io { file, doing, error }
}

/// The absolute path of the file that `path` leads to. Without it a rename would replace a link, two names of one file
/// would have two locks, and a change of the working directory would change the file.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            Ok(fs::canonicalize(folder(path))?.join(name))
        }
        other => other,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Options for files that only their owner can read, and that are no symbolic links.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Locks the name of the journal until the file is closed; if the process is killed, the operating system closes it. The
/// lock is on a file of its own, because the journal may not exist yet.
fn lock(path: &Path) -> Result<File, FileError> {
    let name = beside(path, ".lock");
    let opened = private().create(true).truncate(false).open(name);
    let file = opened.map_err(io_error(path, "open .lock"))?;
    lock_file(path, &file)?;
    Ok(file)
}

fn lock_file(path: &Path, file: &File) -> Result<(), FileError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(FileError::InUse { file: path.to_owned() }),
        Err(error) => Err(io_error(path, "lock")(error.into())),
    }
}

/// The file at `path`, locked; `None` if there is none.
fn open_locked(path: &Path) -> Result<Option<File>, FileError> {
    loop {
        let file = match private().open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(path, "open")(error)),
        };
        lock_file(path, &file)?;
        has_one_name(path, &file)?;
        // A process that has ended since the file was opened may have replaced it.
        let own = file.metadata().map_err(io_error(path, "look at"))?;
        let same = fs::symlink_metadata(path)
            .is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
        if same {
            return Ok(Some(file));
        }
    }
}

fn has_one_name(path: &Path, file: &File) -> Result<(), FileError> {
    let names = file.metadata().map_err(io_error(path, "look at"))?.nlink();
    if names > 1 { Err(FileError::Linked { file: path.to_owned(), names }) } else { Ok(()) }
}

/// Replaces the file at `path` by one with `content`, as a whole or not at all. The new one is locked, and has the mode
/// and the owner of `old`. The inner error says that it is replaced, but that a power cut may undo this.
fn replace(
    path: &Path,
    content: &[u8],
    survive: Survive,
    old: Option<&File>,
) -> Result<io::Result<File>, FileError> {
    let new = beside(path, ".new");
    let written = write_new(&new, content, survive, old).and_then(|file| {
        fs::rename(&new, path)?;
        Ok(file)
    });
    let file = written.map_err(|error| {
        // If it cannot be removed, it is removed later, or at the next start.
        let _kept = fs::remove_file(&new);
        io_error(path, "write anew")(error)
    })?;
    Ok(match survive {
        Survive::PowerCut => {
            File::open(folder(path)).and_then(|folder| folder.sync_all()).map(|()| file)
        }
        Survive::ProcessKill => Ok(file),
    })
}

fn write_new(new: &Path, content: &[u8], survive: Survive, old: Option<&File>) -> io::Result<File> {
    let create = || private().create_new(true).open(new);
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A snapshot that could not be finished or removed. If it is a link, the link goes.
            fs::remove_file(new)?;
            create()?
        }
        other => other?,
    };
    // Nobody knows the file, so nobody holds the lock.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    if let Some(old) = old {
        let (old, own) = (old.metadata()?, file.metadata()?);
        if (old.uid(), old.gid()) != (own.uid(), own.gid()) {
            // Only root may give a file away. The content counts for more than its owner.
            let _kept = fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(old.permissions())?;
    }
    file.write_all_at(content, 0)?;
    if survive == Survive::PowerCut {
        file.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
