//! `cargo xtask footprint`: what the client costs on a Cortex-M3, measured on programs that use it.
//!
//! The programs are in `xtask/footprint`, a workspace of its own. Each is measured as its code and constants
//! (`.text` and `.rodata`) less those of `baseline`, which has the same start-up code and does nothing.

use std::fs;

use crate::bare::{self, Bare};
use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::elf::{self, Sizes};
use crate::shell::Log;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "footprint",
    about: "Code size on a Cortex-M3",
    details: "\
Builds the programs of xtask/footprint for thumbv7m-none-eabi (opt-level s, fat LTO) and prints .text and
.rodata of each less those of an empty program. Fails when one of them exceeds its limit.

The target is that of this toolchain where it is installed (rustup target add thumbv7m-none-eabi), else
Debian's rustc-web, cargo-web, rust-web-src and lld are used, and installed where that needs no password.",
    flags: &[
        Flag { name: "symbols", value: Some("N"), about: "also prints the N biggest functions and constants" },
        Flag { name: "program", value: Some("NAME"), about: "--symbols of this program (default: client)" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// A program, what it holds, and the bytes that it must not exceed.
struct Program {
    name: &'static str,
    about: &'static str,
    limit: Option<u64>,
}

const BASELINE: &str = "baseline";

/// The only place where limits are set.
const PROGRAMS: &[Program] = &[Program {
    name: "codec",
    about: "decodes what a server sends, encodes what a client sends",
    limit: None,
}];

/// One program's sizes less those of the baseline.
pub(crate) struct Measured {
    program: &'static Program,
    sizes: Sizes,
}

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "footprint", args.has("verbose"))?;
    let toolchain = Bare::reach(&workspace, &log, !args.has("no-install"))?;
    println!("{}, {}\n", bare::TARGET, toolchain.describe(&workspace));
    let measured = measure(&workspace, &log, toolchain).inspect_err(|_| {
        print!("{}", log.tail(60));
    })?;
    println!(
        "  {:<10} {:>7} {:>8} {:>6} {:>7} {:>6}",
        "program", ".text", ".rodata", "sum", "limit", "RAM"
    );
    for Measured { program, sizes } in &measured {
        let limit = program.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        println!(
            "  {:<10} {:>7} {:>8} {:>6} {limit:>7} {:>6}  {}",
            program.name,
            sizes.text,
            sizes.rodata,
            sizes.flash(),
            sizes.data + sizes.bss,
            program.about
        );
    }
    println!("\n  bytes beyond an empty program; RAM: .data and .bss, without the stack");
    if args.has("symbols") {
        let name = args.values("program").last().unwrap_or("client");
        print_symbols(&workspace, name, args.number("symbols", 0)?)?;
    }
    println!();
    match verdict(&measured) {
        Ok(line) => Ok(Closing { line, ok: true }),
        Err(line) => Ok(Closing { line, ok: false }),
    }
}

/// Builds and measures every program.
pub(crate) fn measure(
    workspace: &Workspace,
    log: &Log,
    toolchain: Bare,
) -> Result<Vec<Measured>, String> {
    let mut cargo = toolchain.cargo(workspace, "build", "footprint");
    // The linker finds memory.x in the folder it runs in.
    cargo.args(["--release", "--bins"]).current_dir(workspace.root.join("xtask/footprint"));
    log.run(&mut cargo)?.require()?;
    let baseline = elf::sizes(&read(workspace, BASELINE)?)?;
    PROGRAMS
        .iter()
        .map(|program| {
            let sizes = elf::sizes(&read(workspace, program.name)?)?;
            Ok(Measured { program, sizes: sizes.less(baseline) })
        })
        .collect()
}

/// One line with the totals; an error where a limit is exceeded.
pub(crate) fn verdict(measured: &[Measured]) -> Result<String, String> {
    let mut words = Vec::new();
    let mut ok = true;
    for Measured { program: Program { name, limit, .. }, sizes } in measured {
        let flash = sizes.flash();
        words.push(match limit {
            Some(limit) if flash > *limit => {
                ok = false;
                format!("{name} {flash} exceeds its limit of {limit} bytes")
            }
            Some(limit) => format!("{name} {flash} of {limit} bytes"),
            None => format!("{name} {flash} bytes"),
        });
    }
    let line = words.join(", ");
    if ok { Ok(line) } else { Err(line) }
}

fn read(workspace: &Workspace, program: &str) -> Result<Vec<u8>, String> {
    let dir = workspace.target.join("xtask/footprint").join(bare::TARGET).join("release");
    let path = dir.join(program);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn print_symbols(workspace: &Workspace, program: &str, count: u64) -> Result<(), Error> {
    let known = program == BASELINE || PROGRAMS.iter().any(|known| known.name == program);
    if !known {
        return Err(Error::Usage(format!("no program '{program}'")));
    }
    println!("\n  the biggest symbols of {program}\n");
    let symbols = elf::symbols(&read(workspace, program)?)?;
    for symbol in symbols.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
        println!("  {:>6}  {:<8} {}", symbol.size, symbol.section, symbol.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Program = Program { name: "small", about: "", limit: Some(100) };

    fn measured(text: u64) -> Measured {
        Measured { program: &SMALL, sizes: Sizes { text, rodata: 10, ..Sizes::default() } }
    }

    #[test]
    fn a_program_at_its_limit_passes_and_one_byte_more_fails() {
        assert_eq!(verdict(&[measured(90)]), Ok("small 100 of 100 bytes".to_owned()));
        let failure = verdict(&[measured(91)]).expect_err("too big");
        assert_eq!(failure, "small 101 exceeds its limit of 100 bytes");
    }
}
