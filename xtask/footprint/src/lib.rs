//! The parts that all programs here share: a panic handler that stops, a transport and a clock. The compiler knows
//! nothing of the transport and the clock, so it keeps every part of a client that uses them.
#![no_std]

use core::hint::black_box;
use core::panic::PanicInfo;

use mqtt_core::Instant;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Bytes that were read and not yet taken.
pub struct Held<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl<const CAPACITY: usize> Held<CAPACITY> {
    /// Nothing.
    pub const EMPTY: Self = Self { bytes: [0; CAPACITY], len: 0 };

    /// For the client.
    pub fn input(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Keeps the last `left` bytes of the input. `copy_within` would bring its panics along.
    pub fn keep(&mut self, left: usize) {
        for to in 0..left {
            let from = self.len.wrapping_sub(left).wrapping_add(to);
            if let Some(&byte) = self.bytes.get(from) {
                if let Some(place) = self.bytes.get_mut(to) {
                    *place = byte;
                }
            }
        }
        self.len = left;
    }

    /// Reads more behind it.
    pub fn read(&mut self) {
        self.len += read(self.bytes.get_mut(self.len..).unwrap_or_default());
    }
}

/// Reads some bytes, maybe none.
#[inline(never)]
pub fn read(buffer: &mut [u8]) -> usize {
    let len = buffer.len();
    black_box(buffer);
    black_box(0).min(len)
}

/// Writes some of the bytes.
#[inline(never)]
pub fn write(bytes: &[u8]) -> usize {
    black_box(bytes).len()
}

/// The time.
#[inline(never)]
pub fn now() -> Instant {
    Instant::from_millis(black_box(0))
}
