//! Nodes by their ids.

use super::kinds::NodeKind;
use super::{GraphEdge, GraphNode, GraphView};
use crate::basics::Uuid;
use crate::db::{Columns, Dialect, Link, Record, sql};
use crate::error::{Result, StoreError};
use serde_json::Value;
use std::collections::HashMap;

/// Ids in one question.
const IDS: usize = 500;

impl Record for GraphNode {
    fn read(row: &impl Columns) -> Result<GraphNode> {
        let kind = row.int("kind")?;
        Ok(GraphNode {
            id: row.id("id")?,
            kind: NodeKind::of_code(kind).ok_or_else(|| StoreError::damaged("kind", kind))?,
            key: row.text("key")?,
            label: row.text("label")?,
            first_seen: row.int("first_seen")?,
            last_seen: row.int("last_seen")?,
            count: row.int("count")?,
        })
    }
}

/// The same node in two projects.
pub(super) fn join(known: &mut GraphNode, other: GraphNode) {
    known.first_seen = known.first_seen.min(other.first_seen);
    known.last_seen = known.last_seen.max(other.last_seen);
    known.count = known.count.max(other.count);
}

/// The same edge in two projects.
pub(super) fn join_edges(known: &mut GraphEdge, other: GraphEdge) {
    known.first_seen = known.first_seen.min(other.first_seen);
    known.last_seen = known.last_seen.max(other.last_seen);
    known.count = known.count.max(other.count);
}

/// Ids as a JSON list: one value to bind, however many they are.
pub(super) fn list<'i>(ids: impl IntoIterator<Item = &'i Uuid>) -> Value {
    ids.into_iter()
        .map(|id| Value::from(id.simple().to_string()))
        .collect()
}

const SQLITE: &str = "SELECT n.id, n.kind, n.key, n.label, n.first_seen, n.last_seen, n.count \
    FROM json_each($1) AS f CROSS JOIN json_each($2) AS p \
    CROSS JOIN graph_nodes AS n \
    WHERE n.project = unhex(p.value) AND n.id = unhex(f.value)";
const POSTGRES: &str = "SELECT n.id, n.kind, n.key, n.label, n.first_seen, n.last_seen, n.count \
    FROM jsonb_array_elements_text($1) AS f(value) \
    CROSS JOIN jsonb_array_elements_text($2) AS p(value) \
    CROSS JOIN LATERAL (SELECT * FROM graph_nodes AS n \
    WHERE n.project = CAST(p.value AS uuid) AND n.id = CAST(f.value AS uuid) LIMIT 1) AS n";

/// Those of these nodes that a view shows.
pub(super) async fn nodes<L: Link>(
    link: &mut L,
    view: &GraphView,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, GraphNode>> {
    let places = view.places();
    let text = match L::DIALECT {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let mut found: HashMap<Uuid, GraphNode> = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IDS) {
        let read = sql("reading nodes", text)
            .bind(list(ids))
            .bind(list(&places));
        for node in link.fetch::<GraphNode>(read).await? {
            match found.entry(node.id) {
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    join(known.get_mut(), node);
                }
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(node);
                }
            }
        }
    }
    Ok(found)
}

pub(super) fn not_found(id: Uuid) -> StoreError {
    StoreError::not_found("node", id)
}
