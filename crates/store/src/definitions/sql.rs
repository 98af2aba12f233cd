//! Definitions in SQL.

use super::{Content, Definition, DefinitionFilter, Definitions, Kind, Stage, check_step};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};
use serde_json::json;

/// Latest versions, with what the version's own row alone knows.
fn latest() -> SelectStatement {
    let mut query = Query::select();
    query
        .columns(["id", "kind", "name"].map(|column| ("d", column)))
        .columns(
            [
                "version",
                "stage",
                "body",
                "projects",
                "actor",
                "reason",
                "changed_at",
                "deleted",
            ]
            .map(|column| ("v", column)),
        )
        .from_as("definitions", "d")
        .join_as(
            sea_query::JoinType::InnerJoin,
            "definition_versions",
            "v",
            Cond::all()
                .add(Expr::col(("v", "definition_id")).equals(("d", "id")))
                .add(Expr::col(("v", "version")).equals(("d", "version"))),
        );
    query
}

impl Record for Definition {
    fn read(row: &impl Columns) -> Result<Definition> {
        let projects = row.json("projects")?;
        Ok(Definition {
            id: row.id("id")?,
            kind: row.word("kind", Kind::of_name)?,
            name: row.text("name")?,
            version: row.int("version")?,
            content: Content {
                stage: row.word("stage", Stage::of_name)?,
                body: row.text("body")?,
                projects: projects_of_json(&projects)?,
            },
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            changed_at: row.int("changed_at")?,
            deleted: row.get("deleted")?,
        })
    }
}

fn projects_to_json(projects: &[Uuid]) -> serde_json::Value {
    projects.iter().map(|id| id.to_string()).collect()
}

fn projects_of_json(value: &serde_json::Value) -> Result<Vec<Uuid>> {
    let bad = || StoreError::damaged("projects", value);
    let items = value.as_array().ok_or_else(bad)?;
    items
        .iter()
        .map(|item| {
            item.as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(bad)
        })
        .collect()
}

async fn read(link: &mut impl Link, id: Uuid) -> Result<Definition> {
    let found = one(link, Cond::all().add(Expr::col(("d", "id")).eq(id))).await?;
    found.ok_or_else(|| StoreError::not_found("definition", id))
}

async fn one<L: Link>(link: &mut L, condition: Cond) -> Result<Option<Definition>> {
    let mut query = latest();
    query.cond_where(condition);
    link.first(in_dialect("reading a definition", L::DIALECT, &query).recurring())
        .await
}

/// The version's own row, its projects, its audit entry, and the notice.
async fn write_version(
    link: &mut impl Link,
    definition: &Definition,
    action: &str,
    evidence: Option<&str>,
    cause: &Cause,
) -> Result<()> {
    let content = &definition.content;
    let insert = sql(
        "writing a version",
        "INSERT INTO definition_versions \
         (definition_id, version, stage, body, projects, actor, reason, changed_at, deleted) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    link.execute(
        insert
            .bind(definition.id)
            .bind(definition.version)
            .bind(content.stage.name())
            .bind(content.body.as_str())
            .bind(projects_to_json(&content.projects))
            .bind(cause.actor.as_str())
            .bind(cause.reason.as_str())
            .bind(cause.at)
            .bind(definition.deleted),
    )
    .await?;
    let clear = "DELETE FROM definition_projects WHERE definition_id = $1";
    link.execute(sql("changing a definition's projects", clear).bind(definition.id))
        .await?;
    let projects: &[Uuid] = if definition.deleted {
        &[]
    } else {
        &content.projects
    };
    for project in projects {
        let insert = sql(
            "changing a definition's projects",
            "INSERT INTO definition_projects (definition_id, project_id) VALUES ($1, $2)",
        );
        link.execute(insert.bind(definition.id).bind(*project))
            .await?;
    }
    link.announce(Change::Definitions).await?;
    let kind = definition.kind.name();
    let mut detail = json!({
        "name": definition.name,
        "version": definition.version,
        "stage": content.stage.name(),
    });
    if let Some(evidence) = evidence {
        detail["evidence"] = evidence.into();
    }
    let deed = Deed {
        action: format!("{kind}.{action}"),
        kind: kind.to_owned(),
        subject: definition.id.to_string(),
        detail,
    };
    audit::append(link, deed, cause).await
}

