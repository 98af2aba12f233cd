//! What files come to: taken apart into rules, policies and lists, and compared with
//! what stands.

use super::{RuleFile, Verb};
use crate::api::definitions::{Entry, StageName, check_name};
use crate::api::problem::Problem;
use crate::api::who::Who;
use picket_lang::pieces::{self, PieceKind};
use picket_store::{Definition, Kind, Stage, Uuid, limits};
use std::collections::BTreeMap;

/// What tells one text from another.
pub(in crate::api) type Key = (Kind, String);

/// One step from what stands to what the files say.
pub(super) struct Step {
    pub verb: Verb,
    pub before: Option<Definition>,
    pub entry: Entry,
    pub projects: Vec<Uuid>,
}

/// Rules, policies and lists out of the files.
pub(in crate::api) fn take_apart(files: &[RuleFile]) -> Result<BTreeMap<Key, String>, Problem> {
    let mut given: BTreeMap<Key, (String, &str)> = BTreeMap::new();
    for file in files {
        if file.text.len() > limits::MAX_BODY {
            let why = format!(
                "{}: at most {} bytes are allowed",
                file.name,
                limits::MAX_BODY
            );
            return Err(Problem::invalid(why));
        }
        let pieces = pieces::take_apart(&file.name, &file.text).map_err(|why| {
            let (detail, json) = why.told();
            Problem::invalid(detail).with(serde_json::from_str(&json).unwrap_or_default())
        })?;
        for piece in pieces {
            let kind = match piece.kind {
                PieceKind::Rule => Kind::Rule,
                PieceKind::Policy => Kind::Policy,
                PieceKind::Lists => Kind::List,
            };
            check_name(&piece.name)
                .map_err(|_| Problem::invalid(format!("{}: the {} {:?} cannot be stored under its name: lower case letters, digits and .-_", file.name, kind.name(), piece.name)))?;
            let key = (kind, piece.name);
            if let Some((_, other)) = given.get(&key) {
                let why = format!(
                    "{} and {other} both give the {} {}",
                    file.name,
                    kind.name(),
                    key.1
                );
                return Err(Problem::invalid(why));
            }
            given.insert(key, (piece.text, &file.name));
        }
    }
    Ok(given
        .into_iter()
        .map(|(key, (text, _))| (key, text))
        .collect())
}

/// What to do, in an order in which each step is right by itself: lists first, then
/// rules, then policies; and the other way round for what goes.
pub(super) fn plan(
    who: &Who,
    given: BTreeMap<Key, String>,
    definitions: Vec<Definition>,
    prune: bool,
    stage: Option<StageName>,
) -> Result<(Vec<Step>, usize), Problem> {
    let mut stored: BTreeMap<Key, Definition> = definitions
        .into_iter()
        .map(|one| ((one.kind, one.name.clone()), one))
        .collect();
    let (mut steps, mut unchanged) = (Vec::new(), 0);
    for ((kind, name), body) in given {
        let before = stored.remove(&(kind, name.clone()));
        let now = before.as_ref().map(|before| before.content.stage);
        let wanted = stage.map(Stage::from).filter(|_| kind != Kind::List);
        let goal = match (kind, now, wanted) {
            (Kind::List, ..) => Stage::Block,
            (_, None, wanted) => wanted.unwrap_or(Stage::Draft),
            // A folder moves nothing back by itself.
            (_, Some(now), wanted) => wanted.map_or(now, |wanted| wanted.max(now)),
        };
        let same = before
            .as_ref()
            .is_some_and(|before| before.content.body == body && before.content.stage == goal);
        if same {
            unchanged += 1;
            continue;
        }
        if let Some(before) = &before
            && !who.rights.may_see(&before.content.projects)
        {
            return Err(Problem::invalid(format!("the name {name} is taken")));
        }
        let projects = before
            .as_ref()
            .map(|before| before.content.projects.clone())
            .unwrap_or_default();
        steps.push(Step {
            verb: if before.is_some() {
                Verb::Change
            } else {
                Verb::Create
            },
            entry: Entry {
                kind,
                name,
                stage: goal,
                body,
                projects: projects.clone(),
                bound: None,
            },
            projects,
            before,
        });
    }
    let gone = stored.into_values().filter(|_| prune);
    let gone = gone.filter(|one| who.rights.may_see(&one.content.projects));
    steps.extend(gone.map(|before| Step {
        verb: Verb::Delete,
        entry: Entry {
            kind: before.kind,
            name: before.name.clone(),
            stage: before.content.stage,
            body: before.content.body.clone(),
            projects: before.content.projects.clone(),
            bound: None,
        },
        projects: before.content.projects.clone(),
        before: Some(before),
    }));
    steps.sort_by_key(|step| match step.verb {
        Verb::Delete => (1, 2 - rank(step.entry.kind)),
        _ => (0, rank(step.entry.kind)),
    });
    Ok((steps, unchanged))
}

/// Everything as it is after the steps.
pub(super) fn result(before: &[Entry], steps: &[Step]) -> Vec<Entry> {
    let mut after: BTreeMap<String, Entry> = before
        .iter()
        .map(|entry| (entry.file(), entry.clone()))
        .collect();
    for step in steps {
        if step.verb == Verb::Delete {
            after.remove(&step.entry.file());
        } else {
            after.insert(step.entry.file(), step.entry.clone());
        }
    }
    after.into_values().collect()
}

/// The same, for the projects that they are for from now on.
pub(super) fn moved(mut entries: Vec<Entry>, steps: &[Step]) -> Vec<Entry> {
    for step in steps {
        let file = step.entry.file();
        for entry in entries.iter_mut().filter(|entry| entry.file() == file) {
            entry.projects.clone_from(&step.projects);
        }
    }
    entries
}

/// Before what uses them come lists, then rules.
pub(in crate::api) const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::List => 0,
        Kind::Rule => 1,
        _ => 2,
    }
}
