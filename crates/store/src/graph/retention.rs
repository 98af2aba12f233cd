//! Deleting what was not seen for long. No index leads to it, since that would be written
//! at every sighting: the tables are walked through, a bounded number of rows at a time.

use super::{GraphPlace, Swept};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Dialect, Link, One, Record, sql};
use crate::error::Result;
use crate::limits::MAX_RETENTION_STEP;

/// The end of a stretch of edges.
struct EdgeKey(Uuid, Uuid, i64, Uuid);

impl Record for EdgeKey {
    fn read(row: &impl Columns) -> Result<EdgeKey> {
        Ok(EdgeKey(
            row.id("project")?,
            row.id("src")?,
            row.int("kind")?,
            row.id("dst")?,
        ))
    }
}

/// The end of a stretch of nodes.
struct NodeKey(Uuid, Uuid);

impl Record for NodeKey {
    fn read(row: &impl Columns) -> Result<NodeKey> {
        Ok(NodeKey(row.id("project")?, row.id("id")?))
    }
}

/// One stretch: of edges first, then of nodes, which were last seen when the last of their
/// edges was.
pub(super) async fn sweep<B: Backend>(
    store: &B,
    time: Micros,
    from: Option<GraphPlace>,
    step: u32,
) -> Result<Swept> {
    let step = i64::from(step.clamp(1, MAX_RETENTION_STEP));
    match from.unwrap_or(GraphPlace::Edges(Uuid::nil(), Uuid::nil(), 0, Uuid::nil())) {
        GraphPlace::Edges(project, src, kind, dst) => {
            edges(store, time, EdgeKey(project, src, kind, dst), step).await
        }
        GraphPlace::Nodes(project, id) => nodes(store, time, NodeKey(project, id), step).await,
    }
}

/// Rows that a digest is just writing are passed over: they are being seen. The time is asked
/// for twice since a row may have changed between the choice and the deletion.
macro_rules! delete {
    ($table:literal, $key:literal, $range:literal, $skip:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE last_seen < $1 AND (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE last_seen < $1 AND ",
            $range,
            $skip,
            ")"
        )
    };
}

#[rustfmt::skip]
const fn delete_edges(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => delete!("graph_edges", "project, src, kind, dst",
            "(project, src, kind, dst) > ($2, $3, $4, $5) AND (project, src, kind, dst) <= ($6, $7, $8, $9)", ""),
        Dialect::Postgres => delete!("graph_edges", "project, src, kind, dst",
            "(project, src, kind, dst) > ($2, $3, $4, $5) AND (project, src, kind, dst) <= ($6, $7, $8, $9)",
            " FOR UPDATE SKIP LOCKED"),
    }
}

#[rustfmt::skip]
const fn delete_nodes(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => delete!("graph_nodes", "project, id",
            "(project, id) > ($2, $3) AND (project, id) <= ($4, $5)", ""),
        Dialect::Postgres => delete!("graph_nodes", "project, id",
            "(project, id) > ($2, $3) AND (project, id) <= ($4, $5)", " FOR UPDATE SKIP LOCKED"),
    }
}

async fn edges<B: Backend>(store: &B, time: Micros, from: EdgeKey, step: i64) -> Result<Swept> {
    let EdgeKey(project, src, kind, dst) = from;
    let mut link = store.read().await?;
    let end = sql(
        "walking over edges",
        "SELECT project, src, kind, dst FROM graph_edges \
         WHERE (project, src, kind, dst) > ($1, $2, $3, $4) \
         ORDER BY project, src, kind, dst LIMIT 1 OFFSET $5",
    );
    let end = end.bind(project).bind(src).bind(kind).bind(dst);
    let end = link.first::<EdgeKey>(end.bind(step - 1)).await?;
    let next = match &end {
        Some(EdgeKey(project, src, kind, dst)) => GraphPlace::Edges(*project, *src, *kind, *dst),
        None => GraphPlace::Nodes(Uuid::nil(), Uuid::nil()),
    };
    let end = end.unwrap_or(EdgeKey(Uuid::max(), Uuid::max(), i64::MAX, Uuid::max()));
    let stretch = move |statement: crate::db::Statement| {
        let from = statement.bind(time).bind(project).bind(src).bind(kind);
        let until = from.bind(dst).bind(end.0).bind(end.1);
        until.bind(end.2).bind(end.3)
    };
    // Mostly there are none: then nothing is written.
    let any = sql(
        "looking for old edges",
        "SELECT src FROM graph_edges WHERE last_seen < $1 \
         AND (project, src, kind, dst) > ($2, $3, $4, $5) \
         AND (project, src, kind, dst) <= ($6, $7, $8, $9) LIMIT 1",
    );
    let any = link.first::<One<Uuid>>(stretch(any)).await?;
    drop(link);
    let deleted = match any {
        None => 0,
        Some(_) => {
            let delete = sql("deleting old edges", delete_edges(B::Link::DIALECT));
            let delete = stretch(delete);
            store
                .write(move |link| Box::pin(async move { link.execute(delete).await }))
                .await?
        }
    };
    Ok(Swept {
        deleted,
        next: Some(next),
    })
}

async fn nodes<B: Backend>(store: &B, time: Micros, from: NodeKey, step: i64) -> Result<Swept> {
    let NodeKey(project, id) = from;
    let mut link = store.read().await?;
    let end = sql(
        "walking over nodes",
        "SELECT project, id FROM graph_nodes WHERE (project, id) > ($1, $2) \
         ORDER BY project, id LIMIT 1 OFFSET $3",
    );
    let end = end.bind(project).bind(id).bind(step - 1);
    let end = link.first::<NodeKey>(end).await?;
    let next = end.as_ref().map(|end| GraphPlace::Nodes(end.0, end.1));
    let end = end.unwrap_or(NodeKey(Uuid::max(), Uuid::max()));
    let stretch = move |statement: crate::db::Statement| {
        let from = statement.bind(time).bind(project).bind(id);
        from.bind(end.0).bind(end.1)
    };
    let any = sql(
        "looking for old nodes",
        "SELECT id FROM graph_nodes WHERE last_seen < $1 \
         AND (project, id) > ($2, $3) AND (project, id) <= ($4, $5) LIMIT 1",
    );
    let any = link.first::<One<Uuid>>(stretch(any)).await?;
    drop(link);
    let deleted = match any {
        None => 0,
        Some(_) => {
            let delete = sql("deleting old nodes", delete_nodes(B::Link::DIALECT));
            let delete = stretch(delete);
            store
                .write(move |link| Box::pin(async move { link.execute(delete).await }))
                .await?
        }
    };
    Ok(Swept { deleted, next })
}
