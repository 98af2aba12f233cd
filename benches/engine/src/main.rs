//! Measures the rule engine on the workload.

mod measure;
mod rules;
mod workload;

use anyhow::{Context, Result};
use picket_engine::fold::Folder;
use picket_engine::naive::Evaluator;
use picket_engine::{CompileOptions, Program, Scratch, Verdicts};
use picket_lang::ir::Rule;
use picket_model::Event;
use std::path::PathBuf;
use std::time::Instant;
use workload::{Neutral, World};

fn main() -> Result<()> {
    let folder = std::env::var_os("PICKET_WORKLOAD")
        .map_or_else(|| PathBuf::from("../shared/workload"), PathBuf::from);
    let neutral = workload::events(&folder)?;
    let lines = workload::read(&folder.join("rules.jsonl.zst"))?;
    let rules: Vec<Rule> = lines
        .iter()
        .enumerate()
        .map(|(number, json)| rules::rule(json, number))
        .collect::<Result<_>>()
        .context("the workload's rules")?;
    let events = fresh(&neutral);
    let sample = fresh(&neutral[..1000]);
    for count in [10, 100, 1000, 10_000] {
        let rules = &rules[..count.min(rules.len())];
        let owned = rules.to_vec();
        let start = Instant::now();
        let program = Program::compile_with(owned, &CompileOptions { sample: &sample });
        let compile = start.elapsed();
        let reference = Evaluator::new(rules);
        let checked = check(&program, &reference, &events, count);
        let naive = measure::median(3, || {
            let mut folder = Folder::default();
            let mut verdicts = Verdicts::default();
            let events = &events[..(20_000_000 / count / 10).clamp(400, events.len())];
            measure::per(events.len(), || {
                for event in events {
                    reference.evaluate(event, &mut folder, &mut verdicts);
                }
            })
        });
        let mut scratch = Scratch::new();
        let mut verdicts = Verdicts::default();
        let fast = measure::median(7, || {
            let events = fresh(&neutral);
            measure::per(events.len(), || {
                for event in &events {
                    program.evaluate(event, &mut scratch, &mut verdicts);
                }
            })
        });
        let stats = scratch.stats(&program);
        let candidates: u64 = stats.iter().map(|stats| stats.candidates).sum();
        println!(
            "{count:>6} rules: naive {naive:>10.0} ns, program {fast:>7.0} ns, {:>7.1}x, compile {:.1} ms, {:.2} MB, {checked} matches, {:.1} candidates an event",
            naive / fast,
            compile.as_secs_f64() * 1e3,
            program.memory() as f64 / 1e6,
            candidates as f64 / (7 * events.len()) as f64,
        );
    }
    Ok(())
}

/// The events with images of their own.
fn fresh(neutral: &[Neutral]) -> Vec<Event> {
    let mut world = World::default();
    neutral.iter().map(|neutral| world.event(neutral)).collect()
}

/// Compares program and reference on every event (on fewer with many rules).
fn check(program: &Program, reference: &Evaluator, events: &[Event], count: usize) -> usize {
    let mut scratch = Scratch::new();
    let mut folder = Folder::default();
    let (mut expected, mut found) = (Verdicts::default(), Verdicts::default());
    let events = &events[..(40_000_000 / count).min(events.len())];
    let mut matches = 0;
    for event in events {
        reference.evaluate(event, &mut folder, &mut expected);
        program.evaluate(event, &mut scratch, &mut found);
        assert_eq!(expected, found, "on {event:?}");
        matches += found.matched.len();
    }
    matches
}
