//! Seeds whose run breaks a promise, and nobody has mended that yet.
//!
//! They do not fail a campaign. A seed of this list that keeps every promise does: it has to leave the list.

/// The seeds, and what stands in the way. Ascending.
const SEEDS: &[(u64, &str)] = &[];

/// Why `seed` is in the list; `None` if it is not.
#[must_use]
pub fn reason(seed: u64) -> Option<&'static str> {
    SEEDS.iter().find(|(open, _)| *open == seed).map(|(_, why)| *why)
}

/// The seeds of the list from `from` on, `count` seeds further at most.
pub fn within(from: u64, count: u64) -> impl Iterator<Item = u64> {
    SEEDS.iter().map(|(seed, _)| *seed).filter(move |seed| seed.wrapping_sub(from) < count)
}
