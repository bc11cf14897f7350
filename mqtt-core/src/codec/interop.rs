//! Conversions to and from the packets of `mqttbytes::v4`, for users of that crate. Feature `mqttbytes`.
//!
//! Each packet of this crate converts into the packet of the same name there. Packets of `mqttbytes` convert into
//! borrowed packets of this crate if their parts can be borrowed; [`Converted`] takes any packet, and holds the parts
//! that `mqttbytes` stores in another form. [`NoForm`] says that the other crate has no form for a packet. The file
//! `docs/mqttbytes-differences.md` lists the bytes that the two crates read differently, and says which of them is
//! right.
//!
//! ```
//! use mqtt_core::codec::{Packet, interop::Converted};
//! use mqttbytes::v4;
//!
//! let theirs = v4::Packet::Subscribe(v4::Subscribe { pkid: 7, ..v4::Subscribe::new("a/#", mqttbytes::QoS::AtLeastOnce) });
//! let converted = Converted::try_from(&theirs)?;
//! assert!(matches!(converted.packet(), Packet::Subscribe(subscribe) if subscribe.id.get() == 7));
//! assert_eq!(v4::Packet::try_from(&converted.packet())?, theirs);
//! # Ok::<(), mqtt_core::codec::interop::NoForm>(())
//! ```

use std::{string::String, vec::Vec};

use bytes::Bytes;
use mqttbytes::v4;
use thiserror::Error;

use super::{
    connect::{ConnAck, Connect, Login, Refusal, Will},
    packet::Packet,
    publish::Publish,
    subscribe::{Granted, SubAck, Subscribe, Unsubscribe},
    types::{PacketId, Protocol, QoS},
};
use crate::topic::{Filter, Topic, TopicError};

/// Why a packet of one crate has no form in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NoForm {
    /// A CONNECT of 3.1, which `mqttbytes` does not support; or of level 5, which `mqttbytes` writes in the layout of
    /// 3.1.1.
    #[error("protocol version that the other crate does not have")]
    Protocol,
    /// DUP in a PUBREL, SUBSCRIBE or UNSUBSCRIBE, which only 3.1 has.
    #[error("DUP in a request that is no PUBLISH")]
    Dup,
    /// `mqttbytes` treats an empty user name or password as a missing one, and refuses a password that is not UTF-8.
    #[error("login with a field that is empty, missing or not UTF-8")]
    Login,
    /// Packet id zero in a packet that needs a packet id [MQTT-2.3.1-1].
    #[error("packet id zero")]
    PacketIdZero,
    /// A topic name or filter is not valid.
    #[error("{0}")]
    Topic(#[from] TopicError),
    /// A SUBACK without a code [MQTT-3.8.4-5].
    #[error("SUBACK without a code")]
    NoCode,
}

/// A packet of `mqttbytes` that can be viewed as a [`Packet`].
#[derive(Clone, Debug)]
pub struct Converted<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Borrowed(Packet<'a>),
    Subscribe(PacketId, Vec<(Filter<'a>, QoS)>),
    SubAck(PacketId, Vec<u8>),
    Unsubscribe(PacketId, Vec<Filter<'a>>),
}

impl Converted<'_> {
    /// The packet.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        match &self.0 {
            Form::Borrowed(packet) => packet.clone(),
            Form::Subscribe(id, filters) => Packet::Subscribe(Subscribe::new(*id, filters)),
            Form::SubAck(id, codes) => {
                Packet::SubAck(SubAck { id: *id, granted: Granted::from_codes(codes) })
            }
            Form::Unsubscribe(id, filters) => Packet::Unsubscribe(Unsubscribe::new(*id, filters)),
        }
    }
}

