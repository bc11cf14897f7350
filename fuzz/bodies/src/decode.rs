//! Decoding handles any bytes, depends on the frame alone, and is the inverse of encoding, in both protocol versions.

use mqtt_core::{
    Protocol, QoS, Violation,
    codec::{Decoded, Header, Packet, Publish, PublishHead},
    framer::Framer,
};

/// Takes any bytes as the bytes that a peer sent.
pub fn decode(data: &[u8]) {
    for protocol in [Protocol::V31, Protocol::V311] {
        match Packet::decode(data, protocol) {
            Ok(Decoded::Packet { packet, len }) => {
                let frame = data.get(..len).expect("a packet ends within the bytes");
                assert_eq!(frame_len(frame), Some(len), "the header says so too");
                re_encoding_gives_an_equal_packet(&packet, frame, protocol);
                prefixes_need_more(frame, protocol);
                what_follows_does_not_matter(&packet, frame, protocol);
                if let Packet::Publish(publish) = packet {
                    the_head_of_a_publish_is_known_early(publish, frame);
                }
            }
            Ok(Decoded::NeedMore(missing)) => fewer_bytes_are_not_enough(data, missing, protocol),
            Err(violation) => an_error_stays(data, violation, protocol),
        }
        pieces_give_the_same_packets(data, protocol);
    }
}

fn re_encoding_gives_an_equal_packet(packet: &Packet<'_>, frame: &[u8], protocol: Protocol) {
    let needed = packet.encoded_len().expect("what was decoded can be encoded");
    // A remaining length may be padded with zeros on the wire. The encoder never pads it.
    assert!(needed <= frame.len());
    let mut encoded = vec![0xAA; needed];
    assert_eq!(packet.encode(&mut encoded, protocol), Ok(needed));
    match Packet::decode(&encoded, protocol) {
        Ok(Decoded::Packet { packet: again, len }) => {
            assert_eq!((&again, len), (packet, needed));
        }
        other => panic!("{packet:?} was encoded as {encoded:x?}, which gives {other:?}"),
    }
    let mut short = vec![0; needed - 1];
    assert!(packet.encode(&mut short, protocol).is_err(), "one byte less is too short");
}

fn prefixes_need_more(frame: &[u8], protocol: Protocol) {
    // Trying each length of a long frame would take quadratic time, and its ends show most.
    let lens = (0..frame.len()).filter(|len| *len < 64 || frame.len() - len < 64 || len % 61 == 0);
    for prefix in lens.filter_map(|len| frame.get(..len)) {
        match Packet::decode(prefix, protocol) {
            Ok(Decoded::NeedMore(missing)) => {
                assert!(missing >= 1 && prefix.len() + missing <= frame.len());
            }
            other => panic!("{} of {} bytes give {other:?}", prefix.len(), frame.len()),
        }
    }
}

fn what_follows_does_not_matter(packet: &Packet<'_>, frame: &[u8], protocol: Protocol) {
    let longer = [frame, b"\xFFnext"].concat();
    for bytes in [frame, &longer] {
        match Packet::decode(bytes, protocol) {
            Ok(Decoded::Packet { packet: same, len }) => {
                assert_eq!((&same, len), (packet, frame.len()));
            }
            other => panic!("{packet:?} has become {other:?}"),
        }
    }
}

fn the_head_of_a_publish_is_known_early(publish: Publish<'_>, frame: &[u8]) {
    let header = header(frame).expect("a whole frame has a whole header");
    let body = frame.get(header.header_len()..).expect("the header is in the frame");
    assert_eq!(Publish::decode(header.first(), body), Ok(publish));
    assert_eq!(publish.id.is_none(), publish.qos == QoS::AtMostOnce);

    let head_len = body.len() - publish.payload.len();
    for len in (0..body.len()).take(300).chain([body.len()]) {
        let so_far = body.get(..len).expect("within the body");
        let head = PublishHead::decode(header.first(), header.remaining(), so_far)
            .expect("the head of what is well-formed");
        assert_eq!(head.is_some(), len >= head_len, "{len} of {head_len} bytes");
        if let Some(head) = head {
            assert_eq!((head.topic, head.id, head.qos), (publish.topic, publish.id, publish.qos));
            assert_eq!((head.retain, head.dup), (publish.retain, publish.dup));
            assert_eq!((head.head_len, head.payload_len), (head_len, publish.payload.len()));
        }
    }
}

fn fewer_bytes_are_not_enough(data: &[u8], missing: usize, protocol: Protocol) {
    assert!(missing >= 1);
    let mut longer = data.to_vec();
    longer.resize(data.len() + (missing - 1).min(512), 0);
    match Packet::decode(&longer, protocol) {
        Ok(Decoded::NeedMore(still)) => assert!(still >= 1),
        // A header in part may be wrong already, and so may fields that are complete.
        Err(_) => {}
        Ok(Decoded::Packet { packet, .. }) => panic!("{packet:?} needed {missing} bytes more"),
    }
}

fn an_error_stays(data: &[u8], violation: Violation, protocol: Protocol) {
    assert!(violation.statement().starts_with("MQTT-"));
    let longer = [data, b"\0\x7Fmore"].concat();
    assert_eq!(Packet::decode(&longer, protocol), Err(violation));
}

/// Sends the data through a framer. The data decides its size and the sizes of the pieces.
fn pieces_give_the_same_packets(data: &[u8], protocol: Protocol) {
    let mut sizes = data.iter().rev().map(|byte| usize::from(byte % 32)).cycle();
    let mut framer = Framer::new(vec![0xAA; sizes.next().unwrap_or(0) * 8]);
    let (mut rest, mut unread) = (data, data);
    while !unread.is_empty() {
        let space = framer.space();
        if space.is_empty() {
            assert_eq!(framer.input().len(), framer.capacity(), "only where it is full");
            return;
        }
        let size = sizes.next().unwrap_or(0).max(1).min(space.len()).min(unread.len());
        let (piece, behind) = unread.split_at(size);
        space.iter_mut().zip(piece).for_each(|(byte, new)| *byte = *new);
        framer.filled(size);
        unread = behind;
        loop {
            assert_eq!(Some(framer.input()), rest.get(..rest.len() - unread.len()));
            let Ok(Decoded::Packet { packet, len }) = Packet::decode(framer.input(), protocol)
            else {
                break;
            };
            assert_eq!(Packet::decode(rest, protocol), Ok(Decoded::Packet { packet, len }));
            framer.consume(len);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    assert_eq!(Packet::decode(framer.input(), protocol), Packet::decode(rest, protocol));
}

fn header(bytes: &[u8]) -> Option<Header> {
    Header::decode(bytes).ok().flatten()
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    header(bytes).map(|header| header.frame_len())
}
