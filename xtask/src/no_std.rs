//! The proof that `mqtt-core` needs neither std nor alloc: a program without either, and without an allocator,
//! holds a whole conversation. It is in `xtask/no-std-check`, a workspace of its own, because the crates of one
//! workspace share the features of their dependencies.
//!
//! The build alone is half of the proof: without std, a program that links alloc needs an allocator, and this one has
//! none.

use crate::elf;
use crate::steps::Context;

/// Builds the program, runs it, and looks for names of std, alloc and allocators in it.
pub(crate) fn check(context: &Context<'_>) -> Result<String, String> {
    let workspace = context.workspace;
    let target = workspace.scratch("no-std")?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--manifest-path", "xtask/no-std-check/Cargo.toml"]);
    context.run(cargo.env("CARGO_TARGET_DIR", &target))?;
    let program = target.join("release/no-std-check");
    // Its exit status says which check of the conversation was wrong.
    context.run(&mut workspace.program(&program))?;
    if !cfg!(target_os = "linux") {
        return Ok("the conversation went well; its symbols are looked at on Linux only".to_owned());
    }
    let file =
        std::fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    let names = elf::names(&file)?;
    match names.iter().find(|name| is_foreign(name)) {
        Some(name) => Err(format!("{name} is linked")),
        None => Ok(format!("{} symbols, none of std, alloc or an allocator", names.len())),
    }
}

/// Whether the name belongs to std, alloc, or an allocator of Rust or C.
fn is_foreign(name: &str) -> bool {
    let path = name.trim_start_matches('<');
    let c = path.split('@').next().unwrap_or(path);
    path.starts_with("std::")
        || path.starts_with("alloc::")
        || ["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rdl_", "__rg_"]
            .iter()
            .any(|part| path.contains(part))
        || ["malloc", "calloc", "realloc", "free"].contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_std_and_allocators_are_foreign() {
        for name in [
            "std::io::stdio::_print",
            "<alloc::string::String as core::fmt::Write>::write_str",
            "__rust_alloc",
            "__rustc::__rust_dealloc",
            "malloc@GLIBC_2.2.5",
        ] {
            assert!(is_foreign(name), "{name}");
        }
    }

    #[test]
    fn names_of_core_and_of_the_client_are_not() {
        for name in
            ["core::str::from_utf8", "mqtt_core::client::Client<B,S>::poll", "memcpy", "main"]
        {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
