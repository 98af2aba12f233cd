//! Why a rule matched.

use super::super::App;
use super::super::definitions::{rule_among, stored_entries};
use super::super::exceptions::event;
use super::super::extract::{Json, Path};
use super::super::findings;
use super::super::problem::Problem;
use super::super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_engine::{Explanation, explain};
use serde::Serialize;
use utoipa::ToSchema;

/// What a rule says of a finding's event.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ExplanationView {
    /// The rule's condition, as the language writes it.
    condition: String,
    /// Each part of it with what it says of the event, and what each predicate saw; `start` and
    /// `end` are the predicate's bytes in the condition of the rule's file.
    #[schema(value_type = Object)]
    explanation: Explanation,
}

/// Explain a finding: what each part of the rule's condition says of its event
///
/// By the rule as it is now: if it was changed, it may not match any more.
#[utoipa::path(get, path = "/findings/{id}/explanation", tag = "findings", operation_id = "explain_finding",
    params(("id" = String, Path, description = "The server's id for it")),
    responses((status = 200, body = ExplanationView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(in crate::api) async fn of_finding(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<ExplanationView>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let (row, _) = findings::seen(&app, &scope, &text).await?;
    let ocsf = app.store.findings_ocsf(&[row.id]).await?.pop();
    let event = ocsf.as_ref().and_then(|(_, ocsf)| event(ocsf));
    let event = event.ok_or_else(|| {
        Problem::invalid("the finding's event cannot be read: there is nothing to explain")
    })?;
    let rule = row.columns.rule;
    let (_, entries) = stored_entries(&app).await?;
    let explained = tokio::task::spawn_blocking(move || {
        let found = rule_among(&entries, &rule)?;
        Some(ExplanationView {
            condition: found.condition.to_string(),
            explanation: explain(&found, &event),
        })
    });
    let explained = explained.await.map_err(Problem::internal)?;
    let why = "its rule is not stored here any more, or is wrong";
    Ok(Json(explained.ok_or_else(|| Problem::invalid(why))?))
}
