//! [`Pair`]: two watchdogs behind one verdict, such as a built-in one and an external chip. Pairs nest, so there may be
//! any number.
//!
//! Invariant: an error of kind [`ErrorKind::TooEarly`] means that neither was fed. A [`Guard`](crate::Guard) tries again
//! at once after this error, and after the plan's window after any other, because a watchdog may have been fed.

use core::convert::Infallible;

use super::{BiteNow, Error, ErrorKind, ErrorType, NoBite, Spread, Started, Watchdog};

/// Two running watchdogs that are fed together. The plan has to fit both: [`Started::pair`] gives its numbers.
///
/// If the first one cannot be fed, the second one is fed nevertheless: a healthy program is not reset by the one because
/// the other has a fault that passes. Only if the first one says that the feed is too early, neither is fed. So if one of
/// them has a window, make it the first; if both have, the one with the longer window.
///
/// A pair cannot be started or stopped, because half of it could fail then: start each one before.
///
/// ```
/// # use watchdog_core::hardware::{ErrorType, Watchdog};
/// # struct Channel;
/// # impl ErrorType for Channel { type Error = core::convert::Infallible; }
/// # impl Watchdog for Channel { fn feed(&mut self) -> Result<(), Self::Error> { Ok(()) } }
/// # let (builtin, chip, other) = (Channel, Channel, Channel);
/// use watchdog_core::hardware::Pair;
///
/// let mut dogs = Pair::new(Pair::new(builtin, chip), other);
/// dogs.feed()?;
/// # Ok::<(), watchdog_core::hardware::PairError<
/// #     watchdog_core::hardware::PairError<core::convert::Infallible, core::convert::Infallible>,
/// #     core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<A, B> {
    first: A,
    second: B,
}

impl<A, B> Pair<A, B> {
    /// The pair of two running watchdogs.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// The first watchdog, for reading only.
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// The second watchdog, for reading only.
    pub const fn second(&self) -> &B {
        &self.second
    }

    /// Both watchdogs, still running.
    pub fn into_inner(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A> Started<A> {
    /// Two started watchdogs as a pair, with times for a plan that fits both: the shorter of the shortest time-outs, the
    /// longer of the longest ones, and the longer window.
    pub fn pair<B>(self, second: Started<B>) -> Started<Pair<A, B>> {
        let (one, other) = (self.timeout, second.timeout);
        let timeout = Spread {
            min: one.min.min(other.min),
            typical: one.typical.min(other.typical),
            max: one.max.max(other.max),
        };
        let windows = self.window.into_iter().chain(second.window);
        Started {
            timeout,
            window: windows.max_by_key(|window| window.max),
            adopted: self.adopted || second.adopted,
            watchdog: Pair::new(self.watchdog, second.watchdog),
        }
    }
}

impl<A: ErrorType, B: ErrorType> ErrorType for Pair<A, B> {
    type Error = PairError<A::Error, B::Error>;
}

impl<A: Watchdog, B: Watchdog> Watchdog for Pair<A, B> {
    /// Feeds both.
    ///
    /// # Errors
    ///
    /// [`PairError`] names the one that failed. Of kind [`ErrorKind::TooEarly`]: neither was fed.
    fn feed(&mut self) -> Result<(), Self::Error> {
        match self.first.feed() {
            Ok(()) => self.second.feed().map_err(PairError::Second),
            Err(first) if first.kind() == ErrorKind::TooEarly => Err(PairError::First(first)),
            Err(first) => match self.second.feed() {
                Ok(()) => Err(PairError::First(first)),
                Err(second) => Err(PairError::Both { first, second }),
            },
        }
    }
}

/// The bite of one is enough. The second one is tried only if the first one does not bite.
impl<A: BiteNow, B: BiteNow> BiteNow for Pair<A, B> {
    fn bite_now(self) -> Result<Infallible, NoBite<Self, Self::Error>> {
        let Err(NoBite { error: first, watchdog: one }) = self.first.bite_now();
        let Err(NoBite { error: second, watchdog: other }) = self.second.bite_now();
        Err(NoBite { error: PairError::Both { first, second }, watchdog: Self::new(one, other) })
    }
}

/// An error of a [`Pair`]: which one failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PairError<A, B> {
    /// The first one failed. If it was too early, the second one was not fed; otherwise it was.
    #[error("the first watchdog: {0:?}")]
    First(A),
    /// The second one failed, and the first one was fed.
    #[error("the second watchdog: {0:?}")]
    Second(B),
    /// Both failed, and either may have been fed.
    #[error("both watchdogs: {first:?}, {second:?}")]
    Both {
        /// The error of the first one.
        first: A,
        /// The error of the second one.
        second: B,
    },
}

impl<A: Error, B: Error> Error for PairError<A, B> {
    /// The kind of the first error. It is [`ErrorKind::TooEarly`] only if neither was fed.
    fn kind(&self) -> ErrorKind {
        let kind = match self {
            Self::First(first) => return first.kind(),
            Self::Second(second) => second.kind(),
            Self::Both { first, .. } => first.kind(),
        };
        // One may have been fed, so a feed that comes at once could be a fault.
        if kind == ErrorKind::TooEarly { ErrorKind::Other } else { kind }
    }
}
