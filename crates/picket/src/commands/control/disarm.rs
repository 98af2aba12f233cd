//! `picket disarm`: lifts every block on this host, with a sensor or without.

use super::{StateArgs, caller, now_ns, shown};
use crate::commands::Format;
use crate::control::desk;
use crate::control::wire::{self, Budget};
use crate::output;
use crate::rule_files::counted;
use anyhow::{Context, Result, bail};
use picket_model::text::Escaped;
use picket_probe::{Instance, Instances, KernelPolicy, ProbeError};
use picket_sensor::disarm::{self, Marker};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Why, for those who find it so
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A policy that decides in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// What it is; of a long id only the beginning.
    #[serde(flatten)]
    policy: wire::Policy,
    /// The process id of the sensor that put it there.
    sensor: u32,
    /// That process is still there.
    sensor_runs: bool,
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Policies that blocked until now.
    lifted: Vec<Policy>,
    /// How many Pickets were found in the kernel.
    instances: usize,
    /// Blocks had been lifted before.
    already: bool,
    /// Who lifted them first.
    marker: Marker,
    /// Where that stands.
    path: PathBuf,
}

/// Lifts them; 1 if nothing was armed.
pub fn run(args: &Args) -> Result<ExitCode> {
    // First the marker, then the switches: a sensor that starts meanwhile loads its
    // switch first and looks for the marker then.
    let marked = mark(&args.state.state, args.reason.as_deref());
    // Without a marker the blocks of now are lifted all the same.
    let Lifted {
        policies,
        instances,
        failed,
    } = lift().with_context(|| match marked {
        Ok(_) => "only sensors that start later are disarmed, blocks in force stay",
        Err(_) => "nothing was lifted",
    })?;
    let (marker, already) = marked.with_context(|| {
        let path = disarm::path(&args.state.state);
        format!(
            "the blocks in force were lifted, but a sensor that starts later will block: cannot write {}",
            path.display()
        )
    })?;
    let report = Report {
        lifted: policies,
        instances,
        already,
        marker,
        path: disarm::path(&args.state.state),
    };
    match args.format {
        Format::Json => output::write(&format!("{}\n", serde_json::to_string(&report)?))?,
        Format::Text => output::write(&text(&report))?,
    }
    if !failed.is_empty() {
        bail!("not everything was lifted: {}", failed.join("; "));
    }
    Ok(ExitCode::from(u8::from(report.lifted.is_empty())))
}

/// Writes the marker, unless there is one: who was first counts.
fn mark(state: &Path, reason: Option<&str>) -> std::io::Result<(Marker, bool)> {
    if let Some(marker) = Marker::read(state)? {
        return Ok((marker, true));
    }
    let (user, uid) = caller();
    let marker = Marker {
        time_ns: now_ns(),
        user,
        uid: Some(uid),
        reason: reason.map(str::to_owned),
    };
    marker.write(state)?;
    Ok((marker, false))
}

/// What came of throwing every switch.
struct Lifted {
    policies: Vec<Policy>,
    instances: usize,
    /// What could not be done.
    failed: Vec<String>,
}

fn lift() -> Result<Lifted> {
    let Instances { found, closed } = Instances::look()?;
    let mut lifted = Lifted {
        policies: Vec::new(),
        instances: found.len(),
        failed: Vec::new(),
    };
    for instance in &found {
        let one = || -> Result<Vec<Policy>, ProbeError> {
            let before = instance.is_disarmed()?;
            // The switch first: what is read for telling may fail.
            instance.set_disarmed(true)?;
            if before {
                Ok(Vec::new())
            } else {
                blocking(instance)
            }
        };
        match one() {
            Ok(policies) => lifted.policies.extend(policies),
            Err(error) => lifted.failed.push(error.to_string()),
        }
    }
    if closed > 0 {
        lifted.failed.push(format!(
            "the kernel did not open {}",
            counted(closed, "map", "maps")
        ));
    }
    Ok(lifted)
}

/// The policies that block at this moment, of every Picket in this kernel.
pub fn in_force() -> Result<Vec<Policy>, ProbeError> {
    let mut all = Vec::new();
    for instance in Instances::look()?.found {
        if !instance.is_disarmed()? {
            all.extend(blocking(&instance)?);
        }
    }
    Ok(all)
}

fn blocking(instance: &Instance) -> Result<Vec<Policy>, ProbeError> {
    let sensor = instance.sensor()?;
    let sensor_runs = Path::new("/proc").join(sensor.to_string()).exists();
    let policies = instance.policies()?.into_iter();
    Ok(policies
        .filter(|policy| policy.blocks)
        .map(|policy| Policy {
            policy: as_told(&policy),
            sensor,
            sensor_runs,
        })
        .collect())
}

fn as_told(policy: &KernelPolicy) -> wire::Policy {
    wire::Policy {
        id: policy.id.clone(),
        action: desk::action(policy.blocks),
        kill: policy.effects.kill,
        deny: policy.effects.deny,
        budget: policy.actions.map(|actions| Budget {
            actions,
            per_ms: policy.window_ms.into(),
            used: None,
            tripped: false,
            resume_after_ms: policy.pause_ms.map(u64::from),
        }),
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.policy.id.len() == KernelPolicy::ID_BYTES;
        write!(
            f,
            "{}{}: {}; {}; sensor {}{}",
            Escaped(&self.policy.id),
            if cut { "…" } else { "" },
            shown::action(&self.policy),
            shown::budget(self.policy.budget.as_ref()),
            self.sensor,
            if self.sensor_runs {
                ""
            } else {
                ", which is gone"
            }
        )
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    if report.lifted.is_empty() {
        text.push_str("nothing was armed in this kernel\n");
    } else {
        text.push_str("lifted: what these policies blocked they only simulate now\n");
    }
    for policy in &report.lifted {
        text.push_str(&format!("  {policy}\n"));
    }
    if report.already {
        text.push_str(&format!("blocks were lifted before, {}\n", report.marker));
    }
    text.push_str(&format!(
        "a sensor that starts here starts disarmed ({}); `picket arm` puts blocks back in force\n",
        report.path.display()
    ));
    text
}
