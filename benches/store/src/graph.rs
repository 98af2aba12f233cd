//! The graph: how fast it is written, and how long questions of up to four hops take.
//!
//! A fleet's graph: 2,000 hosts in 20 projects, rules and images of which a few have
//! most of the edges, processes in chains of who started whom. Every edge stands twice, everywhere
//! and in its project.

use crate::sample::{NOW, chance, skewed};
use anyhow::Result;
use picket_store::{
    Direction, EdgeKind, GraphView, GraphWrites, NeighbourFilter, Node, NodeKind, NodeSearch,
    PageSize, Place, Store, Uuid, Walk,
};
use std::time::{Duration, Instant};

const HOSTS: u64 = 2000;
const PROJECTS: u64 = 20;
const CONTAINERS: u64 = 8000;
const IMAGES: u64 = 300;
const RULES: u64 = 300;
const ADDRESSES: u64 = 20_000;
const DOMAINS: u64 = 20_000;
/// Executables of one place.
const PROGRAMS: u64 = 25;
/// Sightings of a place that come at once.
const BURST: u64 = 10;
/// Sightings in one transaction, as the digest has them.
const BATCH: u64 = 500;
/// Edges that each process adds, about: what the number of edges is made with.
const EDGES_A_PROCESS: u64 = 5;
const TIMES: u64 = 500;

fn project(host: u64) -> Uuid {
    Uuid::from_u128(u128::from(1 + host % PROJECTS))
}

fn host(number: u64) -> String {
    crate::sample::host(number)
}

fn container(number: u64) -> String {
    format!("{:064x}", u128::from(chance(number ^ 0xc0)))
}

/// The place of a process: two thirds are in containers.
fn place_of(number: u64, all: u64) -> (u64, Option<u64>) {
    let places = HOSTS / 2 + CONTAINERS;
    let place = number * places / all.max(1);
    if place < CONTAINERS {
        (place % HOSTS, Some(place))
    } else {
        ((place - CONTAINERS) % HOSTS, None)
    }
}

/// Findings come from all over the fleet, from each place some at once.
fn in_bursts(number: u64, all: u64) -> u64 {
    let (burst, within) = (number / BURST, number % BURST);
    let bursts = (all / BURST).max(1);
    if burst >= bursts {
        return number;
    }
    // Prime, and so without a common factor: each burst comes once.
    (burst * 1_000_003 % bursts) * BURST + within
}

struct Process {
    node: Node,
    host: u64,
    container: Option<u64>,
}

fn process(number: u64, all: u64) -> Process {
    let (on, inside) = place_of(number, all);
    let (name, id) = (host(on), inside.map(container));
    let place = Place::of(&name, id.as_deref());
    let path = format!(
        "/usr/lib/app-{}/bin/worker-{}",
        chance(number) % 300,
        number % PROGRAMS
    );
    Process {
        node: Node::process(place, &path),
        host: on,
        container: inside,
    }
}

fn rule(number: u64) -> Node {
    Node::rule(&crate::sample::rule(number))
}

fn image(number: u64) -> Node {
    Node::image(&format!("registry.example/shop/app-{number}:1"))
}

fn address(number: u64) -> Node {
    Node::ip(&format!(
        "198.{}.{}.{}",
        18 + number / 65536,
        number / 256 % 256,
        number % 256
    ))
}

