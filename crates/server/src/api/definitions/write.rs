//! Writing: checked against everything else, and against the writer's rights.

use super::library::{Entry, Judgement, judge};
use super::requests::{ChangeDefinition, DefinitionView, NewDefinition, StageChange};
use super::resource::{all, seen, view};
use super::scopes::check_scopes;
use crate::api::App;
use crate::api::evidence::acknowledged;
use crate::api::problem::{Code, Problem};
use crate::api::projects::Names;
use crate::api::values::ETag;
use crate::api::who::Who;
use crate::auth::Permission;
use crate::exceptions::{Exception, in_place};
use picket_store::{Cause, Content, Definition, Kind, Stage, Uuid, limits};
use std::collections::HashMap;

/// Bytes of a name.
const MAX_NAME: usize = 128;

/// What was written: the resource with its tag.
pub(in crate::api) struct Written {
    pub(super) tag: ETag,
    pub(super) view: DefinitionView,
}

/// A name that fits in a path, a file's name and a shell.
pub(in crate::api) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    let good = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.chars().all(fits)
        && !name.starts_with('.');
    if good {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "name: 1 to {MAX_NAME} lower case letters, digits and .-_, not with . in front"
    )))
}

fn check_body(body: &str) -> Result<(), Problem> {
    if body.len() <= limits::MAX_BODY {
        return Ok(());
    }
    let why = format!("body: at most {} bytes are allowed", limits::MAX_BODY);
    Err(Problem::new(Code::TooLarge, why))
}

/// Everything that the rule language checks together.
pub(in crate::api) async fn stored_entries(
    app: &App,
) -> Result<(Vec<Definition>, Vec<Entry>), Problem> {
    let mut definitions = all(app, None).await?;
    let entries = entries(&definitions);
    definitions.retain(|definition| definition.kind.is_rule_file());
    Ok((definitions, entries))
}

/// What the rule language checks together, of all that is stored.
pub(in crate::api) fn entries(definitions: &[Definition]) -> Vec<Entry> {
    let checked = |one: &&Definition| one.kind.is_rule_file() || one.kind == Kind::Exception;
    let checked = definitions.iter().filter(checked).cloned().collect();
    let bound: HashMap<Uuid, (String, String)> = definitions
        .iter()
        .filter(|one| one.kind == Kind::Exception)
        .filter_map(|one| {
            let exception = Exception::parse(&one.content.body).ok()?;
            Some((one.id, (exception.rule, exception.rule_text)))
        })
        .collect();
    let placed = in_place(checked);
    let entries = placed.iter().map(|one| Entry {
        bound: bound.get(&one.id).cloned(),
        ..entry(one)
    });
    entries.collect()
}

/// One of them.
pub(in crate::api) fn entry(definition: &Definition) -> Entry {
    Entry {
        kind: definition.kind,
        name: definition.name.clone(),
        stage: definition.content.stage,
        body: definition.content.body.clone(),
        projects: definition.content.projects.clone(),
        bound: None,
    }
}

/// The projects of these names.
pub(in crate::api) fn project_ids(names: &Names, wanted: &[String]) -> Result<Vec<Uuid>, Problem> {
    wanted
        .iter()
        .map(|name| {
            names.id(name).ok_or_else(|| {
                Problem::invalid(format!("there is no project {name:?}: make it first"))
            })
        })
        .collect()
}

/// Refuses what changes what blocks, of one who may not arm it.
pub(in crate::api) fn authorise(
    who: &Who,
    judgement: &Judgement,
    entries: &[Entry],
) -> Result<(), Problem> {
    for file in &judgement.armed {
        let projects = entries
            .iter()
            .find(|entry| entry.file() == *file)
            .map_or(&[][..], |entry| &entry.projects);
        who.needs_in(Permission::Arm, projects).map_err(|_| {
            Problem::new(
                Code::Forbidden,
                format!(
                    "this changes what {file} blocks, which needs the role armer where it holds; \
                     take it back to simulate first, or ask somebody who may arm"
                ),
            )
        })?;
    }
    Ok(())
}

/// The stage of what is new.
pub(in crate::api) const fn first_stage(kind: Kind) -> Stage {
    match kind {
        // Lists have no life cycle: what uses them has.
        Kind::List => Stage::Block,
        _ => Stage::Draft,
    }
}

