//! Runs a list of steps, one after the other, with one line for each. If a step fails, the others run nevertheless.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use crate::shell::Log;
use crate::tally::{self, Tally};
use crate::workspace::Workspace;

/// Lines of a failed step's log that are shown.
const TAIL: usize = 100;

/// One step.
pub(crate) struct Step {
    /// A short name, also that of its log.
    pub(crate) name: &'static str,
    /// Its purpose, for `--list`.
    pub(crate) about: &'static str,
    /// Whether a fast run leaves it out.
    pub(crate) slow: bool,
    /// Runs it. An error means that the step failed.
    pub(crate) run: fn(&Context<'_>) -> Result<Report, String>,
}

/// How a step ended that did not fail.
pub(crate) enum Report {
    /// All is well; a remark, which may be empty.
    Done(String),
    /// It could not run here, for this reason.
    NotRun(String),
}

/// Everything that a step needs.
pub(crate) struct Context<'a> {
    /// The repository.
    pub(crate) workspace: &'a Workspace,
    /// The log of the step.
    pub(crate) log: Log,
    /// Whether missing tools may be installed.
    pub(crate) may_install: bool,
    tally: Cell<Tally>,
    failures: RefCell<Vec<String>>,
}

impl Context<'_> {
    /// Runs a program that must succeed, and gives its output.
    pub(crate) fn run(&self, command: &mut Command) -> Result<String, String> {
        self.log.run(command)?.require()
    }

    /// `cargo` with these arguments, which must succeed.
    pub(crate) fn cargo(&self, args: &[&str]) -> Result<String, String> {
        self.run(self.workspace.cargo().args(args))
    }

    /// Runs a test runner. Its counts go into the totals, also if it fails.
    pub(crate) fn tests(&self, command: &mut Command) -> Result<Tally, String> {
        let ran = self.log.run(command)?;
        let counted = tally::read(&ran.text);
        let mut sum = self.tally.get();
        sum += counted;
        self.tally.set(sum);
        match counted {
            Tally { passed, failed: 0, .. } => {
                ran.require()?;
                if passed == 0 { Err("no test ran".to_owned()) } else { Ok(counted) }
            }
            Tally { failed, .. } => {
                let mut failures = self.failures.borrow_mut();
                failures.extend(tally::failures(&ran.text).into_iter().map(str::to_owned));
                Err(format!("{failed} failed; {}", ran.how))
            }
        }
    }
}

/// The result of all steps.
#[derive(Default)]
pub(crate) struct Summary {
    /// Steps that passed.
    pub(crate) passed: Vec<&'static str>,
    /// Steps that failed.
    pub(crate) failed: Vec<&'static str>,
    /// Steps that could not run here.
    pub(crate) not_run: Vec<&'static str>,
    /// Names of the tests that failed.
    pub(crate) failures: Vec<String>,
    /// Tests of all runners. A step that failed without a failing test counts as one failure, so that the
    /// totals alone never look good when something is wrong.
    pub(crate) tally: Tally,
}

/// Runs the steps in order.
pub(crate) fn run<'a>(
    steps: impl IntoIterator<Item = &'a Step>,
    workspace: &Workspace,
    may_install: bool,
    verbose: bool,
) -> Result<Summary, String> {
    let mut summary = Summary::default();
    for step in steps {
        print!("  {:<14} ", step.name);
        if verbose {
            println!();
        }
        let _ = std::io::stdout().flush();
        let started = Instant::now();
        let log = Log::create(workspace, step.name, verbose)?;
        let tally = Cell::new(Tally::default());
        let failures = RefCell::default();
        let context = Context { workspace, log, may_install, tally, failures };
        let result = (step.run)(&context);
        let seconds = started.elapsed().as_secs_f32();
        let counted = context.tally.get();
        summary.tally += counted;
        match result {
            Ok(Report::Done(note)) => {
                summary.passed.push(step.name);
                println!("{}", format!("ok       {seconds:7.1} s  {note}").trim_end());
            }
            Ok(Report::NotRun(why)) => {
                summary.not_run.push(step.name);
                println!("not run             {why}");
            }
            Err(why) => {
                summary.failed.push(step.name);
                if counted.failed == 0 {
                    summary.tally.failed += 1;
                }
                println!("FAILED   {seconds:7.1} s  {why}");
                print!("{}", context.log.tail(TAIL));
                println!("    (all of it: {})", context.log.path().display());
                summary.failures.extend(context.failures.take());
            }
        }
    }
    Ok(summary)
}
