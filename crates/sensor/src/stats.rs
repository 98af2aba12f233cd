//! What the sensor has seen, decided and had to give up.

use picket_model::EventClass;
use picket_model::finding::{Decision, Mechanism, Outcome};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Counters of one run. Everything that is not judged is counted here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Events judged, by class.
    pub events: BTreeMap<Cow<'static, str>, u64>,
    /// Matches, by rule.
    pub matches: BTreeMap<String, u64>,
    /// Times a rule could not decide for want of a value, by rule.
    pub undecided: BTreeMap<String, u64>,
    /// Records that were no valid record.
    pub bad_records: u64,
    /// Records the kernel had no room for, by class.
    pub lost: BTreeMap<String, u64>,
    /// Kernel reads that failed, by place.
    pub read_errors: BTreeMap<String, u64>,
    /// Processes that left a full table before they ended.
    pub evicted_processes: u64,
    /// Findings, and events of a JSON recording, that no output took in time.
    pub lost_findings: u64,
    /// Kills carried out.
    pub kills: u64,
    /// What acted on events, by mechanism: an event that was refused and whose process
    /// was killed counts for both.
    pub actions: BTreeMap<Cow<'static, str>, u64>,
    /// Policies' decisions that did not act, by what held them back.
    pub held_back: BTreeMap<Cow<'static, str>, u64>,
    /// Times the kernel began to lose records.
    pub blind_intervals: u64,
    /// How long it lost some, to the second in which it was looked at, nanoseconds.
    pub blind_ns: u64,
    /// Reloads applied.
    pub reloads: u64,
}

impl Stats {
    /// Counts one event.
    pub fn event(&mut self, class: EventClass) {
        *self.events.entry(class.name().into()).or_default() += 1;
    }

    /// Counts one occurrence of a rule in one of the maps, without an
    /// allocation where it was counted before.
    pub fn rule(map: &mut BTreeMap<String, u64>, rule: &str) {
        match map.get_mut(rule) {
            Some(count) => *count += 1,
            None => {
                map.insert(rule.to_owned(), 1);
            }
        }
    }

    /// Counts what policies decided about one event.
    pub fn decided(&mut self, decisions: &[Decision]) {
        let mut acted: Vec<Mechanism> = Vec::new();
        for decision in decisions {
            let held_back = match &decision.outcome {
                Outcome::Acted { .. } => {
                    // Several policies' kill of a process is one.
                    let new = decision
                        .mechanisms
                        .iter()
                        .filter(|one| !acted.contains(one));
                    let new: Vec<Mechanism> = new.copied().collect();
                    acted.extend(new);
                    continue;
                }
                Outcome::Simulated => "simulated",
                Outcome::Withheld(why) => why.name(),
                Outcome::Failed { .. } => "failed",
            };
            *self.held_back.entry(held_back.into()).or_default() += 1;
        }
        for mechanism in acted {
            *self.actions.entry(mechanism.name().into()).or_default() += 1;
        }
    }

    /// Total of a map.
    pub fn total<K>(map: &BTreeMap<K, u64>) -> u64 {
        map.values().sum()
    }
}

/// For people, at the end of a run.
impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "events judged: {}", Stats::total(&self.events))?;
        list(f, &self.events)?;
        write!(f, "\nfindings: {}", Stats::total(&self.matches))?;
        list(f, &self.matches)?;
        write!(f, "\nundecided: {}", Stats::total(&self.undecided))?;
        list(f, &self.undecided)?;
        write!(f, "\nkilled: {}, reloads: {}", self.kills, self.reloads)?;
        if !self.actions.is_empty() {
            write!(f, "\nactions: {}", Stats::total(&self.actions))?;
            list(f, &self.actions)?;
        }
        write!(f, "\nlost in the kernel: {}", Stats::total(&self.lost))?;
        list(f, &self.lost)?;
        if self.blind_intervals > 0 {
            let seconds = self.blind_ns.div_ceil(1_000_000_000);
            write!(f, ", within {seconds} s")?;
        }
        write!(
            f,
            "\nbad records: {}, findings no output took: {}, processes evicted: {}",
            self.bad_records, self.lost_findings, self.evicted_processes
        )?;
        if !self.read_errors.is_empty() {
            write!(
                f,
                "\nkernel reads that failed: {}",
                Stats::total(&self.read_errors)
            )?;
            list(f, &self.read_errors)?;
        }
        Ok(())
    }
}

fn list<K: AsRef<str>>(
    f: &mut std::fmt::Formatter<'_>,
    map: &BTreeMap<K, u64>,
) -> std::fmt::Result {
    for (index, (name, count)) in map.iter().enumerate() {
        let before = if index == 0 { " (" } else { ", " };
        write!(f, "{before}{} {count}", name.as_ref())?;
    }
    if map.is_empty() {
        Ok(())
    } else {
        f.write_str(")")
    }
}
