//! The cause of the last reset: [`ResetCause`], and [`ReadResetCause`] for a device that reports it.

use super::ErrorType;

/// The cause of the last reset of the device.
///
/// The flags of some families, by their names in the manuals:
///
/// | cause | STM32 F4, L4, H7 | nRF52, nRF53 | RP2040, RP2350 | SAM D, SAM E | ESP32 | i.MX RT |
/// |---|---|---|---|---|---|---|
/// | [`PowerOn`](Self::PowerOn) | PORRST | no flag | HAD_POR | POR | POWERON | IPP_RESET_B |
/// | [`BrownOut`](Self::BrownOut) | BORRST | no flag | HAD_BOR | BOD12, BOD33, BODCORE, BODVDD | BROWN_OUT | |
/// | [`ExternalPin`](Self::ExternalPin) | PINRST | RESETPIN | HAD_RUN, HAD_RUN_LOW | EXT | EXT | IPP_USER_RESET_B |
/// | [`Watchdog`](Self::Watchdog) | IWDGRST | DOG, DOG0, DOG1 | TIMER | WDT | TG0WDT, TG1WDT, RTCWDT, SUPER_WDT | WDOG_RST_B, WDOG3_RST_B |
/// | [`WindowWatchdog`](Self::WindowWatchdog) | WWDGRST | | | | | |
/// | [`Software`](Self::Software) | SFTRST | SREQ | FORCE | SYST | SW, SW_CPU | LOCKUP_SYSRESETREQ |
/// | [`Lockup`](Self::Lockup) | | LOCKUP | | | | LOCKUP_SYSRESETREQ |
/// | [`WakeUp`](Self::WakeUp) | SBF | OFF, LPCOMP, NFC, VBUS | HAD_SWCORE_PD | BACKUP | DEEPSLEEP | |
/// | [`Debugger`](Self::Debugger) | | DIF, CTRLAP | HAD_PSM_RESTART, HAD_DP_RESET_REQ, HAD_RESCUE | | JTAG, USB_JTAG | JTAG_RST_B, JTAG_SW_RST |
/// | [`ForbiddenSleep`](Self::ForbiddenSleep) | LPWRRST | | | | | |
/// | [`Configuration`](Self::Configuration) | OBLRST | | | NVM | EFUSE | |
/// | [`Security`](Self::Security) | FWRST | | HAD_GLITCH_DETECT | | INTRUSION, GLITCH | CSU_RESET_B |
/// | [`Overheat`](Self::Overheat) | | | | | | TEMPSENSE_RST_B |
/// | [`OtherCore`](Self::OtherCore) | D1RST, D2RST, C1RST, C2RST | LSREQ, LLOCKUP, LDOG, MFORCEOFF | | | EXT_CPU | |
/// | [`Host`](Self::Host) | | | | | SDIO, USB_UART | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResetCause {
    /// The power was switched on.
    PowerOn,
    /// The supply fell too low and recovered.
    BrownOut,
    /// The reset pin, and no other cause. The bite of an external watchdog looks like this.
    ExternalPin,
    /// A built-in watchdog: it was not fed in time.
    Watchdog,
    /// A built-in window watchdog: it was fed too early or too late.
    WindowWatchdog,
    /// The program requested the reset.
    Software,
    /// The core was locked up, by a fault within a fault handler.
    Lockup,
    /// A wake-up from a sleep mode that ends with a reset.
    WakeUp,
    /// A debugger, or the debug interface.
    Debugger,
    /// The program entered a sleep mode that the device's settings forbid: the low-power reset of an STM32.
    ForbiddenSleep,
    /// The device has loaded its settings again, or has found them damaged: option bytes, fuses.
    Configuration,
    /// A protection of the device: a firewall, a detector of tampering or of glitches.
    Security,
    /// The temperature was too high.
    Overheat,
    /// Another core of the device, or its power domain.
    OtherCore,
    /// A host at a bus, such as USB or SDIO.
    Host,
    /// The hardware does not report the cause, or the cause is not in this list.
    Unknown,
}

impl ResetCause {
    /// Whether a built-in watchdog was the cause.
    #[must_use]
    pub const fn is_watchdog(self) -> bool {
        matches!(self, Self::Watchdog | Self::WindowWatchdog)
    }
}

/// A device that reports the cause of its last reset.
///
/// Often several flags are set, because an internal reset pulls the reset pin, too. An implementation returns the
/// innermost cause: a watchdog rather than the pin. Flags usually stay set until they are cleared. An implementation
/// makes sure that a cause does not appear again after the next reset, and that each call until then returns it.
pub trait ReadResetCause: ErrorType {
    /// The cause of the last reset.
    ///
    /// # Errors
    ///
    /// The cause could not be read.
    fn reset_cause(&mut self) -> Result<ResetCause, Self::Error>;
}

impl<T: ReadResetCause + ?Sized> ReadResetCause for &mut T {
    fn reset_cause(&mut self) -> Result<ResetCause, Self::Error> {
        T::reset_cause(self)
    }
}
