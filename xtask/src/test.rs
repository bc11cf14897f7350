//! `cargo xtask test`: all checks that a change must pass, here and on the build machines.

use std::fs;

use crate::bare::{self, Bare};
use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::steps::{self, Context, Report, Step};
use crate::workspace::Workspace;
use crate::{
    brokers, footprint, fuzz, hal, kill, layers, model, mutations, no_std, setup, shell, sim,
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "test",
    about: "Everything that a change must pass",
    details: "\
Formatting, the direction of imports, lints, builds without features and for a bare target, tests, docs, clients
that are killed, a short fuzz run, code size.
A missing Mosquitto or tshark is installed by the system's package manager if that needs no password; otherwise
the step fails and says the command. So are other brokers, of which two have to be there (see cargo xtask brokers). If a step cannot run here (for example without a nightly compiler), it says so and
does not fail. The output of each step is kept in target/xtask/logs.

The last line holds the totals of all test runners: 'N passed, N failed'. A step that fails without a
failing test counts as one failure. --list prints the steps.",
    flags: &[
        Flag { name: "fast", value: None, about: "leaves out the slow steps" },
        Flag { name: "only", value: Some("STEP"), about: "runs this step (may be repeated)" },
        Flag { name: "list", value: None, about: "prints the steps, runs none" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

const STEPS: &[Step] = &[
    Step {
        name: "tools",
        about: "Mosquitto, other brokers and tshark are there, or are installed",
        slow: false,
        run: tools,
    },
    Step { name: "format", about: "rustfmt changes nothing", slow: false, run: format },
    Step { name: "layers", about: "imports point down", slow: false, run: imports_point_down },
    Step {
        name: "clippy",
        about: "no warning, in any useful set of features",
        slow: false,
        run: clippy,
    },
    Step {
        name: "alone",
        about: "the libraries, pub and sub build alone, without features",
        slow: false,
        run: alone,
    },
    Step {
        name: "bare",
        about: "and for thumbv7m-none-eabi; watchdog-core for thumbv6m, without compare-and-swap",
        slow: false,
        run: bare,
    },
    Step {
        name: "no-std",
        about: "a conversation without std, alloc or allocator",
        slow: false,
        run: no_std,
    },
    Step {
        name: "embassy",
        about: "examples/embassy: lints and tests; the programs that the step tests runs",
        slow: false,
        run: embassy,
    },
    Step {
        name: "hal",
        about: "examples/hal: the adapters compile with their HALs for their devices",
        slow: true,
        run: hal::check,
    },
    Step { name: "tests", about: "tests of all crates, all features", slow: false, run: tests },
    Step {
        name: "featureless",
        about: "tests of the libraries without features",
        slow: true,
        run: featureless,
    },
    Step {
        name: "loom",
        about: "the watchdog's atomics in all interleavings",
        slow: true,
        run: loom,
    },
    Step { name: "doc-tests", about: "every example in the docs", slow: false, run: doc_tests },
    Step { name: "docs", about: "the docs build without warning", slow: false, run: docs },
    Step { name: "benches", about: "every benchmark runs once", slow: true, run: benches },
    Step {
        name: "rust-version",
        about: "the oldest Rust promised builds the libraries",
        slow: true,
        run: rust_version,
    },
    Step {
        name: "simulator",
        about: "20,000 simulated worlds keep every promise",
        slow: true,
        run: simulator,
    },
    Step {
        name: "kill",
        about: "nothing is lost or doubled by clients that are killed, or whose brokers are",
        slow: true,
        run: kill_briefly,
    },
    Step {
        name: "model",
        about: "every order of events in small worlds",
        slow: true,
        run: model_check,
    },
    Step {
        name: "mutations",
        about: "simulator and model checker find bugs on purpose",
        slow: true,
        run: find_mutations,
    },
    Step {
        name: "fuzz",
        about: "a few seconds of each fuzz target",
        slow: true,
        run: fuzz_briefly,
    },
    Step {
        name: "footprint",
        about: "code size on a Cortex-M3 has hardly grown",
        slow: true,
        run: footprint,
    },
];

/// Sets of features that users of a library have.
const FEATURES: &[(&str, &[&str])] = &[
    (
        "mqtt-core",
        &[
            "",
            "alloc",
            "std",
            "tls",
            "tokio",
            "websocket",
            "serial",
            "embedded-io-async",
            "edge-nal",
            "critical-section",
            "journal-file",
            "journal-flash",
            "bytes",
            "mqttbytes",
            "log",
            "defmt",
        ],
    ),
    (
        "watchdog-core",
        &["", "std", "linux-ioctl", "linux-realtime", "embedded-hal-async", "log", "defmt"],
    ),
];

/// Seeds for the simulator.
const SIMULATOR_SEEDS: u64 = 20_000;

/// Seconds for each fuzz target.
const FUZZ_SECONDS: u64 = 10;

fn run(args: &Args) -> Outcome {
    if args.has("list") {
        for Step { name, about, slow, .. } in STEPS {
            println!("  {name:<14} {about}{}", if *slow { " (slow)" } else { "" });
        }
        return Ok(Closing { line: format!("{} steps", STEPS.len()), ok: true });
    }
    let only: Vec<&str> = args.values("only").collect();
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(Error::Usage(format!("no step '{unknown}'; there are {}", names.join(", "))));
    }
    let workspace = Workspace::find()?;
    let (chosen, left_out): (Vec<&Step>, Vec<&Step>) = STEPS.iter().partition(|step| {
        if only.is_empty() { !(args.has("fast") && step.slow) } else { only.contains(&step.name) }
    });
    let verbose = args.has("verbose");
    let summary = steps::run(chosen, &workspace, !args.has("no-install"), verbose)?;

    println!();
    if args.has("fast") && !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|step| step.name).collect();
        println!("left out by --fast: {}", names.join(", "));
    }
    if !summary.not_run.is_empty() {
        println!("could not run here: {}", summary.not_run.join(", "));
    }
    if summary.tally.skipped > 0 {
        println!("tests ignored: {}", summary.tally.skipped);
    }
    for name in &summary.failures {
        println!("test that failed: {name}");
    }
    if !summary.failed.is_empty() {
        println!("steps that failed: {}", summary.failed.join(", "));
    }
    if !summary.passed.is_empty() {
        println!("steps that passed: {}", summary.passed.join(", "));
    }
    Ok(Closing { line: summary.tally.to_string(), ok: summary.failed.is_empty() })
}

