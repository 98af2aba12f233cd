//! The security graph: nodes, their neighbours, paths, and what is near.

mod question;
mod views;

use super::App;
use super::extract::{Json, Pairs, Path};
use super::problem::{Code, Problem};
use super::values::{Page, cursor, id, page_size, part, parts};
use super::who::Who;
use picket_store::{
    FindingCursor, GraphNode, NeighbourCursor, NodeCursor, NodeKind, NodeSearch, StoreError, Uuid,
    node_id,
};
use question::{NeighboursQuery, PathQuery, Question, RadiusQuery, SearchQuery};
use views::{NeighbourView, NodeView, PathView, RadiusView};

use axum::extract::State;

/// Search nodes of the security graph
///
/// By the beginning of their names, kind by kind. A page may be shorter than asked for and still
/// have a next one.
#[utoipa::path(get, path = "/graph/nodes", tag = "graph", operation_id = "search_graph_nodes", params(SearchQuery),
    responses((status = 200, body = Page<NodeView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn search(
    State(app): State<App>,
    who: Who,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<NodeView>>, Problem> {
    let allowed = ["kind", "text", "key", "project", "limit", "cursor"];
    let asked = Question::read(&app, &who, pairs, &allowed).await?;
    if let Some(key) = &asked.key {
        let [kind] = asked.kinds.as_slice() else {
            let why = "key: say of which one kind";
            return Err(Problem::new(Code::BadRequest, why));
        };
        let items = match app.store.graph_node(&asked.view, of_key(*kind, key)).await {
            Ok(node) => vec![NodeView::of(node)],
            Err(StoreError::NotFound { .. }) => Vec::new(),
            Err(why) => return Err(why.into()),
        };
        return Ok(Json(Page { items, next: None }));
    }
    let after = asked.cursor.as_deref().map(node_cursor).transpose()?;
    let search = NodeSearch {
        kinds: asked.kinds,
        text: asked.text,
    };
    let found = app
        .store
        .search_graph(&asked.view, &search, after, page_size(asked.limit)?)
        .await?;
    let next = found.next.map(|last| {
        let id = last.id.to_string();
        cursor(&[last.kind.name(), &id, &last.name])
    });
    Ok(Json(Page {
        items: found.items.into_iter().map(NodeView::of).collect(),
        next,
    }))
}

/// A node's id by its kind and key; a finding's key is its id.
fn of_key(kind: NodeKind, key: &str) -> Uuid {
    match kind {
        NodeKind::Finding => key.parse().unwrap_or(Uuid::nil()),
        kind => node_id(kind, key),
    }
}

fn node_cursor(text: &str) -> Result<NodeCursor, Problem> {
    // The name is last, and may hold anything but a line's end, which names do not.
    let [kind, id, name] = parts::<3>(text)?;
    let kind = NodeKind::of_name(&kind).ok_or_else(|| {
        Problem::new(Code::BadRequest, "cursor: it is none that this server gave")
    })?;
    Ok(NodeCursor {
        kind,
        name,
        id: part(&id)?,
    })
}

/// Show a node of the security graph
#[utoipa::path(get, path = "/graph/nodes/{id}", tag = "graph", operation_id = "get_graph_node",
    params(("id" = String, Path, description = "The node's id; of a finding, the finding's")),
    responses((status = 200, body = NodeView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<NodeView>, Problem> {
    let asked = Question::read(&app, &who, Vec::new(), &[]).await?;
    let node: GraphNode = app
        .store
        .graph_node(&asked.view, id("node", &text)?)
        .await?;
    Ok(Json(NodeView::of(node)))
}

/// List a node's neighbours
///
/// By the kinds of their edges, those that lead away first; at last its findings, newest first. A
/// page may be shorter than asked for and still have a next one.
#[utoipa::path(get, path = "/graph/nodes/{id}/neighbours", tag = "graph", operation_id = "list_graph_neighbours",
    params(("id" = String, Path, description = "The node's id"), NeighboursQuery),
    responses((status = 200, body = Page<NeighbourView>), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn neighbours(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<NeighbourView>>, Problem> {
    let allowed = [
        "edge",
        "kind",
        "direction",
        "seen_from",
        "seen_until",
        "project",
        "limit",
        "cursor",
    ];
    let asked = Question::read(&app, &who, pairs, &allowed).await?;
    let after = asked.cursor.as_deref().map(neighbour_cursor).transpose()?;
    let id = id("node", &text)?;
    let size = page_size(asked.limit)?;
    let found = app
        .store
        .neighbours(&asked.view, id, &asked.neighbours(), after, size)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(NeighbourView::of).collect(),
        next: found.next.map(written),
    }))
}

fn written(at: NeighbourCursor) -> String {
    match at {
        NeighbourCursor::Edge {
            out,
            relation,
            other,
        } => cursor(&[
            if out { "out" } else { "in" },
            &relation.to_string(),
            &other.to_string(),
        ]),
        NeighbourCursor::Findings(None) => cursor(&["findings", "", ""]),
        NeighbourCursor::Findings(Some(last)) => {
            cursor(&["findings", &last.time.to_string(), &last.id.to_string()])
        }
    }
}

fn neighbour_cursor(text: &str) -> Result<NeighbourCursor, Problem> {
    let [place, first, second] = parts::<3>(text)?;
    match (place.as_str(), first.as_str()) {
        ("out" | "in", relation) => Ok(NeighbourCursor::Edge {
            out: place == "out",
            relation: part(relation)?,
            other: part(&second)?,
        }),
        ("findings", "") => Ok(NeighbourCursor::Findings(None)),
        ("findings", time) => Ok(NeighbourCursor::Findings(Some(FindingCursor {
            time: part(time)?,
            id: part(&second)?,
        }))),
        _ => Err(Problem::new(
            Code::BadRequest,
            "cursor: it is none that this server gave",
        )),
    }
}

/// Find a path between two nodes
///
/// A shortest one, searched from both ends. `truncated` says that a limit ended the search
/// somewhere: without a path it then means that none was found, not that there is none.
#[utoipa::path(get, path = "/graph/path", tag = "graph", operation_id = "find_graph_path", params(PathQuery),
    responses((status = 200, body = PathView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn path(
    State(app): State<App>,
    who: Who,
    Pairs(pairs): Pairs,
) -> Result<Json<PathView>, Problem> {
    let allowed = [
        "from",
        "to",
        "hops",
        "direction",
        "edge",
        "not_through",
        "project",
    ];
    let asked = Question::read(&app, &who, pairs, &allowed).await?;
    let end = |name: &str, text: &Option<String>| {
        let missing = || Problem::new(Code::BadRequest, format!("{name}: say which node"));
        id("node", text.as_deref().ok_or_else(missing)?)
    };
    let (from, to) = (end("from", &asked.from)?, end("to", &asked.to)?);
    let answer = app
        .store
        .graph_path(&asked.view, from, to, &asked.walk(question::PATH_HOPS))
        .await?;
    Ok(Json(PathView::of(answer)))
}

/// Measure the blast radius of a node
///
/// What is within some hops of it, by kind: how many at each hop, and those near that were seen
/// most often. `truncated` says that a limit left something out: the counts are then what there
/// is at least. Findings are not counted.
#[utoipa::path(get, path = "/graph/nodes/{id}/radius", tag = "graph", operation_id = "get_graph_radius",
    params(("id" = String, Path, description = "The node's id"), RadiusQuery),
    responses((status = 200, body = RadiusView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn radius(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Pairs(pairs): Pairs,
) -> Result<Json<RadiusView>, Problem> {
    let allowed = ["hops", "direction", "edge", "not_through", "project"];
    let asked = Question::read(&app, &who, pairs, &allowed).await?;
    let id = id("node", &text)?;
    let walk = asked.walk(question::RADIUS_HOPS);
    let found = app.store.graph_radius(&asked.view, id, &walk).await?;
    Ok(Json(RadiusView::of(found)))
}
