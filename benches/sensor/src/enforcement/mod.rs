//! What deciding in the kernel costs, and how soon it acts.
//!
//! Blocks are armed in a cgroup of this run's own.

mod kills;
mod load;
mod programs;
mod rules;
mod trace;
mod undisturbed;

use crate::sensor::Sensor;
use anyhow::{Context, Result};
use load::Load;
use programs::Statistics;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rounds; in each every setting runs once.
const ROUNDS: usize = 9;
/// Rules on processes, and the most that they may add to fork+exec, in percent.
const COUNTS: [(usize, f64); 3] = [(10, 2.0), (100, 3.0), (500, 5.0)];

/// Measures and writes the table.
pub fn report(picket: &Path, folder: &Path, out: &mut dyn Write) -> Result<()> {
    let cgroup = Cgroup::new()?;
    let mut settings = vec![Setting::none()];
    for (count, _) in COUNTS {
        for blocks in [false, true] {
            settings.push(Setting::new(folder, count, blocks)?);
        }
    }
    for _ in 0..ROUNDS {
        for setting in &mut settings {
            setting.round(picket, &cgroup)?;
        }
    }
    costs(&settings, out)?;
    own_time(picket, &settings, &cgroup, out)?;
    latencies(picket, folder, &cgroup, out)
}

/// The parts of this program that run in a process of their own; true if the
/// arguments asked for one.
pub fn part(args: &[String]) -> Result<bool> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--load", word] => {
            let mut loads = Load::ALL.into_iter();
            let load = loads.find(|load| load.word() == word);
            let measured = load.context("no such load")?.run()?;
            writeln!(std::io::stdout(), "{measured}")?;
        }
        ["--victims", victim, cgroup] => kills::execute(victim, Path::new(cgroup))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Rules, or no sensor at all, and what was measured so.
struct Setting {
    rules: Option<PathBuf>,
    count: usize,
    blocks: bool,
    /// Nanoseconds an operation, by load and round.
    measured: [Vec<f64>; Load::ALL.len()],
}

impl Setting {
    fn none() -> Setting {
        Setting {
            rules: None,
            count: 0,
            blocks: false,
            measured: Default::default(),
        }
    }

    fn new(folder: &Path, count: usize, blocks: bool) -> Result<Setting> {
        let path = folder.join(format!("{count}-{blocks}.yaml"));
        std::fs::write(&path, rules::yaml(count, blocks))?;
        Ok(Setting {
            rules: Some(path),
            count,
            blocks,
            ..Setting::none()
        })
    }

    fn start(&self, picket: &Path, cgroup: &Cgroup) -> Result<Option<Sensor>> {
        let Some(rules) = &self.rules else {
            return Ok(None);
        };
        let args = args(rules, cgroup);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Sensor::start(picket, &args).map(Some)
    }

    fn round(&mut self, picket: &Path, cgroup: &Cgroup) -> Result<()> {
        let sensor = self.start(picket, cgroup)?;
        for (load, measured) in Load::ALL.into_iter().zip(&mut self.measured) {
            measured.push(load.measure()?);
        }
        sensor.map(Sensor::stop).transpose()?;
        Ok(())
    }

    /// How much slower than another setting, in percent: the median of rounds,
    /// each of which is compared with itself.
    fn slower(&self, than: &Setting, load: usize) -> f64 {
        let pairs = self.measured[load].iter().zip(&than.measured[load]);
        median(pairs.map(|(own, other)| (own / other - 1.0) * 100.0))
    }

    /// How much longer an operation takes, in nanoseconds, likewise.
    fn longer(&self, than: &Setting, load: usize) -> f64 {
        let pairs = self.measured[load].iter().zip(&than.measured[load]);
        median(pairs.map(|(own, other)| own - other))
    }
}

