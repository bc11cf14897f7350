//! The landscape of a world: its endpoints, and the broker that answers at each of them.

use fastrand::Rng;

/// The most brokers that a world has.
pub(crate) const MOST_BROKERS: usize = 3;
/// Nodes of a cluster.
const NODES: u8 = 3;

/// The brokers of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landscape {
    /// One broker. All endpoints lead to it, and it is up or down as a whole.
    One,
    /// One broker with several nodes that share everything. Each endpoint is a node, and may be down alone.
    Cluster,
    /// So many brokers that share nothing, each at an endpoint of its own.
    Separate(u8),
}

impl Landscape {
    /// Most worlds have one broker.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..10) {
            0 => Self::Cluster,
            1 | 2 => Self::Separate(rng.u8(2..=MOST_BROKERS as u8)),
            _ => Self::One,
        }
    }

    /// The number of brokers.
    pub(crate) const fn brokers(self) -> usize {
        match self {
            Self::One | Self::Cluster => 1,
            Self::Separate(count) => count as usize,
        }
    }

    /// The endpoints that a client has to be told of; `None`: any number.
    pub(crate) const fn endpoints(self) -> Option<u8> {
        match self {
            Self::One => None,
            Self::Cluster => Some(NODES),
            Self::Separate(count) => Some(count),
        }
    }

    /// The broker at this endpoint.
    pub(crate) const fn broker_at(self, endpoint: u8) -> usize {
        match self {
            Self::One | Self::Cluster => 0,
            Self::Separate(_) => endpoint as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::Landscape;

    #[test]
    fn most_worlds_have_one_broker_and_some_have_several() {
        let drawn: Vec<_> =
            (0..1_000).map(|seed| Landscape::draw(&mut Rng::with_seed(seed))).collect();
        let share = |wanted: &[Landscape]| drawn.iter().filter(|one| wanted.contains(one)).count();
        assert!(share(&[Landscape::One]) > 650);
        assert!(share(&[Landscape::Cluster]) > 70);
        assert!(share(&[Landscape::Separate(2)]) > 70 && share(&[Landscape::Separate(3)]) > 70);
    }

    #[test]
    fn only_separate_brokers_are_told_apart() {
        let brokers = |landscape: Landscape| [0, 1, 2].map(|nth| landscape.broker_at(nth));
        assert_eq!(brokers(Landscape::One), [0; 3]);
        assert_eq!(brokers(Landscape::Cluster), [0; 3]);
        assert_eq!(brokers(Landscape::Separate(3)), [0, 1, 2]);
    }
}
