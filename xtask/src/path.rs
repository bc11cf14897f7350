//! Where programs are found.

use std::env;
use std::path::{Path, PathBuf};

/// Where programs are looked for: the path, then the folders of the administrator's tools, which a user's path lacks.
/// Debian keeps `mosquitto` in `/usr/sbin`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    for dir in ["/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/sbin"] {
        if !dirs.iter().any(|known| known == Path::new(dir)) {
            dirs.push(PathBuf::from(dir));
        }
    }
    dirs
}

/// The program's full path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}
