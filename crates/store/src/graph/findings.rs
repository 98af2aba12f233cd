//! Findings as nodes. They are not stored a second time: a million findings would be
//! millions of edges. A finding's edges are read off its columns, a node's findings off
//! the findings' indexes.

use super::neighbours::{edge_to_findings, wants};
use super::node::placed;
use super::{
    Direction, EdgeKind, GraphEdge, GraphNode, GraphView, NeighbourFilter, Node, NodeKind, Place,
};
use crate::basics::Uuid;
use crate::db::{Link, One, in_dialect, sql};
use crate::error::Result;
use crate::findings::{FindingFilter, FindingRow};
use sea_query::{Expr, ExprTrait, Query};

/// A finding that a view shows.
pub(super) async fn finding<L: Link>(
    link: &mut L,
    view: &GraphView,
    id: Uuid,
) -> Result<Option<FindingRow>> {
    if let Some(projects) = &view.0 {
        let mut query = Query::select();
        query
            .column("finding_id")
            .from("finding_projects")
            .and_where(Expr::col("finding_id").eq(id))
            .and_where(Expr::col("project_id").is_in(projects.iter().copied()))
            .limit(1);
        let statement = in_dialect("reading a finding's projects", L::DIALECT, &query);
        if link.first::<One<Uuid>>(statement).await?.is_none() {
            return Ok(None);
        }
    }
    let read = sql("reading a finding", "SELECT * FROM findings WHERE id = $1");
    link.first(read.bind(id)).await
}

/// A finding as a node.
pub(super) fn node(row: &FindingRow) -> GraphNode {
    GraphNode {
        id: row.id,
        kind: NodeKind::Finding,
        key: row.id.to_string(),
        label: format!("{} on {}", row.columns.rule, row.columns.host),
        first_seen: row.columns.time,
        last_seen: row.columns.time,
        count: 1,
    }
}

/// What a finding is related to; all edges lead away from it.
pub(super) fn related(row: &FindingRow) -> Vec<(EdgeKind, Node)> {
    let columns = &row.columns;
    let place = Place::of(&columns.host, columns.container.as_deref());
    let mut related = vec![
        (EdgeKind::Of, Node::rule(&columns.rule)),
        (EdgeKind::On, Node::host(&columns.host)),
    ];
    if let Some(container) = &columns.container {
        related.push((EdgeKind::On, Node::container(container)));
    }
    if let Some(image) = &columns.image {
        related.push((EdgeKind::FromImage, Node::image(image)));
    }
    if let Some(process) = &columns.process {
        related.push((EdgeKind::By, Node::process(place, process)));
    }
    if let Some(user) = &columns.user {
        related.push((EdgeKind::AsUser, Node::user(place, user)));
    }
    related
}

pub(super) fn edge(row: &FindingRow, kind: EdgeKind, out: bool) -> GraphEdge {
    GraphEdge {
        kind,
        out,
        first_seen: row.columns.time,
        last_seen: row.columns.time,
        count: 1,
    }
}

/// Which findings are a node's, how they are related, and whether only those outside of
/// containers; none, if a filter leaves none of them.
pub(super) fn of_node(
    node: &GraphNode,
    view: &GraphView,
    filter: &NeighbourFilter,
) -> Option<(FindingFilter, EdgeKind, bool)> {
    let (kind, out) = edge_to_findings(node.kind)?;
    let way = match filter.direction {
        Direction::Both => true,
        Direction::Out => out,
        Direction::In => !out,
    };
    if !way || !wants(&filter.edges, kind) || !wants(&filter.kinds, NodeKind::Finding) {
        return None;
    }
    let mut findings = FindingFilter {
        from: filter.from,
        until: filter.until,
        projects: view.0.clone(),
        ..FindingFilter::default()
    };
    let one = |text: &str| vec![text.to_owned()];
    let mut on_host = false;
    match node.kind {
        NodeKind::Rule => findings.rules = one(&node.key),
        NodeKind::Host => findings.hosts = one(&node.key),
        NodeKind::Container => findings.containers = one(&node.key),
        NodeKind::Image => findings.images = one(&node.key),
        NodeKind::Process | NodeKind::User => {
            let (in_container, place, what) = placed(&node.key)?;
            on_host = !in_container;
            if in_container {
                findings.containers = vec![place];
            } else {
                findings.hosts = vec![place];
            }
            if node.kind == NodeKind::Process {
                findings.processes = one(what);
            } else {
                findings.users = one(what);
            }
        }
        _ => return None,
    }
    Some((findings, kind, on_host))
}
