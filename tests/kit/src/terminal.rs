//! Pseudo-terminals: a serial line whose other end is the test.

use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The other end of a serial line, which waits, and the path of the line.
///
/// The end of the program at the line is an error of a read (EIO), and so is the end of this for the program.
#[must_use]
pub fn pseudo_terminal() -> (File, PathBuf) {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&end).unwrap();
    unlockpt(&end).unwrap();
    let path = ptsname(&end, Vec::new()).unwrap();
    (end.into(), std::ffi::OsString::from_vec(path.into_bytes()).into())
}
