//! The password in the first packet of a link, which is the CONNECT, is replaced by `*`. Section 3.1 of the standard.
//!
//! The packet may come in pieces, and each piece is written at once. So the bytes before the password are kept until
//! its place is known. The length of the password stays, and so does that of the packet.

use core::ops::Range;
use std::vec::Vec;

use crate::codec::{Header, PacketType};

/// Protocol level, flags and keep alive, behind the name of the protocol.
const FIXED: usize = 4;
const WILL: u8 = 0x04;
const PASSWORD: u8 = 0x40;
const USER: u8 = 0x80;

/// Replaces the password in the bytes that are sent over one link.
#[derive(Default)]
pub(super) struct Mask {
    /// The bytes so far, until the place is known.
    head: Vec<u8>,
    /// Bytes so far.
    count: usize,
    place: Place,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Unknown,
    /// There is no password, or it is over.
    Nowhere,
    At(Range<usize>),
}

impl Mask {
    /// Replaces the password, or the part of it that is in these bytes, which are the next ones.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let start = self.count;
        self.count += bytes.len();
        if self.place == Place::Unknown {
            self.head.extend_from_slice(bytes);
            self.place = place(&self.head);
            if self.place != Place::Unknown {
                self.head = Vec::new();
            }
        }
        let Place::At(range) = &self.place else { return };
        let from = range.start.saturating_sub(start).min(bytes.len());
        let to = range.end.saturating_sub(start).min(bytes.len());
        bytes.get_mut(from..to).unwrap_or_default().fill(b'*');
        if self.count >= range.end {
            self.place = Place::Nowhere;
        }
    }
}

/// The place of the password in a packet that begins with `bytes`.
fn place(bytes: &[u8]) -> Place {
    let header = match Header::decode(bytes) {
        Ok(None) => return Place::Unknown,
        Ok(Some(header)) => header,
        // It is no packet. Nobody knows where a password is.
        Err(_) => return Place::At(0..usize::MAX),
    };
    if PacketType::from_first(header.first()) != Ok(PacketType::Connect) {
        return Place::Nowhere;
    }
    let end = header.frame_len();
    match start(bytes, header.header_len()) {
        Some(None) => Place::Nowhere,
        Some(Some(start)) => Place::At(start..end),
        // The CONNECT is whole, but its fields are not: anything may be the password.
        None if bytes.len() >= end => Place::At(0..end),
        None => Place::Unknown,
    }
}

/// The first byte of the password in a CONNECT whose body begins at `body`. The inner `None`: it has none. The outer
/// `None`: more bytes are needed.
fn start(bytes: &[u8], body: usize) -> Option<Option<usize>> {
    let fixed = behind_field(bytes, body)?;
    let flags = *bytes.get(fixed + 1)?;
    if flags & PASSWORD == 0 {
        return Some(None);
    }
    let client_id = 1;
    let will = if flags & WILL == 0 { 0 } else { 2 };
    let user = u8::from(flags & USER != 0);
    let mut at = fixed + FIXED;
    for _ in 0..client_id + will + user {
        at = behind_field(bytes, at)?;
    }
    // Its length is needed as well, so no byte of it has been written before.
    length(bytes, at).map(|_| Some(at + 2))
}

/// The place behind a field with a length in front.
fn behind_field(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + 2 + length(bytes, at)?)
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::{
        Protocol, QoS, Will,
        codec::{Connect, Login},
        topic,
    };

    fn connect(protocol: Protocol, will: Option<Will<'_>>, login: Option<Login<'_>>) -> Vec<u8> {
        let connect =
            Connect { protocol, client_id: "c", clean_session: true, keep_alive: 9, will, login };
        let mut bytes = vec![0; connect.encoded_len().expect("it has a form")];
        connect.encode(&mut bytes).expect("it has room");
        bytes
    }

    /// `bytes`, masked in these pieces.
    fn masked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut mask = Mask::default();
        let mut all = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            mask.apply(&mut piece);
            all.extend(piece);
        }
        all
    }

    fn every_connect(password: &[u8]) -> Vec<Vec<u8>> {
        let will = Will::new(topic!("w"), b"gone").qos(QoS::AtLeastOnce);
        let mut all = Vec::new();
        for protocol in [Protocol::V31, Protocol::V311] {
            for will in [None, Some(will)] {
                all.push(connect(protocol, will, Some(Login::new("user", Some(password)))));
            }
        }
        all
    }

    #[test]
    fn a_password_is_replaced_wherever_the_connect_is_cut() {
        let password = b"marker-of-the-password";
        let behind = [0x30, 4, 0, 1, b't', b'm'];
        for (plain, hidden) in every_connect(password).iter().zip(every_connect(&[b'*'; 22])) {
            let (plain, hidden) = ([&plain[..], &behind].concat(), [&hidden[..], &behind].concat());
            for cut in 0..=plain.len() {
                let (front, back) = plain.split_at(cut);
                assert_eq!(masked([front, back]), hidden, "cut at {cut}");
            }
            assert_eq!(masked(plain.chunks(1)), hidden);
        }
    }

    #[test]
    fn a_connect_without_a_password_stays_as_it_is() {
        let will = Will::new(topic!("w"), b"gone");
        for login in [None, Some(Login::new("user", None))] {
            let bytes = connect(Protocol::V311, Some(will), login);
            assert_eq!(
                masked([&bytes[..], b"\x40\x02\0\x01"]),
                [&bytes[..], b"\x40\x02\0\x01"].concat()
            );
        }
    }

    #[test]
    fn other_packets_stay_as_they_are() {
        let bytes = b"\x30\x06\0\x01tabc\x10\x7F";
        assert_eq!(masked(bytes.chunks(1)), bytes);
    }

    #[test]
    fn a_connect_that_no_client_sends_is_hidden_as_a_whole() {
        assert_eq!(masked([&b"\x10\x04\0\xFFab\xC0\0"[..]]), b"******\xC0\0");
        assert_eq!(masked([&b"\x10\xFF\xFF\xFF\xFFabc"[..]]), b"********");
    }
}
