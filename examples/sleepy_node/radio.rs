//! The radio: how long it is on. The times are those of an LTE-M modem in power saving mode.
//!
//! After the last byte the network keeps the connection of the radio (RRC) for an inactivity time of its own, and the
//! device cannot end it: see 'RRC connected mode' in Nordic's nRF Connect SDK, 'Power saving techniques'. Networks differ,
//! 5 to 20 s are common; here it is 10 s. LTE-M has up to 375 kbit/s in half duplex. The other times are assumptions.

/// From sleep to the first byte.
pub(crate) const SETUP: u64 = 1_200;
/// On after the last byte.
pub(crate) const TAIL: u64 = 10_000;
/// To the broker and back.
pub(crate) const ROUND_TRIP: u64 = 150;
/// Bytes in a millisecond.
const RATE: u64 = 375_000 / 8 / 1_000;

/// A radio.
#[derive(Clone, Debug, Default)]
pub(crate) struct Radio {
    /// The times when it is on, in order.
    pub(crate) on: Vec<(u64, u64)>,
}

impl Radio {
    pub(crate) fn is_on(&self, now: u64) -> bool {
        self.on.last().is_some_and(|(_, end)| now < *end)
    }

    /// Sends or receives `bytes`. Gives when that is done.
    pub(crate) fn moves(&mut self, bytes: usize, now: u64) -> u64 {
        let took = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(RATE);
        if !self.is_on(now) {
            self.on.push((now, now + SETUP));
        }
        let begun = self.on.last().map_or(now, |(start, _)| now.max(start + SETUP));
        let done = begun + took;
        if let Some((_, end)) = self.on.last_mut() {
            *end = (*end).max(done + TAIL);
        }
        done
    }

    /// Seconds in all.
    pub(crate) fn seconds(&self) -> u64 {
        self.on.iter().map(|(start, end)| end - start).sum::<u64>() / 1_000
    }
}
