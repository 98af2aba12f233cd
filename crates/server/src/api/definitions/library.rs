//! Every rule, policy and list together, as the rule language checks them.
//!
//! A change is judged by what the whole is after it, against what it was before: a
//! list that goes breaks the rules that use it, and a macro that changes may change
//! what an armed rule blocks.

use super::requests::file_name;
use crate::api::problem::{Code, Diagnostic, Problem};
use crate::exceptions::digest;
use picket_lang::{Checked, Limits, Source, ir};
use picket_model::Policy;
use picket_model::rule::Origin;
use picket_store::{Kind, Stage, Uuid, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Diagnostics told at once.
const TOLD: usize = 100;

/// One text among all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Entry {
    pub(in crate::api) kind: Kind,
    pub(in crate::api) name: String,
    pub(in crate::api) stage: Stage,
    pub(in crate::api) body: String,
    /// As stored; of a changed entry, as before.
    pub(in crate::api) projects: Vec<Uuid>,
    /// Of an exception: its rule's name, and the digest of the text that it is for.
    pub(in crate::api) bound: Option<(String, String)>,
}

/// Without exceptions whose rules are gone or say something else.
pub(in crate::api) fn settled(entries: &[Entry]) -> Vec<Entry> {
    let rules: BTreeMap<&str, String> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Rule)
        .map(|entry| (entry.name.as_str(), digest(&entry.body)))
        .collect();
    let holds = |entry: &&Entry| match &entry.bound {
        None => true,
        Some((rule, text)) => rules.get(rule.as_str()) == Some(text),
    };
    entries.iter().filter(holds).cloned().collect()
}

impl Entry {
    pub(in crate::api) fn file(&self) -> String {
        file_name(self.kind, &self.name)
    }

    pub(in crate::api) fn source(&self) -> Source {
        Source::new(self.file(), self.body.as_bytes())
    }
}

/// What came of a change.
#[derive(Debug, Default)]
pub(in crate::api) struct Judgement {
    /// The projects' names that each changed rule or policy is for.
    pub(in crate::api) projects: BTreeMap<String, Vec<String>>,
    /// The files of armed rules and policies that say something else than before, or
    /// are armed by this.
    pub(in crate::api) armed: Vec<String>,
    /// Warnings and notes on the changed texts.
    pub(in crate::api) diagnostics: Vec<Diagnostic>,
}

/// Judges what the change makes of the whole; an error if anything is wrong that was
/// not so before. Off the async threads: thousands of rules take a while.
pub(in crate::api) async fn judge(
    before: Vec<Entry>,
    after: Vec<Entry>,
) -> Result<Judgement, Problem> {
    tokio::task::spawn_blocking(move || judge_now(&before, &after))
        .await
        .map_err(Problem::internal)?
}

/// Texts that were checked together.
pub(in crate::api) struct Whole {
    pub(in crate::api) checked: Checked,
    sources: Vec<Source>,
}

fn check(entries: &[Entry]) -> Whole {
    Whole::of(entries.iter().map(Entry::source).collect())
}

/// A rule as it is now, beside everything else; none if it is not there, or wrong.
pub(in crate::api) fn rule_among(entries: &[Entry], rule: &str) -> Option<ir::Rule> {
    let rules = check(&settled(entries)).checked.rules;
    rules.into_iter().find(|one| one.info.id == rule)
}

impl Whole {
    /// Checks them; whatever is stored may be so long.
    pub(in crate::api) fn of(sources: Vec<Source>) -> Whole {
        let limits = Limits {
            file_bytes: limits::MAX_BODY,
            ..Limits::default()
        };
        Whole {
            checked: picket_lang::check(&sources, &limits),
            sources,
        }
    }

    /// What there is to say of them.
    pub(in crate::api) fn diagnostics(&self) -> Vec<Diagnostic> {
        let json = picket_lang::render_json(&self.checked.diagnostics, &self.sources);
        // We wrote it ourselves, one line above.
        serde_json::from_str(&json).unwrap_or_default()
    }

