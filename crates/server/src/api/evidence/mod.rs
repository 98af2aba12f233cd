//! Evidence: what would have been killed, shown before anybody arms it.
//!
//! ```text
//! findings ─ digest ─► finding_policies ─ gather ─► page ─ SHA-256 ─► digest
//!                                                     │ kept            │ named by
//!                                                     ▼                 ▼
//!                                              evidence_pages ◄─ to block, with a reason
//! ```
//! A page is kept byte for byte under its digest. Whoever arms names the digest of a page
//! of the very version; the audit entry names it too, and the page stays from then on.

mod acknowledge;
mod gather;
mod page;
mod tally;

pub(super) use acknowledge::acknowledged;

use super::App;
use super::definitions::named;
use super::extract::{Json, Path, Query};
use super::problem::Problem;
use super::values::{Time, now};
use super::who::Who;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use gather::{Window, gather, usual};
use page::Evidence;
use picket_store::{Definition, EvidencePage, Kind, Uuid, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

/// Which evidence.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EvidenceQuery {
    /// Findings from this time on; left out: as long as this version stands, and not longer
    /// than 30 days.
    from: Option<Time>,
    /// Findings before this time; left out: until now.
    until: Option<Time>,
}

/// A page of evidence, and what it is named by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownEvidence {
    /// SHA-256 of the page: name it as `evidence` to arm on it. It may be used for a day, for
    /// this version alone.
    digest: String,
    /// The page.
    evidence: Evidence,
}

/// A page that was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Kept {
    /// What it is named by.
    digest: String,
    /// When it was made.
    made_at: Time,
    /// When it was armed on; left out: not.
    #[serde(skip_serializing_if = "Option::is_none")]
    armed_at: Option<Time>,
    /// The page, as it was shown.
    #[schema(value_type = Object)]
    evidence: Value,
}

/// Beside the page itself: whose eyes it was made for.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    /// Projects that it shows alone, by id.
    scope: Option<Vec<String>>,
    page: Value,
}

impl Stored {
    fn projects(&self) -> Option<Vec<Uuid>> {
        let ids = self.scope.as_ref()?;
        Some(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

/// Show what a policy would have killed, and what should be known before it is armed
#[utoipa::path(get, path = "/policies/{name}/evidence", tag = "policies", operation_id = "policy_evidence",
    params(("name" = String, Path, description = "Its name"), EvidenceQuery),
    responses((status = 200, body = ShownEvidence), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_policy(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(query): Query<EvidenceQuery>,
) -> Result<Json<ShownEvidence>, Problem> {
    show(&app, &who, Kind::Policy, &name, &query)
        .await
        .map(Json)
}

/// Show what the policies on a rule would have killed for it
#[utoipa::path(get, path = "/rules/{name}/evidence", tag = "rules", operation_id = "rule_evidence",
    params(("name" = String, Path, description = "Its name"), EvidenceQuery),
    responses((status = 200, body = ShownEvidence), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_rule(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(query): Query<EvidenceQuery>,
) -> Result<Json<ShownEvidence>, Problem> {
    show(&app, &who, Kind::Rule, &name, &query).await.map(Json)
}

/// Show a page that was made before, such as one that an audit entry names
#[utoipa::path(get, path = "/evidence/{digest}", tag = "audit", operation_id = "get_evidence",
    params(("digest" = String, Path, description = "Its digest")),
    responses((status = 200, body = Kept), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(digest): Path<String>,
) -> Result<Json<Kept>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let hidden = || Problem::not_found("evidence", &digest);
    if digest.len() > limits::MAX_NAME {
        return Err(hidden());
    }
    let page = app.store.evidence(&digest).await?;
    let definition = app.store.definition(page.definition).await?;
    let stored = stored(&page)?;
    let covered = match (&scope, stored.projects()) {
        (Scope::All, _) => true,
        (Scope::Projects(_), None) => false,
        (Scope::Projects(_), Some(shown)) => shown.iter().all(|project| scope.covers(*project)),
    };
    if !covered || !who.rights.may_see(&definition.content.projects) {
        return Err(hidden());
    }
    Ok(Json(Kept {
        digest: page.digest,
        made_at: Time(page.made_at),
        armed_at: page.armed_at.map(Time),
        evidence: stored.page,
    }))
}

async fn show(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
    query: &EvidenceQuery,
) -> Result<ShownEvidence, Problem> {
    let scope = who.needs(Permission::Read)?;
    let definition = named(app, kind, name).await?;
    if !who.rights.may_see(&definition.content.projects) {
        return Err(Problem::not_found(kind.name(), name));
    }
    let now = now();
    let usual = usual(&definition, now);
    let window = Window {
        from: query.from.map_or(usual.from, |from| from.0),
        until: query.until.map_or(usual.until, |until| until.0),
    };
    let projects = seen(&definition, scope);
    let evidence = gather(app, &definition, projects.clone(), window, now).await?;
    let digest = keep(app, &definition, projects.projects(), &evidence).await?;
    Ok(ShownEvidence { digest, evidence })
}

/// What one who sees so much sees of it. More projects than a filter takes are no more
/// than the first ones of them: the page says which.
fn seen(definition: &Definition, scope: Scope) -> Scope {
    match scope {
        Scope::All => Scope::All,
        Scope::Projects(mut projects) => {
            // What it is for comes first.
            projects.sort_by_key(|project| !definition.content.projects.contains(project));
            projects.truncate(limits::MAX_FILTER_VALUES);
            projects.sort_unstable();
            Scope::Projects(projects)
        }
    }
}

async fn keep(
    app: &App,
    definition: &Definition,
    scope: Option<Vec<Uuid>>,
    evidence: &Evidence,
) -> Result<String, Problem> {
    let page = serde_json::to_value(evidence).map_err(Problem::internal)?;
    let scope = scope.map(|ids| ids.iter().map(Uuid::to_string).collect());
    let page = serde_json::to_string(&Stored { scope, page }).map_err(Problem::internal)?;
    let digest: String = Sha256::digest(page.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    app.store
        .keep_evidence(EvidencePage {
            digest: digest.clone(),
            definition: definition.id,
            version: definition.version,
            made_at: evidence.made_at.0,
            page,
            armed_at: None,
        })
        .await?;
    Ok(digest)
}

fn stored(page: &EvidencePage) -> Result<Stored, Problem> {
    serde_json::from_str(&page.page).map_err(Problem::internal)
}
