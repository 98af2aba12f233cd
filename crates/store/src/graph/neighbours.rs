//! A node's neighbours, in pages: relation by relation, each read off an index.

use super::kinds::{RELATIONS, Relation};
use super::merge::merged;
use super::rows::join_edges;
use super::search::union;
use super::{Direction, EdgeKind, GraphEdge, GraphView, NeighbourFilter, NodeKind};
use crate::basics::{Micros, Uuid};
use crate::db::{Columns, Link, Record, in_dialect};
use crate::error::Result;
use crate::limits::MAX_GRAPH_SCAN;
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

/// The edges of one relation that lead away from a node, or to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub out: bool,
    pub relation: &'static Relation,
}

impl Section {
    /// The kind of the nodes at the other end.
    fn others(self) -> NodeKind {
        if self.out {
            self.relation.dst
        } else {
            self.relation.src
        }
    }
}

/// The sections that a filter leaves of a node of this kind, in their order.
pub(super) fn sections(kind: NodeKind, filter: &NeighbourFilter) -> Vec<Section> {
    let mut sections = Vec::new();
    for out in [true, false] {
        let wanted = match filter.direction {
            Direction::Both => true,
            Direction::Out => out,
            Direction::In => !out,
        };
        for relation in &RELATIONS {
            let section = Section { out, relation };
            let own = if out { relation.src } else { relation.dst };
            if wanted
                && own == kind
                && wants(&filter.edges, relation.edge)
                && wants(&filter.kinds, section.others())
            {
                sections.push(section);
            }
        }
    }
    sections
}

/// Whether a filter leaves this.
pub(super) fn wants<T: PartialEq>(filter: &[T], one: T) -> bool {
    filter.is_empty() || filter.contains(&one)
}

/// An edge and the node at its other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub section: Section,
    pub other: Uuid,
    pub edge: GraphEdge,
}

/// Some edges.
pub(super) struct Edges {
    pub found: Vec<Found>,
    /// Where it was stopped; none: there is no more.
    pub stopped_at: Option<(Section, Uuid)>,
}

struct Row {
    project: Uuid,
    other: Uuid,
    first_seen: Micros,
    last_seen: Micros,
    count: i64,
}

impl Record for Row {
    fn read(row: &impl Columns) -> Result<Row> {
        Ok(Row {
            project: row.id("project")?,
            other: row.id("other")?,
            first_seen: row.int("first_seen")?,
            last_seen: row.int("last_seen")?,
            count: row.int("count")?,
        })
    }
}

/// Up to `wanted` edges, from a place in the order on.
pub(super) async fn edges<L: Link>(
    link: &mut L,
    view: &GraphView,
    id: Uuid,
    sections: &[Section],
    mut after: Option<(bool, u8, Uuid)>,
    filter: &NeighbourFilter,
    wanted: usize,
) -> Result<Edges> {
    let places = view.places();
    let mut found: Vec<Found> = Vec::new();
    let mut scanned = 0;
    let windowed = filter.from.is_some() || filter.until.is_some();
    for section in sections {
        if places.is_empty() || found.len() >= wanted {
            break;
        }
        // Away comes first.
        let place = |out: bool, code: u8| (!out, code);
        let here = place(section.out, section.relation.code);
        if after.is_some_and(|(out, code, _)| place(out, code) > here) {
            continue;
        }
        let mut from = after
            .take_if(|(out, code, _)| place(*out, *code) == here)
            .map(|(_, _, other)| other);
        after = None;
        if scanned >= MAX_GRAPH_SCAN {
            return Ok(Edges {
                found,
                stopped_at: Some((*section, from.unwrap_or(Uuid::nil()))),
            });
        }
        loop {
            let limit = if windowed {
                MAX_GRAPH_SCAN
            } else {
                wanted - found.len()
            };
            let query = query(&places, id, *section, from, limit);
            let statement = in_dialect("reading neighbours", L::DIALECT, &query);
            let rows = link.fetch::<Row>(statement).await?;
            let rows = rows
                .into_iter()
                .map(|row| (row.project, row.other, edge_of(&row, *section)));
            let page = merged(rows, limit, join_edges);
            scanned += page.rows.len();
            from = page.rows.last().map(|(other, _)| *other);
            for (other, edge) in page.rows {
                if in_window(&edge, filter) {
                    found.push(Found {
                        section: *section,
                        other,
                        edge,
                    });
                }
            }
            if found.len() >= wanted || !page.more {
                break;
            }
            if scanned >= MAX_GRAPH_SCAN {
                return Ok(Edges {
                    found,
                    stopped_at: from.map(|other| (*section, other)),
                });
            }
        }
    }
    Ok(Edges {
        found,
        stopped_at: None,
    })
}

fn edge_of(row: &Row, section: Section) -> GraphEdge {
    GraphEdge {
        kind: section.relation.edge,
        out: section.out,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        count: row.count,
    }
}

fn in_window(edge: &GraphEdge, filter: &NeighbourFilter) -> bool {
    filter.from.is_none_or(|from| edge.last_seen >= from)
        && filter.until.is_none_or(|until| edge.first_seen < until)
}

/// Up to so many edges of each project.
fn query(
    places: &[Uuid],
    id: Uuid,
    section: Section,
    after: Option<Uuid>,
    limit: usize,
) -> SelectStatement {
    let (own, other) = if section.out {
        ("src", "dst")
    } else {
        ("dst", "src")
    };
    union(places.iter().map(|place| {
        let mut query = Query::select();
        query
            .columns(["project", "first_seen", "last_seen", "count"])
            .expr_as(Expr::col(other), "other")
            .from("graph_edges")
            .and_where(Expr::col("project").eq(*place))
            .and_where(Expr::col(own).eq(id))
            .and_where(Expr::col("kind").eq(i64::from(section.relation.code)));
        if let Some(after) = after {
            query.and_where(Expr::col(other).gt(after));
        }
        query.order_by(other, Order::Asc).limit(limit as u64);
        query
    }))
}

/// How findings are related to a node of this kind, if they are: the kind of the edge, and
/// whether it leads away from the node.
pub(super) fn edge_to_findings(kind: NodeKind) -> Option<(EdgeKind, bool)> {
    Some(match kind {
        NodeKind::Rule => (EdgeKind::Of, false),
        NodeKind::Host | NodeKind::Container => (EdgeKind::On, false),
        NodeKind::Image => (EdgeKind::FromImage, false),
        NodeKind::Process => (EdgeKind::By, false),
        NodeKind::User => (EdgeKind::AsUser, false),
        NodeKind::Issue => (EdgeKind::Groups, true),
        _ => return None,
    })
}
