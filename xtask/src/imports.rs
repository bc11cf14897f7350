//! The names that a source file takes from the other files of its crate.
//!
//! Reads tokens, so comments, doc links and strings do not count. Paths count if they start with `crate`, `super` or
//! `self`, also inside of macros, and all paths of a `use`. Items for tests alone do not count.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A module as its source shows it.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Its path from the root of the crate, which is empty for the root.
    pub(crate) path: Vec<String>,
    /// Its file.
    pub(crate) file: String,
    /// The path of the file's module: another one if this module is written inside of that.
    pub(crate) home: Vec<String>,
    /// Every path that it names.
    pub(crate) paths: Vec<Vec<String>>,
    /// The name that a `use` gives to a path.
    pub(crate) uses: Vec<(String, Vec<String>)>,
    /// Paths whose whole content it uses.
    pub(crate) globs: Vec<Vec<String>>,
    /// Names that are defined in it.
    pub(crate) definitions: BTreeSet<String>,
    /// Macros that it defines for the root of the crate.
    pub(crate) exports: BTreeSet<String>,
    /// Modules in files of their own that are for tests alone.
    pub(crate) for_tests: BTreeSet<String>,
}

/// The module of a file, and the modules that are written inside of it.
pub(crate) fn read(file: &str, path: &[String], source: &str) -> Result<Vec<Module>, String> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{file}: {error}"))?;
    let (home, file) = (path.to_vec(), file.to_owned());
    let module = Module { path: path.to_vec(), file, home, ..Module::default() };
    let mut reader = Reader { module, inner: Vec::new() };
    reader.items(tokens, true);
    let Reader { module, mut inner } = reader;
    inner.insert(0, module);
    Ok(inner)
}

struct Reader {
    module: Module,
    /// The modules inside of it.
    inner: Vec<Module>,
}

impl Reader {
    /// Takes the names from `tokens`, which are the module's own items if `own`, else a part of one.
    fn items(&mut self, tokens: TokenStream, own: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut exported = false;
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                TokenTree::Punct(mark) if mark.as_char() == '#' => match rest {
                    [TokenTree::Group(attribute), behind @ ..] if is_for_tests(attribute) => {
                        let (item, behind) = split_item(behind);
                        self.module.for_tests.extend(file_of_module(item));
                        rest = behind;
                    }
                    [TokenTree::Group(attribute), ..] => {
                        exported |= attribute.stream().to_string() == "macro_export";
                    }
                    _ => {}
                },
                TokenTree::Group(group) => self.items(group.stream(), false),
                TokenTree::Ident(word) => {
                    rest = self.word(&word.to_string(), rest, own, &mut exported);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Takes the item or path that starts with `word`. Gives the tokens behind it.
    fn word<'t>(
        &mut self,
        word: &str,
        rest: &'t [TokenTree],
        own: bool,
        exported: &mut bool,
    ) -> &'t [TokenTree] {
        match (word, rest) {
            // `pub(in crate::room)` names whom it lets in, and takes nothing from there.
            ("pub", [TokenTree::Group(group), behind @ ..])
                if group.delimiter() == Delimiter::Parenthesis =>
            {
                behind
            }
            ("use", [first, ..]) if !is(first, '<') => {
                let end = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                let (tree, behind) = rest.split_at(end);
                self.use_tree(&[], tree);
                behind
            }
            ("mod", [TokenTree::Ident(name), TokenTree::Group(body), behind @ ..]) => {
                let mut path = self.module.path.clone();
                path.push(name.to_string());
                let Module { file, home, .. } = &self.module;
                let (file, home) = (file.clone(), home.clone());
                let module = Module { path, file, home, ..Module::default() };
                let mut reader = Self { module, inner: Vec::new() };
                reader.items(body.stream(), true);
                self.inner.push(reader.module);
                self.inner.append(&mut reader.inner);
                behind
            }
            ("macro_rules", [_, TokenTree::Ident(name), behind @ ..]) => {
                self.module.definitions.insert(name.to_string());
                if std::mem::take(exported) {
                    self.module.exports.insert(name.to_string());
                }
                behind
            }
            ("crate" | "super" | "self", [one, two, ..]) if is(one, ':') && is(two, ':') => {
                let (path, behind) = path(word, rest);
                self.module.paths.push(path);
                behind
            }
            (
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static",
                [TokenTree::Ident(name), ..],
            ) if own => {
                self.module.definitions.insert(name.to_string());
                rest
            }
            _ => rest,
        }
    }

