//! What a scope's sensors are to enforce: definitions in their stages, as rule files.
//!
//! | stage | a rule | a policy |
//! |---|---|---|
//! | draft | is not sent | is not sent |
//! | simulate | is sent; policies that block only simulate its matches | is sent, and simulates |
//! | block | is sent | is sent as written |

use super::yaml;
use picket_lang::{Checked, Source, check};
use picket_model::Policy;
use picket_model::policy::{Action, Trigger};
use picket_proto::bundle::RuleFile;
use picket_store::{Definition, Kind, Stage, Uuid};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Added to a policy's id for the part of it that only simulates.
const SIMULATED: &str = ".simulated";

/// The files of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// In the order in which they are read.
    pub files: Vec<RuleFile>,
}

/// Why a scope's definitions make no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

/// What stands where among the checked sources.
struct Laid<'d> {
    sources: Vec<Source>,
    definitions: Vec<&'d Definition>,
}

/// Composes the files for sensors of these projects. Nothing if there is any error:
/// a bundle with a hole in it would be a silent downgrade.
pub fn compose(definitions: &[Definition], projects: &BTreeSet<Uuid>) -> Result<Composed, Problem> {
    let concerned = |definition: &&Definition| {
        let wanted = &definition.content.projects;
        definition.kind.is_rule_file()
            && !definition.deleted
            && (wanted.is_empty() || wanted.iter().any(|project| projects.contains(project)))
    };
    let mut chosen: Vec<&Definition> = definitions.iter().filter(concerned).collect();
    chosen.sort_by_key(|definition| (place(definition.kind), &definition.name));
    // Drafts are looked at, so that a policy may name a rule that is one; they are not sent.
    let laid = Laid {
        sources: chosen
            .iter()
            .map(|definition| Source::new(file_name(definition), definition.content.body.as_str()))
            .collect(),
        definitions: chosen,
    };
    let checked = check(&laid.sources, &picket_lang::Limits::default());
    laid.refuse_errors(&checked)?;
    let policies = laid.policies(&checked);
    let files = laid
        .definitions
        .iter()
        .enumerate()
        .filter_map(|(at, definition)| {
            let live = definition.content.stage != Stage::Draft;
            let text = match policies.get(&at) {
                Some(rewritten) => rewritten.clone()?,
                None => definition.content.body.clone(),
            };
            let name = file_name(definition);
            live.then_some(RuleFile { name, text })
        });
    let composed = Composed {
        files: files.collect(),
    };
    composed.check()?;
    Ok(composed)
}

impl Composed {
    /// What is sent has to be right by itself: it is what sensors check.
    fn check(&self) -> Result<(), Problem> {
        let sources: Vec<Source> = self
            .files
            .iter()
            .map(|file| Source::new(file.name.as_str(), file.text.as_str()))
            .collect();
        let checked = check(&sources, &picket_lang::Limits::default());
        let mut errors = checked.diagnostics;
        errors.retain(picket_lang::Diagnostic::is_error);
        if errors.is_empty() {
            return Ok(());
        }
        Err(Problem(picket_lang::render_text(&errors, &sources, false)))
    }
}

impl Laid<'_> {
    /// Errors in drafts are their authors' business.
    fn refuse_errors(&self, checked: &Checked) -> Result<(), Problem> {
        let mut errors = checked.diagnostics.clone();
        errors.retain(|diagnostic| {
            diagnostic.is_error() && self.stage(diagnostic.primary.span.source) != Stage::Draft
        });
        if errors.is_empty() {
            return Ok(());
        }
        Err(Problem(picket_lang::render_text(
            &errors,
            &self.sources,
            false,
        )))
    }

    fn stage(&self, source: usize) -> Stage {
        self.definitions
            .get(source)
            .map_or(Stage::Draft, |definition| definition.content.stage)
    }

    /// The text of every source with policies that have to be written anew; none for
    /// one of which nothing is left.
    fn policies(&self, checked: &Checked) -> HashMap<usize, Option<String>> {
        let rules = Rules::of(self, checked);
        let mut found: HashMap<usize, (Vec<Policy>, bool)> = HashMap::new();
        for (policy, place) in checked.policies.iter().zip(&checked.policy_places) {
            let simulates = self.stage(place.source) != Stage::Block;
            let made = rules.fit(policy, simulates);
            let (policies, changed) = found.entry(place.source).or_default();
            *changed |= made.as_slice() != std::slice::from_ref(policy);
            policies.extend(made);
        }
        let changed = found.into_iter().filter(|(_, (_, changed))| *changed);
        changed
            .map(|(at, (policies, _))| {
                (
                    at,
                    (!policies.is_empty()).then(|| yaml::policies(&policies)),
                )
            })
            .collect()
    }
}

/// The rules that policies may set off on, by their stage.
struct Rules<'c> {
    checked: &'c Checked,
    live: HashSet<&'c str>,
    simulated: HashSet<&'c str>,
}

