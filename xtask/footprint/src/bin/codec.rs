//! The codec alone: decodes every packet and encodes it again.
#![no_std]
#![no_main]

use footprint::{read, write};
use mqtt_core::Protocol;
use mqtt_core::codec::{Decoded, Packet};

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut input = [0; 256];
    let mut output = [0; 256];
    loop {
        let count = read(&mut input);
        let bytes = input.get(..count).unwrap_or_default();
        if let Ok(Decoded::Packet { packet, .. }) = Packet::decode(bytes, Protocol::V311) {
            if let Ok(len) = packet.encode(&mut output, Protocol::V311) {
                write(output.get(..len).unwrap_or_default());
            }
        }
    }
}
