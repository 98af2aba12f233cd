//! Rule files in and out: a folder as the truth, compared with what stands.
//!
//! The whole of it is judged before anything is written. Writing is one definition at
//! a time, in an order in which each step is right; a server that dies in between
//! leaves some unwritten, and applying again goes on.

use super::App;
use super::definitions::{
    Entry, StageName, authorise, check_name, file_name, first_stage, judge, project_ids,
    stored_entries, unified,
};
use super::extract::{Json, Query};
use super::problem::{Diagnostic, Problem};
use super::projects::Names;
use super::values::now;
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_lang::pieces::{self, PieceKind};
use picket_store::{
    Cause, Content, Definition, DefinitionFilter, Kind, PageSize, Stage, Store, StoreError, Uuid,
    limits,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Files at once, at most.
const MOST_FILES: usize = 10_000;

/// A rule file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// Its name, such as `web/shells.yaml`. A file of lists and macros alone gives its list's
    /// name.
    name: String,
    /// What stands in it.
    text: String,
}

/// Files, and what to do with them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyRequest {
    /// All of them.
    files: Vec<RuleFile>,
    /// Tell alone what would change.
    #[serde(default)]
    dry_run: bool,
    /// Delete what stands in none of the files, of what you may see.
    #[serde(default)]
    prune: bool,
    /// How far what is new or changed may go: `draft` or `simulate`. Left out: new rules and
    /// policies are drafts, others stay where they are.
    stage: Option<StageName>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// What is done about one rule, policy or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verb {
    /// It is new.
    Create,
    /// It says something else, or goes further.
    Change,
    /// It is in no file.
    Delete,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeView {
    /// What is done.
    change: Verb,
    /// `rule`, `policy` or `list`.
    kind: String,
    /// Its name.
    name: String,
    /// How far it may go afterwards; lists have no stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<StageName>,
    /// How far it might go before, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_before: Option<StageName>,
    /// Line by line, as `diff -u` has it.
    diff: String,
}

/// What changes, or would.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Applied {
    /// Whether it was only looked at.
    dry_run: bool,
    /// Each change.
    changes: Vec<ChangeView>,
    /// How many rules, policies and lists of the files stand as they are already.
    unchanged: usize,
    /// Warnings and notes on what changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Diagnostic>,
}

/// Files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Exported {
    /// One for each rule, policy and list.
    files: Vec<RuleFile>,
}

/// Which files.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// Drafts too.
    #[serde(default)]
    #[param(required = false)]
    drafts: bool,
}

/// Get every rule, policy and list that you may see, as files
#[utoipa::path(get, path = "/export", tag = "files", operation_id = "export", params(ExportQuery),
    responses((status = 200, body = Exported), (status = 403, body = Problem)))]
pub(super) async fn export(
    State(app): State<App>,
    who: Who,
    Query(query): Query<ExportQuery>,
) -> Result<Json<Exported>, Problem> {
    who.needs(Permission::Read)?;
    let (definitions, _) = stored_entries(&app).await?;
    let files = definitions
        .into_iter()
        .filter(|one| who.rights.may_see(&one.content.projects))
        .filter(|one| query.drafts || one.content.stage != Stage::Draft)
        .map(|one| RuleFile {
            name: file_name(one.kind, &one.name),
            text: one.content.body,
        })
        .collect();
    Ok(Json(Exported { files }))
}

type Key = (Kind, String);

/// One step from what stands to what the files say.
struct Step {
    verb: Verb,
    before: Option<Definition>,
    entry: Entry,
    projects: Vec<Uuid>,
}

