//! [`Timer`]: wakes the serving task at a deadline.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::{boxed::Box, time};

use ::tokio::time::Sleep;

/// A timer that is set again only if it would be late: the deadline of the keep alive moves with every packet that is
/// sent. If it is early, the task looks once and waits again.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it wakes the task.
    set_to: Option<time::Instant>,
}

impl Timer {
    /// Whether a deadline has come, at most `until`. If not, the task is woken then.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, until: Option<time::Instant>) -> bool {
        let is_late = match (self.set_to, until) {
            (Some(set_to), Some(until)) => until < set_to,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if let (true, Some(until)) = (is_late, until) {
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(until.into()),
                None => self.sleep = Some(Box::pin(::tokio::time::sleep_until(until.into()))),
            }
            self.set_to = Some(until);
        }
        let (Some(sleep), Some(_)) = (&mut self.sleep, self.set_to) else { return false };
        if let Poll::Ready(()) = sleep.as_mut().poll(context) {
            self.set_to = None;
            return true;
        }
        false
    }
}
