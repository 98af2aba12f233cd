//! What is said about issues. Notes are added, never changed.

use super::App;
use super::extract::{Json, Path, Query};
use super::issues::{seen, to_change};
use super::problem::Problem;
use super::values::{Page, PageQuery, Time, cursor, page_size, single};
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use picket_store::{IssueNote, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A note.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoteView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// When it was written.
    at: Time,
    /// By whom, such as `user:anna`; `system:digest` says that the issue came back.
    author: String,
    /// What it says.
    text: String,
}

/// A note to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    /// What it says, up to 16 KiB.
    text: String,
}

fn view(note: IssueNote) -> NoteView {
    NoteView {
        id: note.id.to_string(),
        at: Time(note.at),
        author: note.author,
        text: note.text,
    }
}

/// List the notes of an issue, the oldest first
#[utoipa::path(get, path = "/issues/{id}/notes", tag = "issues", operation_id = "list_issue_notes",
    params(("id" = String, Path, description = "The issue's id"), PageQuery),
    responses((status = 200, body = Page<NoteView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<NoteView>>, Problem> {
    let issue = seen(&app, &who.needs(Permission::Read)?, &id).await?;
    let after = single::<Uuid>(page.cursor.as_deref())?;
    let size = page_size(page.limit)?;
    let found = app.store.issue_notes(issue.id, after, size).await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(view).collect(),
        next: found.next.map(|id| cursor(&[&id.to_string()])),
    }))
}

/// Add a note to an issue
#[utoipa::path(post, path = "/issues/{id}/notes", tag = "issues", operation_id = "add_issue_note",
    params(("id" = String, Path, description = "The issue's id")), request_body = NewNote,
    responses((status = 201, body = NoteView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn add(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Json(new): Json<NewNote>,
) -> Result<Response, Problem> {
    let issue = to_change(&app, &who, &id).await?;
    let note = app
        .store
        .add_issue_note(issue.id, &new.text, &who.cause(""))
        .await?;
    Ok((StatusCode::CREATED, Json(view(note))).into_response())
}
