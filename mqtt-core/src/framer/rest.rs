//! What a client keeps between two reads if it shares its read buffer with other clients.
//!
//! A driver of thousands of clients reads for one of them at a time, so one large buffer serves all. Only the beginning
//! of a packet has to wait for its end, and hardly any client has one: most reads end with a whole packet.

use alloc::boxed::Box;
use core::fmt;

use super::Framer;

/// The bytes of one client that are not consumed yet, while its [`Framer`] serves other clients.
///
/// It has no memory on the heap while there are none. All framers that it is used with need the same capacity: bytes that
/// do not fit a smaller one are lost.
///
/// ```
/// use mqtt_core::framer::{Framer, Rest};
///
/// let mut shared = Framer::new([0; 16]);
/// let [mut one, mut other] = [Rest::new(), Rest::new()];
///
/// // A real driver reads from the client's socket, and gives the input to its client.
/// let read = |framer: &mut Framer<[u8; 16]>, bytes: &[u8]| {
///     framer.space()[..bytes.len()].copy_from_slice(bytes);
///     framer.filled(bytes.len());
/// };
/// one.with(&mut shared, |framer| read(framer, b"\xD0")); // the first half of a PINGRESP
/// other.with(&mut shared, |framer| {
///     read(framer, b"\xD0\0");
///     framer.consume(2); // a client takes whole packets
/// });
/// assert_eq!((one.len(), other.len()), (1, 0));
/// one.with(&mut shared, |framer| {
///     read(framer, b"\0");
///     assert_eq!(framer.input(), b"\xD0\0");
/// });
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rest(Option<Box<[u8]>>);

const _: () = assert!(size_of::<Rest>() == 2 * size_of::<usize>());

/// Without the bytes, as for a [`Framer`].
impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} bytes)", self.len())
    }
}

impl Rest {
    /// Nothing.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Lends `framer` to the client of this rest: its input begins with the bytes that the last call left, `work` adds
    /// bytes and consumes some, and what is left is kept. Before and after the call the framer has no input.
    pub fn with<B, T>(
        &mut self,
        framer: &mut Framer<B>,
        work: impl FnOnce(&mut Framer<B>) -> T,
    ) -> T
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
    {
        framer.clear();
        if let Some(kept) = self.0.take() {
            framer.space().iter_mut().zip(&kept).for_each(|(space, byte)| *space = *byte);
            framer.filled(kept.len());
        }
        let done = work(framer);
        self.0 = match framer.input() {
            [] => None,
            input => Some(input.into()),
        };
        framer.clear();
        done
    }

    /// Drops the bytes, when their connection has ended.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.len())
    }

    /// Whether none wait.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests;
