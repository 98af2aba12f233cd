//! What runs in a container is blocked as what runs beside it.

use crate::stage::{First, runs};
use anyhow::{Context, Result, ensure};
use picket_e2e::container::{self, CAUSE_INSIDE, Container};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::scratch::unique;
use picket_e2e::sensor::Builder;
use picket_e2e::{Cgroup, needs_root, report, skip_unless};
use serde_json::Value;

const RUNS: usize = 1_000;

#[test]
fn a_containers_processes_are_covered() -> Result<()> {
    needs_root!();
    let missing = container::missing();
    skip_unless!(missing.is_none(), missing.unwrap_or_default());
    // Dropped last: the container's cgroup is inside.
    let cgroup = Cgroup::new()?;
    let name = unique();
    let inside = |first: First| format!("/usr/bin/blocked-{}-{name}", first.name());
    let container = Container::with_image(|image| {
        for first in First::BOTH {
            let path = image.join(inside(first).trim_start_matches('/'));
            std::fs::copy(first.program(), path)?;
        }
        Ok(())
    })?
    .in_cgroup(&cgroup)?;
    let programs = First::BOTH.map(|first| quote(&inside(first)));
    RuleFile::new()
        .rule(
            "bad",
            "process.exec",
            &format!("process.path in ({})", programs.join(", ")),
        )
        .policy("stop-bad", "bad", "block")
        .write(container.scratch())?;
    // Both, each some times, in the container.
    let storms = |runs: usize| -> Result<Vec<Value>> {
        let storm = |first| {
            format!(
                "cd /tmp; {CAUSE_INSIDE} storm {runs} fork {};",
                inside(first)
            )
        };
        let output = container.run(&First::BOTH.map(storm).concat())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let tallies: Vec<Value> = lines.collect();
        ensure!(
            tallies.len() == First::BOTH.len(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for (first, tally) in First::BOTH.iter().zip(&tallies) {
            report(&format!("storm: {} in a container: {tally}", first.name()));
        }
        Ok(tallies)
    };
    let unstopped = storms(10)?;
    ensure!(
        unstopped[0]["bytes"] == 10 && unstopped[1]["files"].as_u64() > Some(0),
        "nothing stops them, and yet: {unstopped:?}"
    );

    let mut sensor = Builder::new(container.scratch().path().join("rules"))
        .enforce_in(cgroup.path())
        .start()?;
    let runs = runs(RUNS);
    for tally in storms(runs)? {
        let number = |key: &str| {
            tally[key]
                .as_u64()
                .with_context(|| format!("{key} in {tally}"))
        };
        ensure!(
            number("ret")? == runs as u64 && number("killed")? == runs as u64,
            "escaped: {tally}"
        );
        for key in ["otherwise", "bytes", "files"] {
            ensure!(number(key)? == 0, "escaped: {tally}");
        }
    }
    let finding = sensor.finding("bad")?;
    finding
        .event()
        .has("container.uid", container.id.as_str())?;
    finding
        .response("stop-bad")?
        .has("outcome", "acted")?
        .has("operation_completed", false)?;
    sensor.stop()?;
    Ok(())
}
