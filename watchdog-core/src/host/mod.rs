//! Host back-ends, for programs with an operating system below them.

pub mod clock;
pub mod daemon;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
pub mod systemd;
