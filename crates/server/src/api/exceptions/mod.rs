//! Exceptions of rules: proposed from what was found, previewed, owned, and for a time.
//!
//! An exception of a rule that may block changes what is blocked: it takes the right to
//! arm, as any other such change (`docs/adr/0014-…`).

mod lens;
pub(super) mod noisy;
pub(super) mod preview;
pub(super) mod propose;

pub(super) use lens::{Judge, event};

use super::App;
use super::definitions::{
    Entry, authorise, check_name, etag, judge, named, settled, stored_entries,
};
use super::extract::{IfMatch, Json, Path};
use super::problem::{Code, Problem};
use super::values::{ETag, Time, now};
use super::who::Who;
use crate::auth::Permission;
use crate::exceptions::{Exception, MAX_TUPLES, Standing, digest};
use crate::stored;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::AppendHeaders;
use picket_store::{Content, Definition, Kind, Micros, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;

/// The longest life of an exception: a year.
const LONGEST: Micros = 366 * 24 * 3_600_000_000;

/// An exception.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewException {
    /// Its name.
    pub(super) name: String,
    /// The fields that are compared, such as `process.path`.
    fields: Vec<String>,
    /// How each is compared; left out: for equality.
    comps: Option<Vec<String>>,
    /// With what: tuples, of which one has to fit.
    #[schema(value_type = Vec<Vec<Object>>)]
    values: Vec<Vec<Value>>,
    /// Until when, a year from now at most. For a preview it may be left out.
    expires_at: Option<Time>,
    /// Who answers for it; left out: who makes it.
    owner: Option<String>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// An exception, and how it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct ExceptionView {
    /// Its name.
    name: String,
    /// Its rule.
    rule: String,
    /// The version of the rule that it was made for.
    rule_version: i64,
    /// `in_force`; `expired`: its time is over; `stale`: its rule says something else by
    /// now; `orphaned`: its rule is gone.
    state: String,
    /// The fields that are compared.
    fields: Vec<String>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    comps: Option<Vec<String>>,
    /// With what.
    #[schema(value_type = Vec<Vec<Object>>)]
    values: Vec<Vec<Value>>,
    /// Until when.
    expires_at: Time,
    /// Who answers for it.
    owner: String,
    /// Who wrote it last,
    actor: String,
    /// when,
    changed_at: Time,
    /// and why.
    reason: String,
}

fn view(definition: &Definition, rule: Option<&Definition>) -> Result<ExceptionView, Problem> {
    let exception = Exception::parse(&definition.content.body).map_err(Problem::internal)?;
    Ok(ExceptionView {
        name: definition.name.clone(),
        state: exception.standing(rule, now()).name().to_owned(),
        rule: exception.rule,
        rule_version: exception.rule_version,
        fields: exception.fields,
        comps: exception.comps,
        values: exception.values,
        expires_at: Time(exception.expires_at),
        owner: exception.owner,
        actor: definition.actor.clone(),
        changed_at: Time(definition.changed_at),
        reason: definition.reason.clone(),
    })
}

/// The rule of that name, if they may see it.
async fn rule_of(app: &App, who: &Who, name: &str) -> Result<Definition, Problem> {
    let rule = named(app, Kind::Rule, name).await?;
    if who.rights.may_see(&rule.content.projects) {
        Ok(rule)
    } else {
        Err(Problem::not_found("rule", name))
    }
}

/// What is checked now, and with this exception.
async fn beside(
    app: &App,
    new: &NewException,
    rule: &Definition,
) -> Result<(Vec<Entry>, Vec<Entry>), Problem> {
    check_name(&new.name)?;
    if new.values.len() > MAX_TUPLES {
        let why = format!("values: at most {MAX_TUPLES} tuples");
        return Err(Problem::invalid(why));
    }
    let (_, before) = stored_entries(app).await?;
    let exception = written(new, rule, "", now() + LONGEST);
    let mut after = before.clone();
    after.retain(|entry| entry.kind != Kind::Exception || entry.name != new.name);
    after.push(Entry {
        kind: Kind::Exception,
        name: new.name.clone(),
        stage: rule.content.stage,
        body: exception.text(&new.name),
        projects: rule.content.projects.clone(),
        bound: Some((rule.name.clone(), exception.rule_text)),
    });
    Ok((before, after))
}

