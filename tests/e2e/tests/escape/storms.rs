//! Storms: tens of thousands of executions, and none of them comes to its first act.

use crate::stage::{By, First, LONG, Stage, counted, runs};
use anyhow::{Result, ensure};
use picket_e2e::needs_root;

const RUNS: usize = 20_000;

fn none_escapes(first: First) -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage.blocks(&By::RULES).write(&stage.scratch)?;
    for by in By::RULES {
        stage.storm(by, first)?.acts_unstopped()?;
    }
    let sensor = stage.builder().quiet().start()?;
    // What no rule is about is left alone.
    stage.storm(By::Nothing, first)?.acts_unstopped()?;
    let runs = runs(RUNS);
    for by in By::RULES {
        stage.storm(by, first)?.run(runs)?.is_contained()?;
    }

    // Each was told, or its loss was.
    let stopped = sensor.stop_within(LONG)?;
    let lost = counted(&stopped, "lost in the kernel", "process.exec");
    for by in By::RULES {
        let told = counted(&stopped, "findings", by.rule());
        ensure!(
            told <= runs as u64 && told + lost >= runs as u64,
            "{runs} runs, {told} told, {lost} lost: {:?}",
            stopped.messages
        );
    }
    Ok(())
}

#[test]
fn no_write_escapes() -> Result<()> {
    none_escapes(First::Write)
}

#[test]
fn no_creat_escapes() -> Result<()> {
    none_escapes(First::Creat)
}
