//! The graph in SQL: what each call puts together.

use super::neighbours::{Found, edges, sections, wants};
use super::rows::{nodes, not_found};
use super::{
    Direction, Graph, GraphNode, GraphPlace, GraphView, GraphWrites, Neighbour, NeighbourCursor,
    NeighbourFilter, NodeCursor, NodeKind, NodeSearch, PathAnswer, Radius, Swept, Walk, findings,
    kind_of_id, path, radius, retention, search, write,
};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Link};
use crate::error::Result;
use crate::findings::{FindingCursor, FindingRow, Findings};
use crate::limits::{self, MAX_FILTER_VALUES};
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;

/// A node that a view shows, findings too.
async fn one<L: Link>(link: &mut L, view: &GraphView, id: Uuid) -> Result<GraphNode> {
    if kind_of_id(id) == Some(NodeKind::Finding) {
        let row = findings::finding(link, view, id).await?;
        return row
            .map(|row| findings::node(&row))
            .ok_or_else(|| not_found(id));
    }
    let mut found = nodes(link, view, &[id]).await?;
    found.remove(&id).ok_or_else(|| not_found(id))
}

fn cursor_of(found: &Found) -> NeighbourCursor {
    NeighbourCursor::Edge {
        out: found.section.out,
        relation: found.section.relation.code,
        other: found.other,
    }
}

/// The nodes at the edges' other ends.
async fn with_nodes<L: Link>(
    link: &mut L,
    view: &GraphView,
    found: &[Found],
) -> Result<Vec<Neighbour>> {
    let ids: Vec<Uuid> = found.iter().map(|found| found.other).collect();
    let nodes = nodes(link, view, &ids).await?;
    // One that retention has just deleted is left out.
    let neighbours = found.iter().filter_map(|found| {
        Some(Neighbour {
            edge: found.edge,
            node: nodes.get(&found.other)?.clone(),
        })
    });
    Ok(neighbours.collect())
}

/// The neighbours of a finding: few, on pages all the same.
async fn of_finding<L: Link>(
    link: &mut L,
    view: &GraphView,
    row: &FindingRow,
    filter: &NeighbourFilter,
    after: Option<NeighbourCursor>,
    size: PageSize,
) -> Result<Page<Neighbour, NeighbourCursor>> {
    let related = findings::related(link, row).await?;
    let ids: Vec<Uuid> = related.iter().map(|one| one.node.id()).collect();
    let there = nodes(link, view, &ids).await?;
    let time = row.columns.time;
    let wanted = filter.from.is_none_or(|from| time >= from)
        && filter.until.is_none_or(|until| time < until);
    let first = match after {
        Some(NeighbourCursor::Edge { relation, .. }) => usize::from(relation) + 1,
        Some(NeighbourCursor::Findings(_)) => related.len(),
        None => 0,
    };
    let mut found = Vec::new();
    for (place, one) in related.into_iter().enumerate() {
        let way = match filter.direction {
            Direction::Both => true,
            Direction::Out => one.out,
            Direction::In => !one.out,
        };
        if wanted
            && way
            && place >= first
            && wants(&filter.edges, one.kind)
            && wants(&filter.kinds, one.node.kind)
            && let Some(node) = there.get(&one.node.id())
        {
            let neighbour = Neighbour {
                edge: findings::edge(row, one.kind, one.out),
                node: node.clone(),
            };
            found.push((place, neighbour));
        }
    }
    let page = Page::of(found, size, |(place, neighbour)| NeighbourCursor::Edge {
        out: true,
        relation: *place as u8,
        other: neighbour.node.id,
    });
    Ok(Page {
        items: page.items.into_iter().map(|(_, found)| found).collect(),
        next: page.next,
    })
}

