//! [`Pcapng`]: a capture file (draft-ietf-opsawg-pcapng) with IPv4 (RFC 791) and TCP (RFC 9293) headers that are made
//! up.
//!
//! A link may be TLS, WebSocket or a serial line. In the file each of them is a TCP connection to port 1883, for which
//! Wireshark has its MQTT dissector. Its bytes and the times are real.
//!
//! Invariant: a packet is one block, and a block is one write.

use std::{
    borrow::ToOwned as _,
    boxed::Box,
    fmt, format,
    io::{self, Write},
    net::Ipv4Addr,
    path::Path,
    string::String,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
    vec::Vec,
};

use super::{
    Conversation, End, Sink,
    mask::Mask,
    output::{Output, create},
};

/// A packet of IPv4 has at most 65,535 bytes, with its headers.
const LONGEST_SEGMENT: usize = 60_000;
/// Addresses for documentation (RFC 5737).
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const BROKER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const MQTT_PORT: u16 = 1883;
/// Ports of clients, one after the other (RFC 6335).
const FIRST_PORT: u16 = 49_152;
const PORTS: u32 = 1 << 14;

/// Writes what goes over links to a file that Wireshark and tshark open. Clones are the same file.
///
/// Each link is a TCP connection with made-up headers: from another port of 192.0.2.1 to port 1883 of 192.0.2.2, also
/// if the link is TLS or a serial line, because Wireshark knows MQTT by this port. The comment of its first packet names
/// client and broker. Bytes and times are real.
///
/// Each packet is written at once, so the file is complete if the process is killed, and Wireshark can read it from a
/// pipe: `mkfifo live.pcapng; wireshark -k -i live.pcapng`.
///
/// The password of a CONNECT is replaced by `*`. Only its length can be seen.
#[derive(Clone)]
pub struct Pcapng {
    client: String,
    shows_passwords: bool,
    file: Arc<Mutex<File>>,
}

struct File {
    output: Output,
    /// Links so far.
    links: u32,
}

impl fmt::Debug for Pcapng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcapng").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Pcapng {
    /// Writes to `output`, with a flush after each packet.
    #[must_use]
    pub fn new(output: impl Write + Send + 'static) -> Self {
        let mut output = Output::new(output);
        output.write(&beginning());
        let file = Arc::new(Mutex::new(File { output, links: 0 }));
        Self { client: "client".to_owned(), shows_passwords: false, file }
    }

    /// Writes to a file that only its owner can read. A file that is there is emptied, and gets the same permissions. A
    /// pipe is taken as it is, and has to have a reader.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or belongs to somebody else.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(create(path.as_ref())?))
    }

    /// The same file, for the links of the client called `client`.
    #[must_use]
    pub fn of(&self, client: &str) -> Self {
        Self { client: client.into(), ..self.clone() }
    }

    /// Whether passwords are in the file; off by default.
    #[must_use]
    pub const fn show_passwords(mut self, on: bool) -> Self {
        self.shows_passwords = on;
        self
    }

    /// The error that ended the file, if there was one. It is given once.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        lock(&self.file).output.take_error()
    }
}

fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for Pcapng {
    fn open(&self, peer: &str) -> Box<dyn Conversation> {
        let number = {
            let mut file = lock(&self.file);
            file.links = file.links.wrapping_add(1);
            file.links - 1
        };
        let port = FIRST_PORT + (number % PORTS) as u16;
        // If a port is used again, other numbers tell that it is another connection.
        let first = number / PORTS * 0x0100_0000;
        let mut connection = Connection {
            file: Arc::clone(&self.file),
            mask: (!self.shows_passwords).then(Mask::default),
            client: Place { address: CLIENT, port, next: first },
            broker: Place { address: BROKER, port: MQTT_PORT, next: first },
            packets: 0,
        };
        let comment = format!("{} to {peer}; the headers of IP and TCP are made up", self.client);
        connection.packet(Way::Out, SYN, &[], &comment);
        connection.packet(Way::In, SYN | ACK, &[], "");
        connection.packet(Way::Out, ACK, &[], "");
        Box::new(connection)
    }

    /// There is no packet to show.
    fn not_open(&self, _peer: &str, _error: &io::Error) {}
}

/// A link as a TCP connection.
struct Connection {
    file: Arc<Mutex<File>>,
    mask: Option<Mask>,
    client: Place,
    broker: Place,
    packets: u16,
}

