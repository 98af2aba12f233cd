//! One hop of a walk: the neighbours of many nodes at once, of each a bounded number.

use super::kinds::{NodeKind, RELATIONS, Relation};
use super::neighbours::wants;
use super::rows::list;
use super::{Direction, GraphView, Walk, findings, kind_of_id};
use crate::basics::Uuid;
use crate::db::{Columns, Dialect, Link, Record, sql};
use crate::error::{Result, StoreError};
use crate::limits::{
    self, MAX_FILTER_VALUES, MAX_GRAPH_FAN_OUT, MAX_GRAPH_FIRST_FAN_OUT, MAX_GRAPH_HOPS,
    MAX_GRAPH_REACHED,
};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Nodes in one question.
const NODES: usize = 125;

/// How a node was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// From which node; none: the walk began here.
    pub from: Option<Uuid>,
    /// By which relation; none: from a finding.
    pub code: u8,
    /// Whether along the edge.
    pub out: bool,
    /// After so many hops.
    pub hop: u8,
}

/// A walk from one node, hop by hop.
pub(super) struct Front<'w> {
    walk: &'w Walk,
    direction: Direction,
    /// The stored relations that it goes along; none: all.
    codes: Option<Vec<u8>>,
    /// Never walked through, though of a kind that is not: where the walk may end.
    pub target: Option<Uuid>,
    pub reached: HashMap<Uuid, Reached>,
    /// The nodes to go on from.
    pub frontier: Vec<Uuid>,
    pub hop: u8,
    /// Whether something was left out.
    pub cut: bool,
}

/// What all sides of a search may still look up.
pub(super) struct Budget(usize);

impl Budget {
    /// So many, in one project.
    pub fn of(nodes: usize, view: &GraphView) -> Budget {
        // A node is looked up once for each project.
        Budget(nodes / view.places().len().max(1))
    }

    /// As many of these as may be looked up; whether that is all.
    fn take(&mut self, nodes: &mut Vec<Uuid>) -> bool {
        let all = nodes.len() <= self.0;
        nodes.truncate(self.0);
        self.0 -= nodes.len();
        all
    }
}

pub(super) fn check(walk: &Walk) -> Result<()> {
    limits::count("edge kinds", walk.edges.len(), MAX_FILTER_VALUES)?;
    limits::count("node kinds", walk.not_through.len(), MAX_FILTER_VALUES)?;
    if walk.hops == 0 || walk.hops > MAX_GRAPH_HOPS {
        return Err(StoreError::Invalid {
            field: "hops",
            why: format!("{}; it must be from 1 to {MAX_GRAPH_HOPS}", walk.hops),
        });
    }
    Ok(())
}

