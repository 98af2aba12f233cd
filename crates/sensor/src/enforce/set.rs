//! Rules and policies as the kernel takes them, compiled beside the sensor's own.

use crate::fingerprint::Fingerprint;
use picket_engine::kernel::layout::POLICIES;
use picket_engine::kernel::{Armed, Compiled, Host, Protection, Reach, compile};
use picket_lang::ir::Rule;
use picket_model::policy::{Action, Effects};
use picket_model::rule::RuleInfo;
use picket_model::{ClassSet, Policy};
use picket_probe::KernelPolicy;
use std::sync::Arc;

/// What tables take from this host.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// Users' names by uid.
    pub users: Vec<(u32, String)>,
    /// The host's name.
    pub hostname: Option<String>,
    /// The sensor's labels.
    pub labels: Option<Vec<Box<str>>>,
    /// The protected set.
    pub protection: Protection,
    /// Nanoseconds since the epoch.
    pub now_ns: i64,
}

/// How one rule under a policy is decided here.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// How far the kernel decides it.
    pub reach: Reach,
    /// Some policy that it sets off blocks.
    pub blocks: bool,
}

/// Rules under policies, compiled for the kernel.
#[derive(Debug)]
pub struct KernelSet {
    /// The tables.
    pub compiled: Compiled,
    /// What verdicts name them by: the same for tables whose verdicts mean the same,
    /// so that the next run of the sensor can read what was decided without it.
    pub version: u32,
    /// How each rule under a policy is decided.
    pub standings: Vec<Standing>,
    classes: ClassSet,
    urgent: ClassSet,
    policies: Vec<Carried>,
}

/// A policy whose bit is its place in the list.
#[derive(Debug)]
struct Carried {
    id: Arc<str>,
    policy: Policy,
}

impl KernelSet {
    /// Compiles what a policy can be set off by. None if there is no policy.
    ///
    /// The kernel carries the first 64 policies; the sensor decides for others.
    pub fn new(rules: &[Rule], policies: &[Policy], host: &HostFacts) -> Option<KernelSet> {
        let carried: Vec<Carried> = policies
            .iter()
            .take(POLICIES)
            .map(|policy| Carried {
                id: policy.id.as_str().into(),
                policy: policy.clone(),
            })
            .collect();
        if carried.is_empty() {
            return None;
        }
        let bits = |rule: &Rule| {
            carried
                .iter()
                .enumerate()
                .filter(|(_, carried)| sets_off(rule, &carried.policy))
                .fold(0u64, |bits, (bit, _)| bits | 1 << bit)
        };
        let left_over = |rule: &&Rule| {
            let rest = policies.iter().skip(POLICIES);
            rest.filter(|policy| blocks(policy))
                .any(|policy| sets_off(rule, policy))
        };
        let armed: Vec<Armed<'_>> = rules
            .iter()
            .map(|rule| Armed {
                rule,
                policies: bits(rule),
            })
            .filter(|armed| armed.policies != 0)
            .collect();
        let facts = Host {
            users: &host.users,
            hostname: host.hostname.as_deref(),
            labels: host.labels.as_deref(),
            now_ns: host.now_ns,
        };
        let mut compiled = compile(&armed, &host.protection, &facts);
        let version = version(&armed, &compiled, &carried);
        compiled.set_version(version);
        let standings: Vec<Standing> = armed
            .iter()
            .zip(&compiled.reach)
            .map(|(armed, reach)| Standing {
                rule: armed.rule.info.clone(),
                reach: reach.clone(),
                blocks: policies
                    .iter()
                    .any(|policy| blocks(policy) && sets_off(armed.rule, policy)),
            })
            .collect();
        let classes = |rule: &&Rule| rule.classes.clone();
        let urgent = armed
            .iter()
            .zip(&standings)
            .filter(|(_, standing)| standing.blocks)
            .filter(|(_, standing)| matches!(standing.reach, Reach::User(_) | Reach::NoRoom))
            .flat_map(|(armed, _)| classes(&armed.rule))
            .chain(
                rules
                    .iter()
                    .filter(left_over)
                    .flat_map(|rule| classes(&rule)),
            )
            .collect();
        let classes = armed.iter().flat_map(|armed| classes(&armed.rule));
        Some(KernelSet {
            classes: classes.collect(),
            urgent,
            compiled,
            version,
            standings,
            policies: carried,
        })
    }

    /// The classes of events that it decides about.
    pub fn classes(&self) -> ClassSet {
        self.classes
    }

    /// Those of them whose every record may be one that user space has to answer.
    pub fn urgent(&self) -> ClassSet {
        self.urgent
    }

    /// The rule that a program of the tables stands for.
    pub fn rule(&self, program: u16) -> Option<&Arc<RuleInfo>> {
        let rule = *self.compiled.programs.get(usize::from(program))?;
        self.standings.get(rule).map(|standing| &standing.rule)
    }

    /// The policy of that bit, and what it does.
    pub fn policy(&self, bit: u32) -> Option<(&Arc<str>, Effects)> {
        let carried = self.policies.get(bit as usize)?;
        Some((&carried.id, effects(&carried.policy)))
    }

    /// The policies as the kernel's map has them; `slots` are where their budgets
    /// stand.
    pub fn entries(&self, slots: &[Option<u32>]) -> Vec<KernelPolicy> {
        let milliseconds =
            |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        self.policies
            .iter()
            .zip(slots)
            .map(|(carried, slot)| {
                let budget = carried.policy.budget;
                KernelPolicy {
                    id: carried.policy.id.clone(),
                    effects: effects(&carried.policy),
                    blocks: blocks(&carried.policy),
                    actions: budget.map(|budget| budget.kills),
                    window_ms: budget.map_or(0, |budget| milliseconds(budget.per)),
                    pause_ms: budget.and_then(|budget| budget.resume_after.map(milliseconds)),
                    budget: slot.unwrap_or(0),
                }
            })
            .collect()
    }
}

fn version(armed: &[Armed<'_>], compiled: &Compiled, policies: &[Carried]) -> u32 {
    let rules = compiled.programs.iter().filter_map(|rule| armed.get(*rule));
    let mut parts = Fingerprint::new();
    for armed in rules {
        parts = parts.with(armed.rule.info.id.as_bytes());
    }
    for carried in policies {
        let effects = effects(&carried.policy);
        parts = parts
            .with(carried.id.as_bytes())
            .with(&[effects.kill.into(), effects.deny.into()]);
    }
    parts.short()
}

fn sets_off(rule: &Rule, policy: &Policy) -> bool {
    let info = &rule.info;
    policy.trigger.selects(
        &info.id,
        info.severity,
        &info.tags,
        info.category.as_deref(),
    )
}

fn blocks(policy: &Policy) -> bool {
    matches!(policy.action, Action::Block(_))
}

fn effects(policy: &Policy) -> Effects {
    match policy.action {
        Action::Simulate => Effects::BLOCK,
        Action::Block(effects) => effects,
    }
}
