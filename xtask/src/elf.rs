//! Sizes of sections and symbols in an ELF file.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

/// Bytes by section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Code, `.text`.
    pub(crate) text: u64,
    /// Constants, `.rodata`.
    pub(crate) rodata: u64,
}

impl Sizes {
    /// Code and constants: the figure that may hardly grow.
    pub(crate) fn flash(self) -> u64 {
        self.text + self.rodata
    }

    /// The sizes less the sizes of `baseline`.
    pub(crate) fn less(self, baseline: Self) -> Self {
        Self {
            text: self.text.saturating_sub(baseline.text),
            rodata: self.rodata.saturating_sub(baseline.rodata),
        }
    }
}

/// A function or a constant.
pub(crate) struct Symbol {
    /// Its path in the source, if the compiler kept it.
    pub(crate) name: String,
    /// The section it lies in.
    pub(crate) section: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// Sums the sections by kind; `.text` stands for `.text` and `.text.*`.
pub(crate) fn sizes(file: &[u8]) -> Result<Sizes, String> {
    let file = object::File::parse(file).map_err(|error| error.to_string())?;
    let mut sizes = Sizes::default();
    for section in file.sections() {
        let name = section.name().unwrap_or_default();
        let size = section.size();
        match name.split('.').nth(1) {
            Some("text") => sizes.text += size,
            Some("rodata") => sizes.rodata += size,
            _ => {}
        }
    }
    Ok(sizes)
}

/// Functions and constants, the biggest first.
pub(crate) fn symbols(file: &[u8]) -> Result<Vec<Symbol>, String> {
    let file = object::File::parse(file).map_err(|error| error.to_string())?;
    let mut symbols: Vec<Symbol> = file
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
        .map(|symbol| Symbol {
            name: demangled(symbol.name().unwrap_or("?")),
            section: symbol
                .section_index()
                .and_then(|index| file.section_by_index(index).ok())
                .and_then(|section| section.name().ok().map(str::to_owned))
                .unwrap_or_default(),
            size: symbol.size(),
        })
        .collect();
    symbols.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    Ok(symbols)
}

/// Whether anything in the program can panic. Code that nothing calls is not in the program.
pub(crate) fn can_panic(symbols: &[Symbol]) -> bool {
    symbols.iter().any(|symbol| symbol.name.starts_with("core::panicking::"))
}

/// Bytes by crate, the biggest first. Symbols of no crate count as constants or others.
pub(crate) fn by_crate(symbols: &[Symbol]) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for symbol in symbols {
        let path = symbol.name.trim_start_matches(['<', '&', '[']);
        let krate = path.split("::").next().filter(|first| first.len() < path.len());
        let name = match krate {
            // For example a method of a slice.
            Some(primitive) if primitive.ends_with(['>', ']']) => "core",
            Some(krate) => krate,
            None if symbol.section == ".rodata" => "constants",
            None => "others",
        };
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += symbol.size,
            None => sums.push((name.to_owned(), symbol.size)),
        }
    }
    sums.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    sums
}

/// Every name in the file, defined or not.
pub(crate) fn names(file: &[u8]) -> Result<Vec<String>, String> {
    let file = object::File::parse(file).map_err(|error| error.to_string())?;
    Ok(file.symbols().filter_map(|symbol| symbol.name().ok().map(demangled)).collect())
}

/// Without the hash at its end.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn symbol(name: &str, section: &str, size: u64) -> Symbol {
        Symbol { name: name.to_owned(), section: section.to_owned(), size }
    }

    #[test]
    fn sizes_are_summed_by_crate() {
        let symbols = [
            symbol("<mqtt_core::client::Client<[u8; 4], [u8; 2]>>::poll", ".text", 40),
            symbol("memcpy", ".text", 15),
            symbol("<[u8]>::copy_within", ".text", 12),
            symbol("mqtt_core::topic::check", ".text", 10),
            symbol(".Lanon.1", ".rodata", 8),
        ];
        let sums = by_crate(&symbols);
        let sums: Vec<(&str, u64)> = sums.iter().map(|(name, sum)| (&**name, *sum)).collect();
        assert_eq!(sums, [("mqtt_core", 50), ("others", 15), ("core", 12), ("constants", 8)]);
    }

    #[test]
    fn a_linked_panic_is_seen() {
        let quiet = symbol("mqtt_core::topic::check", ".text", 10);
        assert!(!can_panic(std::slice::from_ref(&quiet)));
        assert!(can_panic(&[quiet, symbol("core::panicking::panic_fmt", ".text", 6)]));
    }

    #[inline(never)]
    fn a_function_to_be_found(x: u64) -> u64 {
        std::hint::black_box(x) + 1
    }

    #[test]
    fn this_program_has_code_constants_and_a_known_function() {
        assert_eq!(a_function_to_be_found(1), 2);
        let path = std::env::current_exe().expect("a path");
        let bytes = std::fs::read(path).expect("this program");
        let sizes = sizes(&bytes).expect("an ELF file");
        assert!(sizes.text > 10_000 && sizes.rodata > 1_000, "{sizes:?}");
        assert!(sizes.flash() > sizes.text);
        let symbols = symbols(&bytes).expect("an ELF file");
        let found = symbols
            .iter()
            .find(|symbol| symbol.name.ends_with("tests::a_function_to_be_found"))
            .expect("the function");
        assert!(found.size > 0 && found.section.starts_with(".text"));
        assert!(names(&bytes).expect("an ELF file").contains(&found.name));
    }

    #[test]
    fn a_difference_never_wraps() {
        let small = Sizes { text: 10, rodata: 0 };
        let big = Sizes { text: 30, rodata: 5 };
        assert_eq!(big.less(small).flash(), 25);
        assert_eq!(small.less(big), Sizes::default());
    }

    #[test]
    fn a_file_of_another_kind_is_an_error() {
        assert!(sizes(b"#!/bin/sh").is_err());
    }
}