/// Make what stands the same as these files, or tell what that would change
///
/// Each file is taken apart into its rules and policies; lists and macros that several of
/// them share become a list of the file's name. Nothing is written unless all of it is
/// right and you may change all of it.
#[utoipa::path(post, path = "/apply", tag = "files", operation_id = "apply", request_body = ApplyRequest,
    responses((status = 200, body = Applied), (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn apply(
    State(app): State<App>,
    who: Who,
    Json(request): Json<ApplyRequest>,
) -> Result<Json<Applied>, Problem> {
    let needed = if request.dry_run {
        Permission::Read
    } else {
        Permission::Write
    };
    who.needs(needed)?;
    if request.files.len() > MOST_FILES {
        return Err(Problem::invalid(format!("at most {MOST_FILES} files")));
    }
    if request.stage == Some(StageName::Block) {
        let why = "stage: what may block is moved there one by one, each with a reason";
        return Err(Problem::invalid(why));
    }
    let files = request.files;
    let given = tokio::task::spawn_blocking(move || take_apart(&files))
        .await
        .map_err(Problem::internal)??;
    let _writing = app.writing.lock().await;
    let (definitions, before) = stored_entries(&app).await?;
    let (mut steps, unchanged) = plan(&who, given, definitions, request.prune, request.stage)?;
    let after = result(&before, &steps);
    let judgement = judge(before, after.clone()).await?;
    let names = Names::read(&app).await?;
    for step in &mut steps {
        if let Some(wanted) = judgement.projects.get(&step.entry.file()) {
            step.projects = project_ids(&names, wanted)?;
        }
    }
    if !request.dry_run {
        for step in &steps {
            who.needs_in(Permission::Write, &step.entry.projects)
                .and_then(|()| match step.verb {
                    Verb::Delete => Ok(()),
                    _ => who.needs_in(Permission::Write, &step.projects),
                })?;
        }
        authorise(&who, &judgement, &after)?;
        authorise(&who, &judgement, &moved(after, &steps))?;
        for step in &steps {
            write(&app, &who, step, &request.reason).await?;
        }
    }
    Ok(Json(Applied {
        dry_run: request.dry_run,
        changes: steps.iter().map(shown).collect(),
        unchanged,
        diagnostics: judgement.diagnostics,
    }))
}

/// Rules, policies and lists out of the files.
fn take_apart(files: &[RuleFile]) -> Result<BTreeMap<Key, String>, Problem> {
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
fn plan(
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
fn result(before: &[Entry], steps: &[Step]) -> Vec<Entry> {
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
fn moved(mut entries: Vec<Entry>, steps: &[Step]) -> Vec<Entry> {
    for step in steps {
        let file = step.entry.file();
        for entry in entries.iter_mut().filter(|entry| entry.file() == file) {
            entry.projects.clone_from(&step.projects);
        }
    }
    entries
}

async fn write(app: &App, who: &Who, step: &Step, reason: &str) -> Result<(), Problem> {
    let cause = who.cause(reason);
    let entry = &step.entry;
    let content = |stage| Content {
        stage,
        body: entry.body.clone(),
        projects: step.projects.clone(),
    };
    match (&step.before, step.verb) {
        (Some(before), Verb::Delete) => {
            app.store
                .undefine(before.id, before.version, &cause)
                .await?;
        }
        (Some(before), _) => {
            app.store
                .redefine(before.id, before.version, content(entry.stage), &cause)
                .await?;
        }
        (None, _) => {
            let first = first_stage(entry.kind);
            let made = app
                .store
                .define(entry.kind, &entry.name, content(first), &cause)
                .await?;
            if entry.stage != first {
                app.store
                    .redefine(made.id, made.version, content(entry.stage), &cause)
                    .await?;
            }
        }
    }
    Ok(())
}

fn shown(step: &Step) -> ChangeView {
    let entry = &step.entry;
    let before = step.before.as_ref();
    let old = before.map_or("", |before| before.content.body.as_str());
    let new = if step.verb == Verb::Delete {
        ""
    } else {
        entry.body.as_str()
    };
    let file = entry.file();
    let has_stage = entry.kind != Kind::List;
    let was = before.map(|before| before.content.stage);
    let moves = has_stage && was.is_some_and(|was| was != entry.stage);
    ChangeView {
        change: step.verb,
        kind: entry.kind.name().to_owned(),
        name: entry.name.clone(),
        stage: has_stage.then(|| entry.stage.into()),
        stage_before: was.filter(|_| moves).map(Into::into),
        diff: unified(old, new, &format!("a/{file}"), &format!("b/{file}")),
    }
}

/// Who brings the rules that come with Picket.
const BUILTIN: &str = "system:builtin";

/// Defines rule files that come with the program, to simulate, where nothing is defined
/// yet. Later, of those that nobody has changed, what the program says now.
pub async fn seed(store: &dyn Store, files: Vec<(String, String)>) -> Result<(), String> {
    let files: Vec<RuleFile> = files
        .into_iter()
        .map(|(name, text)| RuleFile { name, text })
        .collect();
    let given = take_apart(&files).map_err(|problem| problem.to_string())?;
    let cause = Cause {
        actor: BUILTIN.to_owned(),
        reason: format!("comes with Picket {}", env!("CARGO_PKG_VERSION")),
        at: now(),
    };
    let told = |error: StoreError| error.to_string();
    let one = PageSize::new(1).map_err(told)?;
    let all = DefinitionFilter::default();
    let fresh = store.definitions(&all, None, one).await.map_err(told)?;
    let fresh = fresh.items.is_empty();
    let mut given: Vec<(Key, String)> = given.into_iter().collect();
    given.sort_by_key(|((kind, _), _)| rank(*kind));
    for ((kind, name), body) in given {
        let content = |stage, projects| Content {
            stage,
            body: body.clone(),
            projects,
        };
        match store.definition_named(kind, &name).await {
            Ok(known) if known.actor == BUILTIN && known.content.body != body => {
                let content = content(known.content.stage, known.content.projects);
                let next = store.redefine(known.id, known.version, content, &cause);
                next.await.map_err(told)?;
            }
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) if !fresh => {}
            Err(StoreError::NotFound { .. }) => {
                let first = first_stage(kind);
                let made = store
                    .define(kind, &name, content(first, Vec::new()), &cause)
                    .await
                    .map_err(told)?;
                if first == Stage::Draft {
                    let content = content(Stage::Simulate, Vec::new());
                    let next = store.redefine(made.id, made.version, content, &cause);
                    next.await.map_err(told)?;
                }
            }
            Err(error) => return Err(told(error)),
        }
    }
    Ok(())
}

/// Before what uses them come lists, then rules.
const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::List => 0,
        Kind::Rule => 1,
        _ => 2,
    }
}
