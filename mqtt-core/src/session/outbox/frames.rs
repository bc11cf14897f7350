//! The packets in the arena: where each begins and ends, and how long it stays.

use crate::codec::{FirstByte, Header, PacketType, QoS};

/// The first byte of a packet that was removed.
pub(super) const HOLE: FirstByte = FirstByte::NO_PACKET;

/// How long a packet stays in the arena.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// The packet is dead.
    Hole,
    /// An acknowledgement or a PINGREQ stays until it is sent, and not beyond its connection.
    ThisConnection,
    /// A PUBLISH of QoS 0 stays until it is sent.
    UntilSent,
    /// A packet that the broker has to answer stays until it is released.
    UntilReleased,
}

pub(super) fn stay(first: FirstByte) -> Stay {
    if first == HOLE {
        Stay::Hole
    } else if !first.is_request() {
        Stay::ThisConnection
    } else if first.is(PacketType::Publish) && first.publish_qos() == Some(QoS::AtMostOnce) {
        Stay::UntilSent
    } else {
        Stay::UntilReleased
    }
}

/// Whether a packet is of no more use; `sent`: the transport has taken all of it.
pub(super) fn is_dead(frame: Frame, sent: bool) -> bool {
    match stay(frame.first) {
        Stay::Hole => true,
        Stay::ThisConnection | Stay::UntilSent => sent,
        Stay::UntilReleased => false,
    }
}

/// First byte, header length and whole length of a packet.
#[derive(Clone, Copy)]
pub(in crate::session) struct Frame {
    pub(in crate::session) first: FirstByte,
    pub(in crate::session) header: usize,
    pub(in crate::session) len: usize,
}

/// The packet at `at`.
pub(in crate::session) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let header = Header::decode(bytes.get(at..)?).ok()??;
    Some(Frame { first: header.first_byte(), header: header.header_len(), len: header.frame_len() })
}

/// The packet at `at`, for a loop over the packets before `end`.
pub(super) fn frame_before(bytes: &[u8], at: usize, end: usize) -> Option<Frame> {
    if at >= end {
        return None;
    }
    let frame = frame_at(bytes, at);
    debug_assert!(
        frame.is_some_and(|frame| at + frame.len <= end),
        "no whole packet at {at}, before {end}"
    );
    frame
}

/// The packet id of the packet at `at`; 0 if it has none.
pub(super) fn id_at(bytes: &[u8], at: usize, frame: Frame) -> u16 {
    frame.first.packet_id(bytes, at + frame.header)
}