/// One end of the connection.
#[derive(Clone, Copy)]
struct Place {
    address: Ipv4Addr,
    port: u16,
    /// The next sequence number.
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

// Flags of TCP.
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Conversation for Connection {
    fn sent(&mut self, bytes: &[u8]) {
        match &mut self.mask {
            Some(mask) => {
                let mut bytes = bytes.to_vec();
                mask.apply(&mut bytes);
                self.data(Way::Out, &bytes);
            }
            None => self.data(Way::Out, bytes),
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.data(Way::In, bytes);
    }

    fn ended(&mut self, end: &End<'_>) {
        let (first, second) = match end {
            End::ByClient => (Way::Out, Way::In),
            End::ByBroker => (Way::In, Way::Out),
            End::Failed(error) => {
                return self.packet(Way::In, RST | ACK, &[], &format!("the link failed: {error}"));
            }
        };
        self.packet(first, FIN | ACK, &[], "");
        self.packet(second, FIN | ACK, &[], "");
        self.packet(first, ACK, &[], "");
    }
}

impl Connection {
    fn data(&mut self, way: Way, bytes: &[u8]) {
        for segment in bytes.chunks(LONGEST_SEGMENT) {
            self.packet(way, PSH | ACK, segment, "");
        }
    }

    fn packet(&mut self, way: Way, flags: u8, data: &[u8], comment: &str) {
        let (from, to) = match way {
            Way::Out => (&mut self.client, &self.broker),
            Way::In => (&mut self.broker, &self.client),
        };
        let packet = ip_packet(from, to, self.packets, flags, data);
        self.packets = self.packets.wrapping_add(1);
        let counted = u32::from(flags & (SYN | FIN) != 0) + data.len() as u32;
        from.next = from.next.wrapping_add(counted);
        lock(&self.file).output.write(&packet_block(&packet, since_1970(), way, comment));
    }
}

fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}

/// An IPv4 packet with a TCP segment.
fn ip_packet(from: &Place, to: &Place, number: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    let tcp = tcp_segment(from, to, flags, data);
    let header = |checksum: u16| {
        // Version 4, 5 words; type of service.
        let mut header = Vec::from([0x45, 0]);
        header.extend(((20 + tcp.len()) as u16).to_be_bytes());
        header.extend(number.to_be_bytes());
        // Not to be cut; time to live; TCP.
        header.extend([0x40, 0, 64, 6]);
        header.extend(checksum.to_be_bytes());
        header.extend(from.address.octets());
        header.extend(to.address.octets());
        header
    };
    let mut packet = header(checksum(&[&header(0)]));
    packet.extend(tcp);
    packet
}

fn tcp_segment(from: &Place, to: &Place, flags: u8, data: &[u8]) -> Vec<u8> {
    // Maximum segment size; window scale 14. So a window is never full.
    let options: &[u8] = if flags & SYN == 0 { &[] } else { &[2, 4, 0xEA, 0x60, 1, 3, 3, 14] };
    let acknowledged = if flags & ACK == 0 { 0 } else { to.next };
    let segment = |checksum: u16| {
        let mut segment = Vec::with_capacity(28 + data.len());
        segment.extend(from.port.to_be_bytes());
        segment.extend(to.port.to_be_bytes());
        segment.extend(from.next.to_be_bytes());
        segment.extend(acknowledged.to_be_bytes());
        segment.extend([(20 + options.len() as u8) << 2, flags]);
        // Window, checksum, nothing urgent.
        segment.extend([0xFF, 0xFF]);
        segment.extend(checksum.to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(options);
        segment.extend(data);
        segment
    };
    let bare = segment(0);
    let [high, low] = (bare.len() as u16).to_be_bytes();
    let (from, to) = (from.address.octets(), to.address.octets());
    segment(checksum(&[&from, &to, &[0, 6, high, low], &bare]))
}

/// The checksum of the internet (RFC 1071). Only the last part may have an odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let [high, low] = [pair.first(), pair.get(1)].map(|byte| byte.copied().unwrap_or(0));
        sum += u64::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

// Types of blocks, and codes of options.
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const FLAGS: u16 = 2;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u16 = 101;

/// The section header and the one interface.
fn beginning() -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(0x1A2B_3C4D_u32.to_le_bytes());
    // Version 1.0; the length of the section is not known.
    section.extend([1, 0, 0, 0]);
    section.extend([0xFF; 8]);
    let application = concat!("mqtt-core ", env!("CARGO_PKG_VERSION"));
    let mut blocks = block(SECTION_HEADER, &section, &[(APPLICATION, application.as_bytes())]);
    let mut interface = Vec::from(LINKTYPE_RAW.to_le_bytes());
    // Reserved; packets are whole.
    interface.extend([0; 6]);
    // Nanoseconds.
    blocks.extend(block(INTERFACE, &interface, &[(NAME, b"mqtt"), (RESOLUTION, &[9])]));
    blocks
}

fn packet_block(packet: &[u8], nanos: u64, way: Way, comment: &str) -> Vec<u8> {
    let len = (packet.len() as u32).to_le_bytes();
    // The interface has number 0.
    let mut body = Vec::from([0; 4]);
    body.extend(((nanos >> 32) as u32).to_le_bytes());
    body.extend((nanos as u32).to_le_bytes());
    // Captured, and all there was.
    body.extend([len, len].as_flattened());
    body.extend(packet);
    pad(&mut body);
    let direction = if way == Way::In { 1_u32 } else { 2 };
    let (direction, comment) = (direction.to_le_bytes(), comment.as_bytes());
    let options = [(FLAGS, &direction[..]), (COMMENT, comment)];
    let used = if comment.is_empty() { options.get(..1) } else { None };
    block(ENHANCED_PACKET, &body, used.unwrap_or(&options))
}

/// A block. The length of `body` is a multiple of 4.
fn block(kind: u32, body: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut content = Vec::from(body);
    for (code, value) in options {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        content.extend(code.to_le_bytes());
        content.extend((value.len() as u16).to_le_bytes());
        content.extend(value);
        pad(&mut content);
    }
    // The end of the options.
    content.extend([0; 4]);
    let len = (content.len() as u32 + 12).to_le_bytes();
    let mut block = Vec::from(kind.to_le_bytes());
    block.extend(len);
    block.extend(content);
    block.extend(len);
    block
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests;
