//! Real-time priority and locked memory on Linux, so that the daemon is in time on a busy machine.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;

use rustix::mm::{MlockAllFlags, mlockall};
use thread_priority::{
    Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy,
};

/// Locks all memory that the process has and will have.
pub(super) fn lock_memory() -> io::Result<()> {
    Ok(mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?)
}

/// Gives a thread a priority of `SCHED_FIFO`.
pub(super) fn prioritize<T>(thread: &JoinHandle<T>, priority: u8) -> io::Result<()> {
    let value = ThreadPriorityValue::try_from(priority)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::Crossplatform(value);
    set_thread_priority_and_policy(thread.as_pthread_t(), priority, fifo).map_err(|error| {
        match error {
            Error::OS(code) => io::Error::from_raw_os_error(code),
            why @ (Error::Priority(_) | Error::PriorityNotInRange(_) | Error::Ffi(_)) => {
                io::Error::new(io::ErrorKind::InvalidInput, why)
            }
        }
    })
}
