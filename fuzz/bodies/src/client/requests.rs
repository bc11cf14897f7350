//! The requests of the application. If the client refuses one, nothing has changed.

use mqtt_core::{Client, Filter, Handle, PacketId, Publish, QoS, RequestError, Slot, Topic};

use super::{Run, filter, sender::Asked, topic};

impl Run {
    pub(super) fn publish(&mut self, nth: u8, qos: QoS, retain: bool, len: u8) {
        let topic = topic(nth);
        let payload: Vec<u8> =
            (self.session.sender.accepted()..).map(|at| at as u8).take(len.into()).collect();
        let name = Topic::new(topic).expect("a name");
        let asked = Asked::Publish { topic, payload: payload.clone(), qos, retain };
        let publish = Publish::new(name, &payload).qos(qos).retain(retain);
        self.request(asked, |client| client.publish(&publish));
    }

    pub(super) fn subscribe(&mut self, filters: &[(u8, QoS)]) {
        let filters: Vec<(&str, QoS)> =
            filters.iter().map(|(nth, qos)| (filter(*nth), *qos)).collect();
        let typed: Vec<(Filter<'_>, QoS)> = filters
            .iter()
            .map(|(text, qos)| (Filter::new(text).expect("a filter"), *qos))
            .collect();
        self.request(Asked::Subscribe(filters.clone()), |client| client.subscribe(&typed));
    }

    pub(super) fn unsubscribe(&mut self, filters: &[u8]) {
        let filters: Vec<&str> = filters.iter().map(|nth| filter(*nth)).collect();
        let typed: Vec<Filter<'_>> =
            filters.iter().map(|text| Filter::new(text).expect("a filter")).collect();
        self.request(Asked::Unsubscribe(filters.clone()), |client| client.unsubscribe(&typed));
    }

    /// The application gives up a PUBREL.
    pub(super) fn forget(&mut self, id: u8) {
        let Some(id) = PacketId::new(id.into()) else { return };
        self.client.forget_message(id).expect("without a journal no room is needed");
        self.session.forget(id);
    }

    /// The application takes back a request. The bytes that a driver is about to write stay the same.
    pub(super) fn cancel(&mut self, nth: u8) {
        let Some(handle) = self.session.sender.handle(nth) else { return };
        // PUBRELs that reclaim ids are chosen as late as possible, and before they are shown.
        self.ready();
        let before = self.client.outbox_free();
        let result = self.client.cancel(handle);
        self.session.sender.cancel(handle, result);
        assert!(self.client.outbox_free() >= before);
        self.ready();
    }

    /// The application forgets a subscription.
    pub(super) fn forget_subscription(&mut self, at: u8) {
        match self.client.forget_subscriptions(at.into(), 1) {
            Ok(()) => self.session.sender.forget_subscription(at.into()),
            Err(error) => assert_eq!(error, RequestError::Renewing),
        }
    }

    /// A request: on an error nothing has changed, and the bytes that a driver is about to write stay the same.
    fn request(
        &mut self,
        asked: Asked,
        call: impl FnOnce(&mut Client<Vec<u8>, Vec<Slot>>) -> Result<Handle, RequestError>,
    ) {
        let empty = asked.is_empty();
        let exactly_once = asked.qos() == Some(QoS::ExactlyOnce);
        let window = self.settings.exactly_once_window;
        let barred = exactly_once && self.session.sender.exactly_once() >= window;
        let ready = self.ready();
        let before = (self.client.in_flight(), self.client.outbox_free(), *self.client.counters());
        match call(&mut self.client) {
            Ok(handle) => {
                assert!(!empty, "no filter, no request");
                assert!(!barred, "the window of QoS 2 is full");
                self.session.sender.accept(handle, asked, self.link.reclaim.range());
                if self.link.is_accepted() {
                    self.link.reclaim.look(&self.session.sender);
                }
                assert!(self.client.outbox_free() < before.1);
            }
            Err(error) => {
                let after =
                    (self.client.in_flight(), self.client.outbox_free(), *self.client.counters());
                assert_eq!(after, before, "{error}");
                match error {
                    RequestError::WindowFull { in_flight } => {
                        let full = if barred {
                            self.session.sender.exactly_once()
                        } else {
                            self.settings.window
                        };
                        assert_eq!(in_flight, full);
                    }
                    RequestError::OutboxFull { needed, free } => {
                        assert!(needed > free && free == before.1);
                    }
                    RequestError::TooLarge { needed, capacity }
                    | RequestError::TooManySubscriptions { needed, capacity } => {
                        assert!(needed > capacity);
                    }
                    RequestError::Encode(_) => assert!(empty, "{error}"),
                    RequestError::Topic(_) | RequestError::StaleDelivery | _ => {
                        panic!("no reason for {error}")
                    }
                }
            }
        }
        if let (Some(ready), Some(longer)) = (ready, self.ready()) {
            assert!(longer.starts_with(&ready), "a writer may be at it");
        }
    }

    pub(super) fn acknowledge(&mut self, nth: u8) {
        let Some(delivery) = self.session.delivery(nth) else { return };
        match self.client.acknowledge(delivery) {
            Ok(()) => {
                assert!(self.link.acknowledge(delivery), "acknowledged twice");
            }
            Err(error) => {
                assert_eq!(error, RequestError::StaleDelivery);
                assert!(!self.link.acknowledge(delivery), "this one is awaited");
            }
        }
    }
}
