//! Counting: what was found, as a page shows it. Pure.

use super::page::{Actions, Hour, Ranking, Sample, Share};
use crate::api::values::Time;
use picket_store::{JudgedFinding, Micros};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Of hosts, processes, users, images: so many.
const TOP: usize = 20;
/// Hours: a week.
const HOURS: usize = 7 * 24;
/// Findings to look at,
const SAMPLES: usize = 20;
/// and of one process so many of them.
const OF_ONE: usize = 2;
const HOUR: Micros = 3_600_000_000;

/// Without them a host is lost, or nobody gets in any more. Names of executables.
const CRITICAL: [&str; 16] = [
    "init",
    "systemd",
    "systemd-journald",
    "systemd-logind",
    "systemd-networkd",
    "systemd-resolved",
    "systemd-udevd",
    "dbus-daemon",
    "sshd",
    "NetworkManager",
    "containerd",
    "containerd-shim-runc-v2",
    "dockerd",
    "crio",
    "kubelet",
    "runc",
];

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub actions: Actions,
    pub first: Option<Micros>,
    pub last: Option<Micros>,
    pub per_hour: Vec<Hour>,
    pub hosts: Ranking,
    pub processes: Ranking,
    pub users: Ranking,
    pub images: Ranking,
    /// By rule.
    pub rules: BTreeMap<String, u64>,
    pub samples: Vec<Sample>,
    /// What would have been killed and had better not been.
    pub critical: Vec<String>,
}

/// Counts in the order of their numbers, and of their names.
#[derive(Default)]
struct Counter<'f>(HashMap<(&'f str, Option<&'f str>), u64>);

impl<'f> Counter<'f> {
    fn add(&mut self, name: Option<&'f str>, parent: Option<&'f str>) {
        *self.0.entry((name.unwrap_or(""), parent)).or_default() += 1;
    }

    fn ranked(self) -> Ranking {
        let different = self.0.len();
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(one, a), (other, b)| b.cmp(a).then(one.cmp(other)));
        let share = |((name, parent), count): ((&str, Option<&str>), u64)| Share {
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
            count,
        };
        Ranking {
            different,
            top: all.into_iter().take(TOP).map(share).collect(),
        }
    }
}

