//! What is written to the graph: sightings, merged in memory, so that a thousand
//! findings of the same thing change each row once.

use super::kinds::{EdgeKind, Relation};
use super::node::Node;
use crate::basics::{Micros, Uuid};
use crate::db::{Dialect, Link, in_dialect};
use crate::error::{Result, StoreError};
use sea_query::{Expr, OnConflict, Query};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of one INSERT: as for findings.
const ROWS: usize = 100;

/// The project of rows that count everywhere.
pub(super) const EVERYWHERE: Uuid = Uuid::nil();

/// When and how often something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    first: Micros,
    last: Micros,
    count: i64,
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }
}

type NodeRow = (Uuid, Uuid);
type EdgeRow = (Uuid, Uuid, u8, Uuid);

/// Nodes and edges to be written, in the order of their keys: two replicas that write
/// the same ones take them in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphWrites {
    /// By id: what does not depend on the project.
    named: HashMap<Uuid, Node>,
    /// By project and id.
    nodes: BTreeMap<NodeRow, Seen>,
    /// By project, source, relation, destination.
    edges: BTreeMap<EdgeRow, Seen>,
}

impl GraphWrites {
    /// Something seen at a time, in these projects. Within it each node and each edge
    /// counts once, however often it is named; the counts of all sightings add up. With
    /// a count of 0 it is seen, and not counted: what is known from elsewhere than findings.
    pub fn sighting(&mut self, time: Micros, projects: &[Uuid], count: u32) -> Sighting<'_> {
        // Everywhere too, once.
        let mut places: BTreeSet<Uuid> = projects.iter().copied().collect();
        places.insert(EVERYWHERE);
        Sighting {
            writes: self,
            places,
            seen: Seen {
                first: time,
                last: time,
                count: i64::from(count),
            },
            nodes: BTreeSet::new(),
            edges: BTreeSet::new(),
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Rows that will be written, of nodes and of edges.
    pub fn rows(&self) -> (usize, usize) {
        (self.nodes.len(), self.edges.len())
    }

    /// The edges that count everywhere, as lines for people: `KIND KEY edge KIND KEY`, in
    /// order.
    pub fn shown(&self) -> Vec<String> {
        let show = |id: &Uuid| {
            let node = self.named.get(id);
            node.map_or_else(
                || id.to_string(),
                |node| format!("{} {}", node.kind.name(), node.key),
            )
        };
        let everywhere = self.edges.keys().filter(|row| row.0 == EVERYWHERE);
        let mut shown: Vec<String> = everywhere
            .map(|(_, src, code, dst)| {
                let edge = Relation::of_code(*code).map_or("?", |known| known.edge.name());
                format!("{} {edge} {}", show(src), show(dst))
            })
            .collect();
        shown.sort_unstable();
        shown
    }

    /// Adds another's.
    pub fn append(&mut self, other: GraphWrites) {
        self.named.extend(other.named);
        for (row, seen) in other.nodes {
            add(&mut self.nodes, row, seen);
        }
        for (row, seen) in other.edges {
            add(&mut self.edges, row, seen);
        }
    }
}

fn add<K: Ord>(rows: &mut BTreeMap<K, Seen>, row: K, seen: Seen) {
    rows.entry(row)
        .and_modify(|known| known.merge(seen))
        .or_insert(seen);
}

/// One sighting, being told. A node stands in it by an edge: who may not see any edge
/// of a node does not see the node.
#[derive(Debug)]
pub struct Sighting<'w> {
    writes: &'w mut GraphWrites,
    places: BTreeSet<Uuid>,
    seen: Seen,
    nodes: BTreeSet<Uuid>,
    edges: BTreeSet<(Uuid, u8, Uuid)>,
}

impl Sighting<'_> {
    /// That one is related to another. False, and nothing is written, if there is no
    /// such relation between such nodes, or if both are the same.
    pub fn edge(&mut self, src: &Node, edge: EdgeKind, dst: &Node) -> bool {
        let (from, to) = (src.id(), dst.id());
        let Some(relation) = Relation::find(src.kind, edge, dst.kind) else {
            return false;
        };
        if from == to {
            return false;
        }
        self.node(from, src, self.seen);
        self.node(to, dst, self.seen);
        if self.edges.insert((from, relation.code, to)) {
            for place in &self.places {
                let row = (*place, from, relation.code, to);
                add(&mut self.writes.edges, row, self.seen);
            }
        }
        true
    }

    /// Says that this one's count is told elsewhere: here it is seen, and not counted.
    /// To be said before its edges.
    pub fn uncounted(&mut self, node: &Node) {
        let seen = Seen {
            count: 0,
            ..self.seen
        };
        self.node(node.id(), node, seen);
    }

    fn node(&mut self, id: Uuid, node: &Node, seen: Seen) {
        if self.nodes.insert(id) {
            self.writes.named.entry(id).or_insert_with(|| node.clone());
            for place in &self.places {
                add(&mut self.writes.nodes, (*place, id), seen);
            }
        }
    }
}

