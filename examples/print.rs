//! Lines of output, without the panic of `println!` if the reader is gone.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// A line on standard output.
pub fn line(text: &str) {
    let _nobody_reads = writeln!(io::stdout().lock(), "{text}");
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether [`error`] writes nothing from now on.
pub fn set_quiet(on: bool) {
    QUIET.store(on, Ordering::Relaxed);
}

/// The most characters of a line of [`error`]: a path of 4,096 characters is possible, and nobody reads it.
const LONGEST_ERROR: usize = 600;

/// A line on standard error, unless it is quiet there. The middle of a very long one is left out.
pub fn error(text: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    let len = text.chars().count();
    let _nobody_reads = if len <= LONGEST_ERROR {
        writeln!(io::stderr().lock(), "{text}")
    } else {
        let begin: String = text.chars().take(LONGEST_ERROR / 2).collect();
        let end: String = text.chars().skip(len - LONGEST_ERROR / 2).collect();
        writeln!(io::stderr().lock(), "{begin}...{end}")
    };
}

/// Writes lines on standard output: seconds since the start, a name, text.
#[derive(Clone, Debug)]
pub struct Teller {
    name: String,
    start: Instant,
}

impl Teller {
    /// Lines without a name; time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { name: String::new(), start: Instant::now() }
    }

    /// Lines of `name`, with the same clock.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { name: name.into(), start: self.start }
    }

    /// Writes a line.
    pub fn tell(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        line(&format!("{seconds:7.3} s  {:<6} {what}", self.name));
    }
}

impl Default for Teller {
    fn default() -> Self {
        Self::new()
    }
}