/// Moves the latest version on, if it is the one that was read.
async fn advance(
    link: &mut impl Link,
    id: Uuid,
    expected: i64,
    content: Option<Content>,
    evidence: Option<&str>,
    cause: &Cause,
) -> Result<Definition> {
    let before = read(link, id).await?;
    let kind = before.kind;
    if before.deleted {
        return Err(StoreError::not_found(kind.name(), id));
    }
    let conflict = |found| StoreError::Conflict {
        what: kind.name(),
        id: id.to_string(),
        expected,
        found,
    };
    if before.version != expected {
        return Err(conflict(before.version));
    }
    let deleted = content.is_none();
    let content = content.unwrap_or_else(|| before.content.clone());
    if !deleted {
        check_step(kind, id, Some(before.content.stage), content.stage)?;
    }
    let update = sql(
        "changing a definition",
        "UPDATE definitions SET version = version + 1, stage = $1, body = $2, actor = $3, \
         reason = $4, changed_at = $5, deleted = $6 \
         WHERE id = $7 AND version = $8 AND NOT deleted",
    );
    let changed = link
        .execute(
            update
                .bind(content.stage.name())
                .bind(content.body.as_str())
                .bind(cause.actor.as_str())
                .bind(cause.reason.as_str())
                .bind(cause.at)
                .bind(deleted)
                .bind(id)
                .bind(expected),
        )
        .await?;
    if changed == 0 {
        // Somebody was faster, just now.
        return Err(conflict(read(link, id).await?.version));
    }
    let after = Definition {
        version: expected + 1,
        content,
        actor: cause.actor.clone(),
        reason: cause.reason.clone(),
        changed_at: cause.at,
        deleted,
        ..before
    };
    let action = if deleted { "delete" } else { "update" };
    if let Some(evidence) = evidence {
        crate::evidence::attach(link, evidence, id, expected, cause.at).await?;
    }
    write_version(link, &after, action, evidence, cause).await?;
    Ok(after)
}