    /// What may block, by file: what a rule matches, or what a policy does.
    fn armed(&self, entries: &[Entry]) -> BTreeMap<String, Armed> {
        let at_block: BTreeSet<String> = entries
            .iter()
            .filter(|entry| entry.stage == Stage::Block && entry.kind != Kind::List)
            .map(Entry::file)
            .collect();
        let rules = self.checked.rules.iter().map(|rule| {
            let mut rule = rule.clone();
            let file = rule.info.origin.file.clone();
            // Where it stands in its file is nothing that it does.
            Arc::make_mut(&mut rule.info).origin = Origin::default();
            (file, Armed::Rule(Box::new(rule)))
        });
        let places = self.checked.policy_places.iter();
        let policies = self.checked.policies.iter().zip(places);
        let policies = policies.filter_map(|(policy, place)| {
            let file = self.sources.get(place.source)?.name.clone();
            policy
                .blocks()
                .then(|| (file, Armed::Policy(policy.clone())))
        });
        rules
            .chain(policies)
            .filter(|(file, _)| at_block.contains(file))
            .collect()
    }
}

#[derive(PartialEq)]
enum Armed {
    Rule(Box<ir::Rule>),
    Policy(Policy),
}

fn judge_now(before: &[Entry], after: &[Entry]) -> Result<Judgement, Problem> {
    let (before, after) = (&settled(before)[..], &settled(after)[..]);
    let known: BTreeMap<String, &Entry> =
        before.iter().map(|entry| (entry.file(), entry)).collect();
    let changed: BTreeSet<String> = after
        .iter()
        .filter(|entry| {
            known
                .get(&entry.file())
                .is_none_or(|known| known.body != entry.body)
        })
        .map(Entry::file)
        .collect();
    let (was, is) = (check(before), check(after));
    let said: BTreeSet<(String, String)> = was
        .diagnostics()
        .into_iter()
        .map(|told| (told.file, told.message))
        .collect();
    let (mut wrong, mut noted) = (Vec::new(), Vec::new());
    for told in is.diagnostics() {
        let ours = changed.contains(&told.file);
        let new = ours || !said.contains(&(told.file.clone(), told.message.clone()));
        if told.severity == "error" && new {
            wrong.push(told);
        } else if ours {
            noted.push(told);
        }
    }
    if !wrong.is_empty() {
        let elsewhere = wrong.iter().any(|told| !changed.contains(&told.file));
        let detail = match (wrong.len(), elsewhere) {
            (1, false) => format!("{}: {}", wrong[0].file, wrong[0].message),
            (1, true) => format!(
                "with this change, {} would be wrong: {}",
                wrong[0].file, wrong[0].message
            ),
            (errors, _) => format!("{errors} errors; the first: {}", wrong[0].message),
        };
        wrong.extend(noted);
        wrong.truncate(TOLD);
        return Err(Problem::invalid(detail).with(wrong));
    }
    noted.truncate(TOLD);
    let mut judgement = Judgement {
        diagnostics: noted,
        ..Judgement::default()
    };
    for entry in after {
        if changed.contains(&entry.file()) {
            let projects = shape(entry, &is)?;
            judgement.projects.insert(entry.file(), projects);
        }
    }
    let (was, is) = (was.armed(before), is.armed(after));
    judgement.armed = is
        .into_iter()
        .filter(|(file, armed)| was.get(file) != Some(armed))
        .map(|(file, _)| file)
        .collect();
    Ok(judgement)
}

