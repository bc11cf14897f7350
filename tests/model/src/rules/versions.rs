//! The version of each attempt to connect, with `Version::Auto`.

use mqtt_core::Protocol;

use super::{Broken, Rule, Verdict};

/// What the attempts at each endpoint have shown of its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Versions {
    first: Endpoint,
    second: Endpoint,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Endpoint {
    /// It refused 3.1.1 the last time.
    is_old: bool,
    /// The last attempt broke before its CONNACK, and had this version.
    broke: Option<Protocol>,
}

impl Endpoint {
    /// The version to be tried.
    const fn version(self) -> Protocol {
        if self.is_old { Protocol::V31 } else { Protocol::V311 }
    }
}

impl Versions {
    const fn at(&mut self, endpoint: u8) -> &mut Endpoint {
        if endpoint == 0 { &mut self.first } else { &mut self.second }
    }

    /// A CONNECT is sent. The version is 3.1.1, or 3.1 if the endpoint refused 3.1.1. After a connection that broke too
    /// early to tell, one attempt may have the other version.
    ///
    /// # Errors
    ///
    /// [`Rule::Progress`].
    pub(crate) fn connects(&mut self, endpoint: u8, protocol: Protocol) -> Verdict {
        let endpoint = self.at(endpoint);
        let version = endpoint.version();
        let may = protocol == version || endpoint.broke == Some(version);
        endpoint.broke = None;
        if may {
            Ok(())
        } else {
            Err(Broken::new(Rule::Progress, "a CONNECT in a version for which there is no reason"))
        }
    }

    /// The connection broke before its CONNACK.
    pub(crate) fn broke(&mut self, endpoint: u8, protocol: Protocol) {
        self.at(endpoint).broke = Some(protocol);
    }

    /// The client hears that the broker refuses this version.
    pub(crate) fn refused(&mut self, endpoint: u8, protocol: Protocol) {
        *self.at(endpoint) = Endpoint { is_old: protocol == Protocol::V311, broke: None };
    }

    /// The broker has accepted the connection.
    pub(crate) fn accepted(&mut self, endpoint: u8, protocol: Protocol) {
        self.at(endpoint).is_old &= protocol == Protocol::V31;
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::Protocol::{V31, V311};

    use super::Versions;
    use crate::rules::Rule;

    fn connects(versions: &Versions, endpoint: u8, protocol: mqtt_core::Protocol) -> bool {
        let broken = versions.clone().connects(endpoint, protocol).err();
        assert!(broken.is_none_or(|broken| broken.rule == Rule::Progress));
        broken.is_none()
    }

    #[test]
    fn version_3_1_needs_a_refusal_of_3_1_1() {
        let mut versions = Versions::default();
        assert!(connects(&versions, 0, V311) && !connects(&versions, 0, V31));
        versions.refused(0, V311);
        assert!(connects(&versions, 0, V31) && !connects(&versions, 0, V311));
        assert!(!connects(&versions, 1, V31), "the other endpoint did not refuse it");
        versions.accepted(0, V31);
        assert!(connects(&versions, 0, V31) && !connects(&versions, 0, V311));
        versions.refused(0, V31);
        assert!(connects(&versions, 0, V311), "the broker is another one now");
    }

    #[test]
    fn after_a_broken_connection_it_may_be_tried_once() {
        let mut versions = Versions::default();
        versions.broke(0, V311);
        assert!(connects(&versions, 0, V311) && connects(&versions, 0, V31));
        assert!(!connects(&versions, 1, V31), "the other endpoint broke nothing");
        assert_eq!(versions.connects(0, V31), Ok(()));
        versions.accepted(0, V31);
        assert!(!connects(&versions, 0, V31), "it was accepted, and 3.1.1 was not refused");
        versions.broke(0, V31);
        assert!(!connects(&versions, 0, V31), "it was tried");
        assert!(connects(&versions, 0, V311));
    }
}