/// Makes one.
pub(super) async fn create(
    app: &App,
    who: &Who,
    kind: Kind,
    new: NewDefinition,
) -> Result<Written, Problem> {
    who.needs(Permission::Write)?;
    check_name(&new.name)?;
    check_body(&new.body)?;
    let _writing = app.writing.lock().await;
    let (_, before) = stored_entries(app).await?;
    if before
        .iter()
        .any(|known| known.kind == kind && known.name == new.name)
    {
        let why = format!("there is a {} {} already", kind.name(), new.name);
        return Err(Problem::new(Code::Conflict, why));
    }
    let made = Entry {
        kind,
        name: new.name,
        stage: first_stage(kind),
        body: new.body,
        projects: Vec::new(),
        bound: None,
    };
    let mut after = before.clone();
    after.push(made.clone());
    let (judgement, projects, names) = judged(app, &made, before, after).await?;
    who.needs_in(Permission::Write, &projects)?;
    let content = Content {
        stage: made.stage,
        body: made.body,
        projects,
    };
    let cause = who.cause(new.reason);
    let made = app.store.define(kind, &made.name, content, &cause).await?;
    Ok(written(made, &names, judgement))
}

/// Writes the next version of one.
pub(super) async fn change(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
    read: ETag,
    change: ChangeDefinition,
) -> Result<Written, Problem> {
    who.needs(Permission::Write)?;
    check_body(&change.body)?;
    let _writing = app.writing.lock().await;
    let found = seen(app, who, kind, name).await?;
    let expected = fresh(&found, read)?;
    who.needs_in(Permission::Write, &found.content.projects)?;
    let stage = match (kind, change.stage) {
        (Kind::List, Some(_)) => return Err(Problem::invalid("stage: lists have none")),
        (_, stage) => stage.map_or(found.content.stage, Stage::from),
    };
    let evidence = if arms(&found, stage) {
        may_arm(who, &found.content.projects, &change.reason)?;
        if change.body != found.content.body {
            let why = "stage: what blocks is what was simulated: write the text first, and let it \
                       be simulated";
            return Err(Problem::invalid(why));
        }
        Some(acknowledged(app, &found, change.evidence.as_deref()).await?)
    } else {
        None
    };
    let (_, before) = stored_entries(app).await?;
    let next = Entry {
        stage,
        body: change.body,
        ..entry(&found)
    };
    let after = replaced(&before, &next);
    let (judgement, projects, names) = judged(app, &next, before, after.clone()).await?;
    who.needs_in(Permission::Write, &projects)?;
    // To arm it takes the right where it holds until now, and where it will.
    authorise(who, &judgement, &after)?;
    let moved = Entry {
        projects: projects.clone(),
        ..next.clone()
    };
    authorise(who, &judgement, &replaced(&after, &moved))?;
    let content = Content {
        stage,
        body: next.body,
        projects,
    };
    let cause = who.cause(change.reason);
    let next = advance(app, &found, expected, content, evidence, &cause).await?;
    Ok(written(next, &names, judgement))
}

/// Whether this is the step on which evidence is asked for.
fn arms(found: &Definition, to: Stage) -> bool {
    to == Stage::Block && found.content.stage != Stage::Block
}

async fn advance(
    app: &App,
    found: &Definition,
    expected: i64,
    content: Content,
    evidence: Option<String>,
    cause: &Cause,
) -> Result<Definition, Problem> {
    let store = &app.store;
    Ok(match evidence {
        None => store.redefine(found.id, expected, content, cause).await?,
        Some(digest) => {
            store
                .arm(found.id, expected, content, &digest, cause)
                .await?
        }
    })
}

/// Whether they may let it block, and say why.
fn may_arm(who: &Who, projects: &[Uuid], reason: &str) -> Result<(), Problem> {
    who.needs_in(Permission::Arm, projects)?;
    if reason.trim().is_empty() {
        return Err(Problem::invalid("reason: say why it may block from now on"));
    }
    Ok(())
}

