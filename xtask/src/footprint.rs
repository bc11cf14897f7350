//! `cargo xtask footprint`: the code size of the client on a Cortex-M3, measured on programs that use it.
//!
//! The programs are in `xtask/footprint`, a workspace of its own. Each is measured as its code and constants
//! (`.text` and `.rodata`) less those of `baseline`, which has the same start-up code and does nothing.

use std::fs;
use std::time::UNIX_EPOCH;

use crate::bare::{self, Bare};
use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::elf::{self, Sizes, Symbol};
use crate::last::{self, Last, grouped};
use crate::shell::Log;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "footprint",
    about: "Code size on a Cortex-M3",
    details: "\
Builds the programs of xtask/footprint for thumbv7m-none-eabi (opt-level s, fat LTO) and prints .text and
.rodata of each less those of an empty program, beside the last figures in xtask/last/footprint.txt. Fails if a
program has grown by more than 2 %, or links code that panics. --record writes the new figures into that file:
commit it together with the change that explains them.

The target is the one of this toolchain if it is installed (rustup target add thumbv7m-none-eabi). Otherwise
Debian's rustc-web, cargo-web, rust-web-src and lld are used, and installed if that needs no password.",
    flags: &[
        Flag { name: "record", value: None, about: "makes the new figures the last ones" },
        Flag { name: "symbols", value: Some("N"), about: "also prints the N biggest functions and constants" },
        Flag { name: "program", value: Some("NAME"), about: "--symbols of this program (default: client)" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// A program and its content.
struct Program {
    name: &'static str,
    about: &'static str,
    /// Why code that panics is linked all the same.
    may_panic: Option<&'static str>,
}

const BASELINE: &str = "baseline";
const ASYNCH: &str = "asynch";

/// What the async driver keeps in RAM: the beginning of the compiler's name for the type, and ours.
const IN_RAM: &[(&str, &str)] = &[
    ("mqtt_core::driver::asynch::State<'_>", "the state, with the client"),
    ("{async block@mqtt_core::driver::asynch::Runner<", "the future of `run`"),
    ("mqtt_core::driver::asynch::Waiter", "a waiter"),
    ("{async fn body of mqtt_core::driver::asynch::Client<", "the longest future of a request"),
];

/// The aim for the full client.
const GOAL: u64 = 8 * 1024;

/// The last figures.
const LAST: &str = "xtask/last/footprint.txt";

const PROGRAMS: &[Program] = &[
    Program { name: "client", about: "the full client", may_panic: None },
    Program {
        name: "publisher",
        about: "connects and publishes at QoS 0, nothing else",
        may_panic: None,
    },
    Program {
        name: ASYNCH,
        about: "the full client over the async driver, with tasks that wait",
        may_panic: Some("a future that is polled after its end, a RefCell that is borrowed twice"),
    },
    Program {
        name: "codec",
        about: "no client: decodes and encodes all 14 packets",
        may_panic: None,
    },
    Program {
        name: "watchdog",
        about: "no client: a guard, a supervisor of 4 tasks, a TPS3823, a crash record",
        may_panic: None,
    },
];

/// One program's sizes less the sizes of the baseline.
pub(crate) struct Measured {
    program: &'static Program,
    sizes: Sizes,
    /// Its last figure, if there is one.
    last: Option<u64>,
    /// Whether some call in it can panic.
    can_panic: bool,
}

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "footprint", args.has("verbose"))?;
    let toolchain = Bare::reach(&workspace, &log, !args.has("no-install"))?;
    println!("{}, {}\n", bare::TARGET, toolchain.describe(&workspace));
    let mut measured = measure(&workspace, &log, toolchain).inspect_err(|_| {
        print!("{}", log.tail(60));
    })?;
    println!("  program      .text  .rodata     sum    last  panics");
    for Measured { program: Program { name, about, .. }, sizes, last, can_panic } in &measured {
        let last = last.map_or_else(|| "-".to_owned(), |last| last.to_string());
        let Sizes { text, rodata } = sizes;
        let (sum, panics) = (sizes.flash(), if *can_panic { "yes" } else { "no" });
        println!("  {name:<10} {text:>7}  {rodata:>7} {sum:>7} {last:>7}  {panics:<6}  {about}");
    }
    println!("\n  bytes beyond an empty program; panics: whether any code that panics was linked");
    for Program { name, may_panic, .. } in PROGRAMS {
        if let Some(why) = may_panic {
            println!("  {name} may panic for these, which do not happen: {why}");
        }
    }
    println!(
        "\n  RAM of the async driver, with an outbox of its own and a transport without state\n"
    );
    for (what, bytes) in in_ram(&workspace, &log, toolchain)? {
        println!("  {bytes:>6}  {what}");
    }
    println!();
    println!("  the goal for the full client is {GOAL} bytes");
    if args.has("symbols") {
        let name = args.values("program").last().unwrap_or("client");
        print_symbols(&workspace, name, args.number("symbols", 0)?)?;
    }
    println!();
    if args.has("record") {
        let sizes = measured.iter().map(|one| (one.program.name, one.sizes.flash()));
        last::record(&workspace, LAST, COMMAND.name, sizes)?;
        for one in &mut measured {
            one.last = Some(one.sizes.flash());
        }
    }
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
    let last = Last::read(workspace, LAST)?;
    let baseline = elf::sizes(&read(workspace, BASELINE)?)?;
    PROGRAMS
        .iter()
        .map(|program| {
            let file = read(workspace, program.name)?;
            let sizes = elf::sizes(&file)?.less(baseline);
            let can_panic = elf::can_panic(&elf::symbols(&file)?);
            Ok(Measured { program, sizes, last: last.of(program.name), can_panic })
        })
        .collect()
}