/// Refuses a text that holds something else than its kind says. Gives the projects
/// that it names.
fn shape(entry: &Entry, whole: &Whole) -> Result<Vec<String>, Problem> {
    let file = entry.file();
    let rules = whole.checked.rules.iter();
    let rules: Vec<_> = rules
        .filter(|rule| rule.info.origin.file == file)
        .map(|rule| &*rule.info)
        .collect();
    let places = whole.checked.policy_places.iter();
    let policies = whole.checked.policies.iter().zip(places);
    let policies: Vec<_> = policies
        .filter(|(_, place)| {
            let source = whole.sources.get(place.source);
            source.is_some_and(|source| source.name == file)
        })
        .map(|(policy, _)| policy)
        .collect();
    let found = match (entry.kind, rules.as_slice(), policies.as_slice()) {
        (Kind::Rule, [rule], []) => Some((&rule.id, &rule.projects)),
        (Kind::Policy, [], [policy]) => Some((&policy.id, &policy.projects)),
        (Kind::List | Kind::Exception, [], []) => return Ok(Vec::new()),
        _ => None,
    };
    let Some((id, projects)) = found else {
        let wanted = match entry.kind {
            Kind::Rule => "exactly one rule, and no policy",
            Kind::Policy => "exactly one policy, and no rule",
            _ => "lists and macros, and no rule or policy",
        };
        return Err(Problem::invalid(format!(
            "{file}: it must hold {wanted}; it holds {} and {}",
            counted(rules.len(), "rule", "rules"),
            counted(policies.len(), "policy", "policies"),
        )));
    };
    if *id != entry.name {
        let why = format!("{file}: its id is {id:?}; name and id must be the same");
        return Err(Problem::new(Code::Invalid, why));
    }
    Ok(projects.clone())
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, name: &str, stage: Stage, body: &str) -> Entry {
        Entry {
            kind,
            name: name.to_owned(),
            stage,
            body: body.to_owned(),
            projects: Vec::new(),
            bound: None,
        }
    }

    const LIST: &str = "lists:\n  shells: [\"sh\"]\n";
    const RULE: &str = "rules:\n  - id: web-shell\n    title: t\n    event: process.exec\n    \
        severity: high\n    projects: [payments]\n    condition: 'process.name in $shells'\n";

    fn whole(stage: Stage) -> Vec<Entry> {
        vec![
            entry(Kind::List, "common", Stage::Block, LIST),
            entry(Kind::Rule, "web-shell", stage, RULE),
        ]
    }

    #[test]
    fn the_whole_is_judged_and_projects_are_read() {
        let judged = judge_now(&[], &whole(Stage::Draft)).unwrap();
        assert_eq!(judged.projects["rules/web-shell.yaml"], ["payments"]);
        assert!(judged.armed.is_empty());
        // Without its list the rule is wrong, in a text that nobody touched.
        let only_rule = &whole(Stage::Draft)[1..];
        let problem = judge_now(&whole(Stage::Draft), only_rule).unwrap_err();
        let told = serde_json::to_value(&problem).unwrap();
        assert_eq!(told["status"], 422);
        assert_eq!(told["diagnostics"][0]["file"], "rules/web-shell.yaml");
        assert_eq!(told["diagnostics"][0]["line"], 7);
    }

    #[test]
    fn a_list_that_changes_an_armed_rule_is_an_arming() {
        let before = whole(Stage::Block);
        let mut after = before.clone();
        after[0].body = LIST.replace("\"sh\"", "\"sh\", \"bash\"");
        let judged = judge_now(&before, &after).unwrap();
        assert_eq!(judged.armed, ["rules/web-shell.yaml"]);
        // A comment is none.
        after[0].body = format!("# Shells.\n{LIST}");
        assert!(judge_now(&before, &after).unwrap().armed.is_empty());
        // In simulation nothing is armed.
        let (before, mut after) = (whole(Stage::Simulate), whole(Stage::Simulate));
        after[0].body = LIST.replace("\"sh\"", "\"bash\"");
        assert!(judge_now(&before, &after).unwrap().armed.is_empty());
        let armed = judge_now(&before, &whole(Stage::Block)).unwrap();
        assert_eq!(armed.armed, ["rules/web-shell.yaml"]);
    }

    #[test]
    fn a_text_holds_what_its_kind_says() {
        for (kind, name, body, says) in [
            (
                Kind::Rule,
                "other",
                RULE.replace("$shells", "(\"sh\")"),
                "its id is",
            ),
            (
                Kind::Policy,
                "p",
                RULE.replace("$shells", "(\"sh\")"),
                "exactly one policy",
            ),
            (
                Kind::List,
                "l",
                RULE.replace("$shells", "(\"sh\")"),
                "no rule or policy",
            ),
            (Kind::Rule, "web-shell", LIST.to_owned(), "exactly one rule"),
        ] {
            let after = [entry(kind, name, Stage::Draft, &body)];
            let problem = judge_now(&[], &after).unwrap_err();
            let told = serde_json::to_value(&problem).unwrap();
            let detail = told["detail"].as_str().unwrap();
            assert!(detail.contains(says), "{detail}");
        }
    }
}
