//! `picket graph`: a server's security graph.

use super::Remote;
use super::client::Client;
use crate::commands::Format;
use crate::output;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

/// What is asked.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Search nodes by the beginning of their names
    #[command(after_help = "Example:\n  picket graph search dash --kind process")]
    Search(Search),
    /// Show what a node is related to
    #[command(
        after_help = "Example:\n  picket graph neighbours host=web-1 --edge runs --edge runs_on"
    )]
    Neighbours(Neighbours),
    /// Find a path between two nodes
    #[command(after_help = "Exit code 0 if one is found, 1 if not.\n\n\
            Example:\n  picket graph path rule=web-shell ip=198.51.100.7")]
    Path(Path),
    /// Show what is within some hops of a node: its blast radius
    #[command(after_help = "Example:\n  picket graph radius image=shop/app:1 --direction in")]
    Radius(Radius),
}

/// What all of them take.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// As this project sees it; several times: as these do
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// How the answer is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// How far and along what.
#[derive(Debug, Clone, clap::Args)]
struct Walk {
    /// Hops at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    hops: Option<u8>,
    /// Along edges of this kind; several times: of these
    #[arg(long, value_name = "KIND")]
    edge: Vec<String>,
    /// Not through nodes of this kind; left out: project; none: through all
    #[arg(long, value_name = "KIND")]
    not_through: Vec<String>,
    /// Which way along the edges: out, in or both
    #[arg(long, value_name = "WAY")]
    direction: Option<String>,
}

/// Arguments of `search`.
#[derive(Debug, Clone, clap::Args)]
pub struct Search {
    /// What the name begins with; of processes, files and images the last part of their path
    #[arg(default_value = "")]
    text: String,
    /// Nodes of this kind; several times: of these
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Nodes at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `neighbours`.
#[derive(Debug, Clone, clap::Args)]
pub struct Neighbours {
    /// The node: its id, or KIND=KEY
    node: String,
    /// By edges of this kind; several times: of these
    #[arg(long, value_name = "KIND")]
    edge: Vec<String>,
    /// Nodes of this kind; several times: of these
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Which way the edges lead: out, in or both
    #[arg(long, value_name = "WAY")]
    direction: Option<String>,
    /// By edges that were seen from this time on
    #[arg(long, value_name = "TIME")]
    seen_from: Option<String>,
    /// Neighbours at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `path`.
#[derive(Debug, Clone, clap::Args)]
pub struct Path {
    /// The first node: its id, or KIND=KEY
    from: String,
    /// The last node: its id, or KIND=KEY
    to: String,
    #[command(flatten)]
    walk: Walk,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `radius`.
#[derive(Debug, Clone, clap::Args)]
pub struct Radius {
    /// The node: its id, or KIND=KEY
    node: String,
    #[command(flatten)]
    walk: Walk,
    #[command(flatten)]
    common: Common,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    kind: String,
    key: String,
    label: String,
    last_seen: String,
    count: i64,
}

#[derive(Deserialize)]
struct Edge {
    kind: String,
    direction: String,
    count: i64,
}

#[derive(Deserialize)]
struct Near {
    edge: Edge,
    node: Node,
}

#[derive(Deserialize)]
struct Step {
    edge: String,
    direction: String,
    node: Node,
}

#[derive(Deserialize)]
struct Route {
    truncated: bool,
    from: Option<Node>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Group {
    kind: String,
    count: usize,
    by_hop: Vec<usize>,
    top: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    hop: u8,
    node: Node,
}

#[derive(Deserialize)]
struct Reach {
    truncated: bool,
    groups: Vec<Group>,
}

/// Rows that the server gives at once.
const PAGE: usize = 500;

/// What stands behind the `?`.
#[derive(Default)]
struct Query(String);

impl Query {
    fn add(&mut self, name: &str, value: &str) {
        let sign = if self.0.is_empty() { '?' } else { '&' };
        self.0.push(sign);
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(self.0, "%{byte:02X}");
            }
        }
    }

    fn all(&mut self, name: &str, values: &[String]) {
        for value in values {
            self.add(name, value);
        }
    }

    fn walk(&mut self, walk: &Walk) {
        if let Some(hops) = walk.hops {
            self.add("hops", &hops.to_string());
        }
        if let Some(way) = &walk.direction {
            self.add("direction", way);
        }
        self.all("edge", &walk.edge);
        self.all("not_through", &walk.not_through);
    }
}

/// Asks, and tells the answer.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Search(args) => search(args),
        Command::Neighbours(args) => neighbours(args),
        Command::Path(args) => path(args),
        Command::Radius(args) => radius(args),
    }
}

fn search(args: &Search) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let mut query = Query::default();
    query.add("text", &args.text);
    query.all("kind", &args.kind);
    query.all("project", &args.common.project);
    let nodes = pages(&client, "/api/v1/graph/nodes", &query, args.limit)?;
    tell(args.common.format, &nodes, |node: Node| line(&node))
}

