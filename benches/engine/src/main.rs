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
    let only: Option<usize> = std::env::args().nth(1).and_then(|text| text.parse().ok());
    for count in [10, 100, 1000, 10_000] {
        if only.is_some_and(|only| only != count) {
            continue;
        }
        let rules = &rules[..count.min(rules.len())];
        let owned = rules.to_vec();
        let start = Instant::now();
        let program = Program::compile_with(owned, &CompileOptions { sample: &sample });
        let compile = start.elapsed();
        let reference = Evaluator::new(rules);
        let quick = std::env::args().nth(2).is_some();
        let checked = if quick { 0 } else { check(&program, &reference, &events, count) };
        let mut folder = Folder::default();
        let mut verdicts = Verdicts::default();
        let some = if quick { &neutral[..10] } else { &neutral[..(20_000_000 / count / 10).clamp(400, neutral.len())] };
        let naive = measure::least(3, || {
            measure::hot(some, |event| {
                reference.evaluate(event, &mut folder, &mut verdicts);
            })
        });
        let mut scratch = Scratch::new();
        let rounds = if only.is_some() { 60 } else { 7 };
        let fast = measure::least(rounds, || {
            measure::hot(&neutral, |event| {
                program.evaluate(event, &mut scratch, &mut verdicts);
            })
        });
        let stats = scratch.stats(&program);
        let candidates: u64 = stats.iter().map(|stats| stats.candidates).sum();
        println!(
            "{count:>6} rules: naive {naive:>10.0} ns, program {fast:>7.0} ns, {:>7.1}x, compile {:.1} ms, {:.2} MB, {checked} matches, {:.1} candidates an event",
            naive / fast,
            compile.as_secs_f64() * 1e3,
            program.memory() as f64 / 1e6,
            candidates as f64 / (rounds * events.len()) as f64,
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
