//! Records of the journal: their bytes, and a checksum of the crate `crc`, so that the library's own checksum is
//! checked by another one.

use mqtt_core::{Action, Client, Instant, Record, Slot};

/// Bytes of the checksum at the end of each record.
pub const CHECKSUM: usize = 4;

/// The record as a driver writes it.
///
/// # Panics
///
/// The record is not as long as it says.
#[must_use]
pub fn bytes_of(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record.len());
    for chunk in record.chunks() {
        bytes.extend_from_slice(chunk.as_ref());
    }
    assert_eq!(bytes.len(), record.len(), "a record is as long as it says");
    bytes
}

/// Asks a client that was not used yet, or is restored only, for a snapshot, and returns it. It is not confirmed.
///
/// # Panics
///
/// The client gives no snapshot.
pub fn snapshot<B, S>(client: &mut Client<B, S>, now: Instant) -> Vec<u8>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    client.compact();
    if let Action::Persist(record) = client.poll(now) {
        return snapshot_bytes(&record);
    }
    // It has asked for a connection, which may take its time.
    match client.poll(now) {
        Action::Persist(record) => snapshot_bytes(&record),
        action @ (Action::Connect { .. }
        | Action::Close(_)
        | Action::Transmit(_)
        | Action::TransmitFrom(_)
        | Action::Wait(_)) => panic!("a snapshot is due, not {action:?}"),
    }
}

fn snapshot_bytes(record: &Record<'_>) -> Vec<u8> {
    assert!(record.is_snapshot(), "a snapshot was asked for");
    bytes_of(record)
}

/// `body` with the checksum that belongs to it.
#[must_use]
pub fn sealed(body: &[u8]) -> Vec<u8> {
    [body, &checksum(body).to_be_bytes()].concat()
}

/// The record with a new checksum instead of its own.
#[must_use]
pub fn resealed(record: &[u8]) -> Vec<u8> {
    sealed(&record[..record.len().saturating_sub(CHECKSUM)])
}

/// Whether the record is there in full and its checksum is right.
#[must_use]
pub fn is_whole(record: &[u8]) -> bool {
    record.split_last_chunk().is_some_and(|(body, crc)| {
        // The checksum of nothing is 0, and nothing is not a record.
        !body.is_empty() && checksum(body).to_be_bytes() == *crc
    })
}

fn checksum(body: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(body)
}

#[cfg(test)]
mod tests {
    use super::{checksum, is_whole, resealed, sealed};

    #[test]
    fn the_checksum_is_the_usual_crc_32() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_sealed_record_is_whole_until_a_byte_changes() {
        let mut record = sealed(b"body");
        assert!(is_whole(&record));
        record[1] ^= 1;
        assert!(!is_whole(&record));
        assert!(is_whole(&resealed(&record)));
        assert!(!is_whole(&record[..3]));
    }
}