fn written(new: &NewException, rule: &Definition, owner: &str, expires_at: Micros) -> Exception {
    Exception {
        rule: rule.name.clone(),
        rule_version: rule.version,
        rule_text: digest(&rule.content.body),
        fields: new.fields.clone(),
        comps: new.comps.clone(),
        values: new.values.clone(),
        expires_at,
        owner: owner.to_owned(),
    }
}

/// What a definition becomes, checked beside everything else and against the rights.
async fn checked(
    app: &App,
    who: &Who,
    new: &NewException,
    rule: &Definition,
) -> Result<Content, Problem> {
    who.needs_in(Permission::Write, &rule.content.projects)?;
    if new.reason.trim().is_empty() {
        return Err(Problem::invalid("reason: say why"));
    }
    let expires = new.expires_at.ok_or_else(|| {
        Problem::invalid("expires_at: an exception ends; say when, and renew it if it is needed")
    })?;
    let left = expires.0 - now();
    if left <= 0 || left > LONGEST {
        return Err(Problem::invalid("expires_at: from now to a year from now"));
    }
    let (before, after) = beside(app, new, rule).await?;
    let judgement = judge(before, after.clone()).await?;
    authorise(who, &judgement, &after)?;
    let actor = who.cause("").actor;
    let owner = new.owner.as_deref().unwrap_or(&actor);
    let exception = written(new, rule, owner, expires.0);
    Ok(Content {
        stage: Stage::Block,
        body: exception.to_body(),
        projects: rule.content.projects.clone(),
    })
}

