//! Host back-ends, for programs that run on an operating system.

pub mod clock;
pub mod daemon;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
pub mod systemd;
