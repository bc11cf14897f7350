//! The bugs on purpose: each is a patch in `xtask/mutations`, and the names come from the files.

use std::fs;
use std::path::PathBuf;

use crate::workspace::Workspace;

/// The folder of the patches, and of the module that chooses among them.
pub(crate) const FOLDER: &str = "xtask/mutations";

/// The head of a patch has a line that starts so, and says which statement or promise the bug breaks.
const BREAKS: &str = "Breaks ";

/// A later line that starts so, with the name of a checker behind it, says why that checker cannot see the bug.
const UNSEEN: &str = "Unseen by the ";

/// A bug on purpose.
#[derive(Debug)]
pub(crate) struct Bug {
    /// `EarlyIdReuse` if the file is `early-id-reuse.patch`.
    pub(crate) name: String,
    /// The file's name.
    pub(crate) file: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// The text in front of the first difference.
    pub(crate) head: String,
    /// The whole file.
    pub(crate) patch: String,
}

impl Bug {
    /// The first line of the head: which bug it is.
    pub(crate) fn about(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Why the checker called `checker` cannot see it; `None` if it can.
    pub(crate) fn unseen_by(&self, checker: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.strip_prefix(UNSEEN));
        lines.find_map(|rest| rest.strip_prefix(checker)?.strip_prefix(": "))
    }
}

/// Every bug, by name.
pub(crate) fn all(workspace: &Workspace) -> Result<Vec<Bug>, String> {
    let folder = workspace.root.join(FOLDER);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = file.strip_suffix(".patch") else { continue };
        let patch = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let head = head(&patch).map_err(|why| format!("{file}: {why}"))?.to_owned();
        bugs.push(Bug { name: name(stem), file, path, head, patch });
    }
    bugs.sort_by(|one, other| one.name.cmp(&other.name));
    if bugs.is_empty() { Err(format!("{FOLDER} holds no patch")) } else { Ok(bugs) }
}

/// `early-id-reuse` as `EarlyIdReuse`.
fn name(stem: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    stem.split('-').filter_map(capitalised).collect()
}

/// The head of a patch.
fn head(patch: &str) -> Result<&str, String> {
    let head = patch.split("diff --git ").next().unwrap_or_default().trim();
    let says = head.lines().skip(1).any(|line| line.starts_with(BREAKS));
    if says {
        Ok(head)
    } else {
        Err(format!("the head has to say which bug it is, and in a later line '{BREAKS}...'"))
    }
}

/// The number of the hunk in `patch` that changes `file` at `line`, counted from 1 in this file.
pub(crate) fn hunk_at(patch: &str, file: &str, line: &str) -> Option<usize> {
    let mut parts = patch.split("\ndiff --git ");
    let part = parts.find(|part| part.contains(&format!("\n--- a/{file}\n")))?;
    let mut hunks = part.lines().filter_map(|text| text.strip_prefix("@@ -"));
    let at = hunks.position(|text| text.split([',', ' ']).next() == Some(line))?;
    Some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
It forgets.
Breaks [MQTT-0.0.0-0].

diff --git a/src/a.rs b/src/a.rs
--- a/src/a.rs
+++ b/src/a.rs
@@ -10,3 +10,3 @@ fn f() {
-x
+y
@@ -45,3 +45,3 @@
-x
+y
diff --git a/src/b.rs b/src/b.rs
--- a/src/b.rs
+++ b/src/b.rs
@@ -45,3 +45,3 @@
";

    #[test]
    fn a_bug_is_named_after_its_file() {
        assert_eq!(name("early-id-reuse"), "EarlyIdReuse");
        assert_eq!(name("one"), "One");
    }

    #[test]
    fn every_bug_says_what_it_breaks() {
        let bugs = Workspace::find().and_then(|workspace| all(&workspace)).expect("patches");
        assert!(bugs.iter().any(|bug| bug.name == "EarlyIdReuse" && bug.about().contains("id")));
        assert_eq!(head(PATCH), Ok("It forgets.\nBreaks [MQTT-0.0.0-0]."));
        let headless = PATCH.trim_start_matches(|c| c != 'd');
        assert!(head(headless).expect_err("no head").contains("Breaks"));
    }

    #[test]
    fn a_bug_may_say_why_a_checker_cannot_see_it() {
        let bug = Bug {
            name: String::new(),
            file: String::new(),
            path: PathBuf::new(),
            head: "It waits.\nBreaks x.\nUnseen by the model checker: it has no time.".to_owned(),
            patch: String::new(),
        };
        assert_eq!(bug.unseen_by("model checker"), Some("it has no time."));
        assert_eq!(bug.unseen_by("simulator"), None);
    }

    #[test]
    fn a_hunk_is_found_by_its_file_and_line() {
        assert_eq!(hunk_at(PATCH, "src/a.rs", "45"), Some(2));
        assert_eq!(hunk_at(PATCH, "src/b.rs", "45"), Some(1));
        assert_eq!(hunk_at(PATCH, "src/b.rs", "10"), None);
    }
}
