//! [`Share`]: how the tasks of a program share a client.

use core::cell::RefCell;

use super::State;

/// Holds the [`State`] of a client for all tasks that use it, and gives it to one of them at a time.
///
/// A `RefCell` is enough if all tasks run on one executor. `critical_section::Mutex<RefCell<State>>` (feature
/// `critical-section`) also serves interrupts and other cores; `std::sync::Mutex` (feature `std`) other threads.
pub trait Share {
    /// Calls `with` with the state. The driver never waits in there, and never calls this function again in there. It
    /// takes as long as encoding one packet, and moving the outbox if room has to be made. Wakers are woken and dropped in
    /// there, so those of the executor must not use the client themselves; none of the usual executors does.
    fn with<R>(&self, with: impl FnOnce(&mut State<'_>) -> R) -> R;
}

impl Share for RefCell<State<'_>> {
    fn with<R>(&self, with: impl FnOnce(&mut State<'_>) -> R) -> R {
        with(&mut self.borrow_mut())
    }
}

#[cfg(feature = "critical-section")]
impl Share for critical_section::Mutex<RefCell<State<'_>>> {
    fn with<R>(&self, with: impl FnOnce(&mut State<'_>) -> R) -> R {
        critical_section::with(|section| with(&mut self.borrow_ref_mut(section)))
    }
}

/// A thread that panicked with the lock held leaves the state usable: no call leaves it half changed.
#[cfg(feature = "std")]
impl Share for std::sync::Mutex<State<'_>> {
    fn with<R>(&self, with: impl FnOnce(&mut State<'_>) -> R) -> R {
        with(&mut self.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
