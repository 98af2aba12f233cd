//! The audit log.

use super::App;
use super::extract::{Json, Query};
use super::problem::Problem;
use super::values::{Page, Time, cursor, page_size, single};
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_store::{AuditFilter, Verified};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Entries that one request verifies, at most.
const STEP: u32 = 10_000;

/// An entry.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Its place in the log, from 1, without a gap.
    seq: i64,
    /// When.
    at: Time,
    /// Who, such as `user:anna`.
    actor: String,
    /// What was done, such as `rule.update`.
    action: String,
    /// The kind of thing it was done to.
    kind: String,
    /// Its id.
    subject: String,
    /// Why, in their words.
    reason: String,
    /// What else is worth knowing.
    detail: Value,
    /// SHA-256 over the entry before and this one, hexadecimal.
    hash: String,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Those of this actor.
    actor: Option<String>,
    /// Those about this kind of thing.
    kind: Option<String>,
    /// Those about the thing with this id.
    subject: Option<String>,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// The first entry; 1 if left out.
    #[param(minimum = 1)]
    from: Option<i64>,
}

/// What came of following the chain.
#[derive(Serialize, ToSchema)]
pub(super) struct VerifiedView {
    /// Whether every entry that was looked at is what was written.
    whole: bool,
    /// The entry that was changed, or stands behind one that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<i64>,
    /// `from` of the next request, if there are more entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// List what was done, the newest first
#[utoipa::path(get, path = "/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, body = Page<EntryView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<EntryView>>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let before = single::<i64>(query.cursor.as_deref())?;
    let size = page_size(query.limit)?;
    let filter = AuditFilter {
        actor: query.actor,
        kind: query.kind,
        subject: query.subject,
    };
    let found = app.store.entries(&filter, before, size).await?;
    Ok(Json(Page {
        items: found
            .items
            .into_iter()
            .map(|entry| EntryView {
                seq: entry.seq,
                at: Time(entry.at),
                actor: entry.actor,
                action: entry.action,
                kind: entry.kind,
                subject: entry.subject,
                reason: entry.reason,
                detail: serde_json::from_str(&entry.detail).unwrap_or(Value::Null),
                hash: entry
                    .hash
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            })
            .collect(),
        next: found.next.map(|seq| cursor(&[&seq.to_string()])),
    }))
}

/// Verify that no entry was changed
///
/// That the newest entries were cut off is not seen: keep the last hash elsewhere.
#[utoipa::path(get, path = "/audit/verify", tag = "audit", operation_id = "verify_audit", params(VerifyQuery),
    responses((status = 200, body = VerifiedView), (status = 403, body = Problem)))]
pub(super) async fn verify(
    State(app): State<App>,
    who: Who,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<VerifiedView>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let from = query.from.unwrap_or(1);
    if from < 1 {
        return Err(Problem::invalid("from: entries are numbered from 1"));
    }
    let view = match app.store.verify(from, STEP).await? {
        Verified::Whole { next } => VerifiedView {
            whole: true,
            broken_at: None,
            next,
        },
        Verified::Broken { at } => VerifiedView {
            whole: false,
            broken_at: Some(at),
            next: None,
        },
    };
    Ok(Json(view))
}