fn done() -> Result<Report, String> {
    Ok(Report::Done(String::new()))
}

fn tools(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    setup::ensure(workspace, log, &setup::MOSQUITTO, *may_install)?;
    setup::ensure(workspace, log, &setup::PEERS, *may_install)?;
    setup::ensure(workspace, log, &setup::TSHARK, *may_install)?;
    // Without them only the tests of that transport are left out.
    let proxies = setup::ensure(workspace, log, &setup::PROXIES, *may_install);
    let proxies = proxies.map_or_else(|why| format!("; no proxies: {why}"), |()| String::new());
    // Without them the tests of embassy-net are skipped.
    let networks = setup::ensure(workspace, log, &setup::NETWORKS, *may_install);
    let networks = networks.map_or_else(|why| format!("; no TAP: {why}"), |()| String::new());
    // It prints its version in its help, and then does not exit with 0.
    let help = log.run(workspace.program("mosquitto").arg("-h"))?.text;
    let version = help.lines().next().unwrap_or_default();
    Ok(Report::Done(format!(
        "{version}; {}{proxies}{networks}",
        brokers::ensure(workspace, log, *may_install)?
    )))
}

/// Manifests of the workspaces beside the root one that are there.
fn other_workspaces(workspace: &Workspace) -> impl Iterator<Item = String> {
    ["examples/embassy", "examples/hal", "fuzz", "xtask/footprint", "xtask/no-std-check"]
        .into_iter()
        .map(|dir| format!("{dir}/Cargo.toml"))
        .filter(|manifest| workspace.root.join(manifest).is_file())
}

fn format(context: &Context<'_>) -> Result<Report, String> {
    let plain = ["--check", "--", "--color", "never"];
    context.cargo(&[&["fmt", "--all"], &plain[..]].concat())?;
    for manifest in other_workspaces(context.workspace) {
        context.cargo(&[&["fmt", "--all", "--manifest-path", &manifest], &plain[..]].concat())?;
    }
    done()
}

fn imports_point_down(context: &Context<'_>) -> Result<Report, String> {
    layers::check(context.workspace).map(Report::Done)
}

fn clippy(context: &Context<'_>) -> Result<Report, String> {
    let warnings = ["--", "-D", "warnings"];
    let all = ["clippy", "--workspace", "--all-targets", "--all-features"];
    context.cargo(&[&all[..], &warnings].concat())?;
    for (library, sets) in FEATURES {
        for features in *sets {
            let library =
                ["clippy", "-p", library, "--no-default-features", "--features", features];
            context.cargo(&[&library[..], &warnings].concat())?;
        }
    }
    let no_std = ["clippy", "--manifest-path", "xtask/no-std-check/Cargo.toml", "--release"];
    context.cargo(&[&no_std[..], &warnings].concat())?;
    done()
}