impl<'c> Rules<'c> {
    fn of(laid: &Laid<'_>, checked: &'c Checked) -> Rules<'c> {
        let sources: HashMap<&str, usize> = laid
            .sources
            .iter()
            .enumerate()
            .map(|(at, source)| (source.name.as_str(), at))
            .collect();
        let (mut live, mut simulated) = (HashSet::new(), HashSet::new());
        for rule in &checked.rules {
            let source = sources.get(&*rule.info.origin.file).copied();
            let id = rule.info.id.as_str();
            match source.map_or(Stage::Draft, |source| laid.stage(source)) {
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
    fn fit(&self, policy: &Policy, simulates: bool) -> Vec<Policy> {
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
            .filter(|info| {
                self.live.contains(info.id.as_str())
                    && trigger.selects(
                        &info.id,
                        info.severity,
                        &info.tags,
                        info.category.as_deref(),
                    )
            })
            .map(|info| info.id.as_str())
    }
}

fn place(kind: Kind) -> u8 {
    match kind {
        Kind::List => 0,
        Kind::Rule => 1,
        Kind::Policy => 2,
        Kind::Project | Kind::Playbook => 3,
    }
}

fn file_name(definition: &Definition) -> String {
    let folder = match definition.kind {
        Kind::List => "lists",
        Kind::Rule => "rules",
        Kind::Policy => "policies",
        // None of them goes out.
        Kind::Project | Kind::Playbook => "projects",
    };
    // At most 256 bytes, as bundles have it; the id keeps cut names apart.
    if definition.name.len() > 200 {
        return format!("{folder}/{}.yaml", definition.id);
    }
    format!("{folder}/{}.yaml", definition.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_store::{Content, new_id};

    fn definition(kind: Kind, name: &str, stage: Stage, body: &str) -> Definition {
        Definition {
            id: new_id(),
            kind,
            name: name.to_owned(),
            version: 1,
            content: Content {
                stage,
                body: body.to_owned(),
                projects: Vec::new(),
            },
            actor: "user:test".to_owned(),
            reason: String::new(),
            changed_at: 0,
            deleted: false,
        }
    }

    fn rule(id: &str, stage: Stage) -> Definition {
        let body = format!(
            "rules:\n  - {{id: {id}, title: t, event: process.exec, severity: high, category: \
             cryptominer, condition: 'process.memfd'}}\n"
        );
        definition(Kind::Rule, id, stage, &body)
    }

    fn policy(id: &str, stage: Stage, trigger: &str) -> Definition {
        let body =
            format!("# kept\npolicies:\n  - {{id: {id}, trigger: {trigger}, action: block}}\n");
        definition(Kind::Policy, id, stage, &body)
    }

    fn sent(definitions: &[Definition]) -> (Vec<String>, Vec<Policy>) {
        let composed = compose(definitions, &BTreeSet::new()).unwrap();
        let sources: Vec<Source> = composed
            .files
            .iter()
            .map(|file| Source::new(file.name.as_str(), file.text.as_str()))
            .collect();
        let checked = check(&sources, &picket_lang::Limits::default());
        let rules = checked.rules.into_iter().map(|rule| rule.info.id.clone());
        (rules.collect(), checked.policies)
    }

    #[test]
    fn drafts_stay_home_and_what_names_them_loses_them() {
        let (rules, policies) = sent(&[
            rule("a", Stage::Draft),
            rule("b", Stage::Block),
            policy("p", Stage::Block, "{rules: [a, b]}"),
            policy("only-a", Stage::Block, "{rules: [a]}"),
            policy("draft", Stage::Draft, "{rules: [b]}"),
        ]);
        assert_eq!(rules, ["b"]);
        assert_eq!(policies.len(), 1);
        assert_eq!(policies[0].id, "p");
        assert_eq!(policies[0].trigger.rules, ["b"]);
    }

    #[test]
    fn a_policy_at_simulate_simulates_whatever_it_says() {
        let (_, policies) = sent(&[
            rule("a", Stage::Block),
            policy("p", Stage::Simulate, "{rules: [a]}"),
        ]);
        assert_eq!(policies[0].action, Action::Simulate);
    }

    #[test]
    fn a_rule_at_simulate_is_blocked_by_no_policy() {
        let (_, policies) = sent(&[
            rule("a", Stage::Simulate),
            rule("b", Stage::Block),
            policy("p", Stage::Block, "{categories: [cryptominer]}"),
        ]);
        let blocks = |policy: &&Policy| policy.action != Action::Simulate;
        let (blocking, simulating): (Vec<&Policy>, Vec<&Policy>) =
            policies.iter().partition(blocks);
        assert_eq!(blocking.len(), 1);
        assert_eq!(blocking[0].trigger.rules, ["b"]);
        assert_eq!(simulating.len(), 1);
        assert_eq!(simulating[0].trigger.rules, ["a"]);
        assert_eq!(simulating[0].id, "p.simulated");
    }

    #[test]
    fn what_needs_no_change_is_sent_as_written() {
        let own = policy("p", Stage::Block, "{categories: [cryptominer]}");
        let composed = compose(&[rule("b", Stage::Block), own.clone()], &BTreeSet::new()).unwrap();
        assert_eq!(composed.files[1].text, own.content.body);
    }

    #[test]
    fn projects_get_their_own_and_everybodys() {
        let (web, pay) = (new_id(), new_id());
        let mut one = rule("one", Stage::Simulate);
        one.content.projects = vec![web];
        let two = rule("two", Stage::Simulate);
        let files = |projects: &[Uuid]| {
            let projects = projects.iter().copied().collect();
            compose(&[one.clone(), two.clone()], &projects)
                .unwrap()
                .files
                .len()
        };
        assert_eq!(files(&[]), 1);
        assert_eq!(files(&[pay]), 1);
        assert_eq!(files(&[pay, web]), 2);
    }

    #[test]
    fn one_error_and_there_is_no_bundle() {
        let broken = definition(Kind::Rule, "broken", Stage::Simulate, "rules: [{id: x}]\n");
        let error = compose(&[rule("a", Stage::Block), broken.clone()], &BTreeSet::new());
        assert!(error.unwrap_err().to_string().contains("rules/broken.yaml"));
        let mut draft = broken;
        draft.content.stage = Stage::Draft;
        assert!(compose(&[rule("a", Stage::Block), draft], &BTreeSet::new()).is_ok());
    }
}
