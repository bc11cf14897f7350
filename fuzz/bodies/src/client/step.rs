//! The data of a fuzzer is a program. Its instructions are read from bytes and written as bytes.
//!
//! The fuzzer makes up bytes, and [`Step::read`] finds an instruction in any of them. The seeds are instructions, and
//! [`Step::write`] makes bytes of them. A test holds both together.

#![expect(missing_docs, reason = "the names say it, and only the seeds use them")]

use mqtt_core::QoS;

use super::{input::Input, packets::BrokerPacket, qos};

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The application publishes this many bytes to one of four topics.
    Publish {
        topic: u8,
        qos: QoS,
        retain: bool,
        len: u8,
    },
    /// The application subscribes to at most three filters, each one of eight.
    Subscribe(Vec<(u8, QoS)>),
    Unsubscribe(Vec<u8>),
    /// The application acknowledges one of its messages; 0 is the newest.
    Acknowledge(u8),
    /// The application gives up the PUBREL for this id; 1 to 8.
    Forget(u8),
    /// The application takes back one of its requests; 0 to 7.
    Cancel(u8),
    /// The application forgets the subscription at this position; 0 to 7.
    ForgetSubscription(u8),
    Disconnect,
    Connect,
    /// The driver reports an open transport, or a closed one.
    Connected,
    Closed,
    /// The driver puts an attempt off by a second.
    Defer,
    /// The device is awake anyway, with a slack of this power of eight milliseconds; 0 to 7.
    Awake(u8),
    /// This many milliseconds pass.
    Pass(u16),
    /// This many units of 1,024 ms pass; at least 64.
    PassLong(u8),
    /// The clock goes back by this many units of 64 ms; 1 to 63.
    GoBack(u8),
    /// It is this many milliseconds before the end of time.
    NearTheEnd(u8),
    /// The broker sends any bytes, at most 63, and the client receives all that there is.
    Garbage(Vec<u8>),
    /// The broker sends a packet, and the client receives it at once or later.
    Packet {
        packet: BrokerPacket,
        at_once: bool,
    },
    /// The broker answers one packet; honestly if this is 0.
    Answer(u8),
    /// The client receives at most this many bytes.
    Receive(u8),
    /// The driver carries out one action and writes at most this many bytes.
    Poll(u8),
    /// The driver does all that is to be done at this time.
    Drive,
    /// The client connects, and an honest broker accepts it.
    ComeUp,
    /// The broker answers everything honestly.
    AnswerAll,
}

/// Payloads of this length and above are marked, so that most of them are short.
const LONG: u8 = 24;
const LONG_FLAG: u8 = 0x80;

impl Step {
    /// The next instruction; `None` at the end of the data.
    pub(super) fn read(input: &mut Input<'_>) -> Option<Self> {
        let instruction = input.next()?;
        Some(match instruction % 16 {
            0 => {
                let (flags, len) = (input.byte(), input.byte());
                let len = if flags & LONG_FLAG == 0 { len % LONG } else { len };
                Self::Publish {
                    topic: flags >> 3 & 3,
                    qos: qos(flags),
                    retain: flags & 4 != 0,
                    len,
                }
            }
            1 => {
                let count = usize::from(input.byte() % 4);
                let filters = input.take(count).iter();
                Self::Subscribe(filters.map(|byte| (byte & 7, qos(byte >> 6))).collect())
            }
            2 => {
                let count = usize::from(input.byte() % 4);
                Self::Unsubscribe(input.take(count).iter().map(|byte| byte & 7).collect())
            }
            3 => Self::Acknowledge(input.byte()),
            4 => match input.byte() {
                0..=7 => Self::Disconnect,
                nth @ 8..=15 => Self::Cancel(nth - 8),
                at @ 16..=23 => Self::ForgetSubscription(at - 16),
                id @ 24..=31 => Self::Forget(id - 23),
                32..=111 => Self::Connect,
                112..=119 => Self::Defer,
                power @ 120..=127 => Self::Awake(power - 120),
                128..=191 => Self::Connected,
                192.. => Self::Closed,
            },
            5 => Self::Pass(input.word()),
            6 => match input.byte() {
                0 => Self::NearTheEnd(input.byte()),
                back @ 1..=63 => Self::GoBack(back),
                forth => Self::PassLong(forth),
            },
            7 => {
                let len = usize::from(input.byte() % 64);
                Self::Garbage(input.take(len).to_vec())
            }
            8 | 9 => {
                let at_once = instruction & 16 != 0;
                Self::Packet { packet: BrokerPacket::read(input), at_once }
            }
            10 => Self::Answer(input.byte()),
            11 => Self::Receive(input.byte()),
            12 => Self::Poll(input.byte()),
            13 => Self::Drive,
            // Most interesting programs begin with a connection.
            14 => Self::ComeUp,
            _ => Self::AnswerAll,
        })
    }

