//! The read buffer. With the feature `bytes` its front can be given away, so that a message outlives it without a copy.

use std::{boxed::Box, vec};

use crate::framer::Framer;

/// The buffer of a client that gives nothing away.
#[cfg(not(feature = "bytes"))]
type Storage = Box<[u8]>;
#[cfg(feature = "bytes")]
type Storage = bytes::BytesMut;

pub(crate) struct ReadBuffer {
    framer: Framer<Storage>,
    /// Bytes that it has to be able to hold.
    #[cfg(feature = "bytes")]
    capacity: usize,
}

fn storage(capacity: usize) -> Storage {
    let zeros: Box<[u8]> = vec![0; capacity].into_boxed_slice();
    #[cfg(feature = "bytes")]
    return bytes::BytesMut::from(bytes::Bytes::from(zeros));
    #[cfg(not(feature = "bytes"))]
    zeros
}

impl ReadBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            framer: Framer::new(storage(capacity)),
            #[cfg(feature = "bytes")]
            capacity,
        }
    }

    /// As [`Framer::space`].
    pub(crate) fn space(&mut self) -> &mut [u8] {
        #[cfg(feature = "bytes")]
        self.make_up_for_what_was_given();
        self.framer.space()
    }

    /// As [`Framer::filled`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.framer.filled(count);
    }

    /// As [`Framer::input`].
    pub(crate) fn input(&self) -> &[u8] {
        self.framer.input()
    }

    /// As [`Framer::consume`].
    pub(crate) fn consume(&mut self, count: usize) {
        self.framer.consume(count);
    }

    /// As [`Framer::clear`].
    pub(crate) const fn clear(&mut self) {
        self.framer.clear();
    }
}

#[cfg(feature = "bytes")]
impl ReadBuffer {
    /// Gives the first `count` bytes of the input away.
    pub(crate) fn give(&mut self, count: usize) -> bytes::Bytes {
        let framer = core::mem::replace(&mut self.framer, Framer::new(Storage::new()));
        let (mut front, input) = framer.into_parts();
        let count = count.min(input.len());
        let end = input.start + count;
        self.framer = Framer::new(front.split_off(end));
        self.framer.filled(input.len() - count);
        front.freeze().slice(input.start..)
    }

    /// The buffer has become smaller by what was given away. A new one takes its place once half of it is gone, or if
    /// the present packet does not fit.
    fn make_up_for_what_was_given(&mut self) {
        let (held, input) = (self.framer.capacity(), self.framer.input().len());
        if held == self.capacity || held >= self.capacity / 2 && input < held {
            return;
        }
        let mut new = storage(self.capacity);
        for (space, byte) in new.iter_mut().zip(self.framer.input()) {
            *space = *byte;
        }
        self.framer = Framer::new(new);
        self.framer.filled(input);
    }
}

#[cfg(all(test, feature = "bytes"))]
mod tests {
    use super::ReadBuffer;

    fn fill(buffer: &mut ReadBuffer, bytes: &[u8]) {
        let space = buffer.space();
        let count = space.len().min(bytes.len());
        space.iter_mut().zip(bytes).for_each(|(space, byte)| *space = *byte);
        assert_eq!(count, bytes.len(), "there is room");
        buffer.filled(count);
    }

    #[test]
    fn what_was_given_away_stays_as_it_is() {
        let mut buffer = ReadBuffer::new(16);
        fill(&mut buffer, b"abcdefgh");
        buffer.consume(1);
        let given = buffer.give(3);
        assert_eq!(buffer.input(), b"efgh");
        buffer.consume(4);
        fill(&mut buffer, b"0123456789");
        assert_eq!((&given[..], buffer.input()), (&b"bcd"[..], &b"0123456789"[..]));
    }

    #[test]
    fn a_packet_of_the_whole_capacity_fits_whatever_was_given_away() {
        for given in 0..=16 {
            let mut buffer = ReadBuffer::new(16);
            for _ in 0..given {
                fill(&mut buffer, b"a");
                assert_eq!(&buffer.give(1)[..], b"a");
            }
            for count in 0..16 {
                assert_eq!(buffer.input().len(), count, "{given} given away");
                fill(&mut buffer, b"x");
            }
            assert_eq!(buffer.input(), [b'x'; 16]);
            assert!(buffer.space().is_empty());
        }
    }
}
