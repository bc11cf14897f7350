//! What the process costs, and what it may have. Other systems than Unix do not say it here.

use std::time::Duration;

use crate::Error;

/// Makes sure that the process may have a socket for each client.
#[cfg(unix)]
pub(crate) fn ensure_descriptors(clients: u32) -> Result<(), Error> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// Files beside the sockets: standard streams, the selector, the pipe of the interrupts.
    const OTHER_FILES: u64 = 24;

    let needed = u64::from(clients) + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|limit| limit >= needed) {
        return Ok(());
    }
    if let Some(limit) = maximum.filter(|limit| *limit < needed) {
        return Err(Error::Descriptors { clients, needed, limit });
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|error| Error::Raise { needed, error: error.into() })
}

#[cfg(not(unix))]
pub(crate) fn ensure_descriptors(_clients: u32) -> Result<(), Error> {
    Ok(())
}

/// CPU time of all threads up to now.
#[cfg(unix)]
pub(crate) fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
pub(crate) fn cpu_time() -> Option<Duration> {
    None
}

/// Bytes of memory in use. Only Linux says that.
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes() -> Option<u64> {
    None
}
