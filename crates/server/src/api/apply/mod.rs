//! Rule files in and out: a folder as the truth, compared with what stands.
//!
//! The whole of it is judged before anything is written. Writing is one definition at
//! a time, in an order in which each step is right; a server that dies in between
//! leaves some unwritten, and applying again goes on.

mod plan;

pub(super) use self::plan::{Key, rank, take_apart};
use self::plan::{Step, moved, plan, result};
use super::App;
use super::definitions::{
    StageName, authorise, check_scopes, file_name, first_stage, judge, project_ids, stored_entries,
    unified,
};
use super::extract::{Json, Query};
use super::problem::{Diagnostic, Problem};
use super::projects::Names;
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_store::{Content, Kind, Stage};
use serde::{Deserialize, Serialize};
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

impl RuleFile {
    pub(super) const fn new(name: String, text: String) -> RuleFile {
        RuleFile { name, text }
    }
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
    let judgement = judge(before.clone(), after.clone()).await?;
    let names = Names::read(&app).await?;
    for step in &mut steps {
        if let Some(wanted) = judgement.projects.get(&step.entry.file()) {
            step.projects = project_ids(&names, wanted)?;
        }
    }
    check_scopes(before, moved(after.clone(), &steps)).await?;
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
