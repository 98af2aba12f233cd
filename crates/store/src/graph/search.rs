//! Nodes by kind and name.

use super::merge::merged;
use super::rows::join;
use super::{GraphNode, GraphView, NodeCursor, NodeKind, NodeSearch};
use crate::basics::Uuid;
use crate::db::{Columns, Link, Record, in_dialect};
use crate::error::Result;
use crate::limits::{self, MAX_FINDING_TEXT, MAX_GRAPH_KEY, MAX_GRAPH_SCAN};
use crate::page::{Page, PageSize};
use sea_query::{Asterisk, Expr, ExprTrait, Order, Query, SelectStatement, UnionType};

struct Row {
    project: Uuid,
    name: String,
    node: GraphNode,
}

impl Record for Row {
    fn read(row: &impl Columns) -> Result<Row> {
        Ok(Row {
            project: row.id("project")?,
            name: row.text("name")?,
            node: GraphNode::read(row)?,
        })
    }
}

pub(super) async fn search<L: Link>(
    link: &mut L,
    view: &GraphView,
    search: &NodeSearch,
    mut after: Option<NodeCursor>,
    size: PageSize,
) -> Result<Page<GraphNode, NodeCursor>> {
    limits::text("text", &search.text, MAX_FINDING_TEXT)?;
    if let Some(after) = &after {
        limits::text("cursor", &after.name, MAX_GRAPH_KEY)?;
    }
    let places = view.places();
    let text = search.text.to_lowercase();
    let mut kinds: Vec<NodeKind> = match search.kinds.as_slice() {
        [] => NodeKind::ALL.to_vec(),
        some => some.to_vec(),
    };
    kinds.retain(|kind| *kind != NodeKind::Finding);
    kinds.sort_unstable();
    kinds.dedup();
    // One more than the page has: it tells whether there is another page.
    let wanted = size.rows() + 1;
    let mut found: Vec<(String, GraphNode)> = Vec::new();
    let mut scanned = 0;
    for kind in kinds {
        if places.is_empty() || found.len() >= wanted {
            break;
        }
        if after.as_ref().is_some_and(|after| after.kind > kind) {
            continue;
        }
        let mut from = after.take_if(|after| after.kind == kind);
        after = None;
        if scanned >= MAX_GRAPH_SCAN {
            let items = found.into_iter().map(|(_, node)| node).collect();
            let next = from.unwrap_or(NodeCursor {
                kind,
                name: String::new(),
                id: Uuid::nil(),
            });
            return Ok(Page {
                items,
                next: Some(next),
            });
        }
        // A text with a path in it: by the last part, and then by the whole.
        let path = kind.is_called_by_its_last_part() && text.contains('/');
        let prefix = match text.rsplit_once('/') {
            Some((_, last)) if path => last,
            _ => text.as_str(),
        };
        loop {
            let limit = if path {
                MAX_GRAPH_SCAN
            } else {
                wanted - found.len()
            };
            let query = query(&places, kind, prefix, from.as_ref(), limit);
            let statement = in_dialect("searching nodes", L::DIALECT, &query);
            let rows = link.fetch::<Row>(statement).await?;
            let rows = rows
                .into_iter()
                .map(|row| (row.project, (row.name, row.node.id), row.node));
            let page = merged(rows, limit, join);
            scanned += page.rows.len();
            from = page.rows.last().map(|((name, id), _)| NodeCursor {
                kind,
                name: name.clone(),
                id: *id,
            });
            for ((name, _), node) in page.rows {
                if !path || node.label.to_lowercase().starts_with(&text) {
                    found.push((name, node));
                }
            }
            if found.len() >= wanted || !page.more {
                break;
            }
            if scanned >= MAX_GRAPH_SCAN {
                let items = found.into_iter().map(|(_, node)| node).collect();
                return Ok(Page { items, next: from });
            }
        }
    }
    let page = Page::of(found, size, |(name, node)| NodeCursor {
        kind: node.kind,
        name: name.clone(),
        id: node.id,
    });
    Ok(Page {
        items: page.items.into_iter().map(|(_, node)| node).collect(),
        next: page.next,
    })
}

/// Up to so many nodes of each project.
fn query(
    places: &[Uuid],
    kind: NodeKind,
    prefix: &str,
    after: Option<&NodeCursor>,
    limit: usize,
) -> SelectStatement {
    let branch = |place: Uuid| {
        let mut query = Query::select();
        query
            .columns([
                "project",
                "id",
                "kind",
                "key",
                "label",
                "name",
                "first_seen",
                "last_seen",
                "count",
            ])
            .from("graph_nodes")
            .and_where(Expr::col("project").eq(place))
            .and_where(Expr::col("kind").eq(i64::from(kind as u8)));
        if !prefix.is_empty() {
            query
                .and_where(Expr::col("name").gte(prefix))
                .and_where(Expr::col("name").lt(format!("{prefix}{}", char::MAX)));
        }
        if let Some(after) = after {
            let place = Expr::tuple([Expr::col("name"), Expr::col("id")]);
            let last = Expr::tuple([Expr::val(after.name.as_str()), Expr::val(after.id)]);
            query.and_where(place.gt(last));
        }
        query
            .order_by("name", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(limit as u64);
        query
    };
    union(places.iter().map(|place| branch(*place)))
}

/// All rows of several queries, each with a limit of its own.
pub(super) fn union(branches: impl Iterator<Item = SelectStatement>) -> SelectStatement {
    let whole = |branch| {
        let mut query = Query::select();
        query.column(Asterisk).from_subquery(branch, "b");
        query
    };
    let mut branches = branches.map(whole);
    let Some(mut union) = branches.next() else {
        return Query::select();
    };
    for next in branches {
        union.union(UnionType::All, next);
    }
    union
}
