//! Reading, writing and moving bytes of the arena. Nothing here panics: what does not fit is left out.

pub(in crate::session) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(pair) => u16::from_be_bytes(*pair),
        None => 0,
    }
}

pub(in crate::session) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(pair) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *pair = value.to_be_bytes();
    }
}

/// Writes `part` at `at`; what does not fit is left out.
pub(in crate::session) fn copy(bytes: &mut [u8], at: usize, part: &[u8]) {
    for (space, byte) in bytes.iter_mut().skip(at).zip(part) {
        *space = *byte;
    }
}

/// Moves `len` bytes down from `from` to `to`; nothing where they do not fit.
///
/// In steps that do not overlap, so that no `memmove` is linked for it.
pub(in crate::session) fn move_bytes(bytes: &mut [u8], from: usize, to: usize, len: usize) {
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

/// `<[u8]>::rotate_right` in a tenth of its code.
pub(super) fn rotate_right(bytes: &mut [u8], by: usize) {
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

pub(super) fn set_first(bytes: &mut [u8], at: usize, first: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = first;
    }
}
