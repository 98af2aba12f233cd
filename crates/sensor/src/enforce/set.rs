//! Rules and policies as the kernel takes them, compiled beside the sensor's own.

use super::mode::{Decision, Mode, Powers, enforcement};
use crate::fingerprint::Fingerprint;
use picket_engine::kernel::layout::POLICIES;
use picket_engine::kernel::{Armed, Compiled, Host, Protection, Reach, compile};
use picket_lang::ir::Rule;
use picket_model::policy::Effects;
use picket_model::rule::RuleInfo;
use picket_model::{ClassSet, EventClass, Field, Policy};
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
    /// What it is about, each with a field that it asks for and that is known only
    /// when the operation is over.
    pub classes: Vec<(EventClass, Option<Field>)>,
    /// The policies that it sets off.
    pub policies: Vec<Arc<str>>,
    /// How far the kernel decides it.
    pub reach: Reach,
    /// Some policy that it sets off blocks.
    pub blocks: bool,
    /// What the policies that block do together; if none does, what they all would.
    pub effects: Effects,
}

impl Standing {
    /// How matches are answered on a host with these powers, by class of event.
    pub fn modes(&self, powers: &Powers) -> impl Iterator<Item = (EventClass, Mode)> {
        self.classes.iter().map(|&(class, after)| {
            let reach = &self.reach;
            let decision = Decision { reach, after };
            (class, enforcement(class, self.effects, decision, powers))
        })
    }
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
                .filter(|(_, carried)| carried.policy.trigger.selects(&rule.info))
                .fold(0u64, |bits, (bit, _)| bits | 1 << bit)
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
        let in_kernel = armed
            .iter()
            .zip(&compiled.reach)
            .map(|(armed, reach)| standing(armed.rule, policies, reach));
        // Rules under policies past the 64th alone.
        let beyond = rules
            .iter()
            .filter(|rule| bits(rule) == 0)
            .map(|rule| standing(rule, policies, &Reach::NoRoom));
        // The programs of the tables count by this order.
        let standings = in_kernel
            .chain(beyond.filter(|standing| !standing.policies.is_empty()))
            .collect();
        let classes = armed
            .iter()
            .flat_map(|armed| armed.rule.classes.iter().copied());
        Some(KernelSet {
            classes: classes.collect(),
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
        self.standings
            .iter()
            .filter(|standing| standing.blocks)
            .filter(|standing| matches!(standing.reach, Reach::User(_) | Reach::NoRoom))
            .flat_map(|standing| standing.classes.iter().map(|(class, _)| *class))
            .collect()
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
                    blocks: carried.policy.blocks(),
                    actions: budget.map(|budget| budget.kills),
                    window_ms: budget.map_or(0, |budget| milliseconds(budget.per)),
                    pause_ms: budget.and_then(|budget| budget.resume_after.map(milliseconds)),
                    budget: slot.unwrap_or(0),
                }
            })
            .collect()
    }
}

fn standing(rule: &Rule, policies: &[Policy], reach: &Reach) -> Standing {
    let own = || {
        let own = policies.iter().enumerate();
        own.filter(|(_, policy)| policy.trigger.selects(&rule.info))
    };
    let blocking = || own().filter(|(_, policy)| policy.blocks());
    let blocks = blocking().next().is_some();
    let counts = |policy: &Policy| !blocks || policy.blocks();
    let together = own()
        .map(|(_, policy)| policy)
        .filter(|policy| counts(policy))
        .map(effects)
        .reduce(|all, own| Effects {
            kill: all.kill || own.kill,
            deny: all.deny || own.deny,
        });
    let after = |class: &EventClass| (*class, Decision::after(*class, fields_of(rule).into_iter()));
    // The kernel may know of none of those that block.
    let carried = !blocks || blocking().any(|(place, _)| place < POLICIES);
    Standing {
        rule: rule.info.clone(),
        classes: rule.classes.iter().map(after).collect(),
        policies: own().map(|(_, policy)| policy.id.as_str().into()).collect(),
        reach: if carried {
            reach.clone()
        } else {
            Reach::NoRoom
        },
        blocks,
        effects: together.unwrap_or(Effects::BLOCK),
    }
}

/// The fields that a rule asks for.
fn fields_of(rule: &Rule) -> Vec<Field> {
    let mut fields = Vec::new();
    let exceptions = rule.exceptions.iter().map(|exception| &exception.condition);
    for condition in exceptions.chain([&rule.condition]) {
        condition.predicates(&mut |predicate| fields.push(predicate.field));
    }
    fields
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

fn effects(policy: &Policy) -> Effects {
    policy.action.effects()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_lang::{Limits, Source, check};

    const RULES: &str = "rules:
  - {id: a, title: a, event: process.exec, severity: low, condition: 'process.memfd'}
  - {id: b, title: b, event: [file.open, process.exec], severity: high, condition: 'container.uid == \"x\"'}
  - {id: c, title: c, event: process.exec, severity: low, condition: 'process.memfd'}
policies:
";

    fn set(policies: &str) -> KernelSet {
        let source = Source::new("rules", format!("{RULES}{policies}"));
        let checked = check(&[source], &Limits::default());
        assert!(!checked.has_errors(), "{:?}", checked.diagnostics);
        KernelSet::new(&checked.rules, &checked.policies, &HostFacts::default()).unwrap()
    }

    #[test]
    fn a_rule_stands_for_all_policies_that_it_sets_off() {
        let set = set("  - {id: watch, trigger: {rules: [a, b]}, action: simulate}
  - {id: stop, trigger: {severity: high}, action: {deny: true}}
");
        let [a, b] = &set.standings[..] else {
            panic!("{:?}", set.standings)
        };
        assert_eq!(
            (&*a.rule.id, a.blocks, a.effects),
            ("a", false, Effects::BLOCK)
        );
        assert_eq!(a.reach, Reach::Kernel);
        assert_eq!((&*b.rule.id, b.blocks), ("b", true));
        assert_eq!(
            b.policies.iter().map(|id| &**id).collect::<Vec<_>>(),
            ["watch", "stop"]
        );
        assert!(b.effects.deny && !b.effects.kill);
        assert!(matches!(b.reach, Reach::User(_)));
    }

    #[test]
    fn policies_past_the_last_that_the_kernel_carries_are_the_sensor_s() {
        let mut policies = String::new();
        for number in 0..POLICIES {
            policies +=
                &format!("  - {{id: p{number}, trigger: {{rules: [a]}}, action: simulate}}\n");
        }
        policies += "  - {id: last, trigger: {rules: [a, c]}, action: block}\n";
        let set = set(&policies);
        let [a, c] = &set.standings[..] else {
            panic!("{:?}", set.standings)
        };
        assert!(a.blocks && c.blocks);
        assert_eq!([&a.reach, &c.reach], [&Reach::NoRoom; 2]);
        assert_eq!(set.rule(0).map(|rule| &*rule.id), Some("a"));
    }
}
