//! Hostile bytes as records.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{super::crc::Crc, Fate, Note, PacketId, Parsed};
use crate::error::RestoreError;
use std::{collections::BTreeMap, vec, vec::Vec};

fn with_crc(mut body: Vec<u8>) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.add(&body);
    body.extend(crc.finish().to_be_bytes());
    body
}

fn note() -> impl Strategy<Value = Note> {
    let fate = prop::sample::select(&[Fate::Seen, Fate::Forgotten, Fate::Released, Fate::Done][..]);
    // Few ids, at both ends of blocks.
    let id = prop::sample::select(&[1, 2, 2_047, 2_048, 2_049, 4_095, 4_096, 65_533][..]);
    (fate, id).prop_map(|(fate, id)| Note { fate, id: PacketId::new(id).unwrap(), broker: 0 })
}

proptest! {
    #[test]
    fn the_last_note_of_an_id_counts(notes in prop::collection::vec(note(), 0..40)) {
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        body.extend(notes.iter().flat_map(|note| note.encode()));
        body.push(0);
        let record = with_crc(body);
        let parsed = Parsed::new(&record).unwrap();
        for (fate, others) in [
            (Fate::Seen, &[Fate::Forgotten][..]),
            (Fate::Forgotten, &[Fate::Seen]),
            (Fate::Released, &[Fate::Done]),
            (Fate::Released, &[]),
        ] {
            let mut ids = Vec::new();
            parsed.ids(0, fate, others, &mut |id| ids.push(id));
            ids.sort_unstable();
            let mut last: BTreeMap<PacketId, Fate> = BTreeMap::new();
            for note in notes.iter().filter(|note| note.fate == fate || others.contains(&note.fate)) {
                last.insert(note.id, note.fate);
            }
            let expected: Vec<PacketId> =
                last.into_iter().filter(|(_, last)| *last == fate).map(|(id, _)| id).collect();
            prop_assert_eq!(ids, expected);
        }
    }

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
