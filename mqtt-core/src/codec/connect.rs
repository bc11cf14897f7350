//! CONNECT and CONNACK, which hold most of the differences between 3.1 and 3.1.1. Sections 3.1 and 3.2 of the standard.

use thiserror::Error;

use super::{
    cursor::{Reader, Writer, frame_len, has_null},
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::{PacketType, Protocol, QoS},
};
use crate::topic::Topic;

const CLEAN_SESSION: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_QOS: u8 = 0b11 << WILL_QOS_SHIFT;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER: u8 = 0x80;
/// The most characters of a client id in 3.1.
const V31_CLIENT_ID: usize = 23;

/// A CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version of the protocol.
    pub protocol: Protocol,
    /// The name of the client. 3.1: 1 to 23 characters; 3.1.1: up to 65,535 bytes, empty only with a clean session.
    pub client_id: &'a str,
    /// The broker starts a new session and deletes it at the end of the connection.
    pub clean_session: bool,
    /// Keep alive in seconds: the longest time in which the client sends nothing; 0: no limit.
    pub keep_alive: u16,
    /// The message that the broker publishes if the connection ends without a DISCONNECT.
    pub will: Option<Will<'a>>,
    /// User name and password.
    pub login: Option<Login<'a>>,
}

/// The message that the broker publishes if the connection ends without a DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Will<'a> {
    /// The topic that it is published to.
    pub topic: Topic<'a>,
    /// The content: up to 65,535 bytes.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// Whether the broker retains it.
    pub retain: bool,
}

/// User name and password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Login<'a> {
    /// User name: up to 65,535 bytes; may be empty.
    pub user: &'a str,
    /// Password: up to 65,535 bytes. The protocol has no password without a user name [MQTT-3.1.2-22].
    pub password: Option<&'a [u8]>,
}

/// A CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnAck {
    /// Session present: the broker has a session of this client. Always false in 3.1, which has no such flag.
    pub session_present: bool,
    /// Whether the broker accepts the connection.
    pub result: Result<(), Refusal>,
}

/// Why a broker refuses a connection: the CONNACK return codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// 1: the broker does not speak this protocol version.
    #[error("unacceptable protocol version")]
    ProtocolVersion = 1,
    /// 2: the client id is well-formed but not allowed.
    #[error("client id rejected")]
    IdentifierRejected = 2,
    /// 3: the broker is reachable, but the MQTT service is unavailable.
    #[error("server unavailable")]
    ServerUnavailable = 3,
    /// 4: user name or password are malformed. Many brokers use it for a wrong user name or password.
    #[error("bad user name or password")]
    BadLogin = 4,
    /// 5: the client is not authorized to connect.
    #[error("not authorized")]
    NotAuthorized = 5,
}