/// What was seen of one process: who started it, where it runs, what it did.
fn sighting(writes: &mut GraphWrites, number: u64, all: u64) {
    let seed = chance(number ^ 0x9a) << 4;
    let own = process(number, all);
    let on = Node::host(&host(own.host));
    let time = NOW + number as i64 * 1000;
    let mut seen = writes.sighting(time, &[project(own.host)], 1);
    let name = host(own.host);
    let id = own.container.map(container);
    let place = Place::of(&name, id.as_deref());
    if let (Some(number), Some(id)) = (own.container, &id) {
        let container = Node::container(id);
        seen.edge(&on, EdgeKind::Runs, &container);
        seen.edge(
            &container,
            EdgeKind::FromImage,
            &image(skewed(number ^ 0x1, IMAGES)),
        );
        seen.edge(&own.node, EdgeKind::RunsOn, &container);
    } else {
        seen.edge(&own.node, EdgeKind::RunsOn, &on);
    }
    // A chain: mostly the one before, of the same place.
    let parent = process(number.saturating_sub(1 + chance(seed) % 3), all);
    if (parent.host, parent.container) == (own.host, own.container) {
        seen.edge(&parent.node, EdgeKind::Started, &own.node);
    }
    let user = format!("user-{}", skewed(seed ^ 1, 20));
    seen.edge(&own.node, EdgeKind::AsUser, &Node::user(place, &user));
    seen.edge(&rule(skewed(seed ^ 2, RULES)), EdgeKind::Matched, &own.node);
    match chance(seed ^ 3) % 4 {
        0 | 1 => {
            let to = address(skewed(seed ^ 4, ADDRESSES));
            seen.edge(&own.node, EdgeKind::Connected, &to);
        }
        2 => {
            let domain = format!("name-{}.example.net", skewed(seed ^ 5, DOMAINS));
            seen.edge(&own.node, EdgeKind::Asked, &Node::domain(&domain));
        }
        _ => {
            let file = Node::file(
                place,
                &format!("/var/lib/app/file-{}", chance(seed ^ 6) % 50),
            );
            seen.edge(&own.node, EdgeKind::Touched, &file);
        }
    }
}

pub async fn measure(name: &str, store: &dyn Store, edges: u64) -> Result<()> {
    let all = edges / EDGES_A_PROCESS;
    println!("### {name}\n");
    let mut writes = GraphWrites::default();
    for number in 0..HOSTS {
        let project_node = Node::project(project(number), &format!("team-{}", number % PROJECTS));
        let mut seen = writes.sighting(NOW, &[project(number)], 0);
        seen.edge(
            &Node::host(&host(number)),
            EdgeKind::InProject,
            &project_node,
        );
    }
    let (_, mut rows) = writes.rows();
    store.add_to_graph(writes).await?;
    let begun = Instant::now();
    for first in (0..all).step_by(BATCH as usize) {
        let mut writes = GraphWrites::default();
        for number in first..(first + BATCH).min(all) {
            sighting(&mut writes, in_bursts(number, all), all);
        }
        rows += writes.rows().1;
        store.add_to_graph(writes).await?;
    }
    let rate = all as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{} edges written, each everywhere and in a project: {rate:.0} sightings/s.\n",
        rows / 2
    );
    questions(store, all).await
}

fn walk(hops: u8) -> Walk {
    Walk {
        hops,
        direction: Direction::Both,
        edges: Vec::new(),
        not_through: vec![NodeKind::Project],
    }
}

async fn questions(store: &dyn Store, all: u64) -> Result<()> {
    let everything = GraphView::of(None)?;
    let one = GraphView::of(Some(vec![project(0)]))?;
    let three = GraphView::of(Some((0..3).map(project).collect()))?;
    println!(
        "| question, {TIMES} times | median, ms | 99th, ms | found, median | cut off |\n|---|---|---|---|---|"
    );
    // A process of a host of the first project, for those who see that alone.
    let any = |n: u64| process(chance(n ^ 0xaa) % all, all);
    let mine = |n: u64| {
        (0..)
            .map(|again| any(n * 1000 + again))
            .find(|process| process.host % PROJECTS == 0)
            .unwrap_or_else(|| any(n))
    };
    let common = |n: u64| rule(n % 3);
    let rare = |n: u64| rule(RULES - 1 - n % 30);
    radius("4 hops around a process", store, &everything, |n| {
        any(n).node
    })
    .await?;
    radius("4 hops around a process, one project", store, &one, |n| {
        mine(n).node
    })
    .await?;
    radius(
        "4 hops around a process, three projects",
        store,
        &three,
        |n| mine(n).node,
    )
    .await?;
    radius("4 hops around an image", store, &everything, |n| {
        image(n % IMAGES)
    })
    .await?;
    radius("4 hops around a frequent rule", store, &everything, common).await?;
    radius("4 hops around a rare rule", store, &everything, rare).await?;
    radius("4 hops around an address", store, &everything, |n| {
        address(skewed(n << 4, ADDRESSES))
    })
    .await?;
    radius("4 hops around a host", store, &everything, |n| {
        Node::host(&host(n % HOSTS))
    })
    .await?;
    path(
        "path of up to 4 hops, two processes",
        store,
        &everything,
        4,
        |n| (any(n).node, any(n ^ 0x5555).node),
    )
    .await?;
    path(
        "path of up to 8 hops, two processes",
        store,
        &everything,
        8,
        |n| (any(n).node, any(n ^ 0x5555).node),
    )
    .await?;
    path(
        "path of up to 4 hops, rare rule to address",
        store,
        &everything,
        4,
        |n| (rare(n), address(skewed(n << 4, ADDRESSES))),
    )
    .await?;
    path(
        "path of up to 4 hops, two processes, one project",
        store,
        &one,
        4,
        |n| (mine(n).node, mine(n ^ 0x5555).node),
    )
    .await?;
    pages(store, &everything).await
}

