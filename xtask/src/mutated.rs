//! The mutated copy of the workspace: its sources with every bug on purpose applied, in a folder of the build
//! directory. Only this copy has the bugs; the library that users get has no trace of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bugs::{self, Bug, FOLDER};
use crate::shell::{self, Log};
use crate::workspace::Workspace;

/// The module that chooses among the bugs, in [`FOLDER`] and then in the copy.
const CHOOSER: &str = "mutation.rs";
/// The sources of the library that gets the chooser.
const LIBRARY: &str = "mqtt-core/src";

/// The folder of the copy, and its build directory. Both outlast a run, so that the next run builds only changed files.
pub(crate) struct Mutated {
    /// The root folder of the copy.
    pub(crate) root: PathBuf,
    /// Its build directory.
    pub(crate) target: PathBuf,
}

/// Brings the copy up to date.
pub(crate) fn prepare(workspace: &Workspace, log: &Log) -> Result<Mutated, String> {
    let root = workspace.scratch("mutations/workspace")?;
    let target = workspace.scratch("mutations/target")?;
    with_fresh(workspace, log, |fresh| {
        update(fresh, &root).map_err(|error| format!("{}: {error}", root.display()))
    })?;
    Ok(Mutated { root, target })
}

/// Checks that every patch applies; gives the bugs.
pub(crate) fn check(workspace: &Workspace, log: &Log) -> Result<Vec<Bug>, String> {
    with_fresh(workspace, log, |_| Ok(()))?;
    bugs::all(workspace)
}

/// Makes a fresh copy with all bugs for as long as `use_it` runs.
fn with_fresh(
    workspace: &Workspace,
    log: &Log,
    use_it: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    // Tests of this program run at the same time as each other.
    let fresh = workspace.scratch(&format!("mutations/fresh-{}", std::process::id()))?;
    let result = fill(workspace, log, &fresh).and_then(|()| use_it(&fresh));
    fs::remove_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    result
}

fn fill(workspace: &Workspace, log: &Log, fresh: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", fresh.display());
    let bugs = bugs::all(workspace)?;
    for file in sources(workspace)? {
        let (from, to) = (workspace.root.join(&file), fresh.join(&file));
        // A file that was deleted is listed until the deletion is committed.
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap_or(fresh)).map_err(failed)?;
            fs::copy(from, to).map_err(failed)?;
        }
    }
    let mut stale = Vec::new();
    for bug in &bugs {
        stale.extend(apply(workspace, log, bug, fresh)?);
    }
    if !stale.is_empty() {
        return Err(format!("{} ({FOLDER}/README.md says how to renew it)", stale.join("\n")));
    }
    add_chooser(&bugs, fresh).map_err(failed)
}

/// All that git tracks or would track.
fn sources(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut git = workspace.program("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]);
    let list = shell::ask(git.arg("--exclude-standard")).ok_or("git cannot list the sources")?;
    Ok(list.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect())
}

/// Applies one patch; gives why it cannot be applied, if so.
fn apply(
    workspace: &Workspace,
    log: &Log,
    bug: &Bug,
    root: &Path,
) -> Result<Option<String>, String> {
    let mut git = workspace.program("git");
    // The copy is in a folder that the repository ignores: git must not see it as part of the repository.
    git.current_dir(root).env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root));
    // Two equal lines on each side are enough, at any place in the file.
    git.args(["apply", "--verbose", "--recount", "-C2"]).arg(&bug.path);
    let ran = log.run(&mut git)?;
    Ok(if ran.ok { None } else { Some(refusal(bug, &ran.text)) })
}

/// Why git did not apply the patch, from its output.
fn refusal(bug: &Bug, output: &str) -> String {
    let file = &bug.file;
    let place = output.lines().find_map(|line| line.strip_prefix("error: patch failed: "));
    if let Some((source, line)) = place.and_then(|place| place.rsplit_once(':')) {
        let hunk = bugs::hunk_at(&bug.patch, source, line)
            .map_or_else(String::new, |hunk| format!("hunk {hunk}, "));
        return format!("{file} does not apply to {source}: {hunk}made for line {line}");
    }
    let error = output.lines().rev().find_map(|line| line.strip_prefix("error: "));
    format!("{file} does not apply: {}", error.unwrap_or("git says no reason"))
}

/// Adds the module that chooses among the bugs to the library.
fn add_chooser(bugs: &[Bug], root: &Path) -> std::io::Result<()> {
    let names: Vec<&str> = bugs.iter().map(|bug| bug.name.as_str()).collect();
    let chooser = fs::read_to_string(root.join(FOLDER).join(CHOOSER))?;
    let library = root.join(LIBRARY);
    fs::write(library.join(CHOOSER), format!("{chooser}bugs! {{ {} }}\n", names.join(", ")))?;
    let lib = fs::read_to_string(library.join("lib.rs"))?;
    fs::write(library.join("lib.rs"), format!("{lib}\n#[doc(hidden)]\npub mod mutation;\n"))
}