/// Writes them, within the caller's unit of work.
pub(crate) async fn write<L: Link>(link: &mut L, writes: &GraphWrites) -> Result<()> {
    write_nodes(link, writes).await?;
    write_edges(link, writes).await
}

/// What becomes of a row that is there: seen from the first time to the last.
fn merged<L: Link>(table: &str, key: &[&'static str], named: bool) -> OnConflict {
    let (least, most) = match L::DIALECT {
        Dialect::Sqlite => ("MIN", "MAX"),
        Dialect::Postgres => ("LEAST", "GREATEST"),
    };
    let of = |function: &str, column: &str| {
        Expr::cust(format!("{function}({table}.{column}, excluded.{column})"))
    };
    let mut conflict = OnConflict::columns(key.iter().copied());
    conflict
        .value("first_seen", of(least, "first_seen"))
        .value("last_seen", of(most, "last_seen"))
        .value(
            "count",
            Expr::cust(format!("{table}.count + excluded.count")),
        );
    if named {
        // A project may be given another name.
        conflict.update_columns(["label", "name"]);
    }
    conflict.to_owned()
}

async fn write_nodes<L: Link>(link: &mut L, writes: &GraphWrites) -> Result<()> {
    let mut rows = writes.nodes.iter().peekable();
    while rows.peek().is_some() {
        let mut query = Query::insert();
        query
            .into_table("graph_nodes")
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
            .on_conflict(merged::<L>("graph_nodes", &["project", "id"], true));
        let mut full = 0;
        for ((project, id), seen) in rows.by_ref().take(ROWS) {
            let Some(node) = writes.named.get(id) else {
                continue;
            };
            full += 1;
            query
                .values([
                    Expr::val(*project),
                    Expr::val(*id),
                    Expr::val(i64::from(node.kind as u8)),
                    Expr::val(node.key.as_str()),
                    Expr::val(node.label.as_str()),
                    Expr::val(node.name()),
                    Expr::val(seen.first),
                    Expr::val(seen.last),
                    Expr::val(seen.count),
                ])
                .map_err(|why| StoreError::damaged("a statement", why))?;
        }
        execute(link, &query, full).await?;
    }
    Ok(())
}

async fn write_edges<L: Link>(link: &mut L, writes: &GraphWrites) -> Result<()> {
    let mut rows = writes.edges.iter().peekable();
    while rows.peek().is_some() {
        let mut query = Query::insert();
        query
            .into_table("graph_edges")
            .columns([
                "project",
                "src",
                "kind",
                "dst",
                "first_seen",
                "last_seen",
                "count",
            ])
            .on_conflict(merged::<L>(
                "graph_edges",
                &["project", "src", "kind", "dst"],
                false,
            ));
        let mut full = 0;
        for ((project, src, code, dst), seen) in rows.by_ref().take(ROWS) {
            full += 1;
            query
                .values([
                    Expr::val(*project),
                    Expr::val(*src),
                    Expr::val(i64::from(*code)),
                    Expr::val(*dst),
                    Expr::val(seen.first),
                    Expr::val(seen.last),
                    Expr::val(seen.count),
                ])
                .map_err(|why| StoreError::damaged("a statement", why))?;
        }
        execute(link, &query, full).await?;
    }
    Ok(())
}

async fn execute<L: Link>(
    link: &mut L,
    query: &sea_query::InsertStatement,
    rows: usize,
) -> Result<()> {
    let statement = in_dialect("writing the graph", L::DIALECT, query);
    // A full one is the same text each time.
    let statement = if rows == ROWS {
        statement.recurring()
    } else {
        statement
    };
    link.execute(statement).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basics::new_id;
    use crate::graph::Place;

    #[test]
    fn a_sighting_counts_once_and_sightings_add_up() {
        let project = new_id();
        let process = Node::process(Place::Host("web-1"), "/usr/bin/dash");
        let (rule, host) = (Node::rule("web-shell"), Node::host("web-1"));
        let mut writes = GraphWrites::default();
        for (time, projects) in [(5, vec![project, project]), (3, vec![]), (4, vec![])] {
            let mut seen = writes.sighting(time, &projects, 1);
            assert!(seen.edge(&rule, EdgeKind::Matched, &process));
            assert!(seen.edge(&rule, EdgeKind::Matched, &process));
            assert!(seen.edge(&process, EdgeKind::RunsOn, &host));
            assert!(!seen.edge(&host, EdgeKind::RunsOn, &process));
            assert!(!seen.edge(&process, EdgeKind::Started, &process));
        }
        assert_eq!(writes.rows(), (6, 4));
        let everywhere = writes.nodes[&(EVERYWHERE, rule.id())];
        assert_eq!(
            (everywhere.first, everywhere.last, everywhere.count),
            (3, 5, 3)
        );
        let in_project = writes.nodes[&(project, rule.id())];
        assert_eq!(
            (in_project.first, in_project.last, in_project.count),
            (5, 5, 1)
        );
        let mut twice = writes.clone();
        twice.append(writes);
        assert_eq!(twice.rows(), (6, 4));
        assert_eq!(twice.nodes[&(EVERYWHERE, rule.id())].count, 6);
    }
}