/// One line with the totals; an error if a program has grown too much, or if something that may panic was linked.
pub(crate) fn verdict(measured: &[Measured]) -> Result<String, String> {
    let mut words = Vec::new();
    let mut ok = true;
    for Measured { program: Program { name, may_panic, .. }, sizes, last, can_panic } in measured {
        let flash = sizes.flash();
        if *can_panic && may_panic.is_none() {
            ok = false;
            words.push(format!("{name} links code that panics"));
        }
        let size = grouped(flash);
        let Some(last) = *last else {
            ok = false;
            words.push(format!("{name} {size} bytes, no last figure (see --record)"));
            continue;
        };
        let most = last::most(last);
        ok &= flash <= most;
        let fails = if flash <= most { "fails" } else { "FAILS" };
        let (change, last, most) = (last::change(last, flash), grouped(last), grouped(most));
        words.push(format!("{name} {size} bytes, last {last} ({change} %), {fails} above {most}"));
    }
    let line = words.join("; ");
    if ok { Ok(line) } else { Err(line) }
}

/// The sizes of what the async driver keeps in RAM, as the compiler tells them.
fn in_ram(
    workspace: &Workspace,
    log: &Log,
    toolchain: Bare,
) -> Result<Vec<(&'static str, u64)>, String> {
    let mut cargo = toolchain.cargo(workspace, "rustc", "footprint");
    cargo.args(["--release", "--bin", ASYNCH]).current_dir(workspace.root.join("xtask/footprint"));
    // The flag is for nightly compilers. With this variable any compiler takes it.
    cargo.args(["--", "-Zprint-type-sizes"]).env("RUSTC_BOOTSTRAP", "1");
    // Cargo shows what a compiler printed only if it runs the compiler, and an argument that is new makes it do so.
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    cargo.arg(format!("-Cmetadata={now}"));
    let told = log.run(&mut cargo)?.require()?;
    IN_RAM
        .iter()
        .map(|(name, what)| {
            let size = size_of_type(&told, name).ok_or_else(|| format!("no size of {name}"))?;
            Ok((*what, size))
        })
        .collect()
}

/// The size of the first type whose name begins with `name`. The compiler lists the largest types first.
fn size_of_type(told: &str, name: &str) -> Option<u64> {
    told.lines().find_map(|line| {
        let of = line.strip_prefix("print-type-size type: `")?.strip_prefix(name)?;
        let (_, size) = of.rsplit_once("`: ")?;
        size.split(' ').next()?.parse().ok()
    })
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

    const SMALL: Program = Program { name: "small", about: "", may_panic: None };

    #[test]
    fn the_size_of_a_type_is_that_of_the_first_with_its_name() {
        let told = "noise\nprint-type-size type: `core::A<x::B>`: 9 bytes, alignment: 1 bytes\n\
            print-type-size     field `.b`: 7 bytes\n\
            print-type-size type: `x::B<fn(`y`)>`: 8 bytes, alignment: 4 bytes\n\
            print-type-size type: `x::B<z>`: 4 bytes, alignment: 4 bytes";
        assert_eq!(size_of_type(told, "x::B<"), Some(8));
        assert_eq!(size_of_type(told, "x::C"), None);
    }

    fn measured(text: u64, last: Option<u64>) -> Measured {
        Measured { program: &SMALL, sizes: Sizes { text, rodata: 10 }, last, can_panic: false }
    }

    #[test]
    fn a_program_that_can_panic_fails() {
        let program = Measured { can_panic: true, ..measured(90, Some(100)) };
        let failure = verdict(&[program]).expect_err("panics");
        assert!(failure.starts_with("small links code that panics; small 100 bytes"), "{failure}");
    }

    #[test]
    fn a_program_may_grow_by_two_per_cent_and_no_more() {
        let passes = verdict(&[measured(19_761, Some(19_384))]);
        let line = "small 19,771 bytes, last 19,384 (+2.0 %), fails above 19,771";
        assert_eq!(passes, Ok(line.to_owned()));
        let failure = verdict(&[measured(19_762, Some(19_384))]);
        let line = "small 19,772 bytes, last 19,384 (+2.0 %), FAILS above 19,771";
        assert_eq!(failure, Err(line.to_owned()));
    }

    #[test]
    fn a_program_without_a_last_figure_fails() {
        let failure = verdict(&[measured(90, None)]).expect_err("no figure");
        assert_eq!(failure, "small 100 bytes, no last figure (see --record)");
    }

    #[test]
    fn every_program_has_a_last_figure() {
        let last = Workspace::find().and_then(|workspace| Last::read(&workspace, LAST));
        let last = last.expect("the last figures");
        for Program { name, .. } in PROGRAMS {
            assert!(last.of(name).is_some(), "{name}");
        }
    }
}
