//! The adapters of `examples/hal`: each is compiled with its HAL for its device. Lints and the tests of their arithmetic
//! run on this machine.

use crate::bare::{Bare, WITHOUT_CAS};
use crate::steps::{Context, Report};

/// The manifest of their workspace.
const MANIFEST: &str = "examples/hal/Cargo.toml";

/// The target of a Cortex-M4 with floating point.
const WITH_FLOATS: &str = "thumbv7em-none-eabihf";

/// Each package, and the target of its device.
const ADAPTERS: &[(&str, &str)] = &[
    ("watchdog-rp2040", WITHOUT_CAS),
    ("watchdog-samd21", WITHOUT_CAS),
    ("watchdog-nrf52840", WITH_FLOATS),
    ("watchdog-stm32f4", WITH_FLOATS),
];

/// The packages with tests of their arithmetic.
const TESTED: &[&str] = &["watchdog-stm32f4"];

/// Compiles each adapter by itself, because a HAL may have only one device in a build.
pub(crate) fn check(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    let here = |verb: &str, package: &str| {
        let mut cargo = workspace.cargo();
        cargo.args([verb, "--manifest-path", MANIFEST, "-p", package]);
        cargo.env("CARGO_TARGET_DIR", workspace.target.join("xtask").join("hal-host"));
        cargo
    };
    for (package, _) in ADAPTERS {
        context.run(here("clippy", package).args(["--all-targets", "--", "-D", "warnings"]))?;
    }
    let mut passed = 0;
    for package in TESTED {
        passed += context.tests(here("test", package).arg("--lib"))?.passed;
    }
    let toolchain = match Bare::reach(workspace, log, *may_install) {
        Ok(toolchain) => toolchain,
        Err(why) => return Ok(Report::NotRun(why)),
    };
    let (reached, missing): (Vec<_>, Vec<_>) =
        ADAPTERS.iter().partition(|(_, target)| toolchain.has(workspace, target));
    for (package, target) in &reached {
        let mut cargo = toolchain.cargo_for(target, workspace, "check", "hal");
        context.run(cargo.args(["--manifest-path", MANIFEST, "-p", package]))?;
    }
    if let Some((package, target)) = missing.first() {
        return Ok(Report::NotRun(format!("{package}: {target} is not at hand")));
    }
    Ok(Report::Done(format!(
        "{} adapters, {passed} passed; {}",
        reached.len(),
        toolchain.describe(workspace)
    )))
}
