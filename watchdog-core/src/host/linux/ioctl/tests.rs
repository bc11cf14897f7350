//! The numbers and the layout, compared with the kernel's header as a C compiler reads it.

use std::format;
use std::path::Path;
use std::process::Command;
use std::string::String;

use super::*;

/// The value of each C expression as an unsigned long, computed by `cc` with the kernel's header. `None`: this machine
/// has no compiler or no header.
fn in_c(expressions: &[&str]) -> Option<std::vec::Vec<u64>> {
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("numbers.c");
    let mut program = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/watchdog.h>\nint main(void) {\n",
    );
    for expression in expressions {
        program += &format!("printf(\"%lu\\n\", (unsigned long)({expression}));\n");
    }
    program += "return 0; }\n";
    std::fs::write(&source, program).expect("it can be written");
    let binary = dir.path().join("numbers");
    let built = Command::new("cc").arg(&source).arg("-o").arg(&binary).output();
    match built {
        Ok(output) if output.status.success() => {}
        Ok(output) if Path::new("/usr/include/linux/watchdog.h").exists() => {
            panic!("cc: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(_) | Err(_) => {
            std::eprintln!("SKIPPED: no C compiler or no <linux/watchdog.h> (linux-libc-dev)");
            return None;
        }
    }
    let output = Command::new(&binary).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("numbers");
    Some(text.lines().map(|line| line.parse().expect("a number")).collect())
}

#[test]
fn request_numbers_are_equal_to_the_kernel_header() {
    let Some(numbers) = in_c(&[
        "WDIOC_GETSUPPORT",
        "WDIOC_GETSTATUS",
        "WDIOC_GETBOOTSTATUS",
        "WDIOC_SETTIMEOUT",
        "WDIOC_GETTIMEOUT",
        "WDIOC_SETPRETIMEOUT",
        "WDIOC_GETPRETIMEOUT",
        "WDIOC_GETTIMELEFT",
    ]) else {
        return;
    };
    let ours = [
        GET_SUPPORT,
        GET_STATUS,
        GET_BOOT_STATUS,
        SET_TIMEOUT,
        GET_TIMEOUT,
        SET_PRETIMEOUT,
        GET_PRETIMEOUT,
        GET_TIME_LEFT,
    ];
    assert_eq!(numbers, ours.map(u64::from));
}

#[test]
fn watchdog_info_has_the_layout_of_the_kernel_header() {
    let Some(numbers) = in_c(&[
        "sizeof(struct watchdog_info)",
        "_Alignof(struct watchdog_info)",
        "offsetof(struct watchdog_info, options)",
        "offsetof(struct watchdog_info, firmware_version)",
        "offsetof(struct watchdog_info, identity)",
        "sizeof(int)",
    ]) else {
        return;
    };
    let ours = [
        size_of::<WatchdogInfo>(),
        align_of::<WatchdogInfo>(),
        core::mem::offset_of!(WatchdogInfo, options),
        core::mem::offset_of!(WatchdogInfo, firmware_version),
        core::mem::offset_of!(WatchdogInfo, identity),
        size_of::<i32>(),
    ];
    assert_eq!(numbers, ours.map(|size| size as u64));
}

#[test]
fn option_bits_are_equal_to_the_kernel_header() {
    use super::super::Options;
    let Some(numbers) = in_c(&[
        "WDIOF_OVERHEAT",
        "WDIOF_FANFAULT",
        "WDIOF_EXTERN1",
        "WDIOF_EXTERN2",
        "WDIOF_POWERUNDER",
        "WDIOF_CARDRESET",
        "WDIOF_POWEROVER",
        "WDIOF_SETTIMEOUT",
        "WDIOF_MAGICCLOSE",
        "WDIOF_PRETIMEOUT",
        "WDIOF_ALARMONLY",
        "WDIOF_KEEPALIVEPING",
    ]) else {
        return;
    };
    let ours = [
        Options::OVERHEAT,
        Options::FAN_FAULT,
        Options::EXTERN_1,
        Options::EXTERN_2,
        Options::POWER_UNDER,
        Options::CARD_RESET,
        Options::POWER_OVER,
        Options::SET_TIMEOUT,
        Options::MAGIC_CLOSE,
        Options::PRETIMEOUT,
        Options::ALARM_ONLY,
        Options::KEEPALIVE_PING,
    ];
    assert_eq!(numbers, ours.map(|option| u64::from(option.bits())));
}
