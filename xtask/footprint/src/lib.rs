//! What the programs here share: a panic handler that stops, and a transport and a clock of which the compiler
//! knows nothing, so that it can drop nothing of a client that uses them.
#![no_std]

use core::hint::black_box;
use core::panic::PanicInfo;

use mqtt_core::Instant;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
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
