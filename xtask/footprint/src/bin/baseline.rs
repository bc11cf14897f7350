//! Start-up code and nothing else: what the other programs are measured against.
#![no_std]
#![no_main]

use footprint as _;

#[cortex_m_rt::entry]
fn main() -> ! {
    loop {}
}