/// Makes `to` the same as `from`. Equal files keep their dates: cargo builds files with new ones.
fn update(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let old = entry?.path();
        let new = from.join(old.file_name().unwrap_or_default());
        if old.is_dir() && !new.is_dir() {
            fs::remove_dir_all(old)?;
        } else if old.is_file() && !new.is_file() {
            fs::remove_file(old)?;
        }
    }
    for entry in fs::read_dir(from)? {
        let new = entry?.path();
        let old = to.join(new.file_name().unwrap_or_default());
        if new.is_dir() {
            update(&new, &old)?;
            continue;
        }
        let content = fs::read(&new)?;
        if fs::read(&old).ok().as_ref() != Some(&content) {
            fs::write(&old, content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(test: &str) -> (Workspace, Log) {
        let workspace = Workspace::find().expect("a workspace");
        let log = format!("mutated-{test}-{}", std::process::id());
        let log = Log::create(&workspace, &log, false).expect("a log");
        (workspace, log)
    }

    /// An empty folder that is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(workspace: &Workspace, name: &str) -> Self {
            let name = format!("mutations/{name}-{}", std::process::id());
            Self(workspace.scratch(&name).expect("a folder"))
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }

        fn read(&self, file: &str) -> Option<String> {
            fs::read_to_string(self.0.join(file)).ok()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const SOURCE: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
    const PATCH: &str = "\
It is no four.
Breaks a promise.

diff --git a/src/a.rs b/src/a.rs
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,7 +1,7 @@
 one
 two
 three
-four
+4
 five
 six
 seven
";

    /// Applies [`PATCH`] to `source`: the source after that, or why it could not be applied.
    fn applied(name: &str, source: &str) -> Result<String, String> {
        let (workspace, log) = workspace(name);
        let folder = Folder::new(&workspace, name);
        folder.write("src/a.rs", source);
        folder.write("no-four.patch", PATCH);
        let bug = Bug {
            name: "NoFour".to_owned(),
            file: "no-four.patch".to_owned(),
            path: folder.0.join("no-four.patch"),
            head: String::new(),
            patch: PATCH.to_owned(),
        };
        let refused = apply(&workspace, &log, &bug, &folder.0).expect("git runs");
        let _ = fs::remove_file(log.path());
        refused.map_or_else(|| Ok(folder.read("src/a.rs").expect("the source")), Err)
    }

    #[test]
    fn every_patch_applies() {
        let (workspace, log) = workspace("all");
        let checked = check(&workspace, &log);
        let _ = fs::remove_file(log.path());
        assert_eq!(checked.err(), None);
    }

    #[test]
    fn a_patch_applies_after_small_moves() {
        let moved = format!("{}{}", "zero\n".repeat(40), SOURCE.replace("seven", "7"));
        assert_eq!(applied("moved", &moved), Ok(moved.replace("four", "4")));
    }

    #[test]
    fn a_stale_patch_is_reported_with_its_name_file_and_hunk() {
        let error = applied("stale", &SOURCE.replace("four", "FOUR")).expect_err("stale");
        assert_eq!(error, "no-four.patch does not apply to src/a.rs: hunk 1, made for line 1");
        let error = applied("stale", "").expect_err("stale");
        assert!(error.starts_with("no-four.patch does not apply"), "{error}");
    }

    #[test]
    fn an_update_writes_only_what_changed() {
        let (workspace, log) = workspace("update");
        let _ = fs::remove_file(log.path());
        let (from, to) = (Folder::new(&workspace, "from"), Folder::new(&workspace, "to"));
        for (folder, file, text) in [
            (&from, "same", "1"),
            (&from, "deep/changed", "new"),
            (&from, "was-a-folder", "3"),
            (&to, "same", "1"),
            (&to, "deep/changed", "old"),
            (&to, "was-a-folder/gone", "3"),
            (&to, "gone", "4"),
        ] {
            folder.write(file, text);
        }
        let date = |file: &str| fs::metadata(to.0.join(file)).and_then(|data| data.modified()).ok();
        let before = date("same");
        update(&from.0, &to.0).expect("an update");
        assert_eq!(date("same"), before);
        assert_eq!(to.read("deep/changed").as_deref(), Some("new"));
        assert_eq!(to.read("was-a-folder").as_deref(), Some("3"));
        assert_eq!(to.read("gone"), None);
    }
}