impl<'w> Front<'w> {
    pub fn new(walk: &'w Walk, direction: Direction, begin: Uuid) -> Front<'w> {
        let codes = RELATIONS
            .iter()
            .filter(|known| wants(&walk.edges, known.edge));
        let start = Reached {
            from: None,
            code: 0,
            out: true,
            hop: 0,
        };
        Front {
            walk,
            direction,
            codes: (!walk.edges.is_empty()).then(|| codes.map(|known| known.code).collect()),
            target: None,
            reached: HashMap::from([(begin, start)]),
            frontier: vec![begin],
            hop: 0,
            cut: false,
        }
    }

    /// Goes one hop on. What was reached anew is the next frontier.
    pub async fn advance<L: Link>(
        &mut self,
        link: &mut L,
        view: &GraphView,
        budget: &mut Budget,
    ) -> Result<Vec<Uuid>> {
        let mut nodes = std::mem::take(&mut self.frontier);
        let fan_out = if self.hop == 0 {
            MAX_GRAPH_FIRST_FAN_OUT
        } else {
            MAX_GRAPH_FAN_OUT
        };
        self.hop += 1;
        self.cut |= !budget.take(&mut nodes);
        let mut new = Vec::new();
        for nodes in nodes.chunks(NODES) {
            if self.reached.len() >= MAX_GRAPH_REACHED {
                self.cut = true;
                break;
            }
            for (out, wanted) in [
                (true, self.direction != Direction::In),
                (false, self.direction != Direction::Out),
            ] {
                if !wanted {
                    continue;
                }
                let edges = self.edges(link, view, nodes, out, fan_out).await?;
                for edge in edges {
                    self.reach(edge, out, &mut new);
                }
            }
        }
        if self.hop == 1 {
            self.leave_finding(link, view, &nodes, &mut new).await?;
        }
        self.frontier = new
            .iter()
            .copied()
            .filter(|id| !self.ends_at(*id))
            .collect();
        Ok(new)
    }

    /// Whether the walk does not go on from this one.
    fn ends_at(&self, id: Uuid) -> bool {
        kind_of_id(id).is_none_or(|kind| self.walk.not_through.contains(&kind))
    }

    /// Whether it has yet to leave a finding.
    pub fn is_at_finding(&self) -> bool {
        self.hop == 0
            && self
                .frontier
                .iter()
                .any(|id| kind_of_id(*id) == Some(NodeKind::Finding))
    }

    /// Whether a path may lead through this one.
    pub fn may_join(&self, id: Uuid) -> bool {
        self.target == Some(id) || !self.ends_at(id)
    }

    fn reach(&mut self, edge: Edge, out: bool, new: &mut Vec<Uuid>) {
        if self.reached.contains_key(&edge.other) {
            return;
        }
        if self.reached.len() >= MAX_GRAPH_REACHED {
            self.cut = true;
            return;
        }
        let how = Reached {
            from: Some(edge.at),
            code: edge.code,
            out,
            hop: self.hop,
        };
        self.reached.insert(edge.other, how);
        new.push(edge.other);
    }

    /// A walk that begins at a finding: the nodes of its columns.
    async fn leave_finding<L: Link>(
        &mut self,
        link: &mut L,
        view: &GraphView,
        nodes: &[Uuid],
        new: &mut Vec<Uuid>,
    ) -> Result<()> {
        let begin = nodes.first().copied();
        let Some(id) = begin.filter(|id| kind_of_id(*id) == Some(NodeKind::Finding)) else {
            return Ok(());
        };
        let Some(row) = findings::finding(link, view, id).await? else {
            return Ok(());
        };
        let related = findings::related(link, &row).await?;
        let ids: Vec<Uuid> = related.iter().map(|one| one.node.id()).collect();
        let there = super::rows::nodes(link, view, &ids).await?;
        for one in related {
            let other = one.node.id();
            let way = match self.direction {
                Direction::Both => true,
                Direction::Out => one.out,
                Direction::In => !one.out,
            };
            if way && wants(&self.walk.edges, one.kind) && there.contains_key(&other) {
                let edge = Edge {
                    at: id,
                    code: FROM_FINDING + one.kind as u8,
                    other,
                };
                self.reach(edge, one.out, new);
            }
        }
        Ok(())
    }

    async fn edges<L: Link>(
        &mut self,
        link: &mut L,
        view: &GraphView,
        nodes: &[Uuid],
        out: bool,
        fan_out: usize,
    ) -> Result<Vec<Edge>> {
        let (text, nodes) = match &self.codes {
            None => (statement(L::DIALECT, out, false), list(nodes)),
            // Each relation is looked up by itself: a hub's other edges are not walked over.
            Some(codes) => (statement(L::DIALECT, out, true), pairs(nodes, codes, out)),
        };
        let probe = fan_out as i64 + 1;
        let read = sql("walking the graph", text)
            .bind(nodes)
            .bind(list(&view.places()))
            .bind(probe);
        let mut edges = Vec::new();
        for row in link.fetch::<Row>(read).await? {
            let found = row.edges.len();
            self.cut |= found > fan_out;
            edges.extend(row.edges.into_iter().take(fan_out));
        }
        Ok(edges)
    }
}

/// Stands for the kind of an edge that leads from a finding, and has no code.
const FROM_FINDING: u8 = 200;

/// The kind of edge that a code stands for.
pub(super) fn edge_kind(code: u8) -> Option<super::EdgeKind> {
    match code.checked_sub(FROM_FINDING) {
        Some(kind) => super::EdgeKind::ALL
            .into_iter()
            .find(|known| *known as u8 == kind),
        None => Relation::of_code(code).map(|known| known.edge),
    }
}

/// Each node with each relation that a node of its kind can have.
fn pairs(nodes: &[Uuid], codes: &[u8], out: bool) -> Value {
    let mut pairs = Vec::new();
    for id in nodes {
        let kind = kind_of_id(*id);
        for relation in codes.iter().filter_map(|code| Relation::of_code(*code)) {
            let own = if out { relation.src } else { relation.dst };
            if kind == Some(own) {
                pairs.push(json!([id.simple().to_string(), relation.code]));
            }
        }
    }
    Value::Array(pairs)
}

struct Edge {
    at: Uuid,
    code: u8,
    other: Uuid,
}

/// A node's edges, all in one text: a row for each would cost more than the look-up.
struct Row {
    edges: Vec<Edge>,
}

impl Record for Row {
    fn read(row: &impl Columns) -> Result<Row> {
        let at = id(&row.text("at")?)?;
        let found: Option<String> = row.get("found")?;
        let found = found.unwrap_or_default();
        let edges = found.split_terminator(',').map(|edge| {
            let (code, other) = edge
                .split_once(':')
                .ok_or_else(|| StoreError::damaged("an edge", edge))?;
            Ok(Edge {
                at,
                code: code
                    .parse()
                    .map_err(|why| StoreError::damaged("an edge", why))?,
                other: id(other)?,
            })
        });
        Ok(Row {
            edges: edges.collect::<Result<_>>()?,
        })
    }
}

fn id(text: &str) -> Result<Uuid> {
    text.parse()
        .map_err(|why| StoreError::damaged("a node's id", why))
}

/// The limit stands inside, for each node: a hub costs no more than others.
macro_rules! sqlite {
    ($own:literal, $other:literal, $id:literal, $code:literal) => {
        concat!(
            "SELECT ",
            $id,
            " AS at, (SELECT group_concat(x.kind || ':' || hex(x.other)) FROM \
             (SELECT kind, ",
            $other,
            " AS other FROM graph_edges \
             WHERE project = unhex(p.value) AND ",
            $own,
            " = unhex(",
            $id,
            ")",
            $code,
            " ORDER BY kind, ",
            $other,
            " LIMIT $3) AS x) AS found \
             FROM json_each($1) AS f CROSS JOIN json_each($2) AS p"
        )
    };
}
macro_rules! postgres {
    ($own:literal, $other:literal, $id:literal, $code:literal) => {
        concat!(
            "SELECT ",
            $id,
            " AS at, (SELECT string_agg(x.kind || ':' || x.other, ',') FROM \
             (SELECT kind, ",
            $other,
            " AS other FROM graph_edges \
             WHERE project = CAST(p.value AS uuid) AND ",
            $own,
            " = CAST(",
            $id,
            " AS uuid)",
            $code,
            " ORDER BY kind, ",
            $other,
            " LIMIT $3) AS x) AS found \
             FROM jsonb_array_elements($1) AS f(value) \
             CROSS JOIN jsonb_array_elements_text($2) AS p(value)"
        )
    };
}

#[rustfmt::skip]
const fn statement(dialect: Dialect, out: bool, by_relation: bool) -> &'static str {
    match (dialect, out, by_relation) {
        (Dialect::Sqlite, true, false) => sqlite!("src", "dst", "f.value", ""),
        (Dialect::Sqlite, false, false) => sqlite!("dst", "src", "f.value", ""),
        (Dialect::Sqlite, true, true) =>
            sqlite!("src", "dst", "(f.value ->> 0)", " AND kind = (f.value ->> 1)"),
        (Dialect::Sqlite, false, true) =>
            sqlite!("dst", "src", "(f.value ->> 0)", " AND kind = (f.value ->> 1)"),
        (Dialect::Postgres, true, false) => postgres!("src", "dst", "(f.value #>> '{}')", ""),
        (Dialect::Postgres, false, false) => postgres!("dst", "src", "(f.value #>> '{}')", ""),
        (Dialect::Postgres, true, true) =>
            postgres!("src", "dst", "(f.value ->> 0)", " AND kind = CAST(f.value ->> 1 AS bigint)"),
        (Dialect::Postgres, false, true) =>
            postgres!("dst", "src", "(f.value ->> 0)", " AND kind = CAST(f.value ->> 1 AS bigint)"),
    }
}
