//! Packets as text, one line each.
//!
//! ```
//! use mqtt_core::{Publish, QoS, codec::Packet, driver::trace::describe::packet, topic};
//!
//! let publish = Publish::new(topic!("a/b"), b"21.5").retain(true);
//! assert_eq!(packet(&Packet::Publish(publish)), r#"PUBLISH "a/b", QoS 0, retained, 4 bytes: "21.5""#);
//! assert_eq!(packet(&Packet::PingReq), "PINGREQ");
//! ```

use std::{fmt::Write as _, format, string::String, vec::Vec};

use crate::codec::{
    ConnAck, Connect, Packet, PacketId, Protocol, Publish, PublishHead, QoS, SubAck,
};

/// The most bytes of a payload that are shown.
const SHOWN: usize = 40;

/// A packet. A CONNECT is shown without its password, a payload by its length and its beginning.
#[must_use]
pub fn packet(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => connect_line(connect),
        Packet::ConnAck(answer) => connack_line(answer),
        Packet::Publish(publish) => {
            let Publish { topic, payload, qos, retain, dup, id } = *publish;
            let payload_len = payload.len();
            let head = PublishHead { topic, qos, retain, dup, id, payload_len, head_len: 0 };
            publish_head(&head) + &preview(payload)
        }
        Packet::PubAck(id) => with_id("PUBACK", *id),
        Packet::PubRec(id) => with_id("PUBREC", *id),
        Packet::PubRel { id, dup } => with_id("PUBREL", *id) + duplicate(*dup),
        Packet::PubComp(id) => with_id("PUBCOMP", *id),
        Packet::Subscribe(subscribe) => {
            let filters = subscribe
                .filters()
                .map(|(filter, qos)| format!("{:?} at {}", filter.as_str(), level(qos)));
            list("SUBSCRIBE", subscribe.id, filters) + duplicate(subscribe.dup)
        }
        Packet::SubAck(SubAck { id, granted }) => {
            let codes = granted.iter().map(|code| match code {
                Some(qos) => format!("granted {}", level(qos)),
                None => "refused".into(),
            });
            list("SUBACK", *id, codes)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.filters().map(|filter| format!("{:?}", filter.as_str()));
            list("UNSUBSCRIBE", unsubscribe.id, filters) + duplicate(unsubscribe.dup)
        }
        Packet::UnsubAck(id) => with_id("UNSUBACK", *id),
        Packet::PingReq => "PINGREQ".into(),
        Packet::PingResp => "PINGRESP".into(),
        Packet::Disconnect => "DISCONNECT".into(),
    }
}

/// A PUBLISH without its payload.
#[must_use]
pub fn publish_head(head: &PublishHead<'_>) -> String {
    let PublishHead { topic, qos, retain, dup, id, payload_len, .. } = head;
    let mut line = format!("PUBLISH {:?}, {}", topic.as_str(), level(*qos));
    if let Some(id) = id {
        let _ = write!(line, ", id {}", id.get());
    }
    line += if *retain { ", retained" } else { "" };
    line += duplicate(*dup);
    let _ = write!(line, ", {payload_len} byte{}", if *payload_len == 1 { "" } else { "s" });
    line
}

fn connect_line(connect: &Connect<'_>) -> String {
    let Connect { protocol, client_id, clean_session, keep_alive, will, login } = connect;
    let version = match protocol {
        Protocol::V31 => "3.1",
        Protocol::V311 => "3.1.1",
    };
    let session = if *clean_session { "clean" } else { "persistent" };
    let mut line = format!(
        "CONNECT client id {client_id:?}, MQTT {version}, keep alive {keep_alive} s, {session} session"
    );
    if let Some(login) = login {
        let password = if login.password.is_some() { " with a password" } else { "" };
        let _ = write!(line, ", user {:?}{password}", login.user);
    }
    if let Some(will) = will {
        let retained = if will.retain { ", retained" } else { "" };
        let (topic, qos) = (will.topic.as_str(), level(will.qos));
        let _ = write!(line, ", will to {topic:?} at {qos}{retained}{}", preview(will.payload));
    }
    line
}

fn connack_line(answer: &ConnAck) -> String {
    match answer.result {
        Ok(()) if answer.session_present => "CONNACK accepted, session present".into(),
        Ok(()) => "CONNACK accepted, session new".into(),
        Err(refusal) => format!("CONNACK refused: {refusal}"),
    }
}

fn with_id(name: &str, id: PacketId) -> String {
    format!("{name} id {}", id.get())
}

fn list(name: &str, id: PacketId, items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!("{}: {}", with_id(name, id), items.join(", "))
}

const fn duplicate(dup: bool) -> &'static str {
    if dup { ", again (DUP)" } else { "" }
}

fn level(qos: QoS) -> String {
    format!("QoS {}", qos as u8)
}

/// The beginning of a payload, as text if it is text.
fn preview(payload: &[u8]) -> String {
    if payload.is_empty() {
        return String::new();
    }
    let more = if payload.len() > SHOWN { " ..." } else { "" };
    match std::str::from_utf8(payload) {
        Ok(text) => {
            let shown: String = text.chars().take(SHOWN).collect();
            format!(": {shown:?}{more}")
        }
        Err(_) => {
            let shown = payload.get(..SHOWN).unwrap_or(payload);
            format!(": \"{}\"{more}", shown.escape_ascii())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{Granted, Login, Subscribe, Unsubscribe, Will},
        filter, topic,
    };

    #[test]
    fn a_connect_shows_everything_but_the_password() {
        let connect = Connect {
            protocol: Protocol::V311,
            client_id: "c",
            clean_session: false,
            keep_alive: 30,
            will: Some(Will::new(topic!("w"), b"gone").qos(QoS::AtLeastOnce).retain(true)),
            login: Some(Login::new("u", Some(b"secret"))),
        };
        assert_eq!(
            packet(&Packet::Connect(connect)),
            "CONNECT client id \"c\", MQTT 3.1.1, keep alive 30 s, persistent session, \
             user \"u\" with a password, will to \"w\" at QoS 1, retained: \"gone\""
        );
    }

    #[test]
    fn lists_name_every_entry() {
        let id = PacketId::new(7).expect("7 is an id");
        let filters = [(filter!("a/+"), QoS::AtMostOnce), (filter!("b"), QoS::ExactlyOnce)];
        let line = packet(&Packet::Subscribe(Subscribe::new(id, &filters)));
        assert_eq!(line, "SUBSCRIBE id 7: \"a/+\" at QoS 0, \"b\" at QoS 2");
        let granted = Granted::from_bytes(&[0x80, 2]).expect("valid codes");
        let line = packet(&Packet::SubAck(SubAck { id, granted }));
        assert_eq!(line, "SUBACK id 7: refused, granted QoS 2");
        let line = packet(&Packet::Unsubscribe(Unsubscribe::new(id, &[filter!("b")])));
        assert_eq!(line, "UNSUBSCRIBE id 7: \"b\"");
    }

    #[test]
    fn a_payload_shows_its_beginning_as_text_or_as_bytes() {
        assert_eq!(preview(b""), "");
        assert_eq!(preview("21 °C\n".as_bytes()), ": \"21 °C\\n\"");
        assert_eq!(preview(b"\xFF\0a"), ": \"\\xff\\x00a\"");
        assert_eq!(preview(&[b'a'; 41]), format!(": {:?} ...", "a".repeat(40)));
    }
}