fn alone(context: &Context<'_>) -> Result<Report, String> {
    // In one call they would unify their features.
    for library in ["mqtt-core", "watchdog-core"] {
        context.cargo(&["build", "-p", library, "--no-default-features"])?;
    }
    // They refuse what they were built without.
    context.cargo(&["test", "-p", "mqtt-examples", "--no-default-features", "--lib"])?;
    context.cargo(&[
        "build",
        "-p",
        "mqtt-examples",
        "--no-default-features",
        "--example",
        "sub",
    ])?;
    done()
}

fn bare(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    let toolchain = match Bare::reach(workspace, log, *may_install) {
        Ok(toolchain) => toolchain,
        Err(why) => return Ok(Report::NotRun(why)),
    };
    for (library, features) in [
        ("mqtt-core", ""),
        ("watchdog-core", ""),
        ("mqtt-core", "bytes"),
        ("mqtt-core", "embedded-io-async"),
        ("mqtt-core", "critical-section,journal-flash"),
        ("mqtt-core", "edge-nal"),
        ("mqtt-core", "log,defmt"),
        ("watchdog-core", "embedded-hal-async"),
        ("watchdog-core", "log,defmt"),
    ] {
        let mut cargo = toolchain.cargo(workspace, "build", "bare");
        cargo.args(["-p", library, "--no-default-features", "--features", features]);
        context.run(&mut cargo)?;
    }
    let mut targets = bare::TARGET.to_owned();
    // Tasks are also fed from interrupts on cores without compare-and-swap.
    if toolchain.has(workspace, bare::WITHOUT_CAS) {
        let mut cargo = toolchain.cargo_for(bare::WITHOUT_CAS, workspace, "check", "bare");
        context.run(cargo.args(["-p", "watchdog-core", "--no-default-features"]))?;
        targets = format!("{targets} and {}", bare::WITHOUT_CAS);
    }
    Ok(Report::Done(format!("{targets}, {}", toolchain.describe(workspace))))
}

fn no_std(context: &Context<'_>) -> Result<Report, String> {
    no_std::check(context).map(Report::Done)
}

/// Its programs are built here, and run by `tests/embassy.rs`.
fn embassy(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    let cargo = |verb: &str| {
        let mut cargo = workspace.cargo();
        cargo.args([verb, "--manifest-path", "examples/embassy/Cargo.toml"]);
        // Where the tests look for the programs.
        cargo.env("CARGO_TARGET_DIR", workspace.target.join("embassy"));
        cargo
    };
    context.run(cargo("clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
    let tally = context.tests(cargo("test").arg("--lib"))?;
    context.run(&mut cargo("build"))?;
    // The library is what goes onto a device.
    let bare = match Bare::reach(workspace, log, *may_install) {
        Ok(bare) => {
            let mut cargo = bare.cargo(workspace, "check", "embassy");
            cargo.args(["--manifest-path", "examples/embassy/Cargo.toml", "--lib"]);
            context.run(cargo.arg("--no-default-features"))?;
            bare::TARGET
        }
        Err(_) => "not for a bare target",
    };
    Ok(Report::Done(format!("{} passed; {bare}", tally.passed)))
}

fn tests(context: &Context<'_>) -> Result<Report, String> {
    test_run(context, &["--workspace", "--all-features"])
}

fn featureless(context: &Context<'_>) -> Result<Report, String> {
    test_run(context, &["-p", "mqtt-core", "-p", "watchdog-core", "--no-default-features"])
}

fn test_run(context: &Context<'_>, packages: &[&str]) -> Result<Report, String> {
    let workspace = context.workspace;
    let mut cargo = workspace.cargo();
    let nextest = shell::ask(workspace.cargo().args(["nextest", "--version"])).is_some();
    if nextest {
        // Failed tests are printed last, because the end of the log is shown.
        cargo.args(["nextest", "run", "--no-fail-fast", "--failure-output", "final"]);
    } else {
        cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"]);
    }
    let tally = context.tests(cargo.args(packages))?;
    let runner = if nextest { "cargo nextest" } else { "cargo test" };
    Ok(Report::Done(format!("{} passed by {runner}", tally.passed)))
}

fn loom(context: &Context<'_>) -> Result<Report, String> {
    let workspace = context.workspace;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "-p", "watchdog-core", "--features", "std", "--test", "loom"]);
    // A folder of its own: with these flags everything is built anew.
    cargo.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace.scratch("loom")?);
    let tally = context.tests(&mut cargo)?;
    Ok(Report::Done(format!("{} passed", tally.passed)))
}

fn doc_tests(context: &Context<'_>) -> Result<Report, String> {
    let mut cargo = context.workspace.cargo();
    cargo.args(["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"]);
    let tally = context.tests(&mut cargo)?;
    Ok(Report::Done(format!("{} passed", tally.passed)))
}

fn docs(context: &Context<'_>) -> Result<Report, String> {
    let mut cargo = context.workspace.cargo();
    cargo.args(["doc", "--no-deps", "-p", "mqtt-core", "-p", "watchdog-core", "--all-features"]);
    context.run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    done()
}

