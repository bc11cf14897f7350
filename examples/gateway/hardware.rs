//! The hardware behind the verdict: systemd, a Linux watchdog device, both, or none.

use std::time::Duration;

use thiserror::Error;
use watchdog_core::{
    hardware::{self, ErrorKind, ErrorType, Settings, Start, Watchdog},
    host::{
        linux::{Device, LinuxError, LinuxWatchdog},
        systemd::{Service, ServiceWatchdog, SystemdError},
    },
};

use crate::config;

/// An error of the hardware.
#[derive(Debug, Error)]
pub enum HardwareError {
    /// systemd.
    #[error("systemd: {0}")]
    Systemd(#[from] SystemdError),
    /// The device.
    #[error("watchdog.device, {0}")]
    Device(#[from] LinuxError),
}

impl hardware::Error for HardwareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Systemd(error) => error.kind(),
            Self::Device(error) => error.kind(),
        }
    }
}

/// The watchdogs that are fed together.
#[derive(Debug, Default)]
pub struct Hardware {
    service: Option<ServiceWatchdog>,
    device: Option<LinuxWatchdog>,
    /// Of the device, if it is known.
    device_timeout: Option<Duration>,
}

impl Hardware {
    /// Starts the device, if one is configured, and takes the watchdog of the service, if the unit has one.
    ///
    /// # Errors
    ///
    /// [`HardwareError`]: the device is not left running.
    pub fn start(
        config: &config::Watchdog,
        service: Option<&Service>,
    ) -> Result<Self, HardwareError> {
        let mut started = Self::default();
        if let Some(service) = service {
            started.service = service.watchdog()?;
        }
        let Some(path) = &config.device else { return Ok(started) };
        match config.device_timeout {
            Some(timeout) => {
                let device = Device::new(path).start(Settings::new(timeout.duration()));
                let device = device.map_err(|failed| failed.error)?;
                started.device_timeout = Some(device.timeout.typical);
                started.device = Some(device.watchdog);
            }
            None => {
                let device = LinuxWatchdog::open(path)?;
                // Some drivers do not report it. Then the plan cannot check it.
                started.device_timeout = device.timeout().ok();
                started.device = Some(device);
            }
        }
        Ok(started)
    }

    /// The shortest and the longest time-out in milliseconds; `None`: nothing bites, or after an unknown time.
    #[must_use]
    pub fn bites(&self) -> Option<(u32, u32)> {
        let service = self.service.as_ref().map(ServiceWatchdog::timeout);
        let times = service.into_iter().chain(self.device_timeout);
        let millis = times.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        millis.fold(None, |found, time| match found {
            None => Some((time, time)),
            Some((min, max)) => Some((time.min(min), time.max(max))),
        })
    }

    /// What bites, in words.
    #[must_use]
    pub fn text(&self) -> String {
        let service =
            self.service.as_ref().map(|service| format!("systemd after {:?}", service.timeout()));
        let device = self.device.as_ref().map(|device| {
            let after = self.device_timeout;
            let after = after.map_or("an unknown time".into(), |after| format!("{after:?}"));
            format!("{} after {after}", device.path().display())
        });
        let both: Vec<String> = service.into_iter().chain(device).collect();
        if both.is_empty() { "the end of the process alone".into() } else { both.join(", ") }
    }

    /// Stops the device. Without it there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`HardwareError`]: the device goes on, and resets the machine unless something feeds it.
    pub fn stop(self) -> Result<(), HardwareError> {
        match self.device {
            Some(device) => device.close().map_err(|failed| failed.error.into()),
            None => Ok(()),
        }
    }
}

impl ErrorType for Hardware {
    type Error = HardwareError;
}

impl Watchdog for Hardware {
    /// Feeds both. The second one is fed also if the first one cannot be.
    fn feed(&mut self) -> Result<(), HardwareError> {
        let service = self.service.as_mut().map_or(Ok(()), Watchdog::feed);
        self.device.as_mut().map_or(Ok(()), Watchdog::feed)?;
        Ok(service?)
    }
}
