//! Checks the rule files named on the command line: `cargo run -p picket-lang --example check FILE…`
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]
use picket_lang::{Limits, Source, check, render_json, render_text};
use std::io::IsTerminal;

fn main() {
    let mut json = false;
    let mut sources = Vec::new();
    for argument in std::env::args().skip(1) {
        if argument == "--json" {
            json = true;
        } else {
            sources.push(Source::new(
                argument.clone(),
                std::fs::read(&argument).unwrap(),
            ));
        }
    }
    let start = std::time::Instant::now();
    let checked = check(&sources, &Limits::default());
    let took = start.elapsed();
    if json {
        println!("{}", render_json(&checked.diagnostics, &sources));
    } else {
        let color = std::io::stdout().is_terminal();
        print!("{}", render_text(&checked.diagnostics, &sources, color));
    }
    eprintln!(
        "{} rules, {} policies, {} tests in {took:?}",
        checked.rules.len(),
        checked.policies.len(),
        checked
            .tests
            .iter()
            .map(|tests| tests.tests.len())
            .sum::<usize>(),
    );
}
