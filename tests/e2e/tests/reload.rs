//! New rules under load: no event is missed, and bad ones change nothing.

use anyhow::{Result, ensure};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::{Cause, Finding, Scratch, Sensor, needs_root};
use rustix::process::Signal;
use std::fs::File;
use std::io::Write;

const PROCESSES: usize = 3_000;

#[test]
fn reloads_under_load_lose_no_event() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?.path_text();
    let rules = |generation: usize| {
        // Every other generation needs hooks that the one before did not.
        let more = if generation.is_multiple_of(2) {
            "file.delete"
        } else {
            "network.listen"
        };
        RuleFile::new()
            .rule(
                "target",
                "process.exec",
                &format!("process.path == {}", quote(&target)),
            )
            .rule(
                &format!("generation-{generation}"),
                more,
                "actor.process.name == \"nobody-has-it\"",
            )
    };
    rules(0).write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;

    let cause = Cause::new(&scratch, "cause")?;
    let mut burst = cause.start(["burst", &PROCESSES.to_string(), &target])?;
    burst.go()?;
    let mut reloads = 0;
    while burst.is_alive()? {
        reloads += 1;
        rules(reloads).write(&scratch)?;
        // By signal and by the change itself, in turn.
        if reloads.is_multiple_of(2) {
            sensor.signal(Signal::HUP)?;
        }
        sensor.message("reloaded")?;
    }
    ensure!(reloads >= 3, "{reloads} reloads are no test");
    let ended = burst.end()?;
    assert_eq!(ended.said[0].ret(), PROCESSES as i64);

    let stopped = sensor.stop()?;
    let mut numbers: Vec<usize> = stopped
        .findings
        .iter()
        .filter(|finding| finding.rule() == "target")
        .filter_map(|finding| {
            finding.event().at("process.ext.args")[3]
                .as_str()?
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable();
    let expected: Vec<usize> = (0..PROCESSES).collect();
    ensure!(
        numbers == expected,
        "{} findings of {PROCESSES}, after {reloads} reloads",
        numbers.len()
    );
    ensure!(
        stopped
            .messages
            .iter()
            .any(|line| line.starts_with("lost in the kernel: 0")),
        "{:?}",
        stopped.messages
    );
    Ok(())
}

#[test]
fn a_changed_file_is_taken_in_and_old_rules_go() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    RuleFile::new()
        .rule("before", "process.exec", &condition)
        .write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    target.run(["hold"])?;
    sensor.finding("before")?;

    // Rules that need hooks which were not attached.
    let file = scratch.at("touched");
    RuleFile::new()
        .rule("after", "process.exec", &condition)
        .rule(
            "file",
            "file.create",
            &format!("file.path == {}", quote(&file)),
        )
        .write(&scratch)?;
    sensor.message("reloaded")?;
    target.run(["hold"])?;
    sensor.finding("after")?;
    target.run(["creat", &file])?;
    sensor.finding("after")?;
    sensor.finding("file")?;
    let stopped = sensor.stop()?;
    ensure!(
        stopped.findings.is_empty(),
        "{:?}",
        stopped
            .findings
            .iter()
            .map(Finding::rule)
            .collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn a_broken_reload_keeps_the_last_good_rules() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    let good = RuleFile::new().rule("good", "process.exec", &condition);
    good.write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;

    let wrong_field = RuleFile::new()
        .rule("bad", "process.exec", "process.nmae == \"x\"")
        .text();
    let broken: [(&str, Vec<u8>, &str); 4] = [
        ("a wrong field", wrong_field.into_bytes(), "process.name"),
        ("no YAML", b"rules: [\n  - {".to_vec(), "rules/test.yaml"),
        (
            "a binary file",
            vec![0, 159, 146, 150, 0, 255],
            "rules/test.yaml",
        ),
        (
            "half a condition",
            RuleFile::new()
                .rule("half", "process.exec", "process.pid ==")
                .text()
                .into(),
            "rules/test.yaml",
        ),
    ];
    for (what, content, told) in broken {
        scratch.write("rules/test.yaml", content)?;
        sensor.signal(Signal::HUP)?;
        sensor.message_with(told)?;
        target.run(["hold", what])?;
        let finding = sensor.finding("good")?;
        assert_eq!(finding.event().at("process.ext.args")[2], what);
    }
    good.rule("more", "process.exec", &condition)
        .write(&scratch)?;
    sensor.message("reloaded")?;
    target.run(["hold"])?;
    sensor.finding("more")?;

    std::fs::remove_dir_all(scratch.at("rules"))?;
    sensor.signal(Signal::HUP)?;
    sensor.message_with("rules")?;
    target.run(["hold", "gone"])?;
    sensor.finding_where("more", |f| f.event().at("process.ext.args")[2] == "gone")?;
    sensor.stop()?;
    Ok(())
}

#[test]
fn a_file_that_is_being_written_is_not_taken_for_an_empty_one() -> Result<()> {
    needs_root!();
    const ROUNDS: usize = 20;
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    let rules = RuleFile::new().rule("kept", "process.exec", &condition);
    let path = rules.write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    for round in 0..ROUNDS {
        // As `cat >file` does it, with a signal at the worst moment.
        let mut file = File::create(&path)?;
        sensor.signal(Signal::HUP)?;
        target.run(["hold", "while it is written", &round.to_string()])?;
        file.write_all(rules.text().as_bytes())?;
        drop(file);
        target.run(["hold", "after", &round.to_string()])?;
    }
    for _ in 0..2 * ROUNDS {
        sensor.finding("kept")?;
    }
    let stopped = sensor.stop()?;
    let said = stopped.messages.join("\n");
    ensure!(!said.contains("no rule any more"), "{said}");
    Ok(())
}
