//! What is within some hops of a node.

use super::walk::{Budget, Front, check};
use super::{GraphNode, GraphView, NodeKind, Radius, RadiusGroup, Walk, kind_of_id, rows};
use crate::basics::Uuid;
use crate::db::Link;
use crate::error::Result;
use crate::limits::{MAX_GRAPH_EXPANDED, MAX_GRAPH_TOP};
use std::collections::BTreeMap;

/// Of each kind so many nodes, the nearest, are looked at for those seen most often.
const CANDIDATES: usize = 50;

pub(super) async fn measure<L: Link>(
    link: &mut L,
    view: &GraphView,
    node: GraphNode,
    walk: &Walk,
) -> Result<Radius> {
    check(walk)?;
    let mut front = Front::new(walk, walk.direction, node.id);
    let mut budget = Budget::of(MAX_GRAPH_EXPANDED, view);
    let mut by_kind: BTreeMap<NodeKind, Vec<Vec<Uuid>>> = BTreeMap::new();
    while front.hop < walk.hops && !front.frontier.is_empty() {
        let new = front.advance(link, view, &mut budget).await?;
        for id in new {
            if let Some(kind) = kind_of_id(id) {
                let hops = by_kind.entry(kind).or_default();
                hops.resize_with(usize::from(front.hop), Vec::new);
                if let Some(last) = hops.last_mut() {
                    last.push(id);
                }
            }
        }
    }
    let nearest: Vec<Uuid> = by_kind
        .values()
        .flat_map(|hops| hops.iter().flatten().take(CANDIDATES))
        .copied()
        .collect();
    let mut nodes = rows::nodes(link, view, &nearest).await?;
    let groups = by_kind.into_iter().map(|(kind, hops)| {
        let near = hops.iter().flatten().take(CANDIDATES);
        let mut top: Vec<(GraphNode, u8)> = near
            .filter_map(|id| Some((nodes.remove(id)?, front.reached.get(id)?.hop)))
            .collect();
        top.sort_by_key(|(node, hop)| (std::cmp::Reverse(node.count), *hop, node.id));
        top.truncate(MAX_GRAPH_TOP);
        RadiusGroup {
            kind,
            count: hops.iter().map(Vec::len).sum(),
            by_hop: hops.iter().map(Vec::len).collect(),
            top,
        }
    });
    let groups = groups.collect();
    Ok(Radius {
        node,
        groups,
        truncated: front.cut,
    })
}
