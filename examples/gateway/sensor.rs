//! A sensor. Put yours here: implement [`Sensor`], and return it from [`of_kind`].

use std::io;

use crate::config::Kind;

/// Something that is read at an interval, in a thread of its own.
pub trait Sensor: Send {
    /// Takes a reading. It may block, at most for the run that the time budget allows ([`RUN`](crate::budget::RUN)).
    ///
    /// # Errors
    ///
    /// There is no reading. The task of the sensor is not fed then: a sensor that fails until its deadline starves.
    fn measure(&mut self) -> io::Result<f64>;
}

/// The sensor of this kind.
#[must_use]
pub fn of_kind(kind: Kind) -> Box<dyn Sensor> {
    let (middle, swing) = match kind {
        Kind::Temperature => (21.5, 3.0),
        Kind::Pressure => (4.0, 0.5),
        Kind::Level => (60.0, 25.0),
    };
    Box::new(Simulated { middle, swing, phase: 0.0 })
}

/// A value that swings slowly.
#[derive(Clone, Copy, Debug)]
struct Simulated {
    middle: f64,
    swing: f64,
    phase: f64,
}

impl Sensor for Simulated {
    fn measure(&mut self) -> io::Result<f64> {
        self.phase = (self.phase + 0.05) % std::f64::consts::TAU;
        Ok(self.middle + self.swing * self.phase.sin())
    }
}
