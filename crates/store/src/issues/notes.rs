//! Notes: added, never changed.

use super::IssueNote;
use crate::basics::{Cause, Micros, Uuid, new_id};
use crate::db::{Columns, Link, Record, sql};
use crate::error::Result;
use crate::limits::{self, MAX_NOTE};
use crate::page::{Page, PageSize};

impl Record for IssueNote {
    fn read(row: &impl Columns) -> Result<IssueNote> {
        Ok(IssueNote {
            id: row.id("id")?,
            at: row.int("at")?,
            author: row.text("author")?,
            text: row.text("text")?,
        })
    }
}

pub(super) fn check(text: &str) -> Result<()> {
    limits::text("text", text, MAX_NOTE)?;
    if text.trim().is_empty() {
        return limits::name("text", "");
    }
    Ok(())
}

pub(super) async fn add(
    link: &mut impl Link,
    issue: Uuid,
    text: String,
    cause: &Cause,
) -> Result<IssueNote> {
    let note = IssueNote {
        id: new_id(),
        at: cause.at,
        author: cause.actor.clone(),
        text,
    };
    let insert = sql(
        "adding a note",
        "INSERT INTO issue_notes (id, issue_id, at, author, text) VALUES ($1, $2, $3, $4, $5)",
    );
    link.execute(
        insert
            .bind(note.id)
            .bind(issue)
            .bind(note.at)
            .bind(note.author.as_str())
            .bind(note.text.as_str()),
    )
    .await?;
    Ok(note)
}

/// That it came back, where people will look for why it is open again.
pub(super) async fn came_back(
    link: &mut impl Link,
    issue: Uuid,
    findings: usize,
    now: Micros,
) -> Result<()> {
    let cause = Cause {
        actor: "system:digest".to_owned(),
        reason: String::new(),
        at: now,
    };
    let text = match findings {
        1 => "Reopened: it came back, with one finding from after it was resolved.".to_owned(),
        more => format!("Reopened: it came back, with {more} findings."),
    };
    add(link, issue, text, &cause).await?;
    Ok(())
}

pub(super) async fn list(
    link: &mut impl Link,
    issue: Uuid,
    after: Option<Uuid>,
    size: PageSize,
) -> Result<Page<IssueNote, Uuid>> {
    let list = sql(
        "listing an issue's notes",
        "SELECT * FROM issue_notes WHERE issue_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    );
    let list = list
        .bind(issue)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(size.probe());
    let rows = link.fetch::<IssueNote>(list).await?;
    Ok(Page::of(rows, size, |note| note.id))
}
