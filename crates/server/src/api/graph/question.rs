//! What is asked of the graph, read strictly.

use crate::api::App;
use crate::api::problem::{Code, Problem};
use crate::api::projects::project_id;
use crate::api::values::Time;
use crate::api::who::Who;
use crate::auth::Permission;
use picket_store::{Direction, EdgeKind, GraphView, NeighbourFilter, NodeKind, Walk};
use utoipa::IntoParams;

/// Hops of a path, if nobody says how many.
pub(super) const PATH_HOPS: u8 = 6;
/// Hops of a radius, if nobody says how many.
pub(super) const RADIUS_HOPS: u8 = 3;

/// Which nodes. A kind that comes again is an alternative.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct SearchQuery {
    /// `project`, `policy`, `rule`, `indicator`, `image`, `user`, `host`, `issue`, `container`,
    /// `process`, `domain`, `ip` or `file`; left out: all of them.
    #[param(required = false)]
    kind: Vec<String>,
    /// What the name begins with, in small or capital letters. Processes, files and images go by the
    /// last part of their path; with a `/` in it, by the path.
    #[param(required = false)]
    text: Option<String>,
    /// The one node of this key; with one kind.
    #[param(required = false)]
    key: Option<String>,
    /// As these projects see it.
    #[param(required = false)]
    project: Vec<String>,
    /// How many at most; 100 if left out.
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// Which neighbours. A filter that comes again is an alternative.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct NeighboursQuery {
    /// Kinds of edges.
    #[param(required = false)]
    edge: Vec<String>,
    /// Kinds of nodes.
    #[param(required = false)]
    kind: Vec<String>,
    /// Which way the edges lead: `out`, `in` or `both`.
    #[param(required = false)]
    direction: Option<String>,
    /// By edges that were seen from this time on.
    #[param(required = false)]
    seen_from: Option<Time>,
    /// By edges that were seen before this time.
    #[param(required = false)]
    seen_until: Option<Time>,
    /// As these projects see it.
    #[param(required = false)]
    project: Vec<String>,
    /// How many at most; 100 if left out.
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// From where to where, and along what.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct PathQuery {
    /// The first node.
    from: String,
    /// The last node.
    to: String,
    /// Hops at most; 6 if left out.
    #[param(required = false, minimum = 1, maximum = 8)]
    hops: Option<u8>,
    /// Which way along the edges: `out`, `in` or `both`.
    #[param(required = false)]
    direction: Option<String>,
    /// Along edges of these kinds; left out: of all.
    #[param(required = false)]
    edge: Vec<String>,
    /// Not through nodes of these kinds; left out: `project`, by which all its hosts are near each
    /// other; `none`: through all.
    #[param(required = false)]
    not_through: Vec<String>,
    /// As these projects see it.
    #[param(required = false)]
    project: Vec<String>,
}

/// How far, and along what.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct RadiusQuery {
    /// Hops; 3 if left out.
    #[param(required = false, minimum = 1, maximum = 8)]
    hops: Option<u8>,
    /// Which way along the edges: `out`, `in` or `both`.
    #[param(required = false)]
    direction: Option<String>,
    /// Along edges of these kinds; left out: of all.
    #[param(required = false)]
    edge: Vec<String>,
    /// Not on from nodes of these kinds; left out: `project`; `none`: on from all.
    #[param(required = false)]
    not_through: Vec<String>,
    /// As these projects see it.
    #[param(required = false)]
    project: Vec<String>,
}

/// A question, read.
pub(super) struct Question {
    pub(super) view: GraphView,
    pub(super) kinds: Vec<NodeKind>,
    pub(super) text: String,
    pub(super) key: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
    edges: Vec<EdgeKind>,
    direction: Direction,
    seen: (Option<Time>, Option<Time>),
    hops: Option<u8>,
    not_through: Option<Vec<NodeKind>>,
}

fn bad(name: &str, why: &str) -> Problem {
    Problem::new(Code::BadRequest, format!("{name}: {why}"))
}

impl Question {
    /// Of one who sees what their projects have.
    pub(super) async fn read(
        app: &App,
        who: &Who,
        pairs: Vec<(String, String)>,
        allowed: &[&str],
    ) -> Result<Question, Problem> {
        let scope = who.needs(Permission::Read)?;
        let mut projects = Vec::new();
        let mut asked = Question {
            view: GraphView::of(None)?,
            kinds: Vec::new(),
            text: String::new(),
            key: None,
            from: None,
            to: None,
            limit: None,
            cursor: None,
            edges: Vec::new(),
            direction: Direction::Both,
            seen: (None, None),
            hops: None,
            not_through: None,
        };
        for (name, value) in pairs {
            if !allowed.contains(&name.as_str()) {
                return Err(bad(&name, "there is no such parameter here"));
            }
            if name == "project" {
                let project = project_id(app, &value).await?;
                if !scope.covers(project) {
                    return Err(Problem::not_found("project", &value));
                }
                projects.push(project);
            } else {
                asked.add(&name, value)?;
            }
        }
        asked.view = GraphView::of(if projects.is_empty() {
            scope.projects()
        } else {
            Some(projects)
        })?;
        Ok(asked)
    }

    fn add(&mut self, name: &str, value: String) -> Result<(), Problem> {
        let kind = |value: &str| {
            NodeKind::of_name(value).ok_or_else(|| bad(name, "there is no such kind of node"))
        };
        let time = |value: &str| value.parse::<Time>().map_err(|why| bad(name, &why));
        match name {
            "kind" => self.kinds.push(kind(&value)?),
            "edge" => self.edges.push(
                EdgeKind::of_name(&value)
                    .ok_or_else(|| bad(name, "there is no such kind of edge"))?,
            ),
            "not_through" => {
                let kinds = self.not_through.get_or_insert_default();
                if value != "none" {
                    kinds.push(kind(&value)?);
                }
            }
            "direction" => {
                self.direction = match value.as_str() {
                    "both" => Direction::Both,
                    "out" => Direction::Out,
                    "in" => Direction::In,
                    _ => return Err(bad(name, "out, in or both")),
                }
            }
            "seen_from" => self.seen.0 = Some(time(&value)?),
            "seen_until" => self.seen.1 = Some(time(&value)?),
            "hops" => self.hops = Some(value.parse().map_err(|_| bad(name, "a number"))?),
            "limit" => self.limit = Some(value.parse().map_err(|_| bad(name, "a number"))?),
            "text" => self.text = value,
            "key" => self.key = Some(value),
            "from" => self.from = Some(value),
            "to" => self.to = Some(value),
            _ => self.cursor = Some(value),
        }
        Ok(())
    }

    pub(super) fn neighbours(&self) -> NeighbourFilter {
        NeighbourFilter {
            edges: self.edges.clone(),
            kinds: self.kinds.clone(),
            direction: self.direction,
            from: self.seen.0.map(|time| time.0),
            until: self.seen.1.map(|time| time.0),
        }
    }

    pub(super) fn walk(&self, usual: u8) -> Walk {
        let not_through = self.not_through.clone();
        Walk {
            hops: self.hops.unwrap_or(usual),
            direction: self.direction,
            edges: self.edges.clone(),
            not_through: not_through.unwrap_or_else(|| vec![NodeKind::Project]),
        }
    }
}
