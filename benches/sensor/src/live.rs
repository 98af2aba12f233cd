//! The real sensor under a real load.

use crate::sensor::{Sensor, number_after};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Processes a run of the load starts.
const LOAD: u64 = 8_000;
/// Runs with and without the sensor, in turn.
const PAIRS: usize = 5;
/// How long the sensor is watched doing nothing.
const IDLE: Duration = Duration::from_secs(5);

/// What was measured.
pub struct Live {
    pub cpu_us: f64,
    pub slowdown_percent: f64,
    pub resident_mb: f64,
    pub peak_mb: f64,
    pub processes: u64,
    pub judged: u64,
    pub lost: u64,
    pub ready_s: f64,
    pub idle_percent: f64,
    pub recording: PathBuf,
}

/// Measures the binary at `picket`; leaves a recording of the load in `folder`.
pub fn measure(picket: &Path, rules: &Path, folder: &Path) -> Result<Live> {
    let recording = folder.join("load.picket");
    let recorder = Sensor::start(picket, &["record", "-o", &recording.display().to_string()])?;
    load(LOAD)?;
    recorder.stop()?;

    let mut ratios = Vec::new();
    let mut cpu = Duration::ZERO;
    let (mut judged, mut lost, mut processes) = (0, 0, 0);
    let (mut resident_mb, mut peak_mb, mut ready_s, mut idle_percent) = (0.0, 0.0, 0.0, 0.0);
    for pair in 0..PAIRS {
        let without = load(LOAD)?;
        let sensor = Sensor::start(picket, &["sensor", "--rules", &rules.display().to_string()])?;
        ready_s = sensor.ready.as_secs_f64();
        if pair == 0 {
            let before = sensor.cpu()?;
            std::thread::sleep(IDLE);
            idle_percent = (sensor.cpu()? - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
        }
        let before = sensor.cpu()?;
        let with = load(LOAD)?;
        cpu += sensor.cpu()? - before;
        processes += LOAD;
        resident_mb = f64::max(resident_mb, sensor.memory_mb("VmRSS:")?);
        peak_mb = f64::max(peak_mb, sensor.memory_mb("VmHWM:")?);
        ratios.push(with.as_secs_f64() / without.as_secs_f64());
        let summary = sensor.stop()?;
        judged += number_after(&summary, "process.exec ").unwrap_or(0);
        lost += number_after(&summary, "lost in the kernel: ").context("no loss in the summary")?;
    }
    ratios.sort_by(f64::total_cmp);
    Ok(Live {
        cpu_us: cpu.as_secs_f64() * 1e6 / processes as f64,
        slowdown_percent: (ratios[PAIRS / 2] - 1.0) * 100.0,
        resident_mb,
        peak_mb,
        processes,
        judged,
        lost,
        ready_s,
        idle_percent,
        recording,
    })
}

/// fork+exec+exit of /bin/true on both cores; how long it took.
fn load(processes: u64) -> Result<Duration> {
    const THREADS: u64 = 2;
    let start = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            std::thread::spawn(move || {
                (0..processes / THREADS)
                    .try_for_each(|_| Command::new("/bin/true").status().map(|_| ()))
            })
        })
        .collect();
    for thread in threads {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("a load thread panicked"))??;
    }
    Ok(start.elapsed())
}
