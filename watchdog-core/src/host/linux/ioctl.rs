//! The requests of include/uapi/linux/watchdog.h, by ioctl. The only file of this crate with unsafe code.
//!
//! Why it is sound: the kernel's header fixes the type behind each request, and the number of a request contains the
//! size of this type. The tests compare each number, and the layout of `watchdog_info`, with the result of a C compiler
//! for the header. A file that is not a watchdog rejects the numbers (`ENOTTY`). MIDI devices use the letter `W`, too
//! (`sound/asound.h`); they accept only requests of the same size, and write no more than this size.
#![expect(unsafe_code, reason = "the watchdog API of the kernel is made of ioctls; see above")]

use std::fs::File;
use std::io;

use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

const GET_SUPPORT: Opcode = opcode::read::<WatchdogInfo>(b'W', 0);
const GET_STATUS: Opcode = opcode::read::<i32>(b'W', 1);
const GET_BOOT_STATUS: Opcode = opcode::read::<i32>(b'W', 2);
const SET_TIMEOUT: Opcode = opcode::read_write::<i32>(b'W', 6);
const GET_TIMEOUT: Opcode = opcode::read::<i32>(b'W', 7);
const SET_PRETIMEOUT: Opcode = opcode::read_write::<i32>(b'W', 8);
const GET_PRETIMEOUT: Opcode = opcode::read::<i32>(b'W', 9);
const GET_TIME_LEFT: Opcode = opcode::read::<i32>(b'W', 10);

/// `struct watchdog_info`. Every bit pattern is valid.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchdogInfo {
    pub(super) options: u32,
    pub(super) firmware_version: u32,
    pub(super) identity: [u8; 32],
}

pub(super) fn support(file: &File) -> io::Result<WatchdogInfo> {
    // SAFETY: GET_SUPPORT writes a `struct watchdog_info`, and `WatchdogInfo` has the same layout.
    Ok(unsafe { ioctl(file, Getter::<GET_SUPPORT, WatchdogInfo>::new()) }?)
}

pub(super) fn status(file: &File) -> io::Result<i32> {
    get::<GET_STATUS>(file)
}

pub(super) fn boot_status(file: &File) -> io::Result<i32> {
    get::<GET_BOOT_STATUS>(file)
}

pub(super) fn timeout(file: &File) -> io::Result<i32> {
    get::<GET_TIMEOUT>(file)
}

pub(super) fn pretimeout(file: &File) -> io::Result<i32> {
    get::<GET_PRETIMEOUT>(file)
}

pub(super) fn time_left(file: &File) -> io::Result<i32> {
    get::<GET_TIME_LEFT>(file)
}

/// Returns the actual time-out.
pub(super) fn set_timeout(file: &File, seconds: i32) -> io::Result<i32> {
    update::<SET_TIMEOUT>(file, seconds)
}

/// Returns the actual pretimeout.
pub(super) fn set_pretimeout(file: &File, seconds: i32) -> io::Result<i32> {
    update::<SET_PRETIMEOUT>(file, seconds)
}

/// `REQUEST` is one of the requests above that write one `int`.
fn get<const REQUEST: Opcode>(file: &File) -> io::Result<i32> {
    // SAFETY: the request writes one `int`, and an `int` is an `i32` on every Linux.
    Ok(unsafe { ioctl(file, Getter::<REQUEST, i32>::new()) }?)
}

/// `REQUEST` is one of the requests above that read one `int` and write it.
fn update<const REQUEST: Opcode>(file: &File, mut value: i32) -> io::Result<i32> {
    // SAFETY: the request reads and writes one `int`, and nothing else accesses `value` during the call.
    unsafe { ioctl(file, Updater::<REQUEST, i32>::new(&mut value)) }?;
    Ok(value)
}

#[cfg(test)]
mod tests;
