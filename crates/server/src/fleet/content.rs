//! What a scope's sensors are to enforce: definitions in their stages, as rule files.
//!
//! | stage | a rule | a policy |
//! |---|---|---|
//! | draft | is not sent | is not sent |
//! | simulate | is sent; policies that block only simulate its matches | is sent, and simulates |
//! | block | is sent | is sent as written |

use super::fit::Rules;
use super::yaml;
use crate::exceptions::in_place;
use picket_lang::{Checked, Source, check};
use picket_model::Policy;
use picket_proto::bundle::RuleFile;
use picket_store::{Definition, Kind, Stage, Uuid};
use std::collections::{BTreeSet, HashMap};

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

/// Every rule, policy and list, checked together once for all scopes.
pub struct Library {
    definitions: Vec<Definition>,
    sources: Vec<Source>,
    checked: Checked,
    /// Where a file stands, by its name.
    places: HashMap<String, usize>,
}

impl Library {
    /// Checks them. Drafts too, so that a policy may name a rule that is one.
    pub fn of(mut definitions: Vec<Definition>) -> Library {
        definitions
            .retain(|one| !one.deleted && (one.kind.is_rule_file() || one.kind == Kind::Exception));
        let mut definitions = in_place(definitions);
        definitions.sort_by(|one, other| {
            (place(one.kind), &one.name).cmp(&(place(other.kind), &other.name))
        });
        let sources: Vec<Source> = definitions
            .iter()
            .map(|definition| Source::new(file_name(definition), definition.content.body.as_str()))
            .collect();
        let places = sources.iter().enumerate();
        Library {
            places: places.map(|(at, file)| (file.name.clone(), at)).collect(),
            checked: check(&sources, &picket_lang::Limits::default()),
            sources,
            definitions,
        }
    }

    /// Composes the files for sensors of these projects. Nothing if there is any error:
    /// a bundle with a hole in it would be a silent downgrade.
    pub fn compose(&self, projects: &BTreeSet<Uuid>) -> Result<Composed, Problem> {
        let laid = Laid {
            library: self,
            projects,
        };
        laid.refuse_errors()?;
        let policies = laid.policies();
        let files = self.definitions.iter().enumerate();
        let files = files.filter_map(|(at, definition)| {
            let sent = laid.stage(at) != Stage::Draft;
            let text = match policies.get(&at) {
                Some(rewritten) => rewritten.clone()?,
                None => definition.content.body.clone(),
            };
            let name = file_name(definition);
            sent.then_some(RuleFile { name, text })
        });
        let composed = Composed {
            files: files.collect(),
        };
        composed.check()?;
        Ok(composed)
    }
}

/// The library, as one scope sees it.
struct Laid<'l> {
    library: &'l Library,
    projects: &'l BTreeSet<Uuid>,
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
    fn refuse_errors(&self) -> Result<(), Problem> {
        let mut errors = self.library.checked.diagnostics.clone();
        errors.retain(|diagnostic| {
            diagnostic.is_error() && self.stage(diagnostic.primary.span.source) != Stage::Draft
        });
        if errors.is_empty() {
            return Ok(());
        }
        Err(Problem(picket_lang::render_text(
            &errors,
            &self.library.sources,
            false,
        )))
    }

    /// The stage here: what is for other projects is as good as a draft.
    fn stage(&self, at: usize) -> Stage {
        let Some(definition) = self.library.definitions.get(at) else {
            return Stage::Draft;
        };
        let wanted = &definition.content.projects;
        if wanted.is_empty() || wanted.iter().any(|one| self.projects.contains(one)) {
            definition.content.stage
        } else {
            Stage::Draft
        }
    }

    /// The text of every source with policies that have to be written anew; none for
    /// one of which nothing is left.
    fn policies(&self) -> HashMap<usize, Option<String>> {
        let checked = &self.library.checked;
        let rules = Rules::of(checked, |file| {
            let at = self.library.places.get(file);
            at.map_or(Stage::Draft, |at| self.stage(*at))
        });
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

fn place(kind: Kind) -> u8 {
    match kind {
        Kind::List => 0,
        Kind::Rule => 1,
        Kind::Exception => 2,
        Kind::Policy => 3,
        Kind::Project | Kind::Playbook => 4,
    }
}

fn file_name(definition: &Definition) -> String {
    let folder = match definition.kind {
        Kind::List => "lists",
        Kind::Rule => "rules",
        Kind::Policy => "policies",
        Kind::Exception => "exceptions",
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
    use picket_model::policy::Action;
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

    fn compose(definitions: &[Definition], projects: &[Uuid]) -> Result<Composed, Problem> {
        let projects = projects.iter().copied().collect();
        Library::of(definitions.to_vec()).compose(&projects)
    }

    fn sent(definitions: &[Definition]) -> (Vec<String>, Vec<Policy>) {
        let composed = compose(definitions, &[]).unwrap();
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
        let composed = compose(&[rule("b", Stage::Block), own.clone()], &[]).unwrap();
        assert_eq!(composed.files[1].text, own.content.body);
    }

    #[test]
    fn projects_get_their_own_and_everybodys() {
        let (web, pay) = (new_id(), new_id());
        let mut one = rule("one", Stage::Simulate);
        one.content.projects = vec![web];
        let two = rule("two", Stage::Simulate);
        let files = |projects: &[Uuid]| {
            compose(&[one.clone(), two.clone()], projects)
                .unwrap()
                .files
                .len()
        };
        assert_eq!(files(&[]), 1);
        assert_eq!(files(&[pay]), 1);
        assert_eq!(files(&[pay, web]), 2);
    }

    #[test]
    fn a_policy_for_all_keeps_to_the_rules_that_are_here() {
        let web = new_id();
        let mut one = rule("one", Stage::Block);
        one.content.projects = vec![web];
        let all = [
            one,
            rule("two", Stage::Block),
            policy("p", Stage::Block, "{rules: [one, two]}"),
        ];
        let named = |projects: &[Uuid]| {
            let files = compose(&all, projects).unwrap().files;
            files.last().unwrap().text.clone()
        };
        assert!(named(&[web]).contains("[one, two]"));
        let elsewhere = named(&[]);
        assert!(
            elsewhere.contains("two") && !elsewhere.contains("one"),
            "{elsewhere}"
        );
    }

    #[test]
    fn one_error_and_there_is_no_bundle() {
        let broken = definition(Kind::Rule, "broken", Stage::Simulate, "rules: [{id: x}]\n");
        let error = compose(&[rule("a", Stage::Block), broken.clone()], &[]);
        assert!(error.unwrap_err().to_string().contains("rules/broken.yaml"));
        let mut draft = broken;
        draft.content.stage = Stage::Draft;
        assert!(compose(&[rule("a", Stage::Block), draft], &[]).is_ok());
    }
}
