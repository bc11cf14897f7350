//! Well-formed packets of a broker, put together by hand.

use super::{input::Input, topic};

/// One that may make no sense just now.
pub(super) fn broker_packet(kind: u8, id: u16, input: &mut Input<'_>) -> Vec<u8> {
    let id = id.to_be_bytes();
    match kind % 14 {
        0 => packet(0x20, &[&[0, 0]]),
        1 => packet(0x20, &[&[1, 0]]),
        2 => packet(0x20, &[&[0, input.byte() % 6]]),
        3..=6 => {
            let (flags, len) = (input.byte(), input.byte());
            let qos = (flags & 3).min(2);
            let dup = if qos == 0 { 0 } else { flags & 8 };
            let topic = topic(flags >> 4);
            let topic = [&(topic.len() as u16).to_be_bytes(), topic.as_bytes()].concat();
            let payload = vec![len; usize::from(len)];
            let id: &[u8] = if qos == 0 { &[] } else { &id };
            packet(0x30 | dup | qos << 1 | flags >> 2 & 1, &[&topic, id, &payload])
        }
        7 => packet(0x40, &[&id]),
        8 => packet(0x50, &[&id]),
        9 => packet(0x62, &[&id]),
        10 => packet(0x70, &[&id]),
        11 => {
            let count = 1 + usize::from(input.byte() % 3);
            let codes: Vec<u8> = input.take(count).iter().map(|byte| byte & 0x83).collect();
            packet(0x90, &[&id, &codes])
        }
        12 => packet(0xB0, &[&id]),
        _ => packet(0xD0, &[]),
    }
}

pub(super) fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let len = body.len();
    let length = if len < 128 { vec![len as u8] } else { vec![len as u8 | 0x80, (len >> 7) as u8] };
    [&[first], length.as_slice(), &body].concat()
}