impl<'a> TryFrom<&'a v4::Packet> for Converted<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Packet) -> Result<Self, NoForm> {
        Ok(Self(Form::Borrowed(match theirs {
            v4::Packet::Connect(connect) => Packet::Connect(connect.try_into()?),
            v4::Packet::ConnAck(connack) => Packet::ConnAck(connack.into()),
            v4::Packet::Publish(publish) => Packet::Publish(publish.try_into()?),
            v4::Packet::PubAck(ack) => Packet::PubAck(id(ack.pkid)?),
            v4::Packet::PubRec(ack) => Packet::PubRec(id(ack.pkid)?),
            v4::Packet::PubRel(ack) => Packet::PubRel { id: id(ack.pkid)?, dup: false },
            v4::Packet::PubComp(ack) => Packet::PubComp(id(ack.pkid)?),
            v4::Packet::Subscribe(subscribe) => return subscribe.try_into(),
            v4::Packet::SubAck(suback) => return suback.try_into(),
            v4::Packet::Unsubscribe(unsubscribe) => return unsubscribe.try_into(),
            v4::Packet::UnsubAck(ack) => Packet::UnsubAck(id(ack.pkid)?),
            v4::Packet::PingReq => Packet::PingReq,
            v4::Packet::PingResp => Packet::PingResp,
            v4::Packet::Disconnect => Packet::Disconnect,
        })))
    }
}

impl<'a> TryFrom<&'a v4::Subscribe> for Converted<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Subscribe) -> Result<Self, NoForm> {
        let filters = theirs.filters.iter().map(|v4::SubscribeFilter { path, qos }| {
            Ok::<_, NoForm>((Filter::new(path)?, QoS::from(*qos)))
        });
        Ok(Self(Form::Subscribe(id(theirs.pkid)?, filters.collect::<Result<_, _>>()?)))
    }
}

impl TryFrom<&v4::SubAck> for Converted<'_> {
    type Error = NoForm;

    fn try_from(theirs: &v4::SubAck) -> Result<Self, NoForm> {
        let codes = theirs.return_codes.iter().map(|code| match code {
            v4::SubscribeReasonCode::Success(qos) => *qos as u8,
            v4::SubscribeReasonCode::Failure => 0x80,
        });
        let codes: Vec<u8> = codes.collect();
        if codes.is_empty() {
            return Err(NoForm::NoCode);
        }
        Ok(Self(Form::SubAck(id(theirs.pkid)?, codes)))
    }
}

impl<'a> TryFrom<&'a v4::Unsubscribe> for Converted<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Unsubscribe) -> Result<Self, NoForm> {
        let filters = theirs.topics.iter().map(|filter| Filter::new(filter));
        Ok(Self(Form::Unsubscribe(id(theirs.pkid)?, filters.collect::<Result<_, _>>()?)))
    }
}

impl TryFrom<&Packet<'_>> for v4::Packet {
    type Error = NoForm;

    fn try_from(ours: &Packet<'_>) -> Result<Self, NoForm> {
        Ok(match ours {
            Packet::Connect(connect) => Self::Connect(connect.try_into()?),
            Packet::ConnAck(connack) => Self::ConnAck(connack.into()),
            Packet::Publish(publish) => Self::Publish(publish.into()),
            Packet::PubAck(id) => Self::PubAck(v4::PubAck::new(id.get())),
            Packet::PubRec(id) => Self::PubRec(v4::PubRec::new(id.get())),
            Packet::PubRel { dup: true, .. } => return Err(NoForm::Dup),
            Packet::PubRel { id, dup: false } => Self::PubRel(v4::PubRel::new(id.get())),
            Packet::PubComp(id) => Self::PubComp(v4::PubComp::new(id.get())),
            Packet::Subscribe(subscribe) => Self::Subscribe(subscribe.try_into()?),
            Packet::SubAck(suback) => Self::SubAck(suback.into()),
            Packet::Unsubscribe(unsubscribe) => Self::Unsubscribe(unsubscribe.try_into()?),
            // This one has no `new`.
            Packet::UnsubAck(id) => Self::UnsubAck(v4::UnsubAck { pkid: id.get() }),
            Packet::PingReq => Self::PingReq,
            Packet::PingResp => Self::PingResp,
            Packet::Disconnect => Self::Disconnect,
        })
    }
}

