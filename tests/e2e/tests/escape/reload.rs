//! New rules are put in force in the midst of a storm.

use crate::stage::{By, First, LONG, Stage};
use anyhow::Result;
use picket_e2e::guest::suite;
use picket_e2e::needs_root;
use picket_e2e::rules::RuleFile;
use rustix::process::Signal;

const RELOADS: usize = 20;

/// The blocks that stay among rules that change: their number, their order in the
/// tables and the hooks they need.
fn rules(stage: &Stage, kept: &[By], generation: usize) -> RuleFile {
    const CLASSES: [&str; 3] = ["file.delete", "network.listen", "dns.query"];
    let mut others = RuleFile::new();
    for number in 0..generation % 5 {
        let rule = format!("other-{number}");
        others = others
            .rule(
                &rule,
                CLASSES[(generation + number) % CLASSES.len()],
                &format!("actor.process.name == \"nobody-{generation}-{number}\""),
            )
            .policy(&format!("stop-{rule}"), &rule, "block");
    }
    kept.iter().fold(others, |file, by| {
        file.rule(by.rule(), "process.exec", &stage.condition(*by))
            .policy(&format!("stop-{}", by.rule()), by.rule(), "block")
    })
}

#[test]
fn rules_are_reloaded_in_a_storm_without_a_gap() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let kept = [By::Path, By::Ancestor];
    rules(&stage, &kept, 0).write(&stage.scratch)?;
    let mut sensor = stage.builder().quiet().start()?;
    let storms = [
        stage.storm(By::Path, First::Write)?.paced().rage()?,
        stage.storm(By::Ancestor, First::Creat)?.paced().rage()?,
    ];
    let reloads = match suite::inside() {
        Some(_) => 3,
        None => RELOADS,
    };
    for generation in 1..=reloads {
        rules(&stage, &kept, generation).write(&stage.scratch)?;
        // By the change itself, and by signal too.
        if generation % 2 == 0 {
            sensor.signal(Signal::HUP)?;
        }
        sensor.message("reloaded")?;
    }
    for storm in storms {
        storm.stop()?.is_contained()?;
    }
    sensor.stop_within(LONG)?;
    Ok(())
}