type Shown = (
    AppendHeaders<[(&'static str, String); 1]>,
    Json<ExceptionView>,
);

fn shown(definition: &Definition, rule: Option<&Definition>) -> Result<Shown, Problem> {
    let tag = AppendHeaders([("etag", etag(definition).to_string())]);
    Ok((tag, Json(view(definition, rule)?)))
}

/// List exceptions, those that do not hold any more too
#[utoipa::path(get, path = "/exceptions", tag = "exceptions", operation_id = "list_exceptions",
    responses((status = 200, body = Vec<ExceptionView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
) -> Result<Json<Vec<ExceptionView>>, Problem> {
    who.needs(Permission::Read)?;
    let all = stored::definitions(&*app.store, None).await?;
    let rules: HashMap<&str, &Definition> = all
        .iter()
        .filter(|one| one.kind == Kind::Rule)
        .map(|one| (one.name.as_str(), one))
        .collect();
    let seen = all
        .iter()
        .filter(|one| one.kind == Kind::Exception && who.rights.may_see(&one.content.projects));
    let views = seen.map(|one| {
        let rule = Exception::parse(&one.content.body).ok();
        let rule = rule.and_then(|exception| rules.get(exception.rule.as_str()).copied());
        view(one, rule)
    });
    Ok(Json(views.collect::<Result<_, _>>()?))
}

/// Make an exception of a rule
///
/// It holds at once, where the rule does. Look at `POST /rules/{name}/exceptions/preview` first.
#[utoipa::path(post, path = "/rules/{name}/exceptions", tag = "exceptions", operation_id = "create_exception",
    params(("name" = String, Path, description = "The rule's name")), request_body = NewException,
    responses((status = 201, body = ExceptionView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Path(rule): Path<String>,
    Json(new): Json<NewException>,
) -> Result<(StatusCode, Shown), Problem> {
    who.needs(Permission::Write)?;
    let _writing = app.writing.lock().await;
    let rule = rule_of(&app, &who, &rule).await?;
    let known = named(&app, Kind::Exception, &new.name).await;
    if known.is_ok() {
        let why = format!("there is an exception {} already", new.name);
        return Err(Problem::new(Code::Conflict, why));
    }
    let content = checked(&app, &who, &new, &rule).await?;
    let cause = who.cause(new.reason);
    let made = app
        .store
        .define(Kind::Exception, &new.name, content, &cause)
        .await?;
    Ok((StatusCode::CREATED, shown(&made, Some(&rule))?))
}

/// An exception that they may see, and its rule.
async fn seen(
    app: &App,
    who: &Who,
    name: &str,
) -> Result<(Definition, Exception, Option<Definition>), Problem> {
    who.needs(Permission::Read)?;
    let found = named(app, Kind::Exception, name).await?;
    if !who.rights.may_see(&found.content.projects) {
        return Err(Problem::not_found("exception", name));
    }
    let exception = Exception::parse(&found.content.body).map_err(Problem::internal)?;
    let rule = match named(app, Kind::Rule, &exception.rule).await {
        Ok(rule) => Some(rule),
        Err(problem) if problem.is_not_found() => None,
        Err(problem) => return Err(problem),
    };
    Ok((found, exception, rule))
}

/// Get an exception
#[utoipa::path(get, path = "/exceptions/{name}", tag = "exceptions", operation_id = "get_exception",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ExceptionView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    let (found, _, rule) = seen(&app, &who, &name).await?;
    shown(&found, rule.as_ref())
}

/// Change or renew an exception: it is bound to its rule as that is now
#[utoipa::path(put, path = "/exceptions/{name}", tag = "exceptions", operation_id = "change_exception",
    params(("name" = String, Path, description = "Its name"),
        ("If-Match" = String, Header, description = "The ETag that was read")), request_body = NewException,
    responses((status = 200, body = ExceptionView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
    Json(new): Json<NewException>,
) -> Result<Shown, Problem> {
    who.needs(Permission::Write)?;
    let _writing = app.writing.lock().await;
    let (found, _, rule) = seen(&app, &who, &name).await?;
    let expected = fresh(&found, read)?;
    if new.name != name {
        return Err(Problem::invalid("name: it keeps its name"));
    }
    let rule = rule.ok_or_else(|| {
        Problem::new(
            Code::Conflict,
            "its rule is gone: delete the exception".to_owned(),
        )
    })?;
    let content = checked(&app, &who, &new, &rule).await?;
    let cause = who.cause(new.reason);
    let next = app
        .store
        .redefine(found.id, expected, content, &cause)
        .await?;
    shown(&next, Some(&rule))
}

/// Delete an exception
#[utoipa::path(delete, path = "/exceptions/{name}", tag = "exceptions", operation_id = "delete_exception",
    params(("name" = String, Path, description = "Its name"),
        ("If-Match" = String, Header, description = "The ETag that was read")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
) -> Result<StatusCode, Problem> {
    who.needs(Permission::Write)?;
    let _writing = app.writing.lock().await;
    let (found, exception, rule) = seen(&app, &who, &name).await?;
    let expected = fresh(&found, read)?;
    who.needs_in(Permission::Write, &found.content.projects)?;
    if exception.standing(rule.as_ref(), now()) == Standing::InForce {
        // What it left alone may be blocked from now on.
        let (_, before) = stored_entries(&app).await?;
        let mut after = before.clone();
        after.retain(|entry| entry.kind != Kind::Exception || entry.name != name);
        let judgement = judge(before, after.clone()).await?;
        authorise(&who, &judgement, &settled(&after))?;
    }
    app.store
        .undefine(found.id, expected, &who.cause(""))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn fresh(found: &Definition, read: ETag) -> Result<i64, Problem> {
    let expected = read.expect(found.id)?;
    if expected == found.version {
        return Ok(expected);
    }
    let why = format!("{} was changed meanwhile: read it again", found.name);
    Err(Problem::new(Code::Stale, why))
}
