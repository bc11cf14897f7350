//! Publishes that come in: section 4.3 on the receiver's side, with both methods of figure 4.3, and the sender's
//! mistakes that a receiver can see.

use mqtt_core::{PacketId, Publish, QoS, codec::Packet};

use super::{Outlet, Post, manners::provokes_pubrels, session::Session};
use crate::{
    checks::{self, Invariant},
    ledger::{Status, Stay},
    quirks::Quirk,
    stage::Stage,
    topics,
};

/// A QoS 2 message between its PUBLISH and its PUBREL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    id: u16,
    post: Post,
    /// Method B: it was handed on.
    handed_on: bool,
    /// The position of its last PUBREC among all PUBRECs.
    place: u32,
    /// The client has forgotten it.
    pub(super) orphan: bool,
}

impl Inbound {
    pub(super) const fn id(&self) -> u16 {
        self.id
    }
}

impl Session {
    /// Takes a PUBLISH. Returns the message if the broker owns it from now on.
    pub(super) fn take_publish(
        &mut self,
        outlet: &mut Outlet<'_, '_>,
        publish: &Publish<'_>,
        method_b: bool,
    ) -> Option<Post> {
        let (device, visit) = (outlet.link.device, outlet.link.visit);
        let stage = &mut *outlet.stage;
        let topic = topics::topic_index(publish.topic).expect("a topic of this world");
        let number = match stage.ledger.identify(topic, publish.payload) {
            Ok(number) => number,
            Err(why) => {
                stage.fail(Invariant::Content, device, || format!("the broker got {why}"));
                return None;
            }
        };
        if let Some(number) = number {
            self.judge(stage, device, publish, number, visit);
        }
        let post = Post { number, topic, qos: publish.qos, retain: publish.retain, junk: None };
        let id = publish.id.map_or(0, PacketId::get);
        let known = self.inbound.iter().position(|inbound| id != 0 && inbound.id == id);
        match (publish.qos, publish.id) {
            (QoS::ExactlyOnce, Some(packet_id)) if outlet.manners.have(Quirk::PubAckAtQos2) => {
                outlet.quirk(Quirk::PubAckAtQos2);
                if let Some(number) = number {
                    let message = outlet.stage.ledger.message_mut(number);
                    message.may_double += 1;
                    message.downgraded = true;
                }
                outlet.answer(&Packet::PubAck(packet_id));
                self.own(outlet.stage, Some(post))
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                let place = self.next_place();
                let owned = if let Some(at) = known {
                    let given_up = ended_early(stage, self.inbound[at].post.number);
                    let orphan = self.inbound[at].orphan;
                    // All ids that the client has reclaimed may be out of use.
                    let forced = outlet.manners.leave_ids_behind()
                        || stage.ledger.lingers_often(device)
                        || stage.ledger.has_left_ids(self.pair);
                    let excused =
                        orphan && forced || given_up && !stage.ledger.was_reused(device, id);
                    self.repeats(stage, device, at, post, publish.dup, excused);
                    self.inbound[at].place = place;
                    None
                } else {
                    let handed_on = method_b;
                    self.may_sweep = false;
                    self.took_exactly_once = true;
                    self.inbound.push(Inbound { id, post, handed_on, place, orphan: false });
                    self.audit.released.retain(|released| *released != id);
                    self.completed.retain(|completed| *completed != id);
                    handed_on.then_some(post)
                };
                outlet.answer(&Packet::PubRec(packet_id));
                if let Some(number) = number {
                    let stay = Stay { epoch: self.epoch(), visit };
                    outlet.stage.ledger.message_mut(number).received_in = Some(stay);
                }
                self.own(outlet.stage, owned)
            }
            (_, Some(packet_id)) => {
                // A client that forgot the id may use it at QoS 1: the PUBACK says which of the two is meant.
                if known.is_some_and(|at| !self.may_be_used(stage, device, at)) {
                    stage.fail(Invariant::IdReuse, device, || {
                        format!("id {id} of a QoS 2 message in flight [MQTT-2.3.1-2]")
                    });
                }
                outlet.answer(&Packet::PubAck(packet_id));
                self.own(outlet.stage, Some(post))
            }
            (_, None) => self.own(stage, Some(post)),
        }
    }

