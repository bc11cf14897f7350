//! Invariant 9: after the last fault the work that is left becomes less, within a bound of time and of connections.
//!
//! Work are requests without their event, messages that wait, and exchanges at the broker. The bounds follow from the
//! settings of the clients. Bad manners of a broker stay when faults stop, so a client may need several connections to
//! find out which request is in the way, and its application has to take it away. Once all is done, each application
//! publishes and subscribes once more, and that has to get through as well ([`World`](crate::world::World) asks for it).

use crate::{checks, setup::DeviceSetup, stage::Stage};

/// Milliseconds that no world needs for anything but the waits that settings ask for.
const SPARE: u64 = 300_000;
/// Connections between two steps forward, besides those that the settings ask for. A reclaim takes up to six.
const SPARE_CONNECTIONS: u32 = 16;
/// Milliseconds that opening a link and waiting for the CONNACK may take.
const CONNECTING: u64 = 20_000;
/// The longest delay between two attempts, in milliseconds.
const BACK_OFF: u64 = 30_000;

/// The measure of progress.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The least work that was left: of the applications, and of the broker.
    least: (usize, usize),
    deadline: u64,
    connections: Vec<Connections>,
    /// Milliseconds.
    patience: u64,
}

/// The connections of a device.
#[derive(Debug)]
struct Connections {
    /// Since the work became less, or a message to the device ended.
    count: u32,
    most: u32,
    /// Messages to the device that have ended.
    completed: u32,
}

impl Progress {
    pub(crate) fn new(devices: &[DeviceSetup]) -> Self {
        Self {
            least: (usize::MAX, usize::MAX),
            deadline: u64::MAX,
            connections: devices
                .iter()
                .map(|device| Connections {
                    count: 0,
                    most: most_connections(device),
                    completed: 0,
                })
                .collect(),
            patience: devices.iter().map(patience).max().unwrap_or(0),
        }
    }

    /// `device` was accepted by the broker once more, which has ended so many messages to it. New ones may come on each
    /// connection, for the connections of others set wills free.
    pub(crate) fn connects(&mut self, stage: &mut Stage<'_>, device: usize, completed: u32) {
        if !stage.healing {
            return;
        }
        let connections = &mut self.connections[device];
        if std::mem::replace(&mut connections.completed, completed) != completed {
            connections.count = 0;
        }
        connections.count += 1;
        checks::converges(stage, device, connections.count, connections.most);
    }

    /// So much work is left. Returns false if it has not become less for too long.
    pub(crate) fn note(&mut self, now: u64, left: (usize, usize)) -> bool {
        if left < self.least {
            self.least = left;
            self.starts_again(now);
        }
        now <= self.deadline
    }

    /// New work was given out.
    pub(crate) fn work_was_added(&mut self, now: u64) {
        self.least = (usize::MAX, usize::MAX);
        self.starts_again(now);
    }

    fn starts_again(&mut self, now: u64) {
        self.deadline = now + self.patience;
        for connections in &mut self.connections {
            connections.count = 0;
        }
    }
}

fn most_connections(setup: &DeviceSetup) -> u32 {
    2 * u32::from(setup.patience.stuck_after) + SPARE_CONNECTIONS
}

/// Milliseconds in which a device of this setup takes a step forward.
fn patience(setup: &DeviceSetup) -> u64 {
    let answer = u64::from(setup.patience.answer_timeout);
    let silence = 2_000 * u64::from(setup.keep_alive) + u64::from(setup.patience.ping_timeout);
    // If only one of several brokers can be reached, it is tried last.
    let attempts = if setup.cluster { 1 } else { u64::from(setup.endpoints) };
    let connection = answer + silence + CONNECTING + attempts * BACK_OFF;
    let connections = u64::from(setup.patience.stuck_after) + 3;
    let handler = setup.handler.map_or(0, |handler| handler.most);
    let unread = u64::from(setup.patience.unread_timeout);
    let refused = u64::from(setup.patience.refused_after);
    connections * connection + handler + unread + refused + SPARE
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::Progress;
    use crate::{checks::Invariant, setup::Setup, stage::Stage, trace::Trace};

    #[test]
    fn less_work_or_work_that_moves_from_a_client_to_the_broker_is_progress() {
        let devices = Setup::of(0).0.devices;
        let mut progress = Progress::new(&devices);
        let patience = progress.patience;
        assert!(progress.note(1_000, (3, 0)));
        assert!(progress.note(1_000 + patience, (2, 40)));
        assert!(progress.note(1_000 + 2 * patience, (2, 41)));
        assert!(!progress.note(1_001 + 2 * patience, (2, 40)));
    }

    #[test]
    fn too_many_connections_without_progress_are_reported() {
        let devices = Setup::of(0).0.devices;
        let mut progress = Progress::new(&devices);
        let mut trace = Trace::default();
        let mut stage = Stage::new(Rng::with_seed(0), &mut trace);
        let most = super::most_connections(&devices[0]);
        for _ in 0..=most {
            progress.connects(&mut stage, 0, 0);
        }
        assert!(stage.broken.is_none(), "during faults");
        stage.heal();
        for _ in 0..most {
            progress.connects(&mut stage, 0, 0);
        }
        assert!(stage.broken.is_none());
        progress.connects(&mut stage, 0, 0);
        assert_eq!(stage.broken.map(|broken| broken.invariant), Some(Invariant::Convergence));
    }
}
