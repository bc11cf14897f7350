//! The byte protocol of Linux watchdogs with a file instead of the device, and sysfs with a directory of the test.
#![cfg(all(target_os = "linux", feature = "std"))]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use watchdog_core::hardware::{Error, ErrorKind, Stop, Watchdog};
use watchdog_core::host::linux::sysfs::Status;
use watchdog_core::host::linux::{LinuxWatchdog, Options, Problem};

/// A file instead of a device, in a directory that is deleted when the first value is dropped.
fn device() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watchdog0");
    fs::write(&path, "").unwrap();
    (dir, path)
}

#[test]
fn each_feed_writes_a_byte_other_than_v_and_the_magic_close_writes_a_v() {
    let (_dir, path) = device();
    let mut dog = LinuxWatchdog::open(&path).unwrap();
    for _ in 0..3 {
        dog.feed().unwrap();
    }
    dog.stop().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"\0\0\0V");
}

#[test]
fn dropping_a_watchdog_writes_no_magic_close() {
    let (_dir, path) = device();
    let mut dog = LinuxWatchdog::open(&path).unwrap();
    dog.feed().unwrap();
    drop(dog);
    assert_eq!(fs::read(&path).unwrap(), b"\0");
}

#[test]
fn the_error_of_opening_names_the_device() {
    let error = LinuxWatchdog::open("/nowhere/watchdog0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(matches!(error.problem(), Problem::Open(_)));
    assert_eq!(error.path(), Path::new("/nowhere/watchdog0"));
    assert_eq!(
        error.to_string(),
        "/nowhere/watchdog0: it cannot be opened: No such file or directory (os error 2)"
    );
}

#[test]
fn a_feed_that_cannot_be_written_is_an_error_and_the_close_gives_the_watchdog_back() {
    const O_NONBLOCK: i32 = 0o4000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Opened for reading without waiting for the writer, so that the writer does not wait either.
    let reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
    let mut dog = LinuxWatchdog::open(&path).unwrap();
    dog.feed().unwrap();
    drop(reader);
    let error = dog.feed().unwrap_err();
    assert!(matches!(error.problem(), Problem::Feed(_)), "{error}");
    let failed = dog.close().unwrap_err();
    assert!(matches!(failed.error.problem(), Problem::Close(_)), "{}", failed.error);
    assert_eq!(failed.watchdog.path(), path);
}

#[test]
fn a_plain_file_is_not_mistaken_for_the_device_of_the_same_name() {
    let (_dir, path) = device();
    let error = Status::of(&path).unwrap_err();
    assert!(error.to_string().contains("it is no device"), "{error}");
    assert_eq!(LinuxWatchdog::open(&path).unwrap().has_no_way_out(), None);
}

#[test]
fn a_device_that_is_not_a_watchdog_has_no_status() {
    let error = Status::of(Path::new("/dev/null")).unwrap_err();
    assert!(
        error.to_string().starts_with("/dev/null: there is no /sys/class/watchdog/null of it: ")
    );
}

#[test]
fn each_readable_value_in_sysfs_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("identity", "Software Watchdog\n"),
        ("state", "inactive\n"),
        ("timeout", "60\n"),
        ("min_timeout", "1\n"),
        ("max_timeout", "65535\n"),
        ("pretimeout", "0\n"),
        ("status", "0x8000\n"),
        ("bootstatus", "32\n"),
        ("nowayout", "1\n"),
        ("timeleft", "not a number\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let status = Status::read(dir.path()).unwrap();
    assert_eq!(status.identity.as_deref(), Some("Software Watchdog"));
    assert_eq!(status.is_active, Some(false));
    assert_eq!(status.timeout, Some(Duration::from_secs(60)));
    assert_eq!(status.min_timeout, Some(Duration::from_secs(1)));
    assert_eq!(status.max_timeout, Some(Duration::from_secs(65_535)));
    assert_eq!(status.pretimeout, Some(Duration::ZERO));
    assert_eq!(status.status, Some(Options::KEEPALIVE_PING));
    assert_eq!(status.boot_status, Some(Options::CARD_RESET));
    assert_eq!(status.no_way_out, Some(true));
    assert_eq!(status.time_left, None);
}

#[test]
fn a_directory_without_any_value_has_no_status() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Status::read(dir.path()), Err(Problem::NoStatus { .. })));
    assert!(matches!(Status::read(Path::new("/nowhere")), Err(Problem::NoStatus { .. })));
}

