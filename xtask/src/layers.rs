//! Imports point down: a file names only files below it. For `cargo xtask test`.
//!
//! A file or folder beside the root of a library is a room, and the table below lists the rooms from bottom to top.
//! Inside of a room, a file and the files of its folder may name each other. All other imports there must not lead in a
//! circle.

mod map;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::imports;
use crate::workspace::Workspace;
use map::{Import, Map};

/// A crate and its rooms.
struct Library {
    /// The folder of its sources.
    sources: &'static str,
    /// From bottom to top: a room names only those before it. The root of the crate is above all.
    rooms: &'static [&'static str],
}

#[rustfmt::skip] // It would give each room a line.
const LIBRARIES: &[Library] = &[
    Library {
        sources: "mqtt-core/src",
        rooms: &[
            "time", "log", "timers", "reconnect", "topic", "codec", "framer", "handle", "source", "error", "session",
            "event", "machine", "options", "shared", "client", "driver",
        ],
    },
    Library {
        sources: "watchdog-core/src",
        rooms: &[
            "time", "sync", "log", "report", "name", "rules", "bite", "hardware", "chips", "plan", "task",
            "clock", "ticks", "countdown", "intervals", "record", "view", "external", "supervisor", "guard", "host",
        ],
    },
    Library {
        sources: "tests/kit/src",
        rooms: &[
            "certificates", "terminal", "wire", "record", "text", "drive", "script", "mutation", "command_line",
        ],
    },
    Library {
        sources: "fuzz/bodies/src",
        rooms: &["input", "topic", "decode", "client", "records", "watchdog"],
    },
    Library {
        sources: "xtask/src",
        rooms: &[
            "cli", "elf", "imports", "tally", "path", "workspace", "last", "shell", "setup", "bare", "steps",
            "bugs", "mutated", "checkers", "sim", "model", "mutations", "layers", "no_std",
            "hal", "footprint", "fuzz", "kill", "bench", "brokers", "test",
        ],
    },
];

/// Checks every library; gives the totals, or one line for each wrong import.
pub(crate) fn check(workspace: &Workspace) -> Result<String, String> {
    let (mut files, mut rooms, mut wrong) = (0, 0, Vec::new());
    for library in LIBRARIES {
        let sources = read(&workspace.root, Path::new(library.sources))?;
        files += sources.len();
        rooms += library.rooms.len();
        wrong.extend(wrong_in(library, &sources)?);
    }
    if wrong.is_empty() {
        Ok(format!("{files} files in {rooms} rooms"))
    } else {
        Err(format!("imports do not point down\n    {}", wrong.join("\n    ")))
    }
}

/// The files below `folder`, with their content.
fn read(root: &Path, folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let path = folder.join(name);
        if root.join(&path).is_dir() {
            files.append(&mut read(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(root.join(&path)).map_err(failed)?;
            files.insert(path.to_string_lossy().replace('\\', "/"), source);
        }
    }
    Ok(files)
}

/// Everything that is wrong in a library whose files are `files`.
fn wrong_in(library: &Library, files: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut modules = Vec::new();
    for (file, source) in files {
        let path = module_path(library.sources, file);
        modules.extend(imports::read(file, &path, source)?);
    }
    let for_tests = modules.iter().flat_map(|module| {
        module.for_tests.iter().map(|name| [&*module.path, std::slice::from_ref(name)].concat())
    });
    let for_tests: Vec<Vec<String>> = for_tests.collect();
    modules.retain(|module| !for_tests.iter().any(|tests| module.path.starts_with(tests)));
    let map = Map::new(&modules);
    let imports = map.imports();
    let mut wrong = table_errors(library, &map);
    wrong.extend(circles(&imports).map(|(import, why)| import.line(&why)));
    wrong.extend(imports.iter().filter_map(|import| upward(library, import)));
    Ok(wrong)
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`; the root has no name.
fn module_path(sources: &str, file: &str) -> Vec<String> {
    let inner = file.strip_prefix(sources).unwrap_or(file).trim_start_matches('/');
    let stem = inner.strip_suffix(".rs").unwrap_or(inner);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

/// Files without a room, rooms without a file.
fn table_errors(library: &Library, map: &Map<'_>) -> Vec<String> {
    let Library { sources, rooms } = library;
    let mut errors = Vec::new();
    for module in map.modules() {
        let room = module.home.first();
        if room.is_some_and(|room| !rooms.contains(&room.as_str())) {
            errors.push(format!("{} is in no room (table: xtask/src/layers.rs)", module.file));
        }
    }
    for room in *rooms {
        if !map.has(&[(*room).to_owned()]) {
            errors.push(format!("{sources} has no room {room} (table: xtask/src/layers.rs)"));
        }
    }
    errors.dedup();
    errors
}

/// The line that says why `import` does not point down, if it leads from room to room and does not.
fn upward(library: &Library, import: &Import<'_>) -> Option<String> {
    let height = |room: &str| library.rooms.iter().position(|known| *known == room);
    let from = import.from.home.first()?;
    let Some(to) = import.to.home.first() else {
        return Some(import.line("rooms: the root is above all"));
    };
    // `table_errors` reports a file without a room.
    let (below, above) = (height(from)?, height(to)?);
    (below < above).then(|| import.line(&format!("rooms: {from} is below {to}")))
}

/// Imports between files of one room that lead in a circle, and the circle.
fn circles<'a>(imports: &'a [Import<'a>]) -> impl Iterator<Item = (&'a Import<'a>, String)> {
    imports.iter().filter_map(move |import| {
        let (room, from, to) = import.inside_room()?;
        // All files of this room that imports lead to, step by step, from the one named here.
        let mut reached = BTreeSet::from([to]);
        let mut more = true;
        while more {
            let next = imports.iter().filter_map(Import::inside_room);
            let next = next.filter(|(other, _, _)| *other == room);
            let next: Vec<&str> =
                next.filter(|(_, from, _)| reached.contains(from)).map(|(_, _, to)| to).collect();
            let before = reached.len();
            reached.extend(next);
            more = reached.len() > before;
        }
        let why = || format!("circle in {}: {to} leads back to {from}", room.join("::"));
        reached.contains(from).then(|| (import, why()))
    })
}

#[cfg(test)]
mod tests;
