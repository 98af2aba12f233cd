//! A path between two nodes: searched from both ends at once, which reaches far fewer
//! nodes than from one.

use super::walk::{Budget, Front, check, edge_kind};
use super::{Direction, EdgeKind, GraphPath, GraphView, PathAnswer, Walk, rows};
use crate::basics::Uuid;
use crate::db::Link;
use crate::error::{Result, StoreError};
use crate::limits::MAX_GRAPH_PATH_EXPANDED;

pub(super) async fn search<L: Link>(
    link: &mut L,
    view: &GraphView,
    from: Uuid,
    to: Uuid,
    walk: &Walk,
) -> Result<PathAnswer> {
    check(walk)?;
    let back = match walk.direction {
        Direction::Both => Direction::Both,
        Direction::Out => Direction::In,
        Direction::In => Direction::Out,
    };
    let mut ends = [
        Front::new(walk, walk.direction, from),
        Front::new(walk, back, to),
    ];
    ends[0].target = Some(to);
    ends[1].target = Some(from);
    let mut budget = Budget::of(MAX_GRAPH_PATH_EXPANDED, view);
    let mut met = (from == to).then_some(from);
    while met.is_none() && ends[0].hop + ends[1].hop < walk.hops {
        // The end with fewer nodes to go on from; one that has none has seen all. A finding
        // first: its edges are seen from there alone.
        let side = match (ends[0].is_at_finding(), ends[1].is_at_finding()) {
            (true, _) => 0,
            (false, true) => 1,
            _ => usize::from(ends[1].frontier.len() < ends[0].frontier.len()),
        };
        if ends[side].frontier.is_empty() {
            break;
        }
        let new = ends[side].advance(link, view, &mut budget).await?;
        let other = &ends[1 - side];
        met = new
            .into_iter()
            .filter(|id| ends[side].may_join(*id))
            .filter_map(|id| Some((other.reached.get(&id)?.hop, id)))
            .min()
            .map(|(_, id)| id);
    }
    let truncated = ends.iter().any(|end| end.cut);
    let reached = ends.iter().map(|end| end.reached.len()).sum();
    let path = match met {
        Some(met) => read(link, view, &ends, met).await?,
        None => None,
    };
    Ok(PathAnswer {
        path,
        truncated,
        reached,
    })
}

/// The path through the node where both ends met; none, if a part of it is gone meanwhile.
async fn read<L: Link>(
    link: &mut L,
    view: &GraphView,
    ends: &[Front<'_>; 2],
    met: Uuid,
) -> Result<Option<GraphPath>> {
    let [first, last] = ends;
    let mut ids = vec![met];
    let mut edges: Vec<(EdgeKind, bool)> = Vec::new();
    for step in steps(first, met)? {
        ids.push(step.0);
        edges.push((step.1, step.2));
    }
    ids.reverse();
    edges.reverse();
    for step in steps(last, met)? {
        ids.push(step.0);
        // Walked from the other end.
        edges.push((step.1, !step.2));
    }
    let mut nodes = Vec::with_capacity(ids.len());
    let stored = rows::nodes(link, view, &ids).await?;
    for id in ids {
        match stored.get(&id) {
            Some(node) => nodes.push(node.clone()),
            None => match super::findings::finding(link, view, id).await? {
                Some(row) => nodes.push(super::findings::node(&row)),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(GraphPath { nodes, edges }))
}

/// The way back from a node to where the walk began: from which node, by which edge,
/// and whether along it.
fn steps(front: &Front<'_>, mut at: Uuid) -> Result<Vec<(Uuid, EdgeKind, bool)>> {
    let mut steps = Vec::new();
    while let Some(how) = front.reached.get(&at) {
        let Some(from) = how.from else { break };
        let kind = edge_kind(how.code).ok_or_else(|| StoreError::damaged("kind", how.code))?;
        steps.push((from, kind, how.out));
        at = from;
    }
    Ok(steps)
}
