//! Measures the rule engine and prints the table of its aims.
//!
//! `picket-engine-bench [--write | SIZE [ROUNDS] [known | new]]`: with `--write`, `docs/performance/engine.md` and
//! its drawing are written too. `PICKET_WORKLOAD` names the workload's folder.

mod figures;
mod hostile;
mod measure;
mod peers;
mod report;
mod rules;
mod workload;

use anyhow::{Context, Result};
use figures::Figures;
use measure::Lines;
use std::path::PathBuf;

/// The sizes of rule sets that the aims speak of.
const SIZES: [usize; 4] = [10, 100, 1000, 10_000];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = std::env::var_os("PICKET_WORKLOAD")
        .map_or_else(|| PathBuf::from("../shared/workload"), PathBuf::from);
    if !folder.exists() {
        println!(
            "engine: no workload at {}: nothing is measured",
            folder.display()
        );
        return Ok(());
    }
    let neutral = workload::events(&folder)?;
    let lines = workload::read(&folder.join("rules.jsonl.zst"))?;
    let rules = lines
        .iter()
        .enumerate()
        .map(|(number, json)| rules::rule(json, number))
        .collect::<Result<Vec<_>>>()
        .context("the workload's rules")?;
    let bench = figures::Bench {
        neutral,
        lines,
        rules,
    };
    // One size and one kind of command lines alone, for a profiler.
    let mut numbers = arguments.iter().filter_map(|text| text.parse().ok());
    if let Some(size) = numbers.next() {
        let rounds = numbers.next().unwrap_or(20);
        let asked = |word: &str| arguments.iter().any(|text| text == word);
        let lines = match (asked("known"), asked("new")) {
            (true, _) => Lines::Known,
            (_, true) => Lines::New,
            _ => Lines::AsTheyCome,
        };
        println!("{:.0} ns an event", bench.profiled(size, lines, rounds));
        return Ok(());
    }
    let figures: Figures = bench.all()?;
    print!("{}", report::table(&figures));
    if arguments.iter().any(|text| text == "--write") {
        report::write(&figures)?;
    }
    Ok(())
}
