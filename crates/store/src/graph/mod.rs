//! The security graph: who did what to whom, over all findings, as nodes and edges.
//!
//! ```text
//! digest ─ GraphWrites ─► write ─► graph_nodes, graph_edges
//!                                      ▲
//! server ─ Graph ─┬─ nodes, neighbours ┤   pages
//!                 └─ paths, radius ────┘   walks, hop by hop, each bounded (walk.rs)
//! ```
//!
//! A row stands for one project, and once more for everywhere. Whoever may see some
//! projects reads their rows alone: so rights hold on every hop, and neither counts nor
//! times tell of what others have. `docs/graph.md` has the nodes, edges and limits.

mod findings;
mod kinds;
mod merge;
mod neighbours;
mod node;
mod path;
mod radius;
mod retention;
mod rows;
mod search;
mod sql;
mod walk;
mod writes;

pub use kinds::{EdgeKind, NodeKind};
pub use node::{Node, Place, kind_of_id, node_id};
pub use writes::{GraphWrites, Sighting};

pub(crate) use writes::write;

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use crate::findings::FindingCursor;
use crate::limits::{self, MAX_FILTER_VALUES};
use crate::page::{Page, PageSize};
use async_trait::async_trait;

/// What of the graph somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphView(Option<Vec<Uuid>>);

impl GraphView {
    /// What these projects have; with none, of those: nothing. Without a list,
    /// everything. As the filter of findings.
    pub fn of(projects: Option<Vec<Uuid>>) -> Result<GraphView> {
        let Some(mut projects) = projects else {
            return Ok(GraphView(None));
        };
        limits::count("project", projects.len(), MAX_FILTER_VALUES)?;
        projects.sort_unstable();
        projects.dedup();
        // The rows of everywhere are no project's.
        projects.retain(|project| *project != writes::EVERYWHERE);
        Ok(GraphView(Some(projects)))
    }

    /// The projects whose rows are read.
    fn places(&self) -> Vec<Uuid> {
        self.0.clone().unwrap_or_else(|| vec![writes::EVERYWHERE])
    }
}

/// A node, as it stands. Times and count are those of the findings in which it was
/// seen; over several projects, the count is that of the one with most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// Its id.
    pub id: Uuid,
    /// What it stands for.
    pub kind: NodeKind,
    /// What tells it from others of its kind.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// When it was first seen.
    pub first_seen: Micros,
    /// When it was last seen.
    pub last_seen: Micros,
    /// In how many findings.
    pub count: i64,
}

/// Which nodes are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSearch {
    /// Of these kinds; none: of every kind that is stored.
    pub kinds: Vec<NodeKind>,
    /// What their name begins with, in small or capital letters. Processes, files and
    /// images go by the last part of their path; with a `/` in it, by the path.
    pub text: String,
}

/// Where the next page of nodes begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCursor {
    /// The last one's kind.
    pub kind: NodeKind,
    /// Its name, as searched.
    pub name: String,
    /// Its id.
    pub id: Uuid,
}

/// Which way along the edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Along and against them.
    #[default]
    Both,
    /// From source to destination.
    Out,
    /// From destination to source.
    In,
}

/// Which neighbours. An empty list does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeighbourFilter {
    /// By edges of these kinds.
    pub edges: Vec<EdgeKind>,
    /// Of these kinds.
    pub kinds: Vec<NodeKind>,
    /// Which way the edges lead from the node.
    pub direction: Direction,
    /// By edges that were seen from this time on.
    pub from: Option<Micros>,
    /// By edges that were seen before this time.
    pub until: Option<Micros>,
}

/// An edge, as seen from one of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphEdge {
    /// How the one is related to the other.
    pub kind: EdgeKind,
    /// Whether it leads away from the node that was asked about.
    pub out: bool,
    /// When it was first seen.
    pub first_seen: Micros,
    /// When it was last seen.
    pub last_seen: Micros,
    /// In how many findings; over several projects, in the one with most.
    pub count: i64,
}

/// A node next to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// How they are related.
    pub edge: GraphEdge,
    /// The neighbour.
    pub node: GraphNode,
}

