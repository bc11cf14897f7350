//! Hostile bytes as records.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{super::crc::Crc, Parsed};
use crate::error::RestoreError;
use std::vec::Vec;

fn with_crc(mut body: Vec<u8>) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.add(&body);
    body.extend(crc.finish().to_be_bytes());
    body
}

proptest! {
    #[test]
    fn bytes_without_the_checksum_are_torn(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(Parsed::new(&bytes).err(), Some(RestoreError::Torn));
    }

    /// Any bytes with the checksum are a record or one of two errors, and the parts of a record can be read.
    #[test]
    fn any_bytes_with_the_checksum_are_a_record_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 1..64),
        known in any::<bool>(),
    ) {
        if known {
            *bytes.first_mut().unwrap() = 1;
        }
        let version = *bytes.first().unwrap();
        match Parsed::new(&with_crc(bytes)) {
            Ok(parsed) => {
                let _ = parsed.notes().count() + parsed.packets().count();
                prop_assert_eq!(version, 1);
            }
            Err(RestoreError::Version { found }) => prop_assert_eq!(found, version),
            Err(error) => prop_assert_eq!(error, RestoreError::Malformed),
        }
    }
}
