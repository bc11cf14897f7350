//! Packets and events as lines of text.

use mqtt_core::{Event, Handle, PacketId, SkipCause, codec::Packet};

/// An event as a line, like `message a/b hello q1 dup` or `published 7`.
///
/// # Panics
///
/// The event is of a kind that is not known here.
#[must_use]
pub fn event(event: &Event<'_>) -> String {
    match event {
        Event::Message(m) => format!(
            "message {} {} q{}{}{}",
            m.topic,
            m.payload.escape_ascii(),
            m.qos as u8,
            flag(m.retain, " retained"),
            flag(m.dup, " dup"),
        ),
        Event::MessageStart(m) => format!("start {} {} q{}", m.topic, m.payload_len, m.qos as u8),
        Event::MessageChunk(chunk) => format!("chunk {}", chunk.escape_ascii()),
        Event::MessageEnd { .. } => "end".to_string(),
        Event::Skipped(s) => format!(
            "skipped {} {} q{}{}{}{}: {}",
            s.topic.escape_ascii(),
            s.len,
            s.qos as u8,
            s.id.map_or(String::new(), |id| format!(" {}", id.get())),
            flag(s.retain, " retained"),
            flag(s.dup, " dup"),
            match s.cause {
                SkipCause::TooLarge => "too large".to_string(),
                SkipCause::Unreadable(violation) => violation.to_string(),
                SkipCause::NoSlot => "no slot".to_string(),
                other => format!("{other:?}"),
            },
        ),
        Event::Published(handle) => format!("published {}", id_of(*handle)),
        Event::Subscribed { handle, granted } => {
            format!("subscribed {} {:?}", id_of(*handle), granted.as_bytes())
        }
        Event::Unsubscribed(handle) => format!("unsubscribed {}", id_of(*handle)),
        Event::Downgraded(handle) => format!("downgraded {}", id_of(*handle)),
        Event::Lost(handle) => format!("lost {}", id_of(*handle)),
        Event::Dropped(handle) => format!("dropped {}", id_of(*handle)),
        Event::Cancelled { handle, sent } => {
            format!("cancelled {}{}", id_of(*handle), if *sent { " sent" } else { "" })
        }
        Event::GivenUp(handle) => format!("given up {}", id_of(*handle)),
        Event::SourceFailed(handle) => format!("source failed {}", id_of(*handle)),
        Event::Renewed { first: 0, granted } => format!("renewed {:?}", granted.as_bytes()),
        Event::Renewed { first, granted } => {
            format!("renewed from {first} {:?}", granted.as_bytes())
        }
        Event::NotReclaimed => "not reclaimed".to_owned(),
        Event::Stuck { handle, connections } => {
            format!("stuck {} at {connections} connections", id_of(*handle))
        }
        Event::RenewalStuck { first, count, connections } => {
            format!("renewal of {count} from {first} stuck at {connections} connections")
        }
        Event::Up { endpoint: 0, session, protocol } => format!("up {session:?} {protocol:?}"),
        Event::Up { endpoint, session, protocol } => {
            format!("up {session:?} {protocol:?} at {endpoint}")
        }
        Event::Down { endpoint: 0, reason } => format!("down: {reason}"),
        Event::Down { endpoint, reason } => format!("down at {endpoint}: {reason}"),
        Event::Connecting { endpoint } => format!("connecting {endpoint}"),
        other => panic!("an event that no test knows: {other:?}"),
    }
}

/// A packet as a line, like `PUBLISH a/b hello q1 7 dup` or `PUBACK 7`.
#[must_use]
pub fn packet(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => {
            let will = connect.will.map_or(String::new(), |will| {
                let (payload, qos) = (will.payload.escape_ascii(), will.qos as u8);
                format!(" will {} {payload} q{qos}{}", will.topic, flag(will.retain, " retain"))
            });
            let login = connect.login.map_or(String::new(), |login| {
                let password = login.password.unwrap_or(b"-").escape_ascii();
                format!(" login {} {password}", login.user)
            });
            format!(
                "CONNECT {:?} {}{}{will}{login}",
                connect.protocol,
                connect.client_id,
                flag(connect.clean_session, " clean")
            )
        }
        Packet::ConnAck(connack) => match connack.result {
            Ok(()) => format!("CONNACK{}", flag(connack.session_present, " session present")),
            Err(refusal) => format!("CONNACK refused: {refusal}"),
        },
        Packet::Publish(p) => format!(
            "PUBLISH {} {} q{}{}{}{}",
            p.topic,
            p.payload.escape_ascii(),
            p.qos as u8,
            p.id.map_or(String::new(), |id| format!(" {}", id.get())),
            flag(p.retain, " retain"),
            flag(p.dup, " dup"),
        ),
        Packet::PubAck(id) => format!("PUBACK {}", id.get()),
        Packet::PubRec(id) => format!("PUBREC {}", id.get()),
        Packet::PubRel { id, dup } => format!("PUBREL {}{}", id.get(), flag(*dup, " dup")),
        Packet::PubComp(id) => format!("PUBCOMP {}", id.get()),
        Packet::Subscribe(s) => {
            let filters: Vec<_> =
                s.filters().map(|(filter, qos)| format!(" {filter}:{}", qos as u8)).collect();
            format!("SUBSCRIBE {}{}{}", s.id.get(), filters.concat(), flag(s.dup, " dup"))
        }
        Packet::SubAck(s) => format!("SUBACK {}", s.id.get()),
        Packet::Unsubscribe(u) => {
            let filters: Vec<_> = u.filters().map(|filter| format!(" {filter}")).collect();
            format!("UNSUBSCRIBE {}{}{}", u.id.get(), filters.concat(), flag(u.dup, " dup"))
        }
        Packet::UnsubAck(id) => format!("UNSUBACK {}", id.get()),
        Packet::PingReq => "PINGREQ".to_string(),
        Packet::PingResp => "PINGRESP".to_string(),
        Packet::Disconnect => "DISCONNECT".to_string(),
    }
}

fn flag(set: bool, text: &str) -> &str {
    if set { text } else { "" }
}

/// The packet id of a request, or a dash if it has none.
#[must_use]
pub fn id_of(handle: Handle) -> String {
    handle.packet_id().map(PacketId::get).map_or("-".to_string(), |id| id.to_string())
}
