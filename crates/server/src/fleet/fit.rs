//! A policy as it may go out: what it sets off on, and whether it blocks, by the stages
//! of the rules that it names.

use picket_lang::Checked;
use picket_model::Policy;
use picket_model::policy::{Action, Trigger};
use picket_store::Stage;
use std::collections::HashSet;

/// Added to a policy's id for the part of it that only simulates.
const SIMULATED: &str = ".simulated";

/// The rules that policies may set off on, by their stage.
pub(super) struct Rules<'c> {
    checked: &'c Checked,
    live: HashSet<&'c str>,
    simulated: HashSet<&'c str>,
}

impl<'c> Rules<'c> {
    /// `stage_of` gives the stage of the file with that name, as it is where the bundle
    /// goes.
    pub(super) fn of(checked: &'c Checked, stage_of: impl Fn(&str) -> Stage) -> Rules<'c> {
        let (mut live, mut simulated) = (HashSet::new(), HashSet::new());
        for rule in &checked.rules {
            let id = rule.info.id.as_str();
            match stage_of(&rule.info.origin.file) {
                Stage::Draft => continue,
                Stage::Simulate => simulated.insert(id),
                Stage::Block => false,
            };
            live.insert(id);
        }
        Rules {
            checked,
            live,
            simulated,
        }
    }

    /// The policy as it may go out: without rules that do not, and where it blocks,
    /// apart from those that may only be simulated.
    pub(super) fn fit(&self, policy: &Policy, simulates: bool) -> Vec<Policy> {
        let Some(trigger) = self.reduced(&policy.trigger) else {
            return Vec::new();
        };
        let mut policy = Policy {
            trigger,
            ..policy.clone()
        };
        if simulates {
            policy.action = Action::Simulate;
        }
        if policy.action == Action::Simulate {
            return vec![policy];
        }
        let chosen: Vec<&str> = self.selected(&policy.trigger).collect();
        let is_simulated = |id: &&&str| self.simulated.contains(**id);
        if !chosen.iter().any(|id| is_simulated(&id)) {
            return vec![policy];
        }
        let part = |simulated: bool| -> Trigger {
            Trigger {
                rules: chosen
                    .iter()
                    .filter(|id| is_simulated(id) == simulated)
                    .map(|id| (*id).to_owned())
                    .collect(),
                ..Trigger::default()
            }
        };
        let simulated = Policy {
            id: format!("{}{SIMULATED}", policy.id),
            trigger: part(true),
            action: Action::Simulate,
            ..policy.clone()
        };
        policy.trigger = part(false);
        [policy, simulated]
            .into_iter()
            .filter(|policy| !policy.trigger.rules.is_empty())
            .collect()
    }

    /// Without rules that are not sent; none if nothing else was asked for.
    fn reduced(&self, trigger: &Trigger) -> Option<Trigger> {
        let mut reduced = trigger.clone();
        reduced.rules.retain(|id| self.live.contains(id.as_str()));
        let named_only = trigger.tags.is_empty() && trigger.categories.is_empty();
        let emptied = reduced.rules.is_empty() && !trigger.rules.is_empty();
        (!(named_only && emptied)).then_some(reduced)
    }

    fn selected(&self, trigger: &Trigger) -> impl Iterator<Item = &'c str> {
        let infos = self.checked.rules.iter().map(|rule| &rule.info);
        infos
            .filter(|info| self.live.contains(info.id.as_str()) && trigger.selects(info))
            .map(|info| info.id.as_str())
    }
}
