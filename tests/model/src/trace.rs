//! What a counterexample looks like to people.

use mqtt_core::{Event, Handle, Publish, Record, codec::Packet};

use crate::{broker::Down, world::Action};

/// Takes down what happens, or does not.
pub(crate) enum Trace {
    Off,
    Lines(Vec<String>),
}

impl Trace {
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Self::Lines(lines) = self {
            lines.push(line());
        }
    }

    /// All that was taken down, behind the action that brought it about.
    pub(crate) fn line(&self, action: Action) -> String {
        let said = match self {
            Self::Off => "",
            Self::Lines(lines) => &lines.join("; "),
        };
        let what = match action {
            Action::Publish => "publish",
            Action::Connect => "time to connect",
            Action::Connected => "connected",
            Action::TransmitPart => "client writes",
            Action::Transmit(_) => "client writes",
            Action::Arrive => "broker gets",
            Action::Send => "broker sends",
            Action::Deliver(_) => "client gets",
            Action::Persist => "record begun",
            Action::PersistAtLast => "record begun, as it has waited long enough",
            Action::Persisted => "record durable",
            Action::PersistFailed { whole: true } => "record failed, though it is there",
            Action::PersistFailed { whole: false } => "record failed",
            Action::Compact => "snapshot wanted",
            Action::Cut { lose_session: false } => "LINK CUT",
            Action::Cut { lose_session: true } => "LINK CUT, SESSION LOST",
            Action::PowerCut { whole: true } => "POWER CUT, the last record is whole",
            Action::PowerCut { whole: false } => "POWER CUT",
        };
        if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
    }
}

pub(crate) fn handle(handle: Handle) -> String {
    handle.packet_id().map_or_else(|| "no id".to_owned(), |id| format!("id {}", id.get()))
}

pub(crate) fn record(record: &Record<'_>) -> String {
    let kind = if record.is_snapshot() { "a snapshot" } else { "a record" };
    format!("{kind} of {} bytes", record.len())
}

/// A packet of the broker's.
pub(crate) fn down(down: Down) -> String {
    match down {
        Down::ConnAck { session_present: true } => "CONNACK, session present".to_owned(),
        Down::ConnAck { session_present: false } => "CONNACK, no session".to_owned(),
        Down::Publish { id, message, qos, dup } => publish(id, message, qos as u8, dup),
        Down::PubAck(id) => format!("PUBACK id {id}"),
        Down::PubRec(id) => format!("PUBREC id {id}"),
        Down::PubRel(id) => format!("PUBREL id {id}"),
        Down::PubComp(id) => format!("PUBCOMP id {id}"),
        Down::SubAck(id) => format!("SUBACK id {id}"),
    }
}

fn publish(id: u16, message: u8, qos: u8, dup: bool) -> String {
    let dup = if dup { " DUP" } else { "" };
    format!("PUBLISH id {id} message {message} QoS {qos}{dup}")
}

/// A packet of the client's.
pub(crate) fn packet(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(_) => "CONNECT".to_owned(),
        Packet::Publish(Publish { id, payload, qos, dup, .. }) => {
            let message = payload.first().copied().unwrap_or_default();
            publish(id.map_or(0, |id| id.get()), message, *qos as u8, *dup)
        }
        Packet::PubAck(id) => format!("PUBACK id {}", id.get()),
        Packet::PubRec(id) => format!("PUBREC id {}", id.get()),
        Packet::PubRel { id, .. } => format!("PUBREL id {}", id.get()),
        Packet::PubComp(id) => format!("PUBCOMP id {}", id.get()),
        Packet::Subscribe(subscribe) => format!("SUBSCRIBE id {}", subscribe.id.get()),
        Packet::Disconnect => "DISCONNECT".to_owned(),
        other @ (Packet::ConnAck(_)
        | Packet::SubAck(_)
        | Packet::Unsubscribe(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp) => format!("{other:?}"),
    }
}

pub(crate) fn event(event: &Event<'_>) -> String {
    match event {
        Event::Message(message) => format!(
            "the application gets message {}",
            message.payload.first().copied().unwrap_or_default()
        ),
        Event::Published(done) => format!("told: published, {}", handle(*done)),
        Event::Lost(lost) => format!("told: lost, {}", handle(*lost)),
        other @ (Event::Connecting { .. }
        | Event::Up { .. }
        | Event::Down(_)
        | Event::MessageStart(_)
        | Event::MessageChunk(_)
        | Event::MessageEnd { .. }
        | Event::Subscribed { .. }
        | Event::Unsubscribed(_)
        | Event::Dropped(_)
        | Event::Renewed { .. }
        | _) => format!("told: {other:?}"),
    }
}
