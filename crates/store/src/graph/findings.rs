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

/// One thing that a finding is related to.
pub(super) struct Related {
    pub kind: EdgeKind,
    /// Whether the edge leads away from the finding.
    pub out: bool,
    pub node: Node,
}

/// What a finding is related to.
pub(super) async fn related<L: Link>(link: &mut L, row: &FindingRow) -> Result<Vec<Related>> {
    let columns = &row.columns;
    let place = Place::of(&columns.host, columns.container.as_deref());
    let mut related = Vec::new();
    let mut is = |kind, node| {
        related.push(Related {
            kind,
            out: true,
            node,
        });
    };
    is(EdgeKind::Of, Node::rule(&columns.rule));
    is(EdgeKind::On, Node::host(&columns.host));
    if let Some(container) = &columns.container {
        is(EdgeKind::On, Node::container(container));
    }
    if let Some(image) = &columns.image {
        is(EdgeKind::FromImage, Node::image(image));
    }
    if let Some(process) = &columns.process {
        is(EdgeKind::By, Node::process(place, process));
    }
    if let Some(user) = &columns.user {
        is(EdgeKind::AsUser, Node::user(place, user));
    }
    let issue = sql(
        "reading a finding's issue",
        "SELECT id FROM issues WHERE fingerprint = $1 AND fingerprint_version = $2",
    );
    let issue = issue
        .bind(columns.fingerprint.value.as_str())
        .bind(columns.fingerprint.version);
    if let Some(One(id)) = link.first::<One<Uuid>>(issue).await? {
        related.push(Related {
            kind: EdgeKind::Groups,
            out: false,
            node: Node::issue(id, ""),
        });
    }
    Ok(related)
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

/// A node's findings.
pub(super) struct OfNode {
    /// Which they are.
    pub filter: FindingFilter,
    /// How they are related to the node,
    pub kind: EdgeKind,
    /// and whether that leads away from the node.
    pub out: bool,
    /// Only those that are not in a container.
    pub outside: bool,
}

/// Which findings are a node's; none, if a filter leaves none of them.
pub(super) async fn of_node<L: Link>(
    link: &mut L,
    node: &GraphNode,
    view: &GraphView,
    filter: &NeighbourFilter,
) -> Result<Option<OfNode>> {
    let Some((kind, out)) = edge_to_findings(node.kind) else {
        return Ok(None);
    };
    let way = match filter.direction {
        Direction::Both => true,
        Direction::Out => out,
        Direction::In => !out,
    };
    if !way || !wants(&filter.edges, kind) || !wants(&filter.kinds, NodeKind::Finding) {
        return Ok(None);
    }
    let mut wanted = FindingFilter {
        from: filter.from,
        until: filter.until,
        projects: view.0.clone(),
        ..FindingFilter::default()
    };
    let one = |text: &str| vec![text.to_owned()];
    let mut outside = false;
    match node.kind {
        NodeKind::Rule => wanted.rules = one(&node.key),
        NodeKind::Host => wanted.hosts = one(&node.key),
        NodeKind::Container => wanted.containers = one(&node.key),
        NodeKind::Image => wanted.images = one(&node.key),
        NodeKind::Issue => match fingerprint(link, &node.key).await? {
            Some(print) => wanted.fingerprints = vec![print],
            None => return Ok(None),
        },
        NodeKind::Process | NodeKind::User => {
            let Some((in_container, place, what)) = placed(&node.key) else {
                return Ok(None);
            };
            outside = !in_container;
            if in_container {
                wanted.containers = vec![place];
            } else {
                wanted.hosts = vec![place];
            }
            if node.kind == NodeKind::Process {
                wanted.processes = one(what);
            } else {
                wanted.users = one(what);
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(OfNode {
        filter: wanted,
        kind,
        out,
        outside,
    }))
}

/// What an issue's findings have in common.
async fn fingerprint<L: Link>(link: &mut L, issue: &str) -> Result<Option<String>> {
    let Ok(id) = issue.parse::<Uuid>() else {
        return Ok(None);
    };
    let read = sql(
        "reading an issue's fingerprint",
        "SELECT fingerprint FROM issues WHERE id = $1",
    );
    let found = link.first::<One<String>>(read.bind(id)).await?;
    Ok(found.map(|One(print)| print))
}
