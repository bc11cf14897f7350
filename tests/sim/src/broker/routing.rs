//! Who gets which message: subscriptions, retained messages, and the way of a message from its publisher to all
//! subscribers.

use mqtt_core::{
    Granted, Protocol, QoS,
    codec::{Packet, SubAck, Subscribe},
};

use super::{Broker, Outlet, Post};
use crate::{link::Link, quirks::Quirk, stage::Stage, topics};

impl Broker {
    /// The QoS that `filter` is granted in `protocol`.
    pub(crate) fn grant(&self, filter: usize, wanted: QoS, protocol: Protocol) -> Option<QoS> {
        match (self.setup.grants[filter], protocol) {
            (Some(most), _) => Some(most.min(wanted)),
            (None, Protocol::V311) => None,
            (None, Protocol::V31) if self.setup.manners.have(Quirk::RefusesIn31) => None,
            // 3.1 has no refusal.
            (None, Protocol::V31) => Some(QoS::AtMostOnce),
        }
    }

    pub(super) fn subscribe(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        protocol: Protocol,
        subscribe: &Subscribe<'_>,
    ) {
        let device = links[link].device;
        self.sessions[device].check_request_id(stage, device, subscribe.id);
        let mut codes = [0; topics::FILTERS.len()];
        let mut granted = [None; topics::FILTERS.len()];
        let mut count = 0;
        for (filter, wanted) in subscribe.filters() {
            let filter = topics::filter_index(filter).expect("a filter of this world");
            let grant = self.grant(filter, wanted, protocol);
            codes[count] = grant.map_or(0x80, |qos| qos as u8);
            granted[count] = grant.map(|qos| (filter, qos));
            count += 1;
            if let Some(qos) = grant {
                self.sessions[device].subscribe(filter, qos);
            }
        }
        let retained_first = self.setup.retained_first;
        if retained_first {
            self.send_retained(stage, links, link, protocol, &granted);
        }
        if protocol == Protocol::V31 && codes.contains(&0x80) {
            stage.quirk(device, Quirk::RefusesIn31);
        }
        let granted_codes = Granted::from_bytes(&codes[..count]).expect("codes");
        let manners = &self.setup.manners;
        let mut outlet = Outlet { stage, link: &mut links[link], protocol, manners };
        outlet.answer(&Packet::SubAck(SubAck { id: subscribe.id, granted: granted_codes }));
        if !retained_first {
            self.send_retained(stage, links, link, protocol, &granted);
        }
    }

    /// [MQTT-3.3.1-6]
    fn send_retained(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        protocol: Protocol,
        filters: &[Option<(usize, QoS)>],
    ) {
        let manners = &self.setup.manners;
        let mut outlet = Outlet { stage, link: &mut links[link], protocol, manners };
        let session = &mut self.sessions[outlet.link.device];
        for (filter, most) in filters.iter().flatten() {
            for (topic, kept) in self.retained.iter().enumerate() {
                if let Some((number, qos)) = kept.filter(|_| topics::matches(*filter, topic)) {
                    let qos = qos.min(*most);
                    let post = Post { number: Some(number), topic, qos, retain: true, junk: None };
                    session.post(outlet.stage, post);
                }
            }
        }
        session.pump(&mut outlet);
    }

    /// Hands a message that the broker owns to all subscribers.
    pub(super) fn hand_on(&mut self, stage: &mut Stage<'_>, links: &mut [Link], post: Post) {
        if post.retain {
            // [MQTT-3.3.1-5], [MQTT-3.3.1-10]
            self.retained[post.topic] = post.number.map(|number| (number, post.qos));
        }
        for session in &mut self.sessions {
            let wanted = session.wanted(post.topic);
            for most in wanted.iter().take(if self.setup.copies { wanted.len() } else { 1 }) {
                // [MQTT-3.3.1-9]
                let copy = Post { qos: post.qos.min(*most), retain: false, ..post };
                session.post(stage, copy);
            }
            let manners = &self.setup.manners;
            session.queues_junk(stage, &manners.quirks);
            if let Some((link, protocol)) = session.attached() {
                session.pump(&mut Outlet { stage, link: &mut links[link], protocol, manners });
            }
        }
    }
}
