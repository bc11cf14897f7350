//! The modules of a crate, and which of them takes which names from which: a name counts for the file that defines it,
//! however many files pass it on.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Module;

/// The names that one file takes from another.
pub(super) struct Import<'a> {
    pub(super) from: &'a Module,
    pub(super) to: &'a Module,
    names: BTreeSet<String>,
}

impl Import<'_> {
    /// The line for the reader.
    pub(super) fn line(&self, why: &str) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        // The folder of the sources need not be said twice.
        let to = self.to.file.split_once("/src/").map_or(&*self.to.file, |(_, file)| file);
        format!("{} -> {to}: {} ({why})", self.from.file, names.join(", "))
    }

    /// The innermost room that holds both files, and the parts of it that hold one of them each. `None` if that room is
    /// the crate, which has a table, or if one of the files is the parent of the other.
    pub(super) fn inside_room(&self) -> Option<(&[String], &str, &str)> {
        let (from, to) = (&self.from.home, &self.to.home);
        let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        let (room, from, to) = (from.get(..common)?, from.get(common)?, to.get(common)?);
        (!room.is_empty()).then_some((room, from.as_str(), to.as_str()))
    }
}

/// The modules of a crate by path.
pub(super) struct Map<'a>(BTreeMap<&'a [String], &'a Module>);

/// The longest chain of re-exports that is followed.
const DEPTH: u8 = 8;

impl<'a> Map<'a> {
    pub(super) fn new(modules: &'a [Module]) -> Self {
        Self(modules.iter().map(|module| (module.path.as_slice(), module)).collect())
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &'a Module> {
        self.0.values().copied()
    }

    /// Whether there is a module with this path.
    pub(super) fn has(&self, path: &[String]) -> bool {
        self.0.contains_key(path)
    }

    /// Who takes which names from whom, by file.
    pub(super) fn imports(&self) -> Vec<Import<'a>> {
        let mut imports: BTreeMap<(&str, &str), Import<'a>> = BTreeMap::new();
        for from in self.modules() {
            for path in &from.paths {
                let Some((to, name)) = self.resolve(from, path, DEPTH) else { continue };
                if from.file != to.file {
                    imports
                        .entry((&from.file, &to.file))
                        .or_insert_with(|| Import { from, to, names: BTreeSet::new() })
                        .names
                        .insert(name);
                }
            }
        }
        imports.into_values().collect()
    }

    /// The module that defines the thing called `path` in `scope`, and the name there. `None` if another crate does.
    fn resolve(
        &self,
        scope: &'a Module,
        path: &[String],
        depth: u8,
    ) -> Option<(&'a Module, String)> {
        let depth = depth.checked_sub(1)?;
        let (first, behind) = path.split_first()?;
        let (mut at, mut rest) = (scope, path);
        match first.as_str() {
            "crate" => (at, rest) = (*self.0.get([].as_slice())?, behind),
            "self" => rest = behind,
            "super" => {}
            _ if self.child(scope, first).is_some() => {}
            _ => {
                let (_, used) = scope.uses.iter().find(|(name, _)| name == first)?;
                return self.resolve(scope, &[used, behind].concat(), depth);
            }
        }
        let mut name = "crate";
        while let Some((part, behind)) = rest.split_first() {
            name = part;
            at = match part.as_str() {
                "super" => *self.0.get(at.path.split_last()?.1)?,
                _ => match self.child(at, part) {
                    Some(child) => child,
                    None => return Some(self.defined(at, part, behind, depth)),
                },
            };
            rest = behind;
        }
        Some((at, name.to_owned()))
    }

    fn child(&self, module: &Module, name: &str) -> Option<&'a Module> {
        let path: Vec<String> = module.path.iter().cloned().chain([name.to_owned()]).collect();
        self.0.get(path.as_slice()).copied()
    }

    /// The module that defines the item called `name` in `at`.
    fn defined(
        &self,
        at: &'a Module,
        name: &str,
        behind: &[String],
        depth: u8,
    ) -> (&'a Module, String) {
        let used = at.uses.iter().filter(|(used, _)| used == name);
        let used = used.map(|(_, path)| [path, behind].concat());
        // A glob is followed if the module that it names knows the name.
        let globs = at.globs.iter().filter(|_| !at.definitions.contains(name));
        let globs = globs.filter(|glob| {
            self.resolve(at, glob, depth).is_some_and(|(module, _)| module.knows(name))
        });
        let globs = globs.map(|glob| [glob, [name.to_owned()].as_slice(), behind].concat());
        let mut ways = used.chain(globs).filter_map(|path| self.resolve(at, &path, depth));
        ways.next().unwrap_or_else(|| {
            let exporter = self.modules().find(|module| module.exports.contains(name));
            let exporter =
                exporter.filter(|_| at.path.is_empty() && !at.definitions.contains(name));
            (exporter.unwrap_or(at), name.to_owned())
        })
    }
}

impl Module {
    fn knows(&self, name: &str) -> bool {
        self.definitions.contains(name) || self.uses.iter().any(|(used, _)| used == name)
    }
}