fn costs(settings: &[Setting], out: &mut dyn Write) -> Result<()> {
    let none = &settings[0];
    writeln!(
        out,
        "| an operation (without a sensor) | rules | slower than without a sensor: watched, not blocked | \
         blocked | so blocking adds | aim |\n|---|---|---|---|---|---|"
    )?;
    for (at, load) in Load::ALL.into_iter().enumerate() {
        let alone = median(none.measured[at].iter().copied());
        for ((count, aim), pair) in COUNTS.iter().zip(settings[1..].chunks_exact(2)) {
            let rules = match load {
                Load::Process => format!("{count}"),
                _ if *count != COUNTS[COUNTS.len() - 1].0 => continue,
                Load::Syscall => "all".into(),
                _ => rules::NETWORK.to_string(),
            };
            let aim = match load {
                Load::Process => format!("under {aim} %"),
                Load::Syscall => "0".into(),
                _ => String::new(),
            };
            writeln!(
                out,
                "| {} ({:.2} us) | {rules} | {:.1} % | {:.1} % | {:.1} %, {:.2} us | {aim} |",
                load.name(),
                alone / 1e3,
                pair[0].slower(none, at),
                pair[1].slower(none, at),
                pair[1].slower(&pair[0], at),
                pair[1].longer(&pair[0], at) / 1e3,
            )?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// The programs' own time: less noisy than the whole.
fn own_time(
    picket: &Path,
    settings: &[Setting],
    cgroup: &Cgroup,
    out: &mut dyn Write,
) -> Result<()> {
    let alone = median(settings[0].measured[0].iter().copied());
    writeln!(
        out,
        "| kernel programs' time a process life | watched | blocked | difference, of fork+exec+exit |\n|---|---|---|---|"
    )?;
    let mut times = Vec::new();
    for setting in &settings[1..] {
        let statistics = Statistics::on()?;
        let sensor = setting.start(picket, cgroup)?;
        let before = statistics.process_ns();
        Load::Process.measure()?;
        let processes = f64::from(Load::Process.count());
        times.push((statistics.process_ns() - before) as f64 / processes);
        sensor.map(Sensor::stop).transpose()?;
    }
    for (pair, time) in settings[1..].chunks_exact(2).zip(times.chunks_exact(2)) {
        debug_assert!(!pair[0].blocks && pair[1].blocks);
        writeln!(
            out,
            "| {} rules | {:.2} us | {:.2} us | {:.2} us, {:.2} % |",
            pair[0].count,
            time[0] / 1e3,
            time[1] / 1e3,
            (time[1] - time[0]) / 1e3,
            (time[1] - time[0]) / alone * 100.0
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn latencies(picket: &Path, folder: &Path, cgroup: &Cgroup, out: &mut dyn Write) -> Result<()> {
    let victim = folder.join("victim");
    std::fs::copy("/bin/true", &victim)?;
    let path = victim.display().to_string();
    writeln!(
        out,
        "| from an exec to its SIGKILL, by the kernel's trace | killed | p50 | p99 | p99.9 | aim |\n|---|---|---|---|---|---|"
    )?;
    let ways = [
        ("in the kernel", true, "p99.9 under 50 us"),
        ("from user space", false, ""),
    ];
    for (name, in_kernel, aim) in ways {
        let rules = folder.join("victim.yaml");
        std::fs::write(&rules, rules::victim(&path, in_kernel))?;
        let latency = kills::measure(picket, &rules, &victim, cgroup)?;
        writeln!(
            out,
            "| {name} | {} of {} | {} us | {} us | {} us | {aim} |",
            latency.killed, latency.executions, latency.p50, latency.p99, latency.p999
        )?;
    }
    Ok(())
}

fn args(rules: &Path, cgroup: &Cgroup) -> Vec<String> {
    [
        "sensor",
        "--instance",
        "bench",
        "--enforce-in",
        &cgroup.path.display().to_string(),
        "--rules",
        &rules.display().to_string(),
    ]
    .map(String::from)
    .to_vec()
}

/// Where blocks hold.
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    fn new() -> Result<Cgroup> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let point = fields.next()?;
            (fields.next()? == "cgroup2").then_some(point)
        });
        let path = Path::new(root.context("no cgroup2 mount")?)
            .join(format!("picket-bench-{}", std::process::id()));
        std::fs::create_dir(&path).context("cannot make a cgroup")?;
        Ok(Cgroup { path })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