/// Moves one along its life cycle.
pub(super) async fn set_stage(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
    read: ETag,
    change: StageChange,
) -> Result<Written, Problem> {
    let any = [Permission::Write, Permission::Arm, Permission::Respond];
    if !any.iter().any(|right| who.rights.anywhere(*right)) {
        return Err(crate::api::who::lacks(Permission::Write, ""));
    }
    let _writing = app.writing.lock().await;
    let found = seen(app, who, kind, name).await?;
    let expected = fresh(&found, read)?;
    let projects = &found.content.projects;
    let (from, to) = (found.content.stage, Stage::from(change.stage));
    if to == Stage::Block {
        may_arm(who, projects, &change.reason)?;
    } else if to > from {
        who.needs_in(Permission::Write, projects)?;
    } else if !any
        .iter()
        .any(|right| who.rights.may_change(*right, projects))
    {
        // Back: whoever may write, arm or respond may calm things down.
        return Err(crate::api::who::lacks(
            Permission::Respond,
            " in each project that it is for",
        ));
    }
    let evidence = if arms(&found, to) {
        if !from.may_become(to) {
            let why = format!("{name} is a {}: let it be simulated first", from.name());
            return Err(Problem::new(Code::Conflict, why));
        }
        Some(acknowledged(app, &found, change.evidence.as_deref()).await?)
    } else {
        None
    };
    if to == Stage::Draft {
        let (_, before) = stored_entries(app).await?;
        let next = Entry {
            stage: to,
            ..entry(&found)
        };
        let after = replaced(&before, &next);
        check_scopes(before, after).await?;
    }
    let content = Content {
        stage: to,
        ..found.content.clone()
    };
    let cause = who.cause(change.reason);
    let next = advance(app, &found, expected, content, evidence, &cause).await?;
    let names = Names::read(app).await?;
    Ok(written(next, &names, Judgement::default()))
}

/// Takes one out.
pub(super) async fn delete(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
    read: ETag,
    reason: String,
) -> Result<(), Problem> {
    who.needs(Permission::Write)?;
    let _writing = app.writing.lock().await;
    let found = seen(app, who, kind, name).await?;
    let expected = fresh(&found, read)?;
    who.needs_in(Permission::Write, &found.content.projects)?;
    let (_, before) = stored_entries(app).await?;
    let mut after = before.clone();
    after.retain(|entry| entry.kind != kind || entry.name != name);
    let judgement = judge(before.clone(), after.clone()).await?;
    authorise(who, &judgement, &after)?;
    check_scopes(before, after).await?;
    app.store
        .undefine(found.id, expected, &who.cause(reason))
        .await?;
    Ok(())
}

/// The one that is there now, by its name.
pub(super) async fn get(app: &App, who: &Who, kind: Kind, name: &str) -> Result<Written, Problem> {
    let found = seen(app, who, kind, name).await?;
    let names = Names::read(app).await?;
    Ok(written(found, &names, Judgement::default()))
}

/// The version that was read, if it is still the latest: told before anything else is
/// wrong with the change.
fn fresh(found: &Definition, read: ETag) -> Result<i64, Problem> {
    let expected = read.expect(found.id)?;
    if expected == found.version {
        return Ok(expected);
    }
    let why = format!(
        "{} is at version {}, not {expected}: read it again and repeat the change",
        found.name, found.version
    );
    Err(Problem::new(Code::Stale, why))
}

fn replaced(entries: &[Entry], next: &Entry) -> Vec<Entry> {
    let same = |entry: &Entry| entry.kind == next.kind && entry.name == next.name;
    entries
        .iter()
        .map(|entry| if same(entry) { next } else { entry })
        .cloned()
        .collect()
}

/// Judges a change of one entry; gives the projects it names.
async fn judged(
    app: &App,
    entry: &Entry,
    before: Vec<Entry>,
    after: Vec<Entry>,
) -> Result<(Judgement, Vec<Uuid>, Names), Problem> {
    let judgement = judge(before.clone(), after.clone()).await?;
    let names = Names::read(app).await?;
    let projects = match judgement.projects.get(&entry.file()) {
        Some(wanted) => project_ids(&names, wanted)?,
        // The same text at another stage.
        None => entry.projects.clone(),
    };
    let placed = Entry {
        projects: projects.clone(),
        ..entry.clone()
    };
    check_scopes(before, replaced(&after, &placed)).await?;
    Ok((judgement, projects, names))
}

fn written(definition: Definition, names: &Names, judgement: Judgement) -> Written {
    Written {
        tag: super::etag(&definition),
        view: view(definition, names, judgement.diagnostics),
    }
}
