//! `make bench`, the sensor's part: what it costs its host.
//!
//! Needs root and the release binary, whose path is the first argument; a second
//! one, `sensor` or `enforcement`, asks for that part alone. Prints Markdown tables;
//! every figure is measured in this run, on this machine.

mod enforcement;
mod live;
mod offline;
mod rules;
mod sensor;

use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Falco 0.44.1's own CPU per fork+exec, measured on a machine of this kind, in
/// microseconds: with its 25 default rules, and with 300.
const FALCO_US: [(u32, f64); 2] = [(25, 162.0), (300, 334.0)];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if enforcement::part(&args)? {
        return Ok(());
    }
    let picket: PathBuf = std::env::args_os()
        .nth(1)
        .context("usage: picket-bench-sensor PATH-TO-PICKET [sensor | enforcement]")?
        .into();
    let part = std::env::args().nth(2);
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let folder = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    if wanted("sensor") {
        writeln!(out, "### Watching\n")?;
        sensor_report(&picket, folder.path(), &mut out)?;
    }
    if wanted("enforcement") {
        writeln!(out, "\n### Blocking\n")?;
        enforcement::report(&picket, folder.path(), &mut out)?;
    }
    Ok(())
}

fn sensor_report(picket: &Path, folder: &Path, mut out: &mut dyn Write) -> Result<()> {
    let rule_file = folder.join("rules.yaml");
    std::fs::write(&rule_file, rules::yaml(rules::COUNT))?;
    writeln!(out, "| figure | measured | aim |\n|---|---|---|")?;
    let live = live::measure(picket, &rule_file, folder)?;
    let offline = offline::measure(&live.recording, &rules::yaml(rules::COUNT))?;
    let row = |out: &mut dyn Write, figure: &str, measured: String, aim: &str| {
        writeln!(out, "| {figure} | {measured} | {aim} |")
    };
    let rules = rules::COUNT;
    row(
        &mut out,
        &format!(
            "user space, ring buffer to verdict, {rules} rules, a process life (fork, exec, exit)"
        ),
        format!(
            "{:.2} us (best of {}; median {:.2})",
            offline.best_us, offline.runs, offline.median_us
        ),
        "under 10 us",
    )?;
    row(
        &mut out,
        "of that, decode alone",
        format!("{:.2} us", offline.decode_us),
        "",
    )?;
    row(
        &mut out,
        &format!("the sensor's whole CPU (user and system) a process life, live, {rules} rules"),
        format!("{:.1} us over {} processes", live.cpu_us, live.processes),
        "",
    )?;
    for (count, falco) in FALCO_US {
        row(
            &mut out,
            &format!("the same beside Falco 0.44.1 with {count} rules ({falco} us)"),
            format!("{:.1} times less", falco / live.cpu_us),
            "",
        )?;
    }
    row(
        &mut out,
        "workload slower with the sensor (fork+exec on both cores, paired runs, median)",
        format!("{:.1} %", live.slowdown_percent),
        "",
    )?;
    row(
        &mut out,
        "resident memory after the load (peak)",
        format!("{:.1} MB ({:.1} MB)", live.resident_mb, live.peak_mb),
        "under 40 MB",
    )?;
    row(
        &mut out,
        "events lost at full speed of fork+exec on both cores",
        format!("{} of {}", live.lost, live.processes),
        "none",
    )?;
    row(
        &mut out,
        "execs judged / caused",
        format!("{} / {}", live.judged, live.processes),
        "equal",
    )?;
    row(
        &mut out,
        "ready after start",
        format!("{:.2} s", live.ready_s),
        "",
    )?;
    row(
        &mut out,
        "CPU when nothing happens",
        format!("{:.2} %", live.idle_percent),
        "",
    )?;
    Ok(())
}
