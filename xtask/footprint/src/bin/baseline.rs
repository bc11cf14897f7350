//! Start-up code and nothing else: the other programs are measured against it.
#![no_std]
#![no_main]

use footprint as _;

#[cortex_m_rt::entry]
fn main() -> ! {
    loop {}
}
