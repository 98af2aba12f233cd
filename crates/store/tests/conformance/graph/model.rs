//! The graph as a list of edges, each question answered by looking at all of them.

use picket_store::{
    Direction, EdgeKind, GraphEdge, Micros, NeighbourFilter, Node, Uuid, Walk, kind_of_id,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An edge that was seen once.
#[derive(Debug, Clone)]
pub struct Seen {
    pub src: Node,
    pub kind: EdgeKind,
    pub dst: Node,
    pub time: Micros,
    pub projects: Vec<Uuid>,
}

/// What a view leaves of it: by source, kind and destination.
pub struct Model {
    pub edges: BTreeMap<(Uuid, &'static str, Uuid), GraphEdge>,
}

impl Model {
    /// What one who sees these projects sees; none: everything.
    pub fn of(seen: &[Seen], projects: Option<&[Uuid]>) -> Model {
        let mut edges = BTreeMap::new();
        let places: Vec<Option<Uuid>> = match projects {
            None => vec![None],
            Some(projects) => projects.iter().copied().map(Some).collect(),
        };
        for place in places {
            let mut of_place: BTreeMap<_, GraphEdge> = BTreeMap::new();
            for one in seen {
                if place.is_some_and(|project| !one.projects.contains(&project)) {
                    continue;
                }
                of_place
                    .entry((one.src.id(), one.kind.name(), one.dst.id()))
                    .and_modify(|edge| {
                        edge.first_seen = edge.first_seen.min(one.time);
                        edge.last_seen = edge.last_seen.max(one.time);
                        edge.count += 1;
                    })
                    .or_insert(GraphEdge {
                        kind: one.kind,
                        out: true,
                        first_seen: one.time,
                        last_seen: one.time,
                        count: 1,
                    });
            }
            for (key, edge) in of_place {
                edges
                    .entry(key)
                    .and_modify(|known: &mut GraphEdge| {
                        known.first_seen = known.first_seen.min(edge.first_seen);
                        known.last_seen = known.last_seen.max(edge.last_seen);
                        known.count = known.count.max(edge.count);
                    })
                    .or_insert(edge);
            }
        }
        Model { edges }
    }

    pub fn nodes(&self) -> BTreeSet<Uuid> {
        self.edges
            .keys()
            .flat_map(|(src, _, dst)| [*src, *dst])
            .collect()
    }

    /// The edges of a node and the nodes at their other ends, in some order.
    pub fn neighbours(&self, id: Uuid, filter: &NeighbourFilter) -> Vec<(Uuid, GraphEdge)> {
        let mut found = Vec::new();
        for ((src, _, dst), edge) in &self.edges {
            for (own, other, out) in [(src, dst, true), (dst, src, false)] {
                let way = match filter.direction {
                    Direction::Both => true,
                    Direction::Out => out,
                    Direction::In => !out,
                };
                let kind = kind_of_id(*other).unwrap();
                if *own == id
                    && way
                    && (filter.edges.is_empty() || filter.edges.contains(&edge.kind))
                    && (filter.kinds.is_empty() || filter.kinds.contains(&kind))
                    && filter.from.is_none_or(|from| edge.last_seen >= from)
                    && filter.until.is_none_or(|until| edge.first_seen < until)
                {
                    found.push((*other, GraphEdge { out, ..*edge }));
                }
            }
        }
        found
    }

    /// How many hops each node within a walk is away.
    pub fn reached(&self, begin: Uuid, walk: &Walk, target: Option<Uuid>) -> BTreeMap<Uuid, u8> {
        let along = NeighbourFilter {
            direction: walk.direction,
            edges: walk.edges.clone(),
            ..NeighbourFilter::default()
        };
        let mut reached = BTreeMap::from([(begin, 0)]);
        let mut queue = VecDeque::from([begin]);
        while let Some(id) = queue.pop_front() {
            let hop = reached[&id];
            let ends = walk.not_through.contains(&kind_of_id(id).unwrap());
            if hop == walk.hops || (ends && id != begin) || target == Some(id) {
                continue;
            }
            for (other, _) in self.neighbours(id, &along) {
                reached.entry(other).or_insert_with(|| {
                    queue.push_back(other);
                    hop + 1
                });
            }
        }
        reached
    }
}
