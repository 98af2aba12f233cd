//! What several of these commands write for people.

use crate::control::wire::{Budget, Enforcement, Fleet, Policy, Sensor};
use crate::rule_files::counted;
use picket_model::text::{Escaped, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Which sensor it was.
pub fn sensor(sensor: &Sensor) -> String {
    format!(
        "process {}, since {}, version {}",
        sensor.pid,
        Timestamp(sensor.since_ns),
        Escaped(&sensor.version)
    )
}

/// How it stands with its server.
pub fn fleet(text: &mut String, fleet: &Fleet) {
    let answers = if fleet.connected {
        "connected"
    } else {
        "NOT CONNECTED: it goes by what it has"
    };
    let _ = writeln!(
        text,
        "server    {}: {answers}, {} to deliver",
        Escaped(&fleet.server),
        counted(
            usize::try_from(fleet.waiting).unwrap_or(usize::MAX),
            "finding",
            "findings"
        )
    );
    if fleet.dropped > 0 {
        let _ = writeln!(
            text,
            "          {} findings DROPPED for want of room on this host's disk",
            fleet.dropped
        );
    }
    let _ = match &fleet.bundle {
        Some(bundle) => writeln!(
            text,
            "bundle    {} version {}, good until {}",
            Escaped(&bundle.scope),
            bundle.version,
            Timestamp(bundle.expires_us.saturating_mul(1_000))
        ),
        None => writeln!(text, "bundle    none yet"),
    };
}

/// What a policy does, such as `block (kill, deny)`.
pub fn action(policy: &Policy) -> String {
    let effects: Vec<&str> = [("kill", policy.kill), ("deny", policy.deny)]
        .into_iter()
        .filter_map(|(effect, has)| has.then_some(effect))
        .collect();
    format!("{} ({})", Escaped(&policy.action), effects.join(", "))
}

/// How a budget stands.
pub fn budget(budget: Option<&Budget>) -> String {
    let Some(budget) = budget else {
        return "no budget: any number of actions".to_owned();
    };
    let allowed = format!(
        "{} in {}",
        counted(budget.actions as usize, "action", "actions"),
        duration(budget.per_ms)
    );
    match (budget.used, budget.tripped) {
        (None, false) => format!("budget of {allowed}"),
        (Some(used), false) => format!(
            "budget of {allowed}: {used} used, {} left",
            budget.actions.saturating_sub(used)
        ),
        (_, true) => {
            let until = match budget.resume_after_ms {
                Some(pause) => format!("until {} after that", duration(pause)),
                None => "until somebody arms it again (picket arm)".to_owned(),
            };
            format!("budget of {allowed}: USED UP, it only simulates {until}")
        }
    }
}

/// As rule files write it: `90s`, `1m`, `2h`.
fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    match ms % 1_000 {
        0 => format!("{seconds}s"),
        _ => format!("{ms}ms"),
    }
}

/// How rules under policies are enforced: each under one that blocks; of the others
/// how many there are, unless all are asked for.
pub fn enforcement(text: &mut String, enforcement: &[Enforcement], all: bool) {
    let mut others: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut listed = false;
    for rule in enforcement {
        if !rule.blocks && !all {
            for class in &rule.classes {
                *others.entry((&class.class, &class.summary)).or_default() += 1;
            }
            continue;
        }
        listed = true;
        let policies: Vec<String> = rule
            .policies
            .iter()
            .map(|policy| Escaped(policy).to_string())
            .collect();
        let would = if rule.blocks { "" } else { ", would be" };
        let _ = writeln!(
            text,
            "  {} ({}){would}",
            Escaped(&rule.rule),
            policies.join(", ")
        );
        for class in &rule.classes {
            let _ = writeln!(
                text,
                "    {:<15}  {}",
                Escaped(&class.class).to_string(),
                Escaped(&class.summary)
            );
        }
    }
    if !listed {
        let _ = writeln!(text, "  no rule is under a policy that blocks");
    }
    if !others.is_empty() {
        let _ = writeln!(
            text,
            "  rules under policies that simulate would be (--all names them):"
        );
    }
    for ((class, summary), count) in others {
        let _ = writeln!(
            text,
            "    {:<15}  {}: {}",
            Escaped(class).to_string(),
            counted(count, "rule", "rules"),
            Escaped(summary)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_as_people_read_them() {
        let mut own = Budget {
            actions: 5,
            per_ms: 60_000,
            used: Some(2),
            tripped: false,
            resume_after_ms: None,
        };
        assert_eq!(budget(None), "no budget: any number of actions");
        assert_eq!(
            budget(Some(&own)),
            "budget of 5 actions in 1m: 2 used, 3 left"
        );
        own.tripped = true;
        assert_eq!(
            budget(Some(&own)),
            "budget of 5 actions in 1m: USED UP, it only simulates until somebody arms it again (picket arm)"
        );
        own.resume_after_ms = Some(5_400_000);
        assert!(budget(Some(&own)).ends_with("until 90m after that"));
        for (ms, text) in [
            (0, "0s"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
