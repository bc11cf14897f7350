//! The developer's commands: `cargo xtask <command>`.
//!
//! A command is a file of its own that ends in a `COMMAND`; the table below is the only place that names it.
//! Every command has `--help`, and its last line holds its totals. Exit status: 0 if all is well, 1 if something
//! failed, 2 if the command line was not understood.

mod bare;
mod bench;
mod brokers;
mod bugs;
mod checkers;
mod cli;
mod elf;
mod footprint;
mod fuzz;
mod hal;
mod imports;
mod kill;
mod last;
mod layers;
mod model;
mod mutated;
mod mutations;
mod no_std;
mod path;
mod setup;
mod shell;
mod sim;
mod steps;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

const COMMANDS: &[cli::Command] = &[
    test::COMMAND,
    footprint::COMMAND,
    bench::COMMAND,
    fuzz::COMMAND,
    brokers::COMMAND,
    kill::COMMAND,
    sim::COMMAND,
    model::COMMAND,
    mutations::COMMAND,
];

fn main() -> ExitCode {
    match cli::parse(COMMANDS, std::env::args_os().skip(1)) {
        Ok(cli::Request::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(cli::Request::Run(command, args)) => finish((command.run)(&args)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn finish(result: cli::Outcome) -> ExitCode {
    match result {
        Ok(closing) => {
            println!("{}", closing.line);
            if closing.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(cli::Error::Usage(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(cli::Error::Failed(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
