//! What bounds a policy bounds it in a storm too, without the sensor, and from one
//! run of the sensor to the next.

use crate::stage::{By, First, LONG, Stage, freeze, runs};
use crate::storm::{Storm, Tally};
use anyhow::{Result, ensure};
use picket_e2e::binary::run_picket;
use picket_e2e::rules::RuleFile;
use picket_e2e::{Sensor, needs_root, wait};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const RUNS: usize = 2_000;
const POLICY: &str = "bounded";

/// A block of the first program with that budget.
fn bounded(stage: &Stage, budget: &str) -> Result<()> {
    RuleFile::new()
        .rule("bad", "process.exec", &stage.condition(By::Path))
        .policy_on(
            POLICY,
            "{rules: [bad]}",
            "block",
            &format!("budget: {{{budget}, on_exceed: simulate}}"),
        )
        .write(&stage.scratch)?;
    Ok(())
}

fn storm(stage: &Stage) -> Result<Storm<'_>> {
    stage.storm(By::Path, First::Write)
}

/// So many were killed; the others did what they do.
fn killed(tally: &Tally, killed: u64) -> Result<()> {
    let left = tally.runs - killed;
    ensure!(
        (tally.killed, tally.otherwise, tally.bytes) == (killed, left, left),
        "not {killed} were killed: {tally:?}"
    );
    Ok(())
}

const USED_UP: &str = "policy bounded has used up its budget: it simulates";

/// The budget is used up: what happens is recorded, and nothing more.
fn only_recorded(stage: &Stage, sensor: &mut Sensor) -> Result<()> {
    killed(&storm(stage)?.run(1)?, 0)?;
    sensor.finding_where("bad", |finding| {
        finding.response(POLICY).is_ok_and(|response| {
            response.text("outcome") == "withheld" && response.text("reason") == "budget_exceeded"
        })
    })?;
    Ok(())
}

#[test]
fn not_one_more_is_killed_than_allowed() -> Result<()> {
    const ALLOWED: u64 = 60;
    needs_root!();
    let stage = Stage::new()?;
    bounded(&stage, &format!("kills: {ALLOWED}, per: 1h"))?;
    let mut sensor = stage.builder().start()?;
    // Several processors charge it at once, and nobody but the kernel is there to.
    freeze(&sensor)?;
    killed(&storm(&stage)?.run(runs(RUNS))?, ALLOWED)?;
    sensor.signal(Signal::CONT)?;
    sensor.message_with(USED_UP)?;
    only_recorded(&stage, &mut sensor)?;

    // A restart is no way to get more.
    sensor.kill()?;
    let mut sensor = stage.builder().start()?;
    sensor.message_with("policy bounded used up its budget before this run")?;
    only_recorded(&stage, &mut sensor)
}

#[test]
fn what_was_used_outlives_a_killed_sensor() -> Result<()> {
    needs_root!();
    for on_exit in ["lift", "keep"] {
        let stage = Stage::new()?;
        bounded(&stage, "kills: 5, per: 1h")?;
        let builder = stage.builder().arg("--on-exit").arg(on_exit);
        let sensor = builder.start()?;
        killed(&storm(&stage)?.run(3)?, 3)?;
        sensor.kill()?;
        let mut sensor = builder.start()?;
        killed(&storm(&stage)?.run(10)?, 2)?;
        sensor.message_with(USED_UP)?;
        only_recorded(&stage, &mut sensor)?;
    }
    Ok(())
}

#[test]
fn a_used_up_budget_comes_back_after_its_pause() -> Result<()> {
    const PAUSE: Duration = Duration::from_secs(3);
    needs_root!();
    let stage = Stage::new()?;
    bounded(&stage, "kills: 2, per: 1s, resume_after: 3s")?;
    let mut sensor = stage.builder().start()?;
    killed(&storm(&stage)?.run(2)?, 2)?;
    let tripped = Instant::now();
    killed(&storm(&stage)?.run(1)?, 0)?;
    sensor.message_with(USED_UP)?;
    only_recorded(&stage, &mut sensor)?;
    wait::until("the end of the pause", || {
        let tally = storm(&stage)?.run(1)?;
        Ok((tally.killed == 1).then_some(()))
    })?;
    let paused = tripped.elapsed();
    ensure!(paused >= PAUSE, "it came back after {paused:?}");
    Ok(())
}

#[test]
fn one_without_a_pause_comes_back_by_a_person_alone() -> Result<()> {
    const WINDOW: Duration = Duration::from_secs(1);
    needs_root!();
    let stage = Stage::new()?;
    bounded(&stage, "kills: 1, per: 1s")?;
    let mut sensor = stage.builder().start()?;
    killed(&storm(&stage)?.run(1)?, 1)?;
    killed(&storm(&stage)?.run(1)?, 0)?;
    sensor.message_with(USED_UP)?;
    // Its window is long over, and it simulates.
    let since = Instant::now();
    while since.elapsed() < 2 * WINDOW {
        killed(&storm(&stage)?.run(1)?, 0)?;
    }
    sensor.kill()?;
    let mut sensor = stage.builder().start()?;
    sensor.message_with("used up its budget before this run")?;
    only_recorded(&stage, &mut sensor)?;

    let armed = run_picket(["arm", POLICY, "--control", &stage.socket()])?;
    ensure!(armed.status.code() == Some(0), "{armed:?}");
    killed(&storm(&stage)?.run(1)?, 1)
}

#[test]
fn a_used_up_budget_is_told_although_the_ring_was_full() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    bounded(&stage, "kills: 700, per: 1h")?;
    let mut sensor = stage.builder().arg("--ring").arg("1").quiet().start()?;
    freeze(&sensor)?;
    // See `outage`: after these no record finds room.
    let page = "x".repeat(4_000);
    stage
        .storm(By::Nothing, First::Write)?
        .arg(&page)
        .run(600)?;
    killed(&storm(&stage)?.arg(&page).run(600)?, 600)?;
    killed(&storm(&stage)?.run(150)?, 100)?;
    sensor.signal(Signal::CONT)?;
    sensor.message_with("the kernel had no room for")?;
    sensor.message_with(USED_UP)?;
    Ok(())
}

#[test]
fn the_protected_set_holds_in_a_storm() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("everything", "process.exec", "process.pid > 0")
        .policy("stop-everything", "everything", "block")
        .write(&stage.scratch)?;
    let protected = stage.program(By::Nothing, First::Write);
    let sensor = stage
        .builder()
        .arg("--protect")
        .arg(&protected)
        .quiet()
        .start()?;
    // Without a sensor to ask as well.
    for frozen in [false, true] {
        if frozen {
            freeze(&sensor)?;
        }
        let spared = stage.storm(By::Nothing, First::Write)?;
        killed(&spared.run(runs(RUNS))?, 0)?;
        storm(&stage)?.run(runs(RUNS))?.is_contained()?;
    }
    sensor.signal(Signal::CONT)?;
    sensor.stop_within(LONG)?;
    Ok(())
}
