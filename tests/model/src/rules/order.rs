//! The order in which packets may go to the broker.

use mqtt_core::QoS;

use super::{Broken, Rule, Verdict};

/// The order of packets on the way to the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Order {
    /// The place of the last request on this connection, in the order in which the application made them.
    last: Option<u8>,
    /// Ids whose PUBACK or PUBREC is due on this connection, oldest first.
    pubacks: Vec<u16>,
    pubrecs: Vec<u16>,
    /// Ids between PUBREC and PUBCOMP in the order of their PUBRECs, over all connections.
    released: Vec<Released>,
    /// The broker may hold ids that are not in flight, so the client may release them.
    pub(crate) clears: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Released {
    id: u16,
    /// The PUBREL was sent on this connection.
    sent: bool,
    /// The PUBREL was sent on any connection.
    begun: bool,
    /// The PUBCOMP came.
    done: bool,
    /// Power failed since, so that the client may have forgotten the PUBREC or the PUBCOMP.
    unsure: bool,
}

impl Released {
    /// Whether a PUBREL for `id` may come.
    const fn asks_for(&self, id: u16) -> bool {
        self.id == id && (!self.done || self.unsure)
    }
}

impl Order {
    /// The connection has ended.
    pub(crate) fn disconnected(&mut self) {
        self.last = None;
        self.pubacks.clear();
        self.pubrecs.clear();
        for released in &mut self.released {
            released.sent = false;
        }
    }

    /// The client has given up the publish under `id`. Its PUBREL goes out at once or never, unless a power cut brings the
    /// publish back.
    pub(crate) fn given_up(&mut self, id: u16) {
        for released in self.released.iter_mut().filter(|released| released.id == id) {
            released.done = true;
        }
    }

    /// The session was lost, so released ids no longer matter.
    pub(crate) fn session_lost(&mut self) {
        self.released.clear();
    }

    /// The client took a PUBLISH from the broker.
    pub(crate) fn message_came(&mut self, id: u16, qos: QoS) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.pubacks.push(id),
            QoS::ExactlyOnce => self.pubrecs.push(id),
        }
    }

    /// The client took a PUBREC.
    pub(crate) fn pubrec_came(&mut self, id: u16) {
        self.released.retain(|released| released.id != id);
        let new = Released { id, sent: false, begun: false, done: false, unsure: false };
        self.released.push(new);
    }

    /// The client took a PUBCOMP. If power can fail (`may`), the client may have to send the PUBREL again.
    pub(crate) fn pubcomp_came(&mut self, id: u16, may: bool) {
        if may {
            for released in self.released.iter_mut().filter(|released| released.id == id) {
                released.done = true;
            }
        } else {
            self.released.retain(|released| released.id != id);
        }
    }

    /// Power failed.
    pub(crate) fn restarted(&mut self) {
        for released in &mut self.released {
            released.unsure = true;
        }
    }

    /// The PUBLISH arrived with `id`. It is the request at `place` among all requests [MQTT-4.6.0-1].
    ///
    /// # Errors
    ///
    /// [`Rule::Order`]; [`Rule::Protocol`] if its PUBREL was sent before.
    pub(crate) fn publish(&mut self, place: u8, id: u16) -> Verdict {
        let over = |released: &Released| released.id == id && released.begun && !released.done;
        if self.released.iter().any(over) {
            let how = "MQTT-4.3.3-1: a PUBLISH again behind its PUBREL";
            return Err(Broken::new(Rule::Protocol, how));
        }
        self.request(place)
    }

    /// The request at `place` among all requests arrived.
    ///
    /// # Errors
    ///
    /// [`Rule::Order`].
    pub(crate) fn request(&mut self, place: u8) -> Verdict {
        if self.last.is_some_and(|last| last >= place) {
            return Err(Broken::new(Rule::Order, "MQTT-4.6.0-1: a request behind a later one"));
        }
        self.last = Some(place);
        Ok(())
    }

    /// Whether the request at `place`, or a later one, arrived on this connection.
    pub(crate) fn has_come(&self, place: u8) -> bool {
        self.last.is_some_and(|last| last >= place)
    }

    /// Whether a PUBREL for `id` belongs to no publish in flight, but reclaims the id.
    pub(crate) fn reclaims(&self, id: u16) -> bool {
        self.clears && !self.released.iter().any(|released| released.asks_for(id))
    }

    /// A PUBACK arrived [MQTT-4.6.0-2].
    ///
    /// # Errors
    ///
    /// [`Rule::Order`].
    pub(crate) fn puback(&mut self, id: u16) -> Verdict {
        in_turn(&mut self.pubacks, id, "MQTT-4.6.0-2: a PUBACK out of turn")
    }

    /// A PUBREC arrived [MQTT-4.6.0-3].
    ///
    /// # Errors
    ///
    /// [`Rule::Order`].
    pub(crate) fn pubrec(&mut self, id: u16) -> Verdict {
        in_turn(&mut self.pubrecs, id, "MQTT-4.6.0-3: a PUBREC out of turn")
    }

    /// A PUBREL arrived [MQTT-4.6.0-4].
    ///
    /// # Errors
    ///
    /// [`Rule::Order`]; [`Rule::Protocol`] if there was no PUBREC.
    pub(crate) fn pubrel(&mut self, id: u16) -> Verdict {
        let Some(at) = self.released.iter().position(|released| released.asks_for(id)) else {
            return if self.clears {
                Ok(())
            } else {
                Err(Broken::new(Rule::Protocol, "MQTT-4.3.3-1: a PUBREL without a PUBREC"))
            };
        };
        let waits = |released: &Released| !(released.sent || released.done || released.unsure);
        let (before, from) = self.released.split_at_mut(at);
        if before.iter().any(waits) || from.iter().any(|released| released.sent) {
            return Err(Broken::new(Rule::Order, "MQTT-4.6.0-4: a PUBREL out of turn"));
        }
        if let Some(released) = from.first_mut() {
            *released = Released { id, sent: true, begun: true, done: false, unsure: false };
        }
        Ok(())
    }
}

fn in_turn(due: &mut Vec<u16>, id: u16, how: &'static str) -> Verdict {
    if due.first() != Some(&id) {
        return Err(Broken::new(Rule::Order, how));
    }
    due.remove(0);
    Ok(())
}