impl<B: Backend> SqlStore<B> {
    /// Fills a page of neighbours up with findings.
    async fn with_findings(
        &self,
        view: &GraphView,
        node: &GraphNode,
        filter: &NeighbourFilter,
        before: Option<FindingCursor>,
        mut items: Vec<Neighbour>,
        size: PageSize,
    ) -> Result<Page<Neighbour, NeighbourCursor>> {
        let mut link = self.0.read().await?;
        let Some(of_node) = findings::of_node(&mut link, node, view, filter).await? else {
            return Ok(Page { items, next: None });
        };
        // Before another is taken: who holds one must not wait for a second.
        drop(link);
        let left = size.rows() - items.len();
        // On a full page: whether there are any, for the next one.
        let rows = PageSize::new(left.max(1) as u32)?;
        let found = self.findings(&of_node.filter, before, rows).await?;
        if left == 0 {
            let more = !found.items.is_empty();
            let next = more.then_some(NeighbourCursor::Findings(before));
            return Ok(Page { items, next });
        }
        for row in found.items {
            if !of_node.outside || row.columns.container.is_none() {
                items.push(Neighbour {
                    edge: findings::edge(&row, of_node.kind, of_node.out),
                    node: findings::node(&row),
                });
            }
        }
        let next = found.next.map(|last| NeighbourCursor::Findings(Some(last)));
        Ok(Page { items, next })
    }
}

#[async_trait]
impl<B: Backend> Graph for SqlStore<B> {
    async fn add_to_graph(&self, writes: GraphWrites) -> Result<()> {
        self.0
            .write(move |link| Box::pin(async move { write(link, &writes).await }))
            .await
    }

    async fn graph_node(&self, view: &GraphView, id: Uuid) -> Result<GraphNode> {
        one(&mut self.0.read().await?, view, id).await
    }

    async fn search_graph(
        &self,
        view: &GraphView,
        search: &NodeSearch,
        after: Option<NodeCursor>,
        size: PageSize,
    ) -> Result<Page<GraphNode, NodeCursor>> {
        search::search(&mut self.0.read().await?, view, search, after, size).await
    }

    async fn neighbours(
        &self,
        view: &GraphView,
        id: Uuid,
        filter: &NeighbourFilter,
        after: Option<NeighbourCursor>,
        size: PageSize,
    ) -> Result<Page<Neighbour, NeighbourCursor>> {
        limits::count("edge kinds", filter.edges.len(), MAX_FILTER_VALUES)?;
        limits::count("node kinds", filter.kinds.len(), MAX_FILTER_VALUES)?;
        let mut link = self.0.read().await?;
        if kind_of_id(id) == Some(NodeKind::Finding) {
            let row = findings::finding(&mut link, view, id).await?;
            let row = row.ok_or_else(|| not_found(id))?;
            return of_finding(&mut link, view, &row, filter, after, size).await;
        }
        let node = one(&mut link, view, id).await?;
        let place = match after {
            None => None,
            Some(NeighbourCursor::Edge {
                out,
                relation,
                other,
            }) => Some((out, relation, other)),
            Some(NeighbourCursor::Findings(before)) => {
                drop(link);
                return self
                    .with_findings(view, &node, filter, before, Vec::new(), size)
                    .await;
            }
        };
        let sections = sections(node.kind, filter);
        let wanted = size.rows() + 1;
        let mut edges = edges(&mut link, view, id, &sections, place, filter, wanted).await?;
        let more = edges.found.len() > size.rows();
        edges.found.truncate(size.rows());
        let items = with_nodes(&mut link, view, &edges.found).await?;
        // Before another is taken for the findings.
        drop(link);
        let next = match (more, edges.stopped_at) {
            (true, _) => edges.found.last().map(cursor_of),
            (false, Some((section, other))) => Some(NeighbourCursor::Edge {
                out: section.out,
                relation: section.relation.code,
                other,
            }),
            (false, None) => {
                return self
                    .with_findings(view, &node, filter, None, items, size)
                    .await;
            }
        };
        Ok(Page { items, next })
    }

    async fn graph_path(
        &self,
        view: &GraphView,
        from: Uuid,
        to: Uuid,
        walk: &Walk,
    ) -> Result<PathAnswer> {
        let mut link = self.0.read().await?;
        one(&mut link, view, from).await?;
        one(&mut link, view, to).await?;
        path::search(&mut link, view, from, to, walk).await
    }

    async fn graph_radius(&self, view: &GraphView, id: Uuid, walk: &Walk) -> Result<Radius> {
        let mut link = self.0.read().await?;
        let node = one(&mut link, view, id).await?;
        radius::measure(&mut link, view, node, walk).await
    }

    async fn sweep_graph(
        &self,
        time: Micros,
        from: Option<GraphPlace>,
        step: u32,
    ) -> Result<Swept> {
        retention::sweep(&self.0, time, from, step).await
    }
}