    /// Takes the tree of a `use`, whose paths start with `prefix`.
    fn use_tree(&mut self, prefix: &[String], tree: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut rest = tree;
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                // `as NAME` is the end of a tree.
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) if word == "self" && !prefix.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in trees.split(|token| is(token, ',')).filter(|tree| !tree.is_empty())
                    {
                        self.use_tree(&path, tree);
                    }
                    return;
                }
                TokenTree::Punct(mark) if mark.as_char() == '*' => {
                    self.module.globs.push(path.clone());
                    self.module.paths.push(path);
                    return;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        let name = match rest {
            [TokenTree::Ident(alias)] => Some(alias.to_string()),
            _ => path.last().cloned(),
        };
        if let Some(name) = name {
            self.module.uses.push((name, path.clone()));
            self.module.paths.push(path);
        }
    }
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// The path that starts with `first`, and the tokens behind it.
fn path<'t>(first: &str, mut rest: &'t [TokenTree]) -> (Vec<String>, &'t [TokenTree]) {
    let mut path = vec![first.to_owned()];
    while let [one, two, TokenTree::Ident(name), behind @ ..] = rest {
        if !(is(one, ':') && is(two, ':')) {
            break;
        }
        path.push(name.to_string());
        rest = behind;
    }
    (path, rest)
}

/// Whether this is `[cfg(test)]` or `[cfg(all(test, ..))]`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    let condition = text.strip_prefix("cfg(").unwrap_or_default();
    condition == "test)"
        || condition
            .strip_prefix("all(")
            .is_some_and(|all| all.split([',', ')']).any(|part| part == "test"))
}

/// An item, which ends with a semicolon or with a body, and the tokens behind it.
fn split_item(tokens: &[TokenTree]) -> (&[TokenTree], &[TokenTree]) {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let end = tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1);
    tokens.split_at(end)
}

/// The module's name, if `item` is `mod NAME;`.
fn file_of_module(item: &[TokenTree]) -> Option<String> {
    match item {
        [.., TokenTree::Ident(word), TokenTree::Ident(name), end]
            if word == "mod" && is(end, ';') =>
        {
            Some(name.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(source: &str) -> Vec<Module> {
        read("src/a.rs", &["a".to_owned()], source).expect("tokens")
    }

    fn paths(source: &str) -> Vec<String> {
        modules(source)
            .iter()
            .flat_map(|module| &module.paths)
            .map(|path| path.join("::"))
            .collect()
    }

    #[test]
    fn the_tree_of_a_use_gives_each_path() {
        assert_eq!(
            paths("use crate::{b::{self, C}, d::*, e as f}; pub use super::g::h;"),
            ["crate::b", "crate::b::C", "crate::d", "crate::e", "super::g::h"]
        );
        let modules = modules("use crate::{b::{self}, e as f};");
        let names: Vec<&str> =
            modules.iter().flat_map(|module| &module.uses).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "f"]);
    }

    #[test]
    fn paths_in_code_and_in_macros_count() {
        let source = "fn f() -> crate::b::C { g!(x, super::d::e(1)); self::h::<u8>() }";
        assert_eq!(paths(source), ["crate::b::C", "super::d::e", "self::h"]);
        assert_eq!(paths("macro_rules! m { () => { $crate::b::c() } }"), ["crate::b::c"]);
    }

    #[test]
    fn comments_strings_and_visibility_do_not_count() {
        let source = "//! [x](crate::b)\n/* crate::c */ /// crate::d\n\
                      pub(in crate::e) const F: &str = \"crate::g\"; extern crate alloc;";
        assert_eq!(paths(source), [""; 0]);
    }

    #[test]
    fn items_for_tests_alone_do_not_count() {
        let source = "#[cfg(test)] use crate::b;\n#[cfg(test)]\n#[path = \"x\"]\nmod tests { use super::c; }\n\
                      #[cfg(all(test, unix))] fn f() { crate::d() }\n#[cfg(not(test))] use crate::e;";
        assert_eq!(paths(source), ["crate::e"]);
        let modules = modules("#[cfg(test)] mod b; #[cfg(test)] mod c {} mod d;");
        let for_tests = modules.first().map(|module| module.for_tests.iter().collect::<Vec<_>>());
        assert_eq!(for_tests.expect("the file's"), ["b"]);
    }

    #[test]
    fn a_module_inside_of_a_file_has_a_path_of_its_own() {
        let modules = modules("mod b { use super::c; mod d { fn e() {} } }");
        let found: Vec<String> = modules.iter().map(|module| module.path.join("::")).collect();
        assert_eq!(found, ["a", "a::b", "a::b::d"]);
    }

    #[test]
    fn definitions_and_exported_macros_are_known() {
        let modules = modules(
            "pub struct A { b: u8 } impl A { fn c() {} } pub const fn d() {}\n\
             #[macro_export] macro_rules! e { () => {} } macro_rules! f { () => {} }",
        );
        let module = modules.first().expect("the file's");
        for name in ["A", "d", "e", "f"] {
            assert!(module.definitions.contains(name), "{name}");
        }
        assert!(!module.definitions.contains("c"));
        assert_eq!(module.exports.iter().collect::<Vec<_>>(), ["e"]);
    }
}
