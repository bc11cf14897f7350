//! The packets in the arena: where each begins and ends, and how long it is kept.

use super::bytes::u16_at;
use crate::codec::Header;

pub(super) const HOLE: u8 = 0;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBREL: u8 = 6;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const DUP: u8 = 0b1000;
pub(super) const QOS: u8 = 0b0110;

/// What a packet in the arena is, as far as keeping it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Dead.
    Hole,
    /// Until sent, and not beyond this connection: acknowledgements, pings.
    Answer,
    /// Until sent: a PUBLISH of QoS 0.
    UntilSent,
    /// Until released.
    UntilAnswered,
}

pub(super) const fn keep(first: u8) -> Keep {
    match first >> 4 {
        HOLE => Keep::Hole,
        PUBLISH if first & QOS == 0 => Keep::UntilSent,
        PUBLISH | PUBREL | SUBSCRIBE | UNSUBSCRIBE => Keep::UntilAnswered,
        _ => Keep::Answer,
    }
}

/// Whether a packet is of no more use; `sent`: handed to the transport whole.
pub(super) fn is_dead(frame: Frame, sent: bool) -> bool {
    match keep(frame.first) {
        Keep::Hole => true,
        Keep::Answer | Keep::UntilSent => sent,
        Keep::UntilAnswered => false,
    }
}

/// First byte, header length and whole length of the packet at `at`.
#[derive(Clone, Copy)]
pub(in crate::session) struct Frame {
    pub(in crate::session) first: u8,
    pub(in crate::session) header: usize,
    pub(in crate::session) len: usize,
}

pub(in crate::session) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let header = Header::decode(bytes.get(at..)?).ok()??;
    Some(Frame { first: header.first(), header: header.header_len(), len: header.frame_len() })
}

/// The packet id of the packet at `at`; 0 where it has none.
pub(super) fn id_at(bytes: &[u8], at: usize, frame: Frame) -> u16 {
    let mut id_at = at + frame.header;
    if frame.first >> 4 == PUBLISH {
        id_at += 2 + usize::from(u16_at(bytes, id_at));
    }
    u16_at(bytes, id_at)
}
