//! The graph, as it is shown.

use crate::api::values::Time;
use picket_store::{GraphNode, Neighbour, PathAnswer, Radius};
use serde::Serialize;
use utoipa::ToSchema;

/// A node of the security graph.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeView {
    /// Its id. The same thing has the same one everywhere; a finding's is the finding's.
    #[schema(format = "uuid")]
    id: String,
    /// What it stands for: `project`, `host`, `container`, `image`, `process`, `user`, `file`, `ip`,
    /// `domain`, `rule`, `policy`, `finding`, `issue` or `indicator`.
    kind: String,
    /// What tells it from others of its kind.
    key: String,
    /// What people call it.
    label: String,
    /// When it was first seen.
    first_seen: Time,
    /// When it was last seen.
    last_seen: Time,
    /// In how many findings.
    count: i64,
}

impl NodeView {
    pub(super) fn of(node: GraphNode) -> NodeView {
        NodeView {
            id: node.id.to_string(),
            kind: node.kind.name().to_owned(),
            key: node.key,
            label: node.label,
            first_seen: Time(node.first_seen),
            last_seen: Time(node.last_seen),
            count: node.count,
        }
    }
}

/// How two nodes are related.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EdgeView {
    /// Such as `runs_on`: read source, kind, destination.
    kind: String,
    /// `out`, if it leads away from the node that was asked about; else `in`.
    direction: String,
    /// When it was first seen.
    first_seen: Time,
    /// When it was last seen.
    last_seen: Time,
    /// In how many findings.
    count: i64,
}

/// A node next to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NeighbourView {
    /// How they are related.
    edge: EdgeView,
    /// The neighbour.
    node: NodeView,
}

fn way(out: bool) -> String {
    if out { "out" } else { "in" }.to_owned()
}

impl NeighbourView {
    pub(super) fn of(neighbour: Neighbour) -> NeighbourView {
        let edge = neighbour.edge;
        NeighbourView {
            edge: EdgeView {
                kind: edge.kind.name().to_owned(),
                direction: way(edge.out),
                first_seen: Time(edge.first_seen),
                last_seen: Time(edge.last_seen),
                count: edge.count,
            },
            node: NodeView::of(neighbour.node),
        }
    }
}

/// One step of a path.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PathStepView {
    /// Such as `runs_on`.
    edge: String,
    /// `out`, if the edge leads from the node before to this one; else `in`.
    direction: String,
    /// The next node.
    node: NodeView,
}

/// What a search for a path has found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PathView {
    /// Whether a path was found.
    found: bool,
    /// Whether a limit ended the search somewhere: there may be another path, or a shorter one.
    truncated: bool,
    /// The first node, if a path was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<NodeView>,
    /// The steps to the last one.
    steps: Vec<PathStepView>,
    /// Nodes that were reached.
    reached: usize,
}

impl PathView {
    pub(super) fn of(answer: PathAnswer) -> PathView {
        let found = answer.path.is_some();
        let (nodes, edges) = match answer.path {
            Some(path) => (path.nodes, path.edges),
            None => (Vec::new(), Vec::new()),
        };
        let mut nodes = nodes.into_iter();
        PathView {
            found,
            truncated: answer.truncated,
            from: nodes.next().map(NodeView::of),
            steps: edges
                .into_iter()
                .zip(nodes)
                .map(|((edge, out), node)| PathStepView {
                    edge: edge.name().to_owned(),
                    direction: way(out),
                    node: NodeView::of(node),
                })
                .collect(),
            reached: answer.reached,
        }
    }
}

/// A node that is near.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NearView {
    /// After so many hops.
    hop: u8,
    /// The node.
    node: NodeView,
}

/// Nodes of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    /// Of which kind.
    kind: String,
    /// How many.
    count: usize,
    /// How many at each hop, from the first.
    by_hop: Vec<usize>,
    /// Those near that were seen most often.
    top: Vec<NearView>,
}

/// What is within some hops of a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RadiusView {
    /// The node.
    node: NodeView,
    /// Whether a limit left something out: the counts are what there is at least.
    truncated: bool,
    /// What was reached, by kind.
    groups: Vec<GroupView>,
}

impl RadiusView {
    pub(super) fn of(radius: Radius) -> RadiusView {
        let groups = radius.groups.into_iter().map(|group| GroupView {
            kind: group.kind.name().to_owned(),
            count: group.count,
            by_hop: group.by_hop,
            top: group
                .top
                .into_iter()
                .map(|(node, hop)| NearView {
                    hop,
                    node: NodeView::of(node),
                })
                .collect(),
        });
        RadiusView {
            groups: groups.collect(),
            node: NodeView::of(radius.node),
            truncated: radius.truncated,
        }
    }
}
