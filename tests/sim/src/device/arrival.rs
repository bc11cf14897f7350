//! The beginning of a connection as the device hears it.

/// The length of a CONNACK.
const CONNACK_LEN: usize = 4;

/// The bytes of the CONNACK that the client has taken.
#[derive(Debug, Default)]
pub(super) struct ConnAckBytes {
    bytes: Vec<u8>,
}

/// A broker has accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// It says that it has a session.
    pub(super) present: bool,
}

impl ConnAckBytes {
    /// A connection begins.
    pub(super) fn begin(&mut self) {
        self.bytes.clear();
    }

    /// The client has taken `bytes`. Returns the news if they complete a CONNACK that accepts it.
    pub(super) fn takes(&mut self, bytes: &[u8]) -> Option<Accepted> {
        let missing = CONNACK_LEN - self.bytes.len();
        if missing == 0 {
            return None;
        }
        self.bytes.extend(&bytes[..missing.min(bytes.len())]);
        match *self.bytes.as_slice() {
            [_, _, flags, 0] => Some(Accepted { present: flags & 1 != 0 }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, ConnAckBytes};

    #[test]
    fn an_acceptance_is_heard_once_however_its_bytes_come() {
        let mut arrival = ConnAckBytes::default();
        assert_eq!(arrival.takes(&[0x20, 2, 1]), None);
        assert_eq!(arrival.takes(&[0, 0x30, 7]), Some(Accepted { present: true }));
        assert_eq!(arrival.takes(&[0x20, 2, 1, 0]), None);
        arrival.begin();
        assert_eq!(arrival.takes(&[0x20, 2, 0, 5]), None);
    }
}
