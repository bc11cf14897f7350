//! The framer against a model, and how often it moves bytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{collections::VecDeque, vec, vec::Vec};

use proptest::{collection, prelude::*};

use super::Framer;

/// Reads as many of `bytes` as there is space for.
fn read(framer: &mut Framer<impl AsRef<[u8]> + AsMut<[u8]>>, bytes: &[u8]) -> usize {
    let space = framer.space();
    let count = space.len().min(bytes.len());
    space[..count].copy_from_slice(&bytes[..count]);
    framer.filled(count);
    count
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Consume(usize),
    Clear,
}

proptest! {
    #[test]
    fn bytes_come_out_in_the_order_in_which_they_were_read(
        capacity in 0..20_usize,
        steps in collection::vec(
            prop_oneof![
                8 => (0..12_usize).prop_map(Step::Read),
                8 => (0..12_usize).prop_map(Step::Consume),
                1 => Just(Step::Clear),
            ],
            0..60,
        ),
    ) {
        let mut framer = Framer::new(vec![0; capacity]);
        let mut model: VecDeque<u8> = VecDeque::new();
        let mut next = 0_u8;
        for step in steps {
            match step {
                Step::Read(count) => {
                    let bytes: Vec<u8> = (0..count as u8).map(|n| next.wrapping_add(n)).collect();
                    let count = read(&mut framer, &bytes);
                    next = next.wrapping_add(count as u8);
                    model.extend(&bytes[..count]);
                }
                Step::Consume(count) => {
                    framer.consume(count);
                    model.drain(..count.min(model.len()));
                }
                Step::Clear => {
                    framer.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(framer.input(), model.make_contiguous());
            let full = framer.input().len() == framer.capacity();
            prop_assert_eq!(framer.space().is_empty(), full, "there is space unless it is full");
            prop_assert_eq!(framer.input(), model.make_contiguous(), "asking for space changes no input");
        }
    }
}

#[test]
fn a_count_that_is_too_large_counts_as_the_largest_possible_one() {
    let mut framer = Framer::new([0; 8]);
    framer.filled(usize::MAX);
    assert_eq!(framer.input().len(), 8);
    framer.filled(usize::MAX);
    framer.consume(usize::MAX);
    framer.consume(usize::MAX);
    assert!(framer.input().is_empty());
    assert_eq!(framer.space().len(), 8);
}

/// A stream of small packets, each read in two parts.
#[test]
fn small_packets_in_a_large_buffer_hardly_move() {
    let mut framer = Framer::new(vec![0_u8; 1024]);
    let (mut moved, mut total) = (0, 0);
    for _ in 0..10_000 {
        let before = framer.input().len();
        let start = framer.input().as_ptr();
        framer.space();
        if framer.input().as_ptr() != start {
            moved += before;
        }
        total += read(&mut framer, &[7; 11]);
        framer.consume(framer.input().len().saturating_sub(5));
    }
    assert!(moved * 50 <= total, "{moved} bytes moved for {total}");
}

/// Packets of two thirds of the buffer: in the worst case each byte is moved once.
#[test]
fn large_packets_in_a_small_buffer_move_once() {
    let mut framer = Framer::new([0_u8; 96]);
    let (mut moved, mut total) = (0, 0);
    for _ in 0..1_000 {
        while framer.input().len() < 64 {
            let (start, before) = (framer.input().as_ptr(), framer.input().len());
            total += read(&mut framer, &[7; 7]);
            if framer.input().as_ptr() != start {
                moved += before;
            }
        }
        framer.consume(64);
    }
    assert!(moved <= total, "{moved} bytes moved for {total}");
}

/// A buffer whose length changes with every call.
struct Liar {
    bytes: Vec<u8>,
    lens: core::cell::Cell<u32>,
}

impl Liar {
    fn len(&self) -> usize {
        let mixed = self.lens.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.lens.set(mixed);
        (mixed >> 16) as usize % (self.bytes.len() + 1)
    }
}

impl AsRef<[u8]> for Liar {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }
}

impl AsMut<[u8]> for Liar {
    fn as_mut(&mut self) -> &mut [u8] {
        let len = self.len();
        &mut self.bytes[..len]
    }
}

#[test]
fn a_buffer_that_changes_its_length_causes_no_panic() {
    for seed in 0..200 {
        let mut framer =
            Framer::new(Liar { bytes: vec![0; 32], lens: core::cell::Cell::new(seed) });
        for step in 0..50 {
            let room = framer.space().len();
            assert!(room <= 32 && framer.input().len() <= 32 && framer.capacity() <= 32);
            framer.filled(step % 9);
            framer.consume(step % 7);
        }
        framer.clear();
        assert!(framer.input().is_empty());
    }
}

#[test]
fn a_buffer_may_be_borrowed_or_owned() {
    let mut array = [0; 4];
    let mut borrowed = Framer::new(&mut array[..]);
    assert_eq!(read(&mut borrowed, b"abcdef"), 4);
    assert_eq!(borrowed.input(), b"abcd");
    let boxed: std::boxed::Box<[u8]> = vec![0; 4].into();
    assert_eq!(Framer::new(boxed).capacity(), 4);
    assert_eq!(Framer::new(Vec::from([0; 3])).space().first().copied().unwrap(), 0);
}