/// Of findings, newest first. Two policies that would kill for one finding kill once.
pub(super) fn tally(found: &[JudgedFinding], cut: bool) -> Tally {
    let mut tally = Tally::default();
    tally.actions.cut = cut;
    let (mut hosts, mut processes) = (Counter::default(), Counter::default());
    let (mut users, mut images) = (Counter::default(), Counter::default());
    let mut hours: BTreeMap<Micros, u64> = BTreeMap::new();
    let mut sampled: HashMap<Option<&str>, usize> = HashMap::new();
    let mut counted = HashSet::new();
    let mut critical: HashSet<&str> = HashSet::new();
    for one in found {
        let by = &one.by;
        let actions = &mut tally.actions;
        match by.outcome.as_str() {
            "acted" if by.kill => actions.killed += 1,
            "withheld" => actions.withheld += 1,
            "failed" => actions.failed += 1,
            "simulated" if by.kill && counted.insert(by.finding) => {
                actions.would_kill += 1;
                tally.last = tally.last.max(Some(by.time));
                tally.first = Some(tally.first.map_or(by.time, |first| first.min(by.time)));
                *hours.entry(by.time.div_euclid(HOUR)).or_default() += 1;
                let process = one.process.as_deref();
                hosts.add(Some(&one.host), None);
                processes.add(process, by.parent.as_deref());
                users.add(one.user.as_deref(), None);
                if one.image.is_some() {
                    images.add(one.image.as_deref(), None);
                }
                *tally.rules.entry(one.rule.clone()).or_default() += 1;
                let name = process.map_or("", |path| path.rsplit('/').next().unwrap_or(path));
                if CRITICAL.contains(&name) {
                    critical.extend(process);
                }
                let seen = sampled.entry(process).or_default();
                *seen += 1;
                if *seen <= OF_ONE && tally.samples.len() < SAMPLES {
                    tally.samples.push(Sample {
                        finding: by.finding.to_string(),
                        time: Time(by.time),
                        host: one.host.clone(),
                        process: one.process.clone(),
                    });
                }
            }
            _ => {}
        }
    }
    tally.hosts = hosts.ranked();
    tally.processes = processes.ranked();
    tally.users = users.ranked();
    tally.images = images.ranked();
    let skip = hours.len().saturating_sub(HOURS);
    tally.per_hour = hours
        .into_iter()
        .skip(skip)
        .map(|(hour, count)| Hour {
            hour: Time(hour * HOUR),
            count,
        })
        .collect();
    tally.critical = critical.into_iter().map(str::to_owned).collect();
    tally.critical.sort();
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::severity::Severity;
    use picket_store::{PolicyFinding, Uuid};

    fn judged(number: u128, host: &str, process: &str, outcome: &str) -> JudgedFinding {
        JudgedFinding {
            by: PolicyFinding {
                policy: "stop".to_owned(),
                time: HOUR * 10 - i64::try_from(number).unwrap(),
                finding: Uuid::from_u128(number),
                outcome: outcome.to_owned(),
                kill: true,
                parent: Some("/usr/sbin/nginx".to_owned()),
            },
            severity: Severity::High,
            rule: "web-shell".to_owned(),
            host: host.to_owned(),
            image: None,
            user: Some("www-data".to_owned()),
            process: Some(process.to_owned()),
        }
    }

    #[test]
    fn each_finding_is_one_kill_whatever_policies_say() {
        let mut twice = judged(1, "web-1", "/usr/bin/dash", "simulated");
        twice.by.policy = "also".to_owned();
        let found = [
            judged(0, "web-1", "/usr/bin/dash", "simulated"),
            judged(1, "web-1", "/usr/bin/dash", "simulated"),
            twice,
            judged(2, "web-2", "/usr/sbin/sshd", "simulated"),
            judged(3, "web-2", "/usr/bin/dash", "withheld"),
            judged(4, "web-2", "/usr/bin/dash", "acted"),
            judged(5, "web-2", "/usr/bin/dash", "failed"),
        ];
        let tally = tally(&found, false);
        let actions = Actions {
            would_kill: 3,
            killed: 1,
            withheld: 1,
            failed: 1,
            cut: false,
        };
        assert_eq!(tally.actions, actions);
        assert_eq!(
            (tally.first, tally.last),
            (Some(HOUR * 10 - 2), Some(HOUR * 10))
        );
        let hours: Vec<u64> = tally.per_hour.iter().map(|hour| hour.count).collect();
        assert_eq!(hours, [2, 1]);
        let top = &tally.processes.top[0];
        assert_eq!((top.name.as_str(), top.count), ("/usr/bin/dash", 2));
        assert_eq!(top.parent.as_deref(), Some("/usr/sbin/nginx"));
        assert_eq!(tally.hosts.different, 2);
        assert_eq!(tally.critical, ["/usr/sbin/sshd"]);
        assert_eq!(tally.samples.len(), 3);
    }

    #[test]
    fn what_does_not_kill_is_no_kill() {
        let mut mild = judged(1, "web-1", "/usr/bin/dash", "simulated");
        mild.by.kill = false;
        assert_eq!(tally(&[mild], true).actions.would_kill, 0);
    }

    #[test]
    fn samples_are_of_many_processes() {
        let loud = (0..100).map(|n| judged(n, "web-1", "/usr/bin/dash", "simulated"));
        let rare = judged(200, "web-1", "/usr/bin/perl", "simulated");
        let found: Vec<_> = loud.chain([rare]).collect();
        let samples = tally(&found, false).samples;
        assert_eq!(samples.len(), OF_ONE + 1);
        assert_eq!(samples[OF_ONE].process.as_deref(), Some("/usr/bin/perl"));
    }
}
