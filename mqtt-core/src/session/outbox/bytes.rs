//! Reading, writing and moving bytes of the arena.
//!
//! The callers make room first, so everything fits. If a bug breaks that, tests fail by an assertion; a release build
//! leaves out the bytes that do not fit and does not panic.

use crate::codec::FirstByte;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(pair) => u16::from_be_bytes(*pair),
        None => {
            debug_assert!(false, "no two bytes at {at}");
            0
        }
    }
}

pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    copy(bytes, at, &value.to_be_bytes());
}

/// Writes `part` at `at`.
pub(crate) fn copy(bytes: &mut [u8], at: usize, part: &[u8]) {
    debug_assert!(at + part.len() <= bytes.len(), "{} bytes do not fit at {at}", part.len());
    for (space, byte) in bytes.iter_mut().skip(at).zip(part) {
        *space = *byte;
    }
}

/// Moves `len` bytes down from `from` to `to`.
///
/// The steps do not overlap, so no `memmove` is linked.
pub(in crate::session) fn move_bytes(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    debug_assert!(to <= from, "bytes move down, not from {from} to {to}");
    debug_assert!(from + len <= bytes.len(), "{len} bytes at {from} are not all there");
    let Some(step) = from.checked_sub(to).filter(|step| *step != 0) else { return };
    let end = from.saturating_add(len);
    let mut at = from;
    while at < end {
        let Some((down, here)) = bytes.split_at_mut_checked(at) else { return };
        let target = down.get_mut(at - step..).unwrap_or_default();
        for (space, byte) in target.iter_mut().zip(here.iter()).take(end - at) {
            *space = *byte;
        }
        at += step;
    }
}

/// As `<[u8]>::rotate_right`, in a tenth of its code.
pub(super) fn rotate_right(bytes: &mut [u8], by: usize) {
    debug_assert!(by <= bytes.len(), "{} bytes cannot be rotated by {by}", bytes.len());
    reverse(bytes);
    if let Some((first, second)) = bytes.split_at_mut_checked(by) {
        reverse(first);
        reverse(second);
    }
}

fn reverse(mut bytes: &mut [u8]) {
    while let [first, middle @ .., last] = bytes {
        core::mem::swap(first, last);
        bytes = middle;
    }
}

/// Replaces the first byte of the packet at `at`.
pub(super) fn set_first(bytes: &mut [u8], at: usize, first: FirstByte) {
    debug_assert!(at < bytes.len(), "no packet at {at}");
    if let Some(byte) = bytes.get_mut(at) {
        *byte = first.get();
    }
}