#[cfg(feature = "linux-ioctl")]
mod by_ioctl {
    use watchdog_core::hardware::{ReadResetCause, Settings, Start, State};
    use watchdog_core::host::linux::Device;

    use super::*;

    #[test]
    fn a_file_that_is_not_a_watchdog_refuses_each_question() {
        let (_dir, path) = device();
        let mut dog = LinuxWatchdog::open(&path).unwrap();
        let path = path.display();
        let says = |what| {
            format!(
                "{path}: it does not report its {what}: Inappropriate ioctl for device (os error 25)"
            )
        };
        assert_eq!(dog.support().unwrap_err().to_string(), says("identity"));
        assert_eq!(dog.status().unwrap_err().to_string(), says("status"));
        assert_eq!(dog.boot_status().unwrap_err().to_string(), says("boot status"));
        assert_eq!(dog.reset_cause().unwrap_err().to_string(), says("boot status"));
        assert_eq!(dog.timeout().unwrap_err().to_string(), says("time-out"));
        assert_eq!(dog.pretimeout().unwrap_err().to_string(), says("pretimeout"));
        assert_eq!(dog.time_left().unwrap_err().to_string(), says("time left"));
        for error in [
            dog.set_timeout(Duration::from_secs(9)).unwrap_err(),
            dog.set_pretimeout(Duration::from_secs(9)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::UnsupportedTimeout);
        }
    }

    #[test]
    fn a_device_whose_time_out_cannot_be_set_is_stopped_again_and_given_back() {
        let (_dir, path) = device();
        let device = Device::new(&path);
        let second = Duration::from_secs(1);
        assert!(device.timeout_range().contains(&second));
        let failed = device.clone().start(Settings::new(second)).unwrap_err();
        assert_eq!(failed.device, device);
        assert_eq!(failed.device.state(), State::Unknown, "a file has no state in sysfs");
        assert_eq!(
            failed.error.to_string(),
            format!(
                "{}: it does not take 1s as its time-out: Inappropriate ioctl for device (os error 25)",
                path.display()
            )
        );
        assert_eq!(fs::read(&path).unwrap(), b"V", "opening had started it");
    }

    #[test]
    fn a_time_out_outside_the_range_does_not_open_the_device() {
        let (_dir, path) = device();
        let failed = Device::new(&path).start(Settings::new(Duration::ZERO)).unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::UnsupportedTimeout);
        assert!(
            failed.error.to_string().ends_with("it takes 1s to 2147483647s"),
            "{}",
            failed.error
        );
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_setting_that_linux_cannot_keep_does_not_open_the_device() {
        let (_dir, path) = device();
        let wanted = Settings::new(Duration::from_secs(9));
        for (settings, what) in [
            (wanted.window(Duration::from_secs(1)), "window"),
            (wanted.pretimeout(Duration::from_secs(1)), "warning before the bite"),
            (wanted.pause_in_sleep(true), "behaviour in sleep"),
        ] {
            let failed = Device::new(&path).start(settings).unwrap_err();
            assert_eq!(failed.error.kind(), ErrorKind::UnsupportedSetting);
            let message = format!("{}: the watchdog has no such {what}", path.display());
            assert_eq!(failed.error.to_string(), message);
        }
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_time_out_too_long_for_the_interface_never_reaches_the_device() {
        let (_dir, path) = device();
        let mut dog = LinuxWatchdog::open(&path).unwrap();
        let error = dog.set_timeout(Duration::from_secs(1 << 31)).unwrap_err();
        assert!(error.to_string().ends_with("more seconds than the interface accepts"), "{error}");
    }
}
