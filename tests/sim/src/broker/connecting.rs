//! The first packet on a connection: who is accepted, and which session goes on.

use mqtt_core::{
    Protocol, Refusal,
    codec::{ConnAck, Connect, Packet},
};

use super::{Broker, End, Outlet, Phase, Will};
use crate::{
    agenda::Event,
    checks::Invariant,
    faults::Fault,
    ledger,
    link::{Link, Side},
    quirks::Quirk,
    stage::Stage,
    topics,
};

impl Broker {
    /// [MQTT-3.1.0-1]
    pub(super) fn first_packet(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        packet: &Packet<'_>,
    ) {
        let device = links[link].device;
        let Packet::Connect(connect) = packet else {
            stage.fail(Invariant::Protocol, device, || {
                format!("{:?} ahead of the CONNECT [MQTT-3.1.0-1]", packet.packet_type())
            });
            return;
        };
        self.connect(stage, links, link, connect);
    }

    fn connect(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        connect: &Connect<'_>,
    ) {
        let device = links[link].device;
        let protocol = connect.protocol;
        if connect.client_id.as_bytes() != [b'd', b'0' + device as u8] {
            stage.fail(Invariant::Content, device, || format!("client id {}", connect.client_id));
        }
        let refusal = if self.setup.only_v31 && protocol == Protocol::V311 {
            Some(Refusal::ProtocolVersion)
        } else if stage.fault_one_in(40) {
            stage.fault(device, Fault::Refusal);
            Some(Refusal::ServerUnavailable)
        } else {
            None
        };
        let refusal = refusal.or_else(|| self.sessions[device].refuses(stage, device));
        let manners = &self.setup.manners;
        let mut outlet = Outlet { stage, link: &mut links[link], protocol, manners };
        if let Some(refusal) = refusal {
            outlet.send(&Packet::ConnAck(ConnAck { session_present: false, result: Err(refusal) }));
            self.close(stage, links, link, End::Asked);
            return;
        }
        // [MQTT-3.1.4-2]
        if let Some(older) = self.sessions[device].link() {
            stage.fault(device, Fault::TakeOver);
            self.close(stage, links, older, End::Broken);
        }
        let will = connect.will.map(|will| {
            let topic = topics::topic_index(will.topic).expect("a topic of this world");
            let number = ledger::number(will.payload).expect("a will with a number");
            if stage.ledger.identify(topic, will.payload) != Ok(Some(number)) {
                stage.fail(Invariant::Content, device, || "another will".to_owned());
            }
            Will { number, topic, qos: will.qos, retain: will.retain }
        });
        let session = &mut self.sessions[device];
        if connect.clean_session {
            session.is_ended_by_the_client(stage);
            session.discard(stage);
        }
        let present = session.exists();
        if !present {
            session.begin(stage, protocol, connect.clean_session, self.setup.first_id);
        }
        let manners = &self.setup.manners;
        let lie = manners.lie(present, connect.clean_session, protocol);
        let lie = lie.filter(|_| session.may_lie());
        match lie {
            Some(quirk @ Quirk::AbsentThoughKept) => {
                stage.quirk(device, quirk);
                session.is_taken_for_new(stage);
            }
            Some(quirk) => {
                stage.quirk(device, quirk);
                session.is_taken_for_old(stage);
            }
            None => {}
        }
        let told = present != lie.is_some();
        session.attach(stage, link, protocol, connect.clean_session, present && told);
        if session.kicks != 0 && stage.faults_on {
            session.kicks -= 1;
            stage.fault(device, Fault::KickOut);
            let soon = stage.rng.u64(1..1_500);
            stage.plan(soon, Event::Dead { link, side: Side::Broker });
        }
        // One and a half times [MQTT-3.1.2-24].
        let keep_alive = u64::from(connect.keep_alive) * 1_500;
        let now = stage.now;
        let connection = self.connection(link);
        connection.phase = Phase::Accepted(protocol);
        connection.will = will;
        connection.keep_alive = keep_alive;
        connection.last_heard = now;
        if keep_alive != 0 {
            stage.plan(keep_alive, Event::KeepAlive { link });
        }
        let manners = &self.setup.manners;
        let mut outlet = Outlet { stage, link: &mut links[link], protocol, manners };
        // 3.1 does not say it.
        let session_present = told && protocol == Protocol::V311;
        outlet.send(&Packet::ConnAck(ConnAck { session_present, result: Ok(()) }));
        self.sessions[device].resume(&mut outlet);
    }
}
