//! `cargo xtask footprint`: what the client costs on a Cortex-M3, measured on programs that use it.
//!
//! The programs are in `xtask/footprint`, a workspace of its own. Each is measured as its code and constants
//! (`.text` and `.rodata`) less those of `baseline`, which has the same start-up code and does nothing.

use std::fs;

use crate::bare::{self, Bare};
use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::elf::{self, Sizes, Symbol};
use crate::shell::Log;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "footprint",
    about: "Code size on a Cortex-M3",
    details: "\
Builds the programs of xtask/footprint for thumbv7m-none-eabi (opt-level s, fat LTO) and prints .text and
.rodata of each less those of an empty program. Fails when one of them exceeds its limit, or links code that
panics.

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

/// What the full client is to come down to; until then its limit keeps what has been reached.
const GOAL: u64 = 8 * 1024;

/// The only place where limits are set. Lower one when the code has become smaller.
const PROGRAMS: &[Program] = &[
    Program { name: "client", about: "the full client", limit: Some(19_400) },
    Program {
        name: "publisher",
        about: "connects and publishes at QoS 0, nothing else",
        limit: None,
    },
    Program { name: "codec", about: "no client: decodes and encodes all 14 packets", limit: None },
];

/// One program's sizes less those of the baseline.
pub(crate) struct Measured {
    program: &'static Program,
    sizes: Sizes,
    /// Whether some call in it can panic.
    can_panic: bool,
}

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "footprint", args.has("verbose"))?;
    let toolchain = Bare::reach(&workspace, &log, !args.has("no-install"))?;
    println!("{}, {}\n", bare::TARGET, toolchain.describe(&workspace));
    let measured = measure(&workspace, &log, toolchain).inspect_err(|_| {
        print!("{}", log.tail(60));
    })?;
    println!("  program      .text  .rodata     sum   limit  panics");
    for Measured { program: Program { name, about, limit }, sizes, can_panic } in &measured {
        let limit = limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        let Sizes { text, rodata } = sizes;
        let (sum, panics) = (sizes.flash(), if *can_panic { "yes" } else { "no" });
        println!("  {name:<10} {text:>7}  {rodata:>7} {sum:>7} {limit:>7}  {panics:<6}  {about}");
    }
    println!("\n  bytes beyond an empty program; panics: whether any code that panics was linked");
    println!("  the goal for the full client is {GOAL} bytes");
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
            let file = read(workspace, program.name)?;
            let sizes = elf::sizes(&file)?.less(baseline);
            Ok(Measured { program, sizes, can_panic: elf::can_panic(&elf::symbols(&file)?) })
        })
        .collect()
}

/// One line with the totals; an error where a limit is exceeded, or where something that may panic was linked.
pub(crate) fn verdict(measured: &[Measured]) -> Result<String, String> {
    let mut words = Vec::new();
    let mut ok = true;
    for Measured { program: Program { name, limit, .. }, sizes, can_panic } in measured {
        let flash = sizes.flash();
        if *can_panic {
            ok = false;
            words.push(format!("{name} links code that panics"));
        }
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
    let flash: Vec<Symbol> = symbols
        .into_iter()
        .filter(|symbol| [".text", ".rodata"].contains(&&*symbol.section))
        .collect();
    for symbol in flash.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
        println!("  {:>6}  {:<8} {}", symbol.size, symbol.section, symbol.name);
    }
    println!("\n  by crate (a crate's code that was inlined counts for its caller)\n");
    for (name, size) in elf::by_crate(&flash) {
        println!("  {size:>6}  {name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Program = Program { name: "small", about: "", limit: Some(100) };

    fn measured(text: u64) -> Measured {
        Measured { program: &SMALL, sizes: Sizes { text, rodata: 10 }, can_panic: false }
    }

    #[test]
    fn a_program_that_can_panic_fails() {
        let program = Measured { can_panic: true, ..measured(1) };
        let failure = verdict(&[program]).expect_err("panics");
        assert_eq!(failure, "small links code that panics, small 11 of 100 bytes");
    }

    #[test]
    fn a_program_at_its_limit_passes_and_one_byte_more_fails() {
        assert_eq!(verdict(&[measured(90)]), Ok("small 100 of 100 bytes".to_owned()));
        let failure = verdict(&[measured(91)]).expect_err("too big");
        assert_eq!(failure, "small 101 exceeds its limit of 100 bytes");
    }
}