    /// Writes the bytes that [`Self::read`] reads as this instruction.
    pub fn write(&self, data: &mut Vec<u8>) {
        match self {
            Self::Publish { topic, qos, retain, len } => {
                let long = if *len < LONG { 0 } else { LONG_FLAG };
                let flags = topic << 3 | u8::from(*retain) << 2 | *qos as u8;
                data.extend([0, long | flags, *len]);
            }
            Self::Subscribe(filters) => {
                data.extend([1, filters.len() as u8]);
                data.extend(filters.iter().map(|(filter, qos)| filter | (*qos as u8) << 6));
            }
            Self::Unsubscribe(filters) => {
                data.extend([2, filters.len() as u8]);
                data.extend(filters);
            }
            Self::Acknowledge(nth) => data.extend([3, *nth]),
            Self::Cancel(nth) => data.extend([4, 8 + *nth]),
            Self::ForgetSubscription(at) => data.extend([4, 16 + *at]),
            Self::Forget(id) => data.extend([4, 23 + *id]),
            Self::Disconnect => data.extend([4, 0]),
            Self::Connect => data.extend([4, 32]),
            Self::Defer => data.extend([4, 112]),
            Self::Awake(power) => data.extend([4, 120 + *power]),
            Self::Connected => data.extend([4, 128]),
            Self::Closed => data.extend([4, 200]),
            Self::Pass(millis) => {
                data.push(5);
                data.extend(millis.to_be_bytes());
            }
            Self::PassLong(times) | Self::GoBack(times) => data.extend([6, *times]),
            Self::NearTheEnd(millis) => data.extend([6, 0, *millis]),
            Self::Garbage(bytes) => {
                data.extend([7, bytes.len() as u8]);
                data.extend(bytes);
            }
            Self::Packet { packet, at_once } => {
                data.push(8 | u8::from(*at_once) << 4);
                packet.write(data);
            }
            Self::Answer(lie) => data.extend([10, *lie]),
            Self::Receive(count) => data.extend([11, *count]),
            Self::Poll(count) => data.extend([12, *count]),
            Self::Drive => data.push(13),
            Self::ComeUp => data.push(14),
            Self::AnswerAll => data.push(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, Step};

    /// Tries every instruction with every next byte, and several values for the bytes behind.
    #[test]
    fn an_instruction_that_is_written_is_read_as_the_same() {
        for instruction in 0..=u8::MAX {
            for next in 0..=u8::MAX {
                for rest in [0, 0x2A, 0x55, 0xFF] {
                    let data: Vec<u8> = [instruction, next].into_iter().chain([rest; 64]).collect();
                    let step = Step::read(&mut Input::new(&data)).expect("an instruction");
                    let mut written = Vec::new();
                    step.write(&mut written);
                    let mut input = Input::new(&written);
                    assert_eq!(Step::read(&mut input).as_ref(), Some(&step), "{data:x?}");
                    assert_eq!(input.next(), None, "{step:?} is written with more than it takes");
                }
            }
        }
    }
}