fn neighbours(args: &Neighbours) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let mut query = Query::default();
    query.all("edge", &args.edge);
    query.all("kind", &args.kind);
    query.all("project", &args.common.project);
    if let Some(way) = &args.direction {
        query.add("direction", way);
    }
    if let Some(time) = &args.seen_from {
        query.add("seen_from", time);
    }
    let id = id(&client, &args.node)?;
    let path = format!("/api/v1/graph/nodes/{id}/neighbours");
    let found = pages(&client, &path, &query, args.limit)?;
    tell(args.common.format, &found, |near: Near| {
        let arrow = arrow(&near.edge.direction, &near.edge.kind);
        format!("{arrow}\t{}\t{}", near.edge.count, line(&near.node))
    })
}

fn path(args: &Path) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let mut query = Query::default();
    query.add("from", &id(&client, &args.from)?);
    query.add("to", &id(&client, &args.to)?);
    query.walk(&args.walk);
    query.all("project", &args.common.project);
    let answer = client.get(&format!("/api/v1/graph/path{}", query.0))?;
    let route: Route = serde_json::from_value(answer.clone())?;
    let code = ExitCode::from(u8::from(route.from.is_none()));
    if args.common.format == Format::Json {
        output::write(&format!("{answer:#}\n"))?;
        return Ok(code);
    }
    let mut text = String::new();
    if let Some(from) = &route.from {
        text += &format!("{} {}\n", from.kind, from.label);
    }
    for step in &route.steps {
        let arrow = arrow(&step.direction, &step.edge);
        text += &format!("  {arrow} {} {}\n", step.node.kind, step.node.label);
    }
    output::write(&text)?;
    if route.from.is_none() {
        crate::console::line(match route.truncated {
            true => "no path was found before a limit ended the search: there may be one",
            false => "there is no path",
        });
    }
    Ok(code)
}

fn radius(args: &Radius) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let mut query = Query::default();
    query.walk(&args.walk);
    query.all("project", &args.common.project);
    let id = id(&client, &args.node)?;
    let answer = client.get(&format!("/api/v1/graph/nodes/{id}/radius{}", query.0))?;
    if args.common.format == Format::Json {
        output::write(&format!("{answer:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let reach: Reach = serde_json::from_value(answer)?;
    let mut text = String::new();
    for group in &reach.groups {
        let by_hop: Vec<String> = group.by_hop.iter().map(usize::to_string).collect();
        let by_hop = by_hop.join(", ");
        text += &format!("{}: {} (by hop: {by_hop})\n", group.kind, group.count);
        for top in &group.top {
            let Node { label, count, .. } = &top.node;
            text += &format!("  {label} (hop {}, in {count} findings)\n", top.hop);
        }
    }
    output::write(&text)?;
    if reach.truncated {
        crate::console::note("a limit left something out: there is at least this");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(node: &Node) -> String {
    let Node {
        id,
        kind,
        key,
        label,
        last_seen,
        count,
    } = node;
    let key = if key == label { "" } else { key };
    format!("{kind}\t{label}\t{count}\t{last_seen}\t{id}\t{key}")
}

fn arrow(direction: &str, kind: &str) -> String {
    match direction {
        "out" => format!("-{kind}->"),
        _ => format!("<-{kind}-"),
    }
}

/// Rows as lines, in columns that a tab parts; or as JSON, one a line.
fn tell<T: for<'de> Deserialize<'de>>(
    format: Format,
    rows: &[Value],
    line: impl Fn(T) -> String,
) -> Result<ExitCode> {
    let mut text = String::new();
    for row in rows {
        text += &match format {
            Format::Json => row.to_string(),
            Format::Text => line(serde_json::from_value(row.clone())?),
        };
        text.push('\n');
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Up to so many rows of a list.
fn pages(client: &Client, path: &str, query: &Query, limit: usize) -> Result<Vec<Value>> {
    let (mut rows, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    while rows.len() < limit {
        let mut page = Query(query.0.clone());
        page.add("limit", &(limit - rows.len()).min(PAGE).to_string());
        if let Some(cursor) = &cursor {
            page.add("cursor", cursor);
        }
        let answer = client.get(&format!("{path}{}", page.0))?;
        let items = answer["items"].as_array().context("no list was answered")?;
        rows.extend(items.iter().cloned());
        cursor = answer["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(rows)
}

/// The id of a node that is named by it, or by `KIND=KEY`.
fn id(client: &Client, node: &str) -> Result<String> {
    let Some((kind, key)) = node.split_once('=') else {
        let plain = node
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if node.is_empty() || !plain {
            bail!("{node}: write a node's id, or KIND=KEY such as host=web-1");
        }
        return Ok(node.to_owned());
    };
    let mut query = Query::default();
    query.add("kind", kind);
    query.add("key", key);
    let answer = client.get(&format!("/api/v1/graph/nodes{}", query.0))?;
    let id = answer.pointer("/items/0/id").and_then(Value::as_str);
    id.map(str::to_owned)
        .with_context(|| format!("there is no {kind} {key} in the graph, or you may not see it"))
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn what_is_asked_is_one_parameter() {
        let mut query = Query::default();
        query.add("text", "a&b=ü /~");
        query.add("kind", "host");
        assert_eq!(query.0, "?text=a%26b%3D%C3%BC%20%2F~&kind=host");
    }
}