/// Where the next page of neighbours begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourCursor {
    /// After this edge.
    Edge {
        /// Whether it leads away.
        out: bool,
        /// The stored relation.
        relation: u8,
        /// The node at its other end.
        other: Uuid,
    },
    /// All edges were shown; the findings after this one, or from the newest.
    Findings(Option<FindingCursor>),
}

/// How far and along what a walk goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Hops, from 1 to [`MAX_GRAPH_HOPS`](crate::limits::MAX_GRAPH_HOPS).
    pub hops: u8,
    /// Which way along the edges.
    pub direction: Direction,
    /// Along edges of these kinds; none: of all.
    pub edges: Vec<EdgeKind>,
    /// Nodes of these kinds end the walk: it does not go on from them.
    pub not_through: Vec<NodeKind>,
}

/// A path between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphPath {
    /// The nodes, from the first to the last.
    pub nodes: Vec<GraphNode>,
    /// The edges between them, one less: the kind, and whether it leads forward.
    pub edges: Vec<(EdgeKind, bool)>,
}

/// What a search for a path has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathAnswer {
    /// A shortest path among what was looked at.
    pub path: Option<GraphPath>,
    /// Whether a limit ended the search somewhere: there may be another path, or a
    /// shorter one.
    pub truncated: bool,
    /// Nodes that were reached.
    pub reached: usize,
}

/// Nodes of one kind that a walk reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiusGroup {
    /// Of which kind.
    pub kind: NodeKind,
    /// How many.
    pub count: usize,
    /// How many at each hop, from the first.
    pub by_hop: Vec<usize>,
    /// Those near that were seen most often, and at which hop they are.
    pub top: Vec<(GraphNode, u8)>,
}

/// What is within some hops of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radius {
    /// The node.
    pub node: GraphNode,
    /// What was reached, by kind.
    pub groups: Vec<RadiusGroup>,
    /// Whether a limit left something out: the counts are what there is at least.
    pub truncated: bool,
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphPlace {
    /// Up to this edge: project, source, stored relation, destination.
    Edges(Uuid, Uuid, i64, Uuid),
    /// All edges, and up to this node: project and id.
    Nodes(Uuid, Uuid),
}

/// What a step of a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Rows that were deleted.
    pub deleted: u64,
    /// Where to go on.
    pub next: Option<GraphPlace>,
}

/// The security graph. A node that a view does not show is not found.
#[async_trait]
pub trait Graph: Send + Sync {
    /// Adds sightings. What the digest writes goes with its findings; this is for what
    /// is known from elsewhere, such as enrolment.
    async fn add_to_graph(&self, writes: GraphWrites) -> Result<()>;

    /// One node.
    async fn graph_node(&self, view: &GraphView, id: Uuid) -> Result<GraphNode>;

    /// Nodes by kind and name. A page may be shorter than asked for and still have a next
    /// one.
    async fn search_graph(
        &self,
        view: &GraphView,
        search: &NodeSearch,
        after: Option<NodeCursor>,
        size: PageSize,
    ) -> Result<Page<GraphNode, NodeCursor>>;

    /// A node's neighbours, by the kinds of their edges; at last its findings, newest
    /// first. A page may be shorter than asked for and still have a next one.
    async fn neighbours(
        &self,
        view: &GraphView,
        id: Uuid,
        filter: &NeighbourFilter,
        after: Option<NeighbourCursor>,
        size: PageSize,
    ) -> Result<Page<Neighbour, NeighbourCursor>>;

    /// A short path from one node to another.
    async fn graph_path(
        &self,
        view: &GraphView,
        from: Uuid,
        to: Uuid,
        walk: &Walk,
    ) -> Result<PathAnswer>;

    /// What is within some hops of a node, findings apart.
    async fn graph_radius(&self, view: &GraphView, id: Uuid, walk: &Walk) -> Result<Radius>;

    /// Looks at so many edges or nodes from a place on (none: from the first), and deletes
    /// those that were last seen before this time. Gives where to go on; none: all were
    /// looked at.
    async fn sweep_graph(&self, time: Micros, from: Option<GraphPlace>, step: u32)
    -> Result<Swept>;
}