    /// Takes a PUBREL, and may leave it unanswered. Returns the message if the broker owns it from now on.
    pub(super) fn take_pubrel(
        &mut self,
        outlet: &mut Outlet<'_, '_>,
        packet_id: PacketId,
        answered: bool,
    ) -> Option<Post> {
        let provoked = provokes_pubrels(outlet.manners);
        let (device, visit) = (outlet.link.device, outlet.link.visit);
        let stage = &mut *outlet.stage;
        let id = packet_id.get();
        let owned = if let Some(at) = self.inbound.iter().position(|inbound| inbound.id == id) {
            let Inbound { post, handed_on, place, orphan, .. } = self.inbound.remove(at);
            // A PUBREC that comes after the request was taken back, or once more, is answered out of its turn.
            let taken_back = ended_early(stage, post.number);
            if !orphan && !taken_back && !provoked {
                self.audit.releases_in_order(stage, device, place);
            }
            if let Some(number) = post.number {
                let message = stage.ledger.message_mut(number);
                message.released_in = Some(Stay { epoch: self.epoch(), visit });
                message.reordered |= provoked;
            }
            (!handed_on).then_some(post)
        } else {
            // Its PUBCOMP was lost; or the client has forgotten its ids; or, in 3.1, the broker has, and the client
            // does not know.
            let excused =
                self.completed.contains(&id) || self.may_sweep || self.was_not_told || provoked;
            if !excused {
                stage.fail(Invariant::Protocol, device, || {
                    format!("PUBREL {id} without a PUBREC [MQTT-4.3.3-1]")
                });
            }
            None
        };
        if self.audit.released.contains(&id) && !provoked {
            stage.fail(Invariant::Protocol, device, || {
                format!("PUBREL {id} twice on one connection [MQTT-4.4.0-1]")
            });
        }
        self.audit.released.push(id);
        if !self.completed.contains(&id) {
            self.completed.push(id);
        }
        if answered {
            outlet.answer(&Packet::PubComp(packet_id));
        }
        self.own(outlet.stage, owned)
    }

    /// The broker owns `post`, if there is one.
    fn own(&self, stage: &mut Stage<'_>, post: Option<Post>) -> Option<Post> {
        if let Some(number) = post.and_then(|post| post.number) {
            checks::arrives_as_often_as_promised(stage, self.pair.broker, number);
        }
        post
    }

    /// Checks a PUBLISH whose message is known.
    fn judge(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        publish: &Publish<'_>,
        number: u32,
        visit: u32,
    ) {
        let stay = Stay { epoch: self.epoch(), visit };
        let message = stage.ledger.message_mut(number);
        let index = message.index;
        let same = (message.publisher, message.qos, message.retain)
            == (device, publish.qos, publish.retain);
        let seen_before = message.seen_in.replace(stay) == Some(stay);
        let released = message.released_in == Some(stay);
        let doubles = message.may_double != 0;
        if !same {
            stage.fail(Invariant::Content, device, || {
                format!("message #{number} with another publisher, QoS or RETAIN")
            });
        }
        // [MQTT-4.3.3-1]. If a client that prefers a double to a loss comes back, it first releases the message that it
        // had sent before it left.
        if released && publish.qos == QoS::ExactlyOnce && !doubles {
            stage.fail(Invariant::ExactlyOnce, device, || {
                format!("PUBLISH #{number} after its PUBREL [MQTT-4.3.3-1]")
            });
        }
        // [MQTT-3.3.1-1]
        if publish.qos != QoS::AtMostOnce && seen_before && !publish.dup {
            stage.fail(Invariant::Protocol, device, || {
                format!("PUBLISH #{number} again, without DUP [MQTT-3.3.1-1]")
            });
        }
        self.audit.publishes_in_order(stage, device, index);
    }

    /// Checks a PUBLISH with an id whose exchange has not ended.
    fn repeats(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        at: usize,
        post: Post,
        dup: bool,
        excused: bool,
    ) {
        let Inbound { id, post: before, orphan, .. } = self.inbound[at];
        // A copy of a message that was excused before may still be on its way.
        let excused =
            excused || post.number.is_some_and(|number| stage.ledger.message(number).may_miss);
        if before != post && excused {
            // The client was told that the broker has no such id, or remembers no more ids that are out of use. The broker
            // takes the message for the old one.
            if let Some(number) = post.number {
                stage.ledger.message_mut(number).may_miss = true;
            }
        } else if before != post {
            let whose = if orphan { "that its former life left behind" } else { "in flight" };
            stage.fail(Invariant::IdReuse, device, || {
                format!("message {:?} under id {id} {whose}, of {:?}", post.number, before.number)
            });
        } else if !dup && !excused {
            stage.fail(Invariant::Protocol, device, || {
                format!("PUBLISH {id} again, without DUP [MQTT-3.3.1-1]")
            });
        }
    }

    /// Whether the client may use the id of this exchange: it forgot the id, or has given so many up that it does not
    /// remember this one.
    fn may_be_used(&self, stage: &Stage<'_>, device: usize, at: usize) -> bool {
        let Inbound { id, post, orphan, .. } = self.inbound[at];
        orphan || ended_early(stage, post.number) && !stage.ledger.was_reused(device, id)
    }

    /// [MQTT-2.3.1-2], for a SUBSCRIBE or UNSUBSCRIBE.
    pub(super) fn check_request_id(&self, stage: &mut Stage<'_>, device: usize, id: PacketId) {
        let known = self.inbound.iter().position(|inbound| inbound.id == id.get());
        if let Some(at) = known.filter(|at| !self.may_be_used(stage, device, *at)) {
            let inbound = &self.inbound[at];
            stage.fail(Invariant::IdReuse, device, || {
                format!("id {} of message {:?} in flight", id.get(), inbound.post.number)
            });
        }
    }
}

/// Whether the message was taken back, or given up. A message without a number may have been.
fn ended_early(stage: &Stage<'_>, number: Option<u32>) -> bool {
    number.is_none_or(|number| {
        let status = stage.ledger.message(number).status;
        matches!(status, Status::Cancelled { .. } | Status::GivenUp | Status::Vanished)
    })
}