fn benches(context: &Context<'_>) -> Result<Report, String> {
    // Without '--bench' on its command line, criterion runs each benchmark once and measures nothing.
    context.cargo(&["test", "-p", "mqtt-benches", "--benches"])?;
    done()
}

fn rust_version(context: &Context<'_>) -> Result<Report, String> {
    let workspace = context.workspace;
    let manifest =
        fs::read_to_string(workspace.root.join("Cargo.toml")).map_err(|e| e.to_string())?;
    let promised = promised_version(&manifest).ok_or("no rust-version in Cargo.toml")?;
    let list = shell::ask(workspace.program("rustup").args(["toolchain", "list"]));
    let Some(toolchain) = list.as_deref().and_then(|list| toolchain_of(list, promised)) else {
        return Ok(Report::NotRun(format!(
            "Rust {promised} is not at hand (rustup toolchain install {promised}); \
             clippy has checked the use of std against it"
        )));
    };
    let mut cargo = workspace.rustup(toolchain);
    cargo.arg("build");
    // Not `edge-nal` and `journal-flash`: the crates that they need promise no compiler as old as this one.
    for (library, sets) in FEATURES {
        cargo.args(["-p", library]);
        for set in sets.iter().filter(|set| !["", "edge-nal", "journal-flash"].contains(*set)) {
            cargo.args(["--features", &format!("{library}/{set}")]);
        }
    }
    context.run(cargo.env("CARGO_TARGET_DIR", workspace.scratch("rust-version")?))?;
    Ok(Report::Done(toolchain.to_owned()))
}

/// The `rust-version` of a manifest.
fn promised_version(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("rust-version"))?;
    line.split('"').nth(1)
}

/// The toolchain of that version in `rustup toolchain list`.
fn toolchain_of<'a>(list: &'a str, version: &str) -> Option<&'a str> {
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| name.strip_prefix(version).is_some_and(|rest| rest.starts_with(['.', '-'])))
}

fn simulator(context: &Context<'_>) -> Result<Report, String> {
    sim::check(context, SIMULATOR_SEEDS).map(Report::Done)
}

fn model_check(context: &Context<'_>) -> Result<Report, String> {
    model::check(context).map(Report::Done)
}

fn find_mutations(context: &Context<'_>) -> Result<Report, String> {
    mutations::all_caught(context.workspace, &context.log).map(Report::Done)
}

fn fuzz_briefly(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, .. } = context;
    // On a developer's machine, cargo-fuzz is installed only if the developer asks for it.
    if context.may_install && std::env::var_os("CI").is_some() {
        fuzz::install(workspace, log)?;
    }
    match fuzz::ready(workspace) {
        Err(why) => Ok(Report::NotRun(format!("{why}; the corpora ran among the tests"))),
        Ok(targets) => {
            for target in &targets {
                fuzz::run_target(workspace, log, target, FUZZ_SECONDS)?;
            }
            Ok(Report::Done(format!("{} targets, {FUZZ_SECONDS} s each", targets.len())))
        }
    }
}

fn kill_briefly(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    setup::ensure(workspace, log, &setup::MOSQUITTO, *may_install)?;
    kill::run_briefly(workspace, log).map(Report::Done)
}

fn footprint(context: &Context<'_>) -> Result<Report, String> {
    let Context { workspace, log, may_install, .. } = context;
    let toolchain = match Bare::reach(workspace, log, *may_install) {
        Ok(toolchain) => toolchain,
        Err(why) => return Ok(Report::NotRun(why)),
    };
    let measured = footprint::measure(workspace, log, toolchain)?;
    footprint::verdict(&measured).map(Report::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_version_is_read_from_the_manifest() {
        let manifest = "[workspace.package]\nedition = \"2024\"\nrust-version = \"1.85\"\n";
        assert_eq!(promised_version(manifest), Some("1.85"));
        assert_eq!(promised_version("[package]\n"), None);
    }

    #[test]
    fn a_toolchain_is_found_by_its_version_alone() {
        let list = "stable-x86_64 (active, default)\n1.850-x\n1.85.1-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain_of(list, "1.85"), Some("1.85.1-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of("1.85-x86_64\n", "1.85"), Some("1.85-x86_64"));
        assert_eq!(toolchain_of("1.95.0-x86_64\n", "1.85"), None);
    }

    #[test]
    fn no_two_steps_share_a_name() {
        for (i, step) in STEPS.iter().enumerate() {
            assert!(STEPS.iter().skip(i + 1).all(|other| other.name != step.name), "{}", step.name);
            assert!(!step.name.contains(['/', ' ']), "'{}' names a log file", step.name);
        }
    }
}
