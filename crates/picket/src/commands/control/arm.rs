//! `picket arm`: puts blocks back in force, or gives policies their budget back.

use super::StateArgs;
use crate::commands::Format;
use crate::control::client::{self, Asked, ControlArgs};
use crate::control::wire::{Reply, Request};
use crate::output;
use crate::rule_files::counted;
use anyhow::{Context, Result, bail};
use picket_model::text::Escaped;
use picket_probe::{Instances, KernelPolicy, ProbeError};
use picket_sensor::disarm::{self, Marker};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Policies whose used-up budgets are made as good as new; without any, blocks that
    /// `picket disarm` lifted are put back in force
    #[arg(value_name = "POLICY")]
    policies: Vec<String>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    state: StateArgs,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Does one or the other; 1 if there was nothing to undo.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.policies.is_empty() {
        put_back(&args.state.state, args.format)
    } else {
        reset_budgets(args)
    }
}

/// What `--format json` prints for blocks that are put back.
#[derive(Debug, Serialize)]
struct PutBack {
    /// Who had lifted them, as far as that was written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted: Option<Marker>,
    /// How many Pickets in the kernel had been disarmed.
    instances: usize,
}

fn put_back(state: &Path, format: Format) -> Result<ExitCode> {
    let lifted = Marker::read(state).unwrap_or_else(|_| Some(Marker::default()));
    // First the marker, then the switches: a sensor that starts meanwhile looks for
    // the marker again once it has thrown its own.
    Marker::remove(state)
        .with_context(|| format!("cannot remove {}", disarm::path(state).display()))?;
    let Instances { found, closed } = Instances::look()?;
    let mut report = PutBack {
        lifted,
        instances: 0,
    };
    let mut failed = Vec::new();
    for instance in found {
        let one = || -> Result<bool, ProbeError> {
            let disarmed = instance.is_disarmed()?;
            instance.set_disarmed(false)?;
            Ok(disarmed)
        };
        match one() {
            Ok(disarmed) => report.instances += usize::from(disarmed),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if closed > 0 {
        failed.push(format!(
            "the kernel did not open {}",
            counted(closed, "map", "maps")
        ));
    }
    let undone = report.lifted.is_some() || report.instances > 0;
    match format {
        Format::Json => output::write(&format!("{}\n", serde_json::to_string(&report)?))?,
        Format::Text => {
            let mut text = match undone {
                true => format!(
                    "blocks are in force again: {} disarmed in this kernel\n",
                    counted(report.instances, "Picket was", "Pickets were")
                ),
                false => "no block was lifted on this host\n".to_owned(),
            };
            if let Some(marker) = &report.lifted {
                text.push_str(&format!("they had been lifted {marker}\n"));
            }
            output::write(&text)?;
        }
    }
    if !failed.is_empty() {
        bail!("not everything was put back: {}", failed.join("; "));
    }
    Ok(ExitCode::from(u8::from(!undone)))
}

/// Through the sensor, which knows every policy by its whole id; and in the kernel,
/// for sensors that do not answer.
fn reset_budgets(args: &Args) -> Result<ExitCode> {
    let request = Request::ResetBudgets {
        policies: args.policies.clone(),
    };
    let mut reset: BTreeSet<String> = BTreeSet::new();
    let mut asked = None;
    match client::ask(&args.control.control, &request)? {
        Asked::Reply(Reply::BudgetsReset { pid, policies }) => {
            asked = Some(pid);
            reset.extend(policies);
        }
        Asked::Reply(other) => return Err(client::unexpected(&other)),
        Asked::Nobody(_) => {}
    }
    let mut known: BTreeSet<String> = BTreeSet::new();
    for instance in Instances::look()?.found {
        if asked == Some(instance.sensor()?) {
            continue;
        }
        let policies = instance.policies()?;
        for wanted in &args.policies {
            if let Some(policy) = the_one(&policies, wanted)? {
                instance.reset_budget(policy)?;
                reset.insert(wanted.clone());
            }
        }
        known.extend(policies.into_iter().map(|policy| policy.id));
    }
    let unknown: Vec<String> = args
        .policies
        .iter()
        .filter(|wanted| !reset.contains(*wanted))
        .map(|wanted| format!("`{}`", Escaped(wanted)))
        .collect();
    match args.format {
        Format::Json => {
            let report = serde_json::json!({ "reset": reset });
            output::write(&format!("{report}\n"))?;
        }
        Format::Text => {
            let lines = reset
                .iter()
                .map(|policy| format!("{} has its whole budget again\n", Escaped(policy)));
            output::write(&lines.collect::<String>())?;
        }
    }
    if !unknown.is_empty() {
        let known: Vec<String> = known.iter().map(|id| Escaped(id).to_string()).collect();
        let there = match (asked, known.is_empty()) {
            (Some(_), _) => "`picket status` names those in force".to_owned(),
            (None, true) => "no policy is in force in this kernel".to_owned(),
            (None, false) => format!("there is {}", known.join(", ")),
        };
        bail!("no policy {} is in force here; {there}", unknown.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy of that id among those in the kernel, which has only the beginning of
/// long ones.
fn the_one<'p>(policies: &'p [KernelPolicy], wanted: &str) -> Result<Option<&'p KernelPolicy>> {
    let beginning = wanted.as_bytes();
    let beginning = &beginning[..beginning.len().min(KernelPolicy::ID_BYTES)];
    let mut found = policies
        .iter()
        .filter(|policy| policy.id.as_bytes() == beginning);
    let first = found.next();
    if found.next().is_some() {
        bail!(
            "several policies in the kernel begin like `{}`: only a sensor that runs can tell them apart",
            Escaped(wanted)
        );
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::policy::Effects;

    fn policy(id: &str) -> KernelPolicy {
        KernelPolicy {
            id: id.chars().take(KernelPolicy::ID_BYTES).collect(),
            effects: Effects::BLOCK,
            blocks: true,
            actions: None,
            window_ms: 0,
            pause_ms: None,
            budget: 0,
        }
    }

    #[test]
    fn a_long_id_is_found_by_its_beginning_if_that_is_enough() {
        let long = "x".repeat(60);
        let policies = [policy("a"), policy(&long)];
        let id = |wanted: &str| {
            the_one(&policies, wanted)
                .unwrap()
                .map(|policy| &*policy.id)
        };
        assert_eq!(id("a"), Some("a"));
        assert_eq!(id("ab"), None);
        assert_eq!(id(&long), Some(&long[..KernelPolicy::ID_BYTES]));
        let twins = [policy(&format!("{long}1")), policy(&format!("{long}2"))];
        assert!(the_one(&twins, &format!("{long}1")).is_err());
    }
}
