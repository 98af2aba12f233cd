//! How every rule in force stands on this host, in a word for programs and one for
//! people.

use super::{KernelSet, Powers, Standing};
use picket_lang::ir::Rule;
use picket_model::Field;
use picket_model::field::ProcessAttr;
use std::collections::HashMap;

/// How one rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// Which.
    pub rule: String,
    /// `detected`, `simulated`, one of [`Step::name`](super::Step::name)'s,
    /// `evaluated_in_part` or `cannot_be_evaluated`.
    pub mode: &'static str,
    /// Why, and what more there is to it; may be empty.
    pub detail: String,
}

/// How these rules stand.
pub fn states(rules: &[Rule], kernel: Option<&KernelSet>, powers: &Powers) -> Vec<RuleState> {
    let standings: HashMap<&str, &Standing> = kernel
        .iter()
        .flat_map(|set| &set.standings)
        .map(|standing| (standing.rule.id.as_str(), standing))
        .collect();
    rules
        .iter()
        .map(|rule| state(rule, standings.get(rule.info.id.as_str()).copied(), powers))
        .collect()
}

fn state(rule: &Rule, standing: Option<&Standing>, powers: &Powers) -> RuleState {
    let (mut mode, mut details) = match standing {
        None => ("detected", Vec::new()),
        Some(standing) => answered(standing, powers),
    };
    let unseen: Vec<&str> = rule
        .classes
        .iter()
        .filter(|class| powers.unseen.contains(**class))
        .map(|class| class.name())
        .collect();
    if !unseen.is_empty() {
        mode = "evaluated_in_part";
        details.insert(
            0,
            format!("not every event is seen of: {}", unseen.join(", ")),
        );
    }
    if asks_for_hash(rule) {
        mode = "cannot_be_evaluated";
        let why = "process.hash.sha256 is not computed: what depends on it stays undecided";
        details.insert(0, why.to_owned());
    }
    RuleState {
        rule: rule.info.id.clone(),
        mode,
        detail: details.join("; "),
    }
}

/// The weakest answer of all its classes.
fn answered(standing: &Standing, powers: &Powers) -> (&'static str, Vec<String>) {
    let modes: Vec<_> = standing.modes(powers).collect();
    let details = modes
        .iter()
        .filter(|(_, mode)| !standing.blocks || mode.falls_short())
        .map(|(class, mode)| format!("{class}: {mode}"))
        .collect();
    let weakest = modes
        .iter()
        .map(|(_, mode)| mode.otherwise.as_ref().unwrap_or(&mode.usual).step)
        .max();
    let mode = match weakest {
        Some(step) if standing.blocks => step.name(),
        _ => "simulated",
    };
    (mode, details)
}

fn asks_for_hash(rule: &Rule) -> bool {
    let mut asks = false;
    rule.condition.predicates(&mut |predicate| {
        asks |= matches!(predicate.field, Field::Process(_, ProcessAttr::Sha256));
    });
    asks
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_lang::{Limits, Source, check};
    use picket_model::{ClassSet, EventClass};

    fn rules(condition: &str) -> Vec<Rule> {
        let text = format!(
            "rules:\n  - {{id: a, title: t, event: process.exec, severity: low, condition: '{condition}'}}\n"
        );
        check(&[Source::new("a", text)], &Limits::default()).rules
    }

    fn powers(unseen: ClassSet) -> Powers {
        Powers {
            kills_in_cgroups: true,
            refuses: ClassSet::EMPTY,
            pidfd: true,
            unseen,
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_said() {
        let plain = rules("process.memfd");
        let told = states(&plain, None, &powers(ClassSet::EMPTY));
        assert_eq!((told[0].mode, told[0].detail.as_str()), ("detected", ""));
        let unseen: ClassSet = [EventClass::ProcessExec].into_iter().collect();
        let told = states(&plain, None, &powers(unseen));
        assert_eq!(told[0].mode, "evaluated_in_part");
        assert!(told[0].detail.contains("process.exec"));
        let hash = "0".repeat(64);
        let hashed = rules(&format!("process.hash.sha256 == \"{hash}\""));
        let told = states(&hashed, None, &powers(ClassSet::EMPTY));
        assert_eq!(told[0].mode, "cannot_be_evaluated");
    }
}
