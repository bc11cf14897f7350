//! Host back-ends, for programs with an operating system below them.

pub mod clock;
pub mod daemon;
