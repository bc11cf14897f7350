//! Lines of output, without the panic of `println!` if the reader is gone.

use std::io::{self, Write};

/// A line on standard output.
pub fn line(text: &str) {
    let _nobody_reads = writeln!(io::stdout().lock(), "{text}");
}

/// A line on standard error.
pub fn error(text: &str) {
    let _nobody_reads = writeln!(io::stderr().lock(), "{text}");
}