async fn radius(
    name: &str,
    store: &dyn Store,
    view: &GraphView,
    of: impl Fn(u64) -> Node,
) -> Result<()> {
    let mut figures = Figures::default();
    for n in 0..TIMES {
        let id = of(n).id();
        let begun = Instant::now();
        let found = store.graph_radius(view, id, &walk(4)).await;
        let took = begun.elapsed();
        // Of an address that nobody connected to, there is nothing.
        if let Ok(found) = found {
            let reached = found.groups.iter().map(|group| group.count).sum();
            figures.add(took, reached, found.truncated);
        }
    }
    figures.print(name);
    Ok(())
}

async fn path(
    name: &str,
    store: &dyn Store,
    view: &GraphView,
    hops: u8,
    ends: impl Fn(u64) -> (Node, Node),
) -> Result<()> {
    let mut figures = Figures::default();
    for n in 0..TIMES {
        let (from, to) = ends(n);
        let begun = Instant::now();
        let found = store
            .graph_path(view, from.id(), to.id(), &walk(hops))
            .await;
        let took = begun.elapsed();
        if let Ok(found) = found {
            let steps = found.path.map_or(0, |path| path.edges.len());
            figures.add(took, steps, found.truncated);
        }
    }
    figures.print(name);
    Ok(())
}

async fn pages(store: &dyn Store, view: &GraphView) -> Result<()> {
    let mut figures = Figures::default();
    for n in 0..TIMES {
        let begun = Instant::now();
        let found = store
            .neighbours(
                view,
                rule(n % 3).id(),
                &NeighbourFilter::default(),
                None,
                PageSize::new(100)?,
            )
            .await?;
        figures.add(begun.elapsed(), found.items.len(), false);
    }
    figures.print("100 neighbours of a frequent rule");
    let mut figures = Figures::default();
    for n in 0..TIMES {
        let search = NodeSearch {
            kinds: Vec::new(),
            text: format!("worker-{}", n % PROGRAMS),
        };
        let begun = Instant::now();
        let found = store
            .search_graph(view, &search, None, PageSize::new(50)?)
            .await?;
        figures.add(begun.elapsed(), found.items.len(), false);
    }
    figures.print("50 nodes by the beginning of their name, all kinds");
    Ok(())
}

#[derive(Default)]
struct Figures {
    took: Vec<Duration>,
    found: Vec<usize>,
    cut: usize,
}

impl Figures {
    fn add(&mut self, took: Duration, found: usize, cut: bool) {
        self.took.push(took);
        self.found.push(found);
        self.cut += usize::from(cut);
    }

    fn print(mut self, name: &str) {
        let times = self.took.len();
        if times == 0 {
            println!("| {name} | | | nothing | |");
            return;
        }
        self.took.sort_unstable();
        self.found.sort_unstable();
        let ms = |place: usize| self.took[place].as_secs_f64() * 1e3;
        println!(
            "| {name} | {:.2} | {:.2} | {} | {:.0} % |",
            ms(times / 2),
            ms(times * 99 / 100),
            self.found[times / 2],
            self.cut as f64 * 100.0 / times as f64,
        );
    }
}
