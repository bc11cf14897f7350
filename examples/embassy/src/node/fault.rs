//! Faults on request, to see the watchdog at work. A device has no such file.

use core::cell::Cell;
use core::future::pending;
use core::hint::spin_loop;
use core::str::FromStr;

use embassy_sync::blocking_mutex::CriticalSectionMutex;

/// The fault strikes in this round of its victim.
pub const ROUNDS: u32 = 3;

/// Who can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The first sensor.
    Temperature,
    /// The second sensor.
    Pressure,
    /// The task that carries out commands, at the first one.
    Commands,
    /// The guard itself.
    Guard,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The task waits for ever: `hang:NAME`.
    Hang(Victim),
    /// The task never lets go: `spin:NAME`. Nothing else runs any more.
    Spin(Victim),
    /// The link dies, and nothing mends it: `link`.
    Link,
    /// The link dies, and a restart of the modem mends it: `modem`.
    Modem,
}

/// No fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match text.split_once(':') {
            None if text == "link" => Ok(Self::Link),
            None if text == "modem" => Ok(Self::Modem),
            Some(("hang", name)) => victim(name).map(Self::Hang),
            Some(("spin", name)) => victim(name).map(Self::Spin),
            _ => Err(UnknownFault),
        }
    }
}

fn victim(name: &str) -> Result<Victim, UnknownFault> {
    match name {
        "temperature" => Ok(Victim::Temperature),
        "pressure" => Ok(Victim::Pressure),
        "commands" => Ok(Victim::Commands),
        "guard" => Ok(Victim::Guard),
        _ => Err(UnknownFault),
    }
}

static FAULT: CriticalSectionMutex<Cell<Option<Fault>>> =
    CriticalSectionMutex::new(Cell::new(None));
static RADIO: CriticalSectionMutex<Cell<Radio>> =
    CriticalSectionMutex::new(Cell::new(Radio::Alive));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Radio {
    Alive,
    Dead,
    DeadUntilRestart,
}

/// This fault is to strike.
pub fn inject(fault: Fault) {
    FAULT.lock(|cell| cell.set(Some(fault)));
}

/// The fault strikes `victim` if it is meant, in its round [`ROUNDS`]. A fault of the link strikes with the first sensor.
pub(super) async fn strike(victim: Victim, round: u32) {
    let fault = FAULT.lock(Cell::get);
    let Some(fault) = fault.filter(|_| round == ROUNDS) else { return };
    match fault {
        Fault::Hang(of) if of == victim => {
            log::warn!("fault: {victim:?} hangs");
            pending::<()>().await;
        }
        Fault::Spin(of) if of == victim => {
            log::warn!("fault: {victim:?} spins");
            loop {
                spin_loop();
            }
        }
        Fault::Link if victim == Victim::Temperature => {
            log::warn!("fault: the link is dead");
            RADIO.lock(|radio| radio.set(Radio::Dead));
        }
        Fault::Modem if victim == Victim::Temperature => {
            log::warn!("fault: the link is dead until the modem is restarted");
            RADIO.lock(|radio| radio.set(Radio::DeadUntilRestart));
        }
        Fault::Hang(_) | Fault::Spin(_) | Fault::Link | Fault::Modem => {}
    }
}

/// Whether the link carries no byte.
#[must_use]
pub fn is_radio_dead() -> bool {
    RADIO.lock(|radio| radio.get() != Radio::Alive)
}

/// The modem was restarted.
pub fn restarted() {
    RADIO.lock(|radio| {
        if radio.get() == Radio::DeadUntilRestart {
            radio.set(Radio::Alive);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_from_text_and_nothing_else_is_a_fault() {
        assert_eq!("hang:pressure".parse(), Ok(Fault::Hang(Victim::Pressure)));
        assert_eq!("spin:guard".parse(), Ok(Fault::Spin(Victim::Guard)));
        assert_eq!(("link".parse(), "modem".parse()), (Ok(Fault::Link), Ok(Fault::Modem)));
        for text in ["", "hang", "hang:", "hang:link", "spin:Guard", "link:guard", "LINK"] {
            assert_eq!(text.parse::<Fault>(), Err(UnknownFault), "{text:?}");
        }
    }
}