impl From<QoS> for mqttbytes::QoS {
    fn from(ours: QoS) -> Self {
        match ours {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce,
            QoS::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<mqttbytes::QoS> for QoS {
    fn from(theirs: mqttbytes::QoS) -> Self {
        match theirs {
            mqttbytes::QoS::AtMostOnce => Self::AtMostOnce,
            mqttbytes::QoS::AtLeastOnce => Self::AtLeastOnce,
            mqttbytes::QoS::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// `mqttbytes` has packet id 0 for a missing one.
impl From<&Publish<'_>> for v4::Publish {
    fn from(ours: &Publish<'_>) -> Self {
        Self {
            dup: ours.dup,
            qos: ours.qos.into(),
            retain: ours.retain,
            topic: ours.topic.as_str().into(),
            pkid: ours.id.map_or(0, PacketId::get),
            payload: Bytes::copy_from_slice(ours.payload),
        }
    }
}

/// Packet id 0 becomes `None`, as in a message that a client has not sent yet. With QoS 0 the packet id is always
/// `None`.
impl<'a> TryFrom<&'a v4::Publish> for Publish<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Publish) -> Result<Self, NoForm> {
        let qos = QoS::from(theirs.qos);
        Ok(Self {
            topic: Topic::new(&theirs.topic)?,
            payload: &theirs.payload,
            qos,
            retain: theirs.retain,
            dup: theirs.dup,
            id: if qos == QoS::AtMostOnce { None } else { PacketId::new(theirs.pkid) },
        })
    }
}

impl TryFrom<&Connect<'_>> for v4::Connect {
    type Error = NoForm;

    fn try_from(ours: &Connect<'_>) -> Result<Self, NoForm> {
        if ours.protocol != Protocol::V311 {
            return Err(NoForm::Protocol);
        }
        Ok(Self {
            protocol: mqttbytes::Protocol::V4,
            keep_alive: ours.keep_alive,
            client_id: ours.client_id.into(),
            clean_session: ours.clean_session,
            last_will: ours.will.as_ref().map(v4::LastWill::from),
            login: ours.login.as_ref().map(v4::Login::try_from).transpose()?,
        })
    }
}

impl<'a> TryFrom<&'a v4::Connect> for Connect<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Connect) -> Result<Self, NoForm> {
        if theirs.protocol != mqttbytes::Protocol::V4 {
            return Err(NoForm::Protocol);
        }
        let login = match &theirs.login {
            // `mqttbytes` also encodes it as no login.
            Some(login) if login.username.is_empty() && login.password.is_empty() => None,
            Some(login) => Some(Login::try_from(login)?),
            None => None,
        };
        Ok(Self {
            protocol: Protocol::V311,
            client_id: &theirs.client_id,
            clean_session: theirs.clean_session,
            keep_alive: theirs.keep_alive,
            will: theirs.last_will.as_ref().map(Will::try_from).transpose()?,
            login,
        })
    }
}

impl From<&Will<'_>> for v4::LastWill {
    fn from(ours: &Will<'_>) -> Self {
        Self::new(ours.topic.as_str(), ours.payload, ours.qos.into(), ours.retain)
    }
}

impl<'a> TryFrom<&'a v4::LastWill> for Will<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::LastWill) -> Result<Self, NoForm> {
        let will = Self::new(Topic::new(&theirs.topic)?, &theirs.message);
        Ok(will.qos(theirs.qos.into()).retain(theirs.retain))
    }
}

