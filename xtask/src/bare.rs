//! A toolchain for a Cortex-M3, `thumbv7m-none-eabi`. It is the present toolchain if that has the target installed.
//! Otherwise it is the system's own Rust if that has the sources of `core`, which is then built as well.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Log};
use crate::workspace::{Workspace, without_toolchain};
use crate::{path, setup};

/// The bare target.
pub(crate) const TARGET: &str = "thumbv7m-none-eabi";

/// A bare target without compare-and-swap: code that needs it does not compile.
pub(crate) const WITHOUT_CAS: &str = "thumbv6m-none-eabi";

/// Debian's Rust for building web browsers: recent, with sources.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A toolchain that builds for the bare target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// The one that runs this program, with the target installed.
    Installed,
    /// `/usr/bin/cargo`, with `core` built from its sources.
    System,
}

impl Bare {
    /// A toolchain that is here, or is installed if that is allowed. An error says how to get one.
    pub(crate) fn reach(
        workspace: &Workspace,
        log: &Log,
        may_install: bool,
    ) -> Result<Self, String> {
        if let Some(found) = Self::at_hand(workspace) {
            return Ok(found);
        }
        let tried = setup::install_debian(workspace, log, DEBIAN, may_install);
        Self::at_hand(workspace).ok_or_else(|| {
            let mut why = format!("{TARGET} is not at hand: run rustup target add {TARGET}");
            if let Err(tried) = tried {
                why = format!("{why}, or ({tried})");
            }
            why
        })
    }

    fn at_hand(workspace: &Workspace) -> Option<Self> {
        if is_installed(workspace, TARGET) {
            return Some(Self::Installed);
        }
        let mut ask = workspace.program("/usr/bin/rustc");
        without_toolchain(&mut ask);
        let sysroot = shell::ask(ask.args(["--print", "sysroot"]))?;
        let sources = PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/core");
        let mut ask = workspace.program("/usr/bin/rustc");
        without_toolchain(&mut ask);
        let recent = shell::ask(ask.arg("--version")).is_some_and(|line| is_recent(&line));
        let complete = sources.is_dir()
            && recent
            && Path::new("/usr/bin/cargo").is_file()
            && path::find("ld.lld").is_some();
        complete.then_some(Self::System)
    }

    /// Whether it builds for another bare target as well.
    pub(crate) fn has(self, workspace: &Workspace, target: &str) -> bool {
        match self {
            Self::Installed => is_installed(workspace, target),
            Self::System => true,
        }
    }

    /// `cargo <verb> --target thumbv7m-none-eabi`, which builds in `target/xtask/<name>`. Programs are linked by the
    /// script of `cortex-m-rt`.
    pub(crate) fn cargo(self, workspace: &Workspace, verb: &str, name: &str) -> Command {
        self.cargo_for(TARGET, workspace, verb, name)
    }

    /// The same for another target.
    pub(crate) fn cargo_for(
        self,
        target: &str,
        workspace: &Workspace,
        verb: &str,
        name: &str,
    ) -> Command {
        let mut rustflags = String::from("-C link-arg=-Tlink.x");
        let mut command = match self {
            Self::Installed => workspace.cargo(),
            Self::System => {
                let mut command = workspace.program("/usr/bin/cargo");
                without_toolchain(&mut command);
                rustflags.push_str(" -C linker=ld.lld");
                let path = std::iter::once(PathBuf::from("/usr/bin")).chain(path::search_path());
                if let Ok(path) = std::env::join_paths(path) {
                    command.env("PATH", path);
                }
                // `-Zbuild-std` is for nightly compilers. With this variable any compiler takes it.
                command.env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command.arg(verb).args(["--target", target]).env("RUSTFLAGS", rustflags);
        if self == Self::System {
            command.arg("-Zbuild-std=core,alloc");
        }
        command.env("CARGO_TARGET_DIR", workspace.target.join("xtask").join(name));
        command
    }

    /// For the console.
    pub(crate) fn describe(self, workspace: &Workspace) -> String {
        let mut rustc = match self {
            Self::Installed => workspace.program("rustc"),
            Self::System => workspace.program("/usr/bin/rustc"),
        };
        if self == Self::System {
            without_toolchain(&mut rustc);
        }
        let version = shell::ask(rustc.arg("--version")).unwrap_or_default();
        let version = version.split(" (").next().unwrap_or_default();
        match self {
            Self::Installed => format!("{version} with its installed {TARGET}"),
            Self::System => format!("{version} of /usr/bin with core built from source"),
        }
    }
}

/// Whether the toolchain that runs this program has the target.
fn is_installed(workspace: &Workspace, target: &str) -> bool {
    let mut ask = workspace.program("rustc");
    let libraries = shell::ask(ask.args(["--print", "target-libdir", "--target", target]));
    libraries.is_some_and(|dir| Path::new(&dir).is_dir())
}

/// Whether `rustc --version` says 1.85 or later, the first with edition 2024.
fn is_recent(version: &str) -> bool {
    version
        .strip_prefix("rustc 1.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 85)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_without_edition_2024_are_too_old() {
        assert!(is_recent("rustc 1.85.0 (abc 2025-02-17)"));
        assert!(is_recent("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"));
        assert!(!is_recent("rustc 1.63.0"));
        assert!(!is_recent(""));
    }
}
