//! Sensors come and go in the midst of a storm.

use crate::stage::{By, First, LONG, Stage, runs};
use anyhow::Result;
use picket_e2e::guest::suite;
use picket_e2e::needs_root;

/// Sensors that end.
const TIMES: usize = 5;

#[test]
fn a_sensor_takes_over_in_a_storm_without_a_gap() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let rules = [By::Path, By::Ancestor];
    stage.blocks(&rules).write(&stage.scratch)?;
    let keeping = stage.builder().arg("--on-exit").arg("keep").quiet();
    let mut sensor = keeping.start()?;
    let storms = [
        stage.storm(By::Path, First::Write)?.paced().rage()?,
        stage.storm(By::Ancestor, First::Creat)?.paced().rage()?,
        stage.storm_from_afar(First::Write)?.paced().rage()?,
    ];
    let times = match suite::inside() {
        Some(_) => 1,
        None => TIMES,
    };
    for time in 0..times {
        // By its death, and by an orderly end.
        if time != 1 {
            sensor.kill()?;
        } else {
            sensor.stop_within(LONG)?;
        }
        sensor = keeping.start()?;
        sensor.message_with("this one takes over")?;
    }
    for storm in storms {
        storm.stop()?.is_contained()?;
    }
    // The last one's blocks hold as the first one's did.
    for by in rules {
        stage
            .storm(by, First::Write)?
            .run(runs(1_000))?
            .is_contained()?;
    }
    sensor.stop_within(LONG)?;
    Ok(())
}
