//! The blocks of a file are read back.
#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::vec;

use super::*;
use crate::{
    Protocol,
    codec::{Connect, Login},
};

/// A writer that takes `room` more bytes, and keeps them.
#[derive(Clone)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Memory {
    fn with_room(room: usize) -> Self {
        Self { bytes: Arc::default(), room }
    }

    fn content(&self) -> Vec<u8> {
        self.bytes.lock().expect("no test panics with it").clone()
    }

    fn packets(&self) -> Vec<Seen> {
        let blocks = blocks(&self.content());
        assert_eq!((blocks[0].0, blocks[1].0), (SECTION_HEADER, INTERFACE));
        blocks[2..].iter().map(|(kind, content)| Seen::read(*kind, content)).collect()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= bytes.len();
        self.bytes.lock().expect("no test panics with it").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn little(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn big(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

/// Type and content of each block.
fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let len = little(&bytes[4..]) as usize;
        assert_eq!(len % 4, 0, "a block of {len} bytes");
        assert_eq!(little(&bytes[len - 4..]) as usize, len, "its length stands at both ends");
        blocks.push((little(bytes), bytes[8..len - 4].to_vec()));
        bytes = &bytes[len..];
    }
    blocks
}

/// A packet in a file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    nanos: u64,
    /// The ports, from which and to which.
    ports: (u16, u16),
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    data: Vec<u8>,
    options: Vec<u8>,
}

impl Seen {
    fn read(kind: u32, block: &[u8]) -> Self {
        assert_eq!((kind, little(block)), (ENHANCED_PACKET, 0));
        let nanos = u64::from(little(&block[4..])) << 32 | u64::from(little(&block[8..]));
        let len = little(&block[12..]) as usize;
        assert_eq!(little(&block[16..]) as usize, len, "it is whole");
        let (packet, rest) = block[20..].split_at(len);
        let options = rest[len.next_multiple_of(4) - len..].to_vec();
        let (ip, tcp) = packet.split_at(20);
        assert_eq!((ip[0], ip[9]), (0x45, 6));
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), len);
        assert_eq!(checksum(&[ip]), 0, "the checksum of IP");
        let tcp_len = (tcp.len() as u16).to_be_bytes();
        assert_eq!(checksum(&[&ip[12..], &[0, 6], &tcp_len, tcp]), 0, "the checksum of TCP");
        let header = usize::from(tcp[12] >> 4) * 4;
        Self {
            nanos,
            ports: (u16::from_be_bytes([tcp[0], tcp[1]]), u16::from_be_bytes([tcp[2], tcp[3]])),
            sequence: big(&tcp[4..]),
            acknowledged: big(&tcp[8..]),
            flags: tcp[13],
            data: tcp[header..].to_vec(),
            options,
        }
    }

    fn numbers(&self) -> (bool, u8, u32, u32, usize) {
        let out = self.ports.1 == MQTT_PORT;
        (out, self.flags, self.sequence, self.acknowledged, self.data.len())
    }
}

fn connect(password: &[u8]) -> Vec<u8> {
    let connect = Connect {
        protocol: Protocol::V311,
        client_id: "c",
        clean_session: true,
        keep_alive: 60,
        will: None,
        login: Some(Login::new("user", Some(password))),
    };
    let mut bytes = vec![0; connect.encoded_len().expect("it has a form")];
    connect.encode(&mut bytes).expect("it has room");
    bytes
}

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    let example = [0, 1, 0xF2, 3, 0xF4, 0xF5, 0xF6, 0xF7];
    assert_eq!(checksum(&[&example]), !0xDDF2);
    assert_eq!(checksum(&[&[0xFF]]), !0xFF00);
}

#[test]
fn a_link_is_a_tcp_connection_from_syn_to_fin() {
    let memory = Memory::with_room(usize::MAX);
    let mut link = Pcapng::new(memory.clone()).open("b:1883");
    link.sent(&[1; 10]);
    link.received(&[2; 4]);
    link.received(&[3; 5]);
    link.sent(&[4]);
    link.ended(&End::ByBroker);
    let numbers: Vec<_> = memory.packets().iter().map(Seen::numbers).collect();
    assert_eq!(
        numbers,
        [
            (true, SYN, 0, 0, 0),
            (false, SYN | ACK, 0, 1, 0),
            (true, ACK, 1, 1, 0),
            (true, PSH | ACK, 1, 1, 10),
            (false, PSH | ACK, 1, 11, 4),
            (false, PSH | ACK, 5, 11, 5),
            (true, PSH | ACK, 11, 10, 1),
            (false, FIN | ACK, 10, 12, 0),
            (true, FIN | ACK, 12, 11, 0),
            (false, ACK, 11, 13, 0),
        ]
    );
}

