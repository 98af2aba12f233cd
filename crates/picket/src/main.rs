//! The `picket` command: parses the command line and wires the crates.

mod builtin;
mod cli;
mod commands;
mod console;
mod control;
mod inputs;
mod json_lines;
mod live;
mod output;
mod rule_files;

use std::process::ExitCode;

/// Usage or input error.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        // `picket match … | head` has what it wanted.
        Err(error) if output::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console::failure(&error);
            ExitCode::from(WRONG)
        }
    }
}
