//! The sensor is stopped, cannot keep up, or is dead: what is blocked stays blocked.

use crate::stage::{By, First, LONG, Stage, counted, freeze, runs};
use anyhow::{Result, ensure};
use picket_e2e::sensor::Stopped;
use picket_e2e::{needs_root, wait};
use rustix::process::Signal;

const RUNS: usize = 2_000;
/// The smallest ring, and executions whose records do not fit into it: each has
/// arguments of a page.
const RING_MIB: &str = "1";
const FLOOD: usize = 600;

/// A storm of each kind of rule, each as long.
fn storms_are_contained(stage: &Stage, rules: &[By], runs: usize) -> Result<()> {
    for by in rules {
        let first = match by {
            By::Path | By::CommandLine => First::Write,
            _ => First::Creat,
        };
        stage.storm(*by, first)?.run(runs)?.is_contained()?;
    }
    let afar = stage.storm_from_afar(First::Write)?;
    afar.run(runs.min(100))?.is_contained()
}

/// So many matches of each rule were told, or their loss was.
fn all_is_told(stopped: &Stopped, rules: &[By], runs: usize) -> Result<()> {
    let lost = counted(stopped, "lost in the kernel", "process.exec");
    for by in rules {
        let told = counted(stopped, "findings", by.rule());
        ensure!(
            told + lost >= runs as u64,
            "{runs} runs, {told} told, {lost} lost: {:?}",
            stopped.messages
        );
    }
    Ok(())
}

#[test]
fn a_stopped_sensor_lets_nothing_run() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage.blocks(&By::RULES).write(&stage.scratch)?;
    let sensor = stage.builder().quiet().start()?;
    freeze(&sensor)?;
    let runs = runs(RUNS);
    storms_are_contained(&stage, &By::RULES, runs)?;
    sensor.signal(Signal::CONT)?;
    all_is_told(&sensor.stop_within(LONG)?, &By::RULES, runs)
}

#[test]
fn a_full_ring_lets_nothing_run() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage.blocks(&By::RULES).write(&stage.scratch)?;
    let mut sensor = stage
        .builder()
        .arg("--ring")
        .arg(RING_MIB)
        .quiet()
        .start()?;
    freeze(&sensor)?;
    // Both rings: that of all records, and the one for those with a decision.
    let page = "x".repeat(4_000);
    let harmless = stage
        .storm(By::Nothing, First::Write)?
        .arg(&page)
        .run(FLOOD)?;
    ensure!(harmless.otherwise == harmless.runs, "{harmless:?}");
    let blocked = stage.storm(By::Path, First::Write)?.arg(&page);
    blocked.run(FLOOD)?.is_contained()?;
    let runs = runs(RUNS);
    storms_are_contained(&stage, &By::RULES, runs)?;

    sensor.signal(Signal::CONT)?;
    sensor.message_with("the kernel had no room for")?;
    let stopped = sensor.stop_within(LONG)?;
    let lost = counted(&stopped, "lost in the kernel", "process.exec");
    ensure!(lost > 0, "{:?}", stopped.messages);
    all_is_told(&stopped, &By::RULES, runs)
}

#[test]
fn a_killed_sensor_leaves_its_blocks_if_it_was_told_to() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage.blocks(&By::RULES).write(&stage.scratch)?;
    let keeping = stage.builder().arg("--on-exit").arg("keep").quiet();
    keeping.start()?.kill()?;
    let runs = runs(RUNS);
    storms_are_contained(&stage, &By::RULES, runs)?;

    // The next takes over, and tells what was done without a sensor.
    let mut sensor = keeping.start()?;
    sensor.message_with("this one takes over")?;
    storms_are_contained(&stage, &By::RULES, runs)?;
    let stopped = sensor.stop_within(LONG)?;
    let before = stopped
        .messages
        .iter()
        .any(|line| line.contains("the run before this one had no room"));
    if !before {
        all_is_told(&stopped, &By::RULES, 2 * runs)?;
    }
    // They stay by whatever end.
    storms_are_contained(&stage, &[By::Path, By::Ancestor], runs.min(100))?;

    // One that is to lift them does so.
    let sensor = stage.builder().quiet().start()?;
    storms_are_contained(&stage, &[By::Path, By::Ancestor], runs.min(100))?;
    sensor.stop_within(LONG)?;
    are_lifted(&stage)
}

#[test]
fn a_killed_sensor_lifts_its_blocks_if_nothing_else_was_said() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage.blocks(&By::RULES).write(&stage.scratch)?;
    let sensor = stage.builder().quiet().start()?;
    storms_are_contained(&stage, &By::RULES, runs(RUNS).min(100))?;
    sensor.kill()?;
    are_lifted(&stage)
}

/// The kernel takes its programs out a moment after the last that held them.
fn are_lifted(stage: &Stage) -> Result<()> {
    let storm = stage.storm(By::Path, First::Write)?;
    wait::until("a block that is lifted", || {
        Ok((storm.run(1)?.killed == 0).then_some(()))
    })?;
    for by in By::RULES {
        stage.storm(by, First::Write)?.acts_unstopped()?;
    }
    Ok(())
}