#[test]
fn a_link_that_failed_ends_with_a_reset() {
    let memory = Memory::with_room(usize::MAX);
    let mut link = Pcapng::new(memory.clone()).open("b:1883");
    link.ended(&End::Failed(&io::ErrorKind::ConnectionReset.into()));
    let last = memory.packets().pop().expect("it is not empty");
    assert_eq!(last.numbers(), (false, RST | ACK, 1, 1, 0));
    let comment = last.options.windows(15).any(|part| part == b"the link failed");
    assert!(comment, "{}", last.options.escape_ascii());
}

#[test]
fn bytes_that_are_longer_than_a_packet_are_several_segments() {
    let memory = Memory::with_room(usize::MAX);
    let bytes: Vec<u8> = (0..150_001_u32).map(|at| at as u8).collect();
    Pcapng::new(memory.clone()).open("b:1883").received(&bytes);
    let packets = memory.packets().split_off(3);
    let lens: Vec<usize> = packets.iter().map(|packet| packet.data.len()).collect();
    assert_eq!(lens, [60_000, 60_000, 30_001]);
    let data: Vec<u8> = packets.into_iter().flat_map(|packet| packet.data).collect();
    assert!(data == bytes, "the segments are the bytes");
}

#[test]
fn each_link_has_a_port_of_its_own_and_names_client_and_peer() {
    let memory = Memory::with_room(usize::MAX);
    let file = Pcapng::new(memory.clone());
    let _first = file.of("alice").open("b:1883");
    let _second = file.of("bob").open("unix:///run/b");
    let packets = memory.packets();
    assert_eq!((packets[0].ports, packets[3].ports), ((49_152, 1883), (49_153, 1883)));
    for (packet, comment) in [(0, "alice to b:1883; "), (3, "bob to unix:///run/b; ")] {
        let options = &packets[packet].options;
        assert!(
            options.windows(comment.len()).any(|part| part == comment.as_bytes()),
            "{}",
            options.escape_ascii()
        );
    }
}

#[test]
fn the_times_are_those_of_the_clock() {
    let memory = Memory::with_room(usize::MAX);
    let before = since_1970();
    let _link = Pcapng::new(memory.clone()).open("b:1883");
    let after = since_1970();
    let times: Vec<u64> = memory.packets().iter().map(|packet| packet.nanos).collect();
    assert!(times.iter().all(|time| (before..=after).contains(time)), "{before} {times:?} {after}");
}

#[test]
fn no_byte_of_a_password_is_in_the_file_wherever_the_connect_is_cut() {
    let password = "ÄÖÜ-marker-".repeat(3);
    let (plain, hidden) =
        (connect(password.as_bytes()), connect("*".repeat(password.len()).as_bytes()));
    for cut in 0..=plain.len() {
        let memory = Memory::with_room(usize::MAX);
        let mut link = Pcapng::new(memory.clone()).open("b:1883");
        let (front, back) = plain.split_at(cut);
        link.sent(front);
        link.sent(back);
        let data: Vec<u8> = memory.packets().into_iter().flat_map(|packet| packet.data).collect();
        assert_eq!(data, hidden, "cut at {cut}");
    }
}

#[test]
fn a_password_is_in_the_file_if_it_is_asked_for() {
    let memory = Memory::with_room(usize::MAX);
    let plain = connect(b"marker");
    Pcapng::new(memory.clone()).show_passwords(true).open("b:1883").sent(&plain);
    assert_eq!(memory.packets()[3].data, plain);
}

#[test]
fn a_write_error_ends_the_file_and_is_given_once() {
    let whole = Memory::with_room(usize::MAX);
    let _link = Pcapng::new(whole.clone()).open("b:1883");
    let len = whole.content().len();

    let memory = Memory::with_room(len);
    let file = Pcapng::new(memory.clone());
    let mut link = file.open("b:1883");
    assert!(file.take_error().is_none(), "there was room");
    link.sent(&[0; 100]);
    link.received(b"");
    link.ended(&End::ByClient);
    let error = file.take_error().expect("there was no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(file.take_error().is_none(), "it was given");
    assert_eq!(memory.content().len(), len, "nothing follows a gap");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_file_also_if_it_was_there_before() {
    use std::{fs, os::unix::fs::PermissionsExt as _, process};

    let path = std::env::temp_dir().join(format!("mqtt-core-pcapng-{}", process::id()));
    fs::write(&path, [0; 4096]).expect("there is a folder for temporary files");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    drop(Pcapng::create(&path).expect("it is ours"));
    let (mode, content) = (fs::metadata(&path), fs::read(&path));
    fs::remove_file(&path).expect("it is there");
    assert_eq!(mode.expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(content.expect("it is ours"), beginning());
}
