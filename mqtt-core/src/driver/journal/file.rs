//! A journal in a file: records survive a power cut, or the end of the process.
//!
//! ```no_run
//! use mqtt_core::{Options, QoS, driver::{blocking::Config, journal::file::FileJournal}};
//!
//! let options = Options::new("meter-7").clean_session(false);
//! let journal = FileJournal::open("/var/lib/meter/session.journal")?;
//! let (client, events) = Config::new(&options).journal(journal).start(&["broker:1883"])?;
//! client.publish("meter/7", b"81.2", QoS::ExactlyOnce, false)?; // in the file, though nobody is connected yet
//! # let _ = events;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Beside the file lie two more, `….lock`, which keeps a second process out and stays for good, and, for moments,
//! `….new`. A snapshot is written to that one, made durable, and renamed; only then are the old records gone.
//!
//! Invariants: what lies in front of `end` is whole records, all of them confirmed; behind it lies nothing, or what a
//! failed or interrupted [`append`](Journal::append) left. A file that may hold less than was written to it
//! (a sync failed) is never appended to again, only replaced. How a torn record is told from a damaged one is in
//! `file/frame.rs`.

mod frame;

use std::{
    borrow::ToOwned,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    vec::Vec,
};

use rustix::fs::FlockOperation;
use thiserror::Error;

use super::{Journal, ReplayError};
use crate::{error::RestoreError, session::Record};
use frame::{Front, Head, Next, Reader};

/// Bytes from which on a journal is long, unless told otherwise.
const LONG: u64 = 1 << 20;

/// What the records survive. How long a record takes is nearly all in this choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Survive {
    /// Power cuts: a record counts when the medium has it (`fdatasync`), a new file when its directory says so as well.
    /// As good as the medium's word: a disk that confirms what it only caches keeps no promise for us.
    #[default]
    PowerCut,
    /// The end of the process alone, by SIGKILL too: the operating system has the record, and writes it when it
    /// likes. A power cut may then cost any of the last records, or leave a file that is [`FileError::Damaged`].
    ProcessKill,
}

/// What went wrong with a journal in a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system says no. After a failed `append` the record is not durable; those before it are.
    #[error("{}: {doing}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
    /// Another journal, of this process or another one, has the file open.
    #[error("{}: in use by another process", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file is something else. It was not changed.
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
    /// A record in front of others is not what was written: the medium, or somebody, changed it. The file was not
    /// changed. To begin anew, move it away; the broker may have more of the session.
    #[error("{}: record {record}, at byte {offset}, is damaged, and others follow it", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Which record, counted from 0.
        record: usize,
        /// Where it begins.
        offset: u64,
    },
    /// A sync failed before, and what the file holds since is anybody's guess. Only a snapshot is taken, for it goes
    /// to a new file; [`is_long`](Journal::is_long) asks for one.
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
    /// Held open: the lock goes with it.
    _lock: File,
    head: Head,
    /// Behind the last whole record.
    end: u64,
    /// What `end` was behind the snapshot that the file begins with.
    base: u64,
    long: u64,
    survive: Survive,
    trusted: bool,
    buffer: Vec<u8>,
}

impl FileJournal {
    /// Opens the journal at `path`, or begins one. A record at the end that is torn is cut off.
    ///
    /// # Errors
    ///
    /// [`FileError`], any but `Distrusted`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = resolve(path.as_ref()).map_err(io_error(path.as_ref(), "resolve"))?;
        let lock = lock(&path)?;
        // What a power cut left of a snapshot.
        match fs::remove_file(beside(&path, ".new")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&path, "remove .new")(error));
            }
            _ => {}
        }
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let found = match opened {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_error(&path, "open")(error)),
        };
        let front = match &found {
            Some(file) => Front::read(file).map_err(io_error(&path, "read"))?,
            None => Front::Nothing,
        };
        let (file, head) = match (front, found) {
            (Front::Head(head), Some(file)) => (file, head),
            (Front::Version(found), _) => return Err(FileError::Version { file: path, found }),
            (Front::Other, _) => return Err(FileError::NotAJournal { file: path }),
            (Front::Nothing, _) | (Front::Head(_), None) => {
                let head = Head::new();
                let file = replace(&path, &head.encode(), Survive::PowerCut)?;
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

    /// Chooses what the records survive; power cuts by default.
    #[must_use]
    pub const fn survive(mut self, survive: Survive) -> Self {
        self.survive = survive;
        self
    }

    /// Chooses the size in bytes from which on the journal [is long](Journal::is_long), 1 MiB by default: by then a
    /// start reads that much. It also has to be twice the last snapshot, so at most half of what is written is
    /// snapshots.
    #[must_use]
    pub const fn long_at(mut self, bytes: u64) -> Self {
        self.long = bytes;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.end
    }

    /// Goes through the records and cuts off what follows the last.
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

    /// Removes what follows the last whole record, for good.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        // Or else, after a power cut, the remains might lie behind what is written over them.
        self.sync()
    }

    /// Hands each whole record, and where it ends, to `take`, until one is refused.
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
        // What a failed sync leaves in the cache counts as clean and yet is nowhere else: no second try.
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
        let replaced = replace(&self.path, &self.buffer, self.survive)?;
        // The name means the new file from here on; should the directory not be durable, the old one after a power cut.
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

/// The file that `path` leads to, whatever the working directory is later: a rename would replace a link, and two names
/// of one file would have two locks.
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

/// Keeps others out until the file is closed, by the operating system where the process is killed. It is not the
/// journal itself, which a snapshot replaces.
fn lock(path: &Path) -> Result<File, FileError> {
    let name = beside(path, ".lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(name);
    let file = opened.map_err(io_error(path, "open .lock"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(FileError::InUse { file: path.to_owned() }),
        Err(error) => Err(io_error(path, "lock")(error.into())),
    }
}

/// Puts a file with `content` in the place of `path`, as a whole or not at all. The inner error: it is in place, and
/// not known to be there after a power cut.
fn replace(path: &Path, content: &[u8], survive: Survive) -> Result<io::Result<File>, FileError> {
    let new = beside(path, ".new");
    let written = write_new(&new, content, survive).and_then(|file| {
        fs::rename(&new, path)?;
        Ok(file)
    });
    let file = written.map_err(|error| {
        // Where it cannot be removed it is overwritten, or removed at the next start.
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

fn write_new(new: &Path, content: &[u8], survive: Survive) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).open(new)?;
    file.write_all_at(content, 0)?;
    if survive == Survive::PowerCut {
        file.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
