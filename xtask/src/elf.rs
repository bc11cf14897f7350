//! Sizes of sections and symbols in an ELF file.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

/// Bytes by section; only those that end up on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Code, `.text`.
    pub(crate) text: u64,
    /// Constants, `.rodata`.
    pub(crate) rodata: u64,
    /// Initialised variables, `.data`: flash and RAM.
    pub(crate) data: u64,
    /// Other variables, `.bss`: RAM.
    pub(crate) bss: u64,
}

impl Sizes {
    /// Code and constants, the figure that is limited.
    pub(crate) fn flash(self) -> u64 {
        self.text + self.rodata
    }

    /// What this program has beyond `baseline`.
    pub(crate) fn less(self, baseline: Self) -> Self {
        Self {
            text: self.text.saturating_sub(baseline.text),
            rodata: self.rodata.saturating_sub(baseline.rodata),
            data: self.data.saturating_sub(baseline.data),
            bss: self.bss.saturating_sub(baseline.bss),
        }
    }
}

/// A function or a constant.
pub(crate) struct Symbol {
    /// Its path as in the source, as far as the compiler kept it.
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
            Some("data") => sizes.data += size,
            Some("bss") => sizes.bss += size,
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

/// Without the hash at its end.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

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
    }

    #[test]
    fn a_difference_never_wraps() {
        let small = Sizes { text: 10, rodata: 0, data: 0, bss: 4 };
        let big = Sizes { text: 30, rodata: 5, data: 0, bss: 4 };
        assert_eq!(big.less(small).flash(), 25);
        assert_eq!(small.less(big), Sizes::default());
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(sizes(b"#!/bin/sh").is_err());
    }
}