impl<'a> Connect<'a> {
    /// Decodes a CONNECT. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    pub fn decode(first: u8, body: &'a [u8]) -> Result<Self, Violation> {
        FirstByte::new(first).no_flags()?;
        let mut reader = Reader::new(body);
        let protocol = match reader.field()? {
            b"MQTT" => Protocol::V311,
            b"MQIsdp" => Protocol::V31,
            // [MQTT-3.1.2-1]
            _ => return Err(Violation::ProtocolName),
        };
        // [MQTT-3.1.2-2]
        if reader.u8()? != protocol.level() {
            return Err(Violation::ProtocolLevel);
        }
        let flags = reader.u8()?;
        check_flags(flags)?;
        let clean_session = flags & CLEAN_SESSION != 0;
        let keep_alive = reader.u16()?;
        // [MQTT-3.1.3-1]: client id, will topic, will payload, user name, password.
        let client_id = reader.string()?;
        if !is_client_id(protocol, client_id, clean_session) {
            return Err(Violation::ClientId);
        }
        let will = if flags & WILL == 0 { None } else { Some(Will::read(&mut reader, flags)?) };
        let login = Login::read(&mut reader, flags, protocol)?;
        reader.end()?;
        Ok(Self { protocol, client_id, clean_session, keep_alive, will, login })
    }

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ClientId`], [`EncodeError::NullCharacter`], [`EncodeError::FieldTooLong`].
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(self.remaining()?)
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// As [`Connect::encoded_len`], and [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let first = FirstByte::of(PacketType::Connect);
        let (mut writer, len) = Writer::packet(out, first, self.remaining()?)?;
        writer.field(self.protocol.name().as_bytes());
        writer.u8(self.protocol.level());
        writer.u8(self.flags());
        writer.u16(self.keep_alive);
        for field in self.fields().iter().flatten() {
            writer.field(field);
        }
        writer.end();
        Ok(len)
    }

    fn remaining(&self) -> Result<usize, EncodeError> {
        // [MQTT-3.1.3-7], [MQTT-3.1.3-8]
        if !is_client_id(self.protocol, self.client_id, self.clean_session) {
            return Err(EncodeError::ClientId);
        }
        // [MQTT-1.5.3-2]: a topic never has one.
        let user = self.login.map_or("", |login| login.user);
        if has_null(self.client_id.as_bytes()) || has_null(user.as_bytes()) {
            return Err(EncodeError::NullCharacter);
        }
        // Name with its length, level, flags, keep alive.
        let mut len = 2 + self.protocol.name().len() + 4;
        for field in self.fields().iter().flatten() {
            if field.len() > u16::MAX as usize {
                return Err(EncodeError::FieldTooLong);
            }
            len += 2 + field.len();
        }
        Ok(len)
    }

    /// The connect flags of a will, and those of a login.
    pub(crate) const WILL_FLAGS: u8 = WILL | WILL_QOS | WILL_RETAIN;
    pub(crate) const LOGIN_FLAGS: u8 = USER | PASSWORD;

    /// The payload, in its order [MQTT-3.1.3-1].
    pub(crate) fn fields(&self) -> [Option<&'a [u8]>; 5] {
        [
            Some(self.client_id.as_bytes()),
            self.will.map(|will| will.topic.as_bytes()),
            self.will.map(|will| will.payload),
            self.login.map(|login| login.user.as_bytes()),
            self.login.and_then(|login| login.password),
        ]
    }

    pub(crate) fn flags(&self) -> u8 {
        let mut flags = if self.clean_session { CLEAN_SESSION } else { 0 };
        if let Some(will) = &self.will {
            flags |= WILL | (will.qos as u8) << WILL_QOS_SHIFT;
            flags |= if will.retain { WILL_RETAIN } else { 0 };
        }
        if let Some(login) = &self.login {
            flags |= USER | if login.password.is_some() { PASSWORD } else { 0 };
        }
        flags
    }
}

const fn check_flags(flags: u8) -> Result<(), Violation> {
    // [MQTT-3.1.2-3]
    if flags & 0x01 != 0 {
        return Err(Violation::ConnectReserved);
    }
    // [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15]
    if flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(Violation::WillFlags);
    }
    // [MQTT-3.1.2-14]
    if flags & WILL_QOS == WILL_QOS {
        return Err(Violation::WillQoS);
    }
    // [MQTT-3.1.2-22]
    if flags & USER == 0 && flags & PASSWORD != 0 {
        return Err(Violation::PasswordWithoutUser);
    }
    Ok(())
}

fn is_client_id(protocol: Protocol, id: &str, clean_session: bool) -> bool {
    match protocol {
        // [MQTT-3.1.3-7]
        Protocol::V311 => clean_session || !id.is_empty(),
        // A character has one byte that does not begin with the bits 10.
        Protocol::V31 => {
            let characters = id.bytes().filter(|byte| byte & 0xC0 != 0x80).count();
            (1..=V31_CLIENT_ID).contains(&characters)
        }
    }
}

impl<'a> Will<'a> {
    /// A will with QoS 0 that is not retained.
    pub const fn new(topic: Topic<'a>, payload: &'a [u8]) -> Self {
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false }
    }

    /// The same will with this QoS.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The same will with this retain flag.
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    fn read(reader: &mut Reader<'a>, flags: u8) -> Result<Self, Violation> {
        // [MQTT-3.1.3-10]
        let topic = Topic::from_bytes(reader.field()?)?;
        let payload = reader.field()?;
        let qos = QoS::from_bits((flags & WILL_QOS) >> WILL_QOS_SHIFT).ok_or(Violation::WillQoS)?;
        Ok(Self { topic, payload, qos, retain: flags & WILL_RETAIN != 0 })
    }
}

impl<'a> Login<'a> {
    /// A user name, with or without a password.
    pub const fn new(user: &'a str, password: Option<&'a [u8]>) -> Self {
        Self { user, password }
    }

    fn read(
        reader: &mut Reader<'a>,
        flags: u8,
        protocol: Protocol,
    ) -> Result<Option<Self>, Violation> {
        // Section 3.1 of 3.1: the packet may end before a user name or password that its flags announce.
        let may_be_missing = protocol == Protocol::V31;
        if flags & USER == 0 || (may_be_missing && reader.is_empty()) {
            return Ok(None);
        }
        // [MQTT-3.1.3-11]
        let user = reader.string()?;
        let password = if flags & PASSWORD == 0 || (may_be_missing && reader.is_empty()) {
            None
        } else {
            Some(reader.field()?)
        };
        Ok(Some(Self { user, password }))
    }
}

/// Without the password, so that it does not get into logs.
impl core::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let password = self.password.map(|_| "***");
        f.debug_struct("Login").field("user", &self.user).field("password", &password).finish()
    }
}

impl ConnAck {
    /// Decodes a CONNACK. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    pub const fn decode(first: u8, body: &[u8], protocol: Protocol) -> Result<Self, Violation> {
        if let Err(violation) = FirstByte::new(first).no_flags() {
            return Err(violation);
        }
        let (flags, code) = match body {
            [flags, code] => (*flags, *code),
            [] | [_] => return Err(Violation::Truncated),
            [_, _, _, ..] => return Err(Violation::TrailingBytes),
        };
        let session_present = match (protocol, flags) {
            // 3.1: 'reserved values, not used'.
            (Protocol::V31, _) | (Protocol::V311, 0) => false,
            (Protocol::V311, 1) => true,
            (Protocol::V311, _) => return Err(Violation::ConnAckFlags),
        };
        let result = match Refusal::from_code(code) {
            Some(refusal) => Err(refusal),
            None if code == 0 => Ok(()),
            // [MQTT-3.2.2-6]
            None => return Err(Violation::ConnAckCode),
        };
        // [MQTT-3.2.2-4]
        if session_present && result.is_err() {
            return Err(Violation::SessionPresentRefused);
        }
        Ok(Self { session_present, result })
    }

    /// Writes the packet to the front of `out` and returns its length, 4.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NotInV31`], [`EncodeError::SessionPresentRefused`], [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8], protocol: Protocol) -> Result<usize, EncodeError> {
        if self.session_present && protocol == Protocol::V31 {
            return Err(EncodeError::NotInV31);
        }
        let code = match self.result {
            Ok(()) => 0,
            // [MQTT-3.2.2-4]
            Err(_) if self.session_present => return Err(EncodeError::SessionPresentRefused),
            Err(refusal) => refusal.code(),
        };
        let first = FirstByte::of(PacketType::ConnAck);
        let (mut writer, len) = Writer::packet(out, first, 2)?;
        writer.u8(self.session_present.into());
        writer.u8(code);
        writer.end();
        Ok(len)
    }
}

impl Refusal {
    /// The return code in the CONNACK.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The refusal with this return code; `None` for 0, which accepts, and above 5.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::ProtocolVersion,
            2 => Self::IdentifierRejected,
            3 => Self::ServerUnavailable,
            4 => Self::BadLogin,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}
