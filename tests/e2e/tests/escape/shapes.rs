//! Whatever shape the process has that executes: threads, vfork, daemons, scripts,
//! images without a name, fork bombs.

use crate::stage::{By, First, LONG, Stage, counted, runs};
use crate::storm::Storm;
use anyhow::{Context, Result, ensure};
use picket_e2e::rules::quote;
use picket_e2e::{Finding, Sensor, needs_root};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

const RUNS: usize = 500;
/// Processes of a fork bomb.
const BOMB: usize = 500;

/// Names of programs/ways.c.
const WAYS: [&str; 8] = [
    "fork", "vfork", "clone", "thread", "crowd", "orphan", "daemon", "fd",
];

/// Every run is killed before its first act, and the finding says so.
fn is_contained(sensor: &mut Sensor, storm: &Storm<'_>, rule: &str, runs: usize) -> Result<()> {
    storm.run(runs)?.is_contained()?;
    is_told(&sensor.finding(rule)?, rule)
}

fn is_told(finding: &Finding, rule: &str) -> Result<()> {
    let response = finding.response(&format!("stop-{rule}"))?;
    response
        .has("outcome", "acted")?
        .has("operation_completed", false)?;
    let mechanism = response.text("mechanism");
    ensure!(mechanism.starts_with("kernel_"), "{mechanism}");
    Ok(())
}

#[test]
fn every_way_to_execute_is_covered() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage
        .blocks(&[By::Path, By::Ancestor])
        .write(&stage.scratch)?;
    let storms = |way: &str| -> Result<Vec<(&str, Storm<'_>)>> {
        let storm = |by| Ok::<_, anyhow::Error>(stage.storm(by, First::Write)?.by_way(way));
        Ok(vec![
            (By::Path.rule(), storm(By::Path)?),
            (By::Ancestor.rule(), storm(By::Ancestor)?),
        ])
    };
    for way in WAYS {
        storms(way)?[0].1.acts_unstopped().context(way)?;
    }
    let mut sensor = stage.builder().start()?;
    for way in WAYS {
        for (rule, storm) in storms(way)? {
            is_contained(&mut sensor, &storm, rule, runs(RUNS))?;
        }
    }
    Ok(())
}

#[test]
fn an_image_without_a_name_is_covered() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    stage
        .blocks(&[By::Ancestor, By::User])
        .rule("nameless", "process.exec", "process.memfd == true")
        .policy("stop-nameless", "nameless", "block")
        .write(&stage.scratch)?;
    let rules = [
        (By::Ancestor, By::Ancestor.rule()),
        (By::User, By::User.rule()),
        (By::Nothing, "nameless"),
    ];
    for (by, _) in rules {
        let storm = stage.storm(by, First::Write)?.by_way("memfd");
        storm.acts_unstopped()?;
    }
    let mut sensor = stage.builder().start()?;
    for (by, rule) in rules {
        let storm = stage.storm(by, First::Write)?.by_way("memfd");
        is_contained(&mut sensor, &storm, rule, runs(RUNS))?;
    }
    Ok(())
}

#[test]
fn a_script_is_covered_by_its_interpreter_and_by_itself() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let script = |name: &str, interpreter: By| -> Result<String> {
        let interpreter = stage.program(interpreter, First::Write);
        let path = stage.scratch.write(name, format!("#!{interpreter}\n"))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(path.display().to_string())
    };
    // Its interpreter is what is blocked, or the script is.
    let plain = script("plain-script", By::Path)?;
    let bad = script("bad-script", By::Nothing)?;
    let spared = script("spared-script", By::Nothing)?;
    stage
        .blocks(&[By::Path])
        .rule(
            "bad-script",
            "process.exec",
            &format!("process.script == {}", quote(&bad)),
        )
        .policy("stop-bad-script", "bad-script", "block")
        .write(&stage.scratch)?;
    let storm = |script: &str| {
        Ok::<_, anyhow::Error>(
            stage
                .storm(By::Nothing, First::Write)?
                .of(script.to_owned()),
        )
    };
    for script in [&plain, &bad, &spared] {
        storm(script)?.acts_unstopped()?;
    }
    let mut sensor = stage.builder().start()?;
    is_contained(&mut sensor, &storm(&plain)?, By::Path.rule(), runs(RUNS))?;
    is_contained(&mut sensor, &storm(&bad)?, "bad-script", runs(RUNS))?;
    storm(&spared)?.acts_unstopped()
}

#[test]
fn a_fork_bomb_is_covered() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let rules = [By::Path, By::Ancestor];
    stage.blocks(&rules).write(&stage.scratch)?;
    let size = runs(BOMB);
    // A net under what bounds itself.
    stage.cgroup.most_processes(size + 50)?;
    let bomb = |by| Ok::<_, anyhow::Error>(stage.storm(by, First::Write)?.in_a_bomb());
    bomb(By::Path)?.acts_unstopped()?;
    let sensor = stage.builder().quiet().start()?;
    for by in rules {
        let tally = bomb(by)?.run(size)?;
        tally.is_contained()?;
        ensure!(tally.runs == size as u64, "no bomb: {tally:?}");
    }
    let stopped = sensor.stop_within(LONG)?;
    let killed = counted(&stopped, "killed", "killed");
    let told = killed + counted(&stopped, "lost in the kernel", "process.exec");
    ensure!(told >= 2 * size as u64, "{:?}", stopped.messages);
    Ok(())
}