#[async_trait]
impl<B: Backend> Definitions for SqlStore<B> {
    async fn define(
        &self,
        kind: Kind,
        name: &str,
        content: Content,
        cause: &Cause,
    ) -> Result<Definition> {
        limits::name("name", name)?;
        content.check()?;
        cause.check()?;
        let definition = Definition {
            id: new_id(),
            kind,
            name: name.to_owned(),
            version: 1,
            content: content.in_order(),
            actor: cause.actor.clone(),
            reason: cause.reason.clone(),
            changed_at: cause.at,
            deleted: false,
        };
        check_step(kind, definition.id, None, definition.content.stage)?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let insert = sql(
                        "making a definition",
                        "INSERT INTO definitions \
                         (id, kind, name, version, stage, body, actor, reason, changed_at) \
                         VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                    );
                    let made = link
                        .execute(
                            insert
                                .bind(definition.id)
                                .bind(kind.name())
                                .bind(definition.name.as_str())
                                .bind(definition.content.stage.name())
                                .bind(definition.content.body.as_str())
                                .bind(cause.actor.as_str())
                                .bind(cause.reason.as_str())
                                .bind(cause.at),
                        )
                        .await?;
                    if made == 0 {
                        return Err(StoreError::exists(kind.name(), &definition.name));
                    }
                    write_version(link, &definition, "create", None, &cause).await?;
                    Ok(definition)
                })
            })
            .await
    }

    async fn redefine(
        &self,
        id: Uuid,
        expected: i64,
        content: Content,
        cause: &Cause,
    ) -> Result<Definition> {
        content.check()?;
        cause.check()?;
        let (content, cause) = (content.in_order(), cause.clone());
        self.0
            .write(move |link| {
                Box::pin(
                    async move { advance(link, id, expected, Some(content), None, &cause).await },
                )
            })
            .await
    }

    async fn arm(
        &self,
        id: Uuid,
        expected: i64,
        content: Content,
        evidence: &str,
        cause: &Cause,
    ) -> Result<Definition> {
        content.check()?;
        cause.check()?;
        let (content, cause) = (content.in_order(), cause.clone());
        let evidence = evidence.to_owned();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let content = Some(content);
                    advance(link, id, expected, content, Some(&evidence), &cause).await
                })
            })
            .await
    }

    async fn undefine(&self, id: Uuid, expected: i64, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    advance(link, id, expected, None, None, &cause).await?;
                    Ok(())
                })
            })
            .await
    }

    async fn definition(&self, id: Uuid) -> Result<Definition> {
        read(&mut self.0.read().await?, id).await
    }

    async fn definition_named(&self, kind: Kind, name: &str) -> Result<Definition> {
        let condition = Cond::all()
            .add(Expr::col(("d", "kind")).eq(kind.name()))
            .add(Expr::col(("d", "name")).eq(name))
            .add(Expr::col(("d", "deleted")).not());
        let found = one(&mut self.0.read().await?, condition).await?;
        found.ok_or_else(|| StoreError::not_found(kind.name(), name))
    }

    async fn was_defined(&self, kind: Kind, name: &str) -> Result<bool> {
        let condition = Cond::all()
            .add(Expr::col(("d", "kind")).eq(kind.name()))
            .add(Expr::col(("d", "name")).eq(name));
        Ok(one(&mut self.0.read().await?, condition).await?.is_some())
    }

    async fn definitions(
        &self,
        filter: &DefinitionFilter,
        after: Option<(String, Uuid)>,
        size: PageSize,
    ) -> Result<Page<Definition, (String, Uuid)>> {
        let mut query = latest();
        query
            .and_where(Expr::col(("d", "deleted")).not())
            .order_by(("d", "name"), Order::Asc)
            .order_by(("d", "id"), Order::Asc)
            .limit(size.probe() as u64);
        if let Some(kind) = filter.kind {
            query.and_where(Expr::col(("d", "kind")).eq(kind.name()));
        }
        if !filter.stages.is_empty() {
            let stages = filter.stages.iter().map(|stage| stage.name());
            query.and_where(Expr::col(("d", "stage")).is_in(stages));
        }
        if let Some(projects) = &filter.projects {
            limits::count("projects", projects.len(), limits::MAX_FILTER_VALUES)?;
            query.cond_where(for_projects(projects));
        }
        if let Some((name, id)) = after {
            let place = Expr::tuple([Expr::col(("d", "name")), Expr::col(("d", "id"))]);
            query.and_where(place.gt(Expr::tuple([Expr::val(name), Expr::val(id)])));
        }
        let mut link = self.0.read().await?;
        let statement = in_dialect("listing definitions", B::Link::DIALECT, &query);
        let rows = link.fetch::<Definition>(statement).await?;
        Ok(Page::of(rows, size, |row| (row.name.clone(), row.id)))
    }

    async fn versions(
        &self,
        id: Uuid,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<Definition, i64>> {
        let read = sql(
            "reading a definition's versions",
            "SELECT d.id, d.kind, d.name, v.version, v.stage, v.body, v.projects, v.actor, \
             v.reason, v.changed_at, v.deleted \
             FROM definition_versions v JOIN definitions d ON d.id = v.definition_id \
             WHERE v.definition_id = $1 AND v.version < $2 \
             ORDER BY v.version DESC LIMIT $3",
        );
        let before = before.unwrap_or(i64::MAX);
        let mut link = self.0.read().await?;
        let rows = link
            .fetch::<Definition>(read.bind(id).bind(before).bind(size.probe()))
            .await?;
        if rows.is_empty() && before == i64::MAX {
            return Err(StoreError::not_found("definition", id));
        }
        Ok(Page::of(rows, size, |row| row.version))
    }
}

/// For one of these projects, or for none and so for every sensor.
fn for_projects(projects: &[Uuid]) -> Cond {
    let rows = |condition: Option<Expr>| {
        let mut rows = Query::select();
        rows.expr(Expr::val(1))
            .from_as("definition_projects", "p")
            .and_where(Expr::col(("p", "definition_id")).equals(("d", "id")));
        if let Some(condition) = condition {
            rows.and_where(condition);
        }
        Expr::exists(rows)
    };
    let named = Expr::col(("p", "project_id")).is_in(projects.iter().copied());
    Cond::any().add(rows(Some(named))).add(rows(None).not())
}
