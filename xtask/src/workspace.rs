//! Where things are, and how cargo is called.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Variables that `cargo run` sets for this program. Its children do not get them: a build script that reads one would
/// run again, and another toolchain would use this one's compiler.
const SET_BY_CARGO: &[&str] = &[
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// Variables that select a toolchain or give it flags.
const TOOLCHAIN: &[&str] = &[
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// The repository and its build directory.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds, absolute.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this program belongs to.
    pub(crate) fn find() -> Result<Self, String> {
        // `cargo run` sets it. If the program is started by hand, the folder of its sources counts.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .filter(|root| root.join("Cargo.toml").is_file())
            .ok_or_else(|| format!("no workspace above {}", manifest.display()))?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir).map_err(|error| error.to_string())?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The cargo that started this program, in the root folder.
    pub(crate) fn cargo(&self) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.program(program);
        command.env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The cargo of another toolchain of rustup.
    pub(crate) fn rustup(&self, toolchain: &str) -> Command {
        let mut command = self.program("rustup");
        without_toolchain(&mut command);
        command.args(["run", toolchain, "cargo"]).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// A program, in the root folder, with the tools of the system's administrator in its path.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TERM_COLOR", "never");
        if let Ok(path) = env::join_paths(crate::path::search_path()) {
            command.env("PATH", path);
        }
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || SET_BY_CARGO.contains(&&*text) {
                command.env_remove(&name);
            }
        }
        command
    }

    /// A folder in the build directory for the files of these commands.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, String> {
        let dir = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(dir)
    }
}

/// Removes every variable that selects a toolchain or gives it flags.
pub(crate) fn without_toolchain(command: &mut Command) {
    for name in TOOLCHAIN {
        command.env_remove(name);
    }
}