impl TryFrom<&Login<'_>> for v4::Login {
    type Error = NoForm;

    fn try_from(ours: &Login<'_>) -> Result<Self, NoForm> {
        let password = match ours.password {
            Some([]) => return Err(NoForm::Login),
            Some(password) => core::str::from_utf8(password).map_err(|_| NoForm::Login)?,
            None => "",
        };
        if ours.user.is_empty() { Err(NoForm::Login) } else { Ok(Self::new(ours.user, password)) }
    }
}

impl<'a> TryFrom<&'a v4::Login> for Login<'a> {
    type Error = NoForm;

    fn try_from(theirs: &'a v4::Login) -> Result<Self, NoForm> {
        // [MQTT-3.1.2-22]: `mqttbytes` would encode a password without a user name.
        if theirs.username.is_empty() {
            return Err(NoForm::Login);
        }
        let password = Some(theirs.password.as_bytes()).filter(|password| !password.is_empty());
        Ok(Self::new(&theirs.username, password))
    }
}

impl From<&ConnAck> for v4::ConnAck {
    fn from(ours: &ConnAck) -> Self {
        let code = match ours.result {
            Ok(()) => v4::ConnectReturnCode::Success,
            Err(Refusal::ProtocolVersion) => v4::ConnectReturnCode::RefusedProtocolVersion,
            Err(Refusal::IdentifierRejected) => v4::ConnectReturnCode::BadClientId,
            Err(Refusal::ServerUnavailable) => v4::ConnectReturnCode::ServiceUnavailable,
            Err(Refusal::BadLogin) => v4::ConnectReturnCode::BadUserNamePassword,
            Err(Refusal::NotAuthorized) => v4::ConnectReturnCode::NotAuthorized,
        };
        Self::new(code, ours.session_present)
    }
}

impl From<&v4::ConnAck> for ConnAck {
    fn from(theirs: &v4::ConnAck) -> Self {
        let result = match theirs.code {
            v4::ConnectReturnCode::Success => Ok(()),
            v4::ConnectReturnCode::RefusedProtocolVersion => Err(Refusal::ProtocolVersion),
            v4::ConnectReturnCode::BadClientId => Err(Refusal::IdentifierRejected),
            v4::ConnectReturnCode::ServiceUnavailable => Err(Refusal::ServerUnavailable),
            v4::ConnectReturnCode::BadUserNamePassword => Err(Refusal::BadLogin),
            v4::ConnectReturnCode::NotAuthorized => Err(Refusal::NotAuthorized),
        };
        Self { session_present: theirs.session_present, result }
    }
}

impl TryFrom<&Subscribe<'_>> for v4::Subscribe {
    type Error = NoForm;

    fn try_from(ours: &Subscribe<'_>) -> Result<Self, NoForm> {
        if ours.dup {
            return Err(NoForm::Dup);
        }
        let filters = ours.filters().map(|(filter, qos)| {
            v4::SubscribeFilter::new(String::from(filter.as_str()), qos.into())
        });
        Ok(Self { pkid: ours.id.get(), filters: filters.collect() })
    }
}

impl From<&SubAck<'_>> for v4::SubAck {
    fn from(ours: &SubAck<'_>) -> Self {
        let codes = ours.granted.iter().map(|granted| match granted {
            Some(qos) => v4::SubscribeReasonCode::Success(qos.into()),
            None => v4::SubscribeReasonCode::Failure,
        });
        Self::new(ours.id.get(), codes.collect())
    }
}

impl TryFrom<&Unsubscribe<'_>> for v4::Unsubscribe {
    type Error = NoForm;

    fn try_from(ours: &Unsubscribe<'_>) -> Result<Self, NoForm> {
        if ours.dup {
            return Err(NoForm::Dup);
        }
        let topics = ours.filters().map(|filter| String::from(filter.as_str()));
        Ok(Self { pkid: ours.id.get(), topics: topics.collect() })
    }
}

fn id(pkid: u16) -> Result<PacketId, NoForm> {
    PacketId::new(pkid).ok_or(NoForm::PacketIdZero)
}
