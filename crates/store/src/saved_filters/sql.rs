//! Saved filters in SQL.

use super::{Filtered, NewSavedFilter, SavedFilter, SavedFilters};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Uuid, new_id};
use crate::db::{Backend, Columns, Link, One, Record, sql};
use crate::error::{Result, StoreError};
use crate::limits::{self, MAX_FILTER_QUERY, MAX_SAVED_FILTERS};
use crate::store::SqlStore;
use async_trait::async_trait;
use serde_json::{Value, json};

impl Record for SavedFilter {
    fn read(row: &impl Columns) -> Result<SavedFilter> {
        Ok(SavedFilter {
            id: row.id("id")?,
            filter: NewSavedFilter {
                owner: row.id("owner")?,
                kind: row.word("kind", Filtered::of_name)?,
                name: row.text("name")?,
                query: row.text("query")?,
                shared: row.get("shared")?,
            },
            created_at: row.int("created_at")?,
        })
    }
}

fn deed(action: &str, id: Uuid, detail: Value) -> Deed {
    Deed {
        action: format!("filter.{action}"),
        kind: "filter".to_owned(),
        subject: id.to_string(),
        detail,
    }
}

async fn insert(link: &mut impl Link, saved: &SavedFilter) -> Result<()> {
    let filter = &saved.filter;
    let count = sql(
        "counting saved filters",
        "SELECT COUNT(*) FROM saved_filters WHERE owner = $1",
    );
    let kept = link.first::<One<i64>>(count.bind(filter.owner)).await?;
    let kept = kept.map_or(0, |One(kept)| usize::try_from(kept).unwrap_or(0));
    limits::count("filters", kept + 1, MAX_SAVED_FILTERS)?;
    let insert = sql(
        "saving a filter",
        "INSERT INTO saved_filters (id, owner, kind, name, query, shared, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner, kind, name) DO NOTHING",
    );
    let insert = insert
        .bind(saved.id)
        .bind(filter.owner)
        .bind(filter.kind.name())
        .bind(filter.name.as_str())
        .bind(filter.query.as_str())
        .bind(filter.shared)
        .bind(saved.created_at);
    match link.execute(insert).await? {
        0 => Err(StoreError::exists("filter", &filter.name)),
        _ => Ok(()),
    }
}

#[async_trait]
impl<B: Backend> SavedFilters for SqlStore<B> {
    async fn save_filter(&self, filter: NewSavedFilter, cause: &Cause) -> Result<SavedFilter> {
        cause.check()?;
        limits::name("name", &filter.name)?;
        limits::text("query", &filter.query, MAX_FILTER_QUERY)?;
        let cause = cause.clone();
        let saved = SavedFilter {
            id: new_id(),
            filter,
            created_at: cause.at,
        };
        self.0
            .write(move |link| {
                Box::pin(async move {
                    insert(link, &saved).await?;
                    let filter = &saved.filter;
                    let detail = json!({"kind": filter.kind.name(), "name": filter.name,
                        "query": filter.query, "shared": filter.shared});
                    audit::append(link, deed("create", saved.id, detail), &cause).await?;
                    Ok(saved)
                })
            })
            .await
    }

    async fn saved_filters(&self, user: Uuid) -> Result<Vec<SavedFilter>> {
        let list = sql(
            "listing saved filters",
            "SELECT * FROM (SELECT * FROM saved_filters WHERE owner = $1 UNION \
             SELECT * FROM (SELECT * FROM saved_filters WHERE shared ORDER BY kind, name LIMIT $2) s) \
             a ORDER BY kind, name, id",
        );
        let most = MAX_SAVED_FILTERS as i64;
        let mut link = self.0.read().await?;
        link.fetch(list.bind(user).bind(most)).await
    }

    async fn saved_filter(&self, id: Uuid) -> Result<SavedFilter> {
        let read = sql(
            "reading a saved filter",
            "SELECT * FROM saved_filters WHERE id = $1",
        );
        let found = self.0.read().await?.first(read.bind(id)).await?;
        found.ok_or_else(|| StoreError::not_found("filter", id))
    }

    async fn delete_saved_filter(&self, id: Uuid, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let delete = sql(
                        "deleting a saved filter",
                        "DELETE FROM saved_filters WHERE id = $1",
                    );
                    if link.execute(delete.bind(id)).await? == 0 {
                        return Err(StoreError::not_found("filter", id));
                    }
                    audit::append(link, deed("delete", id, json!({})), &cause).await
                })
            })
            .await
    }
}
