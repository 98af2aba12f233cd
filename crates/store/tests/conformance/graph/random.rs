//! Random graphs and random viewers: the store answers as the model does.

use super::cases::{everything, only};
use super::model::{Model, Seen};
use crate::lab::{Case, NOW, page};
use picket_store::{
    Direction, EdgeKind, GraphEdge, GraphView, GraphWrites, NeighbourFilter, Node, NodeKind,
    NodeSearch, Place, Uuid, Walk, new_id,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;

const EDGES: usize = 220;
const VIEWERS: usize = 16;
const QUESTIONS: usize = 30;

/// Pairs of nodes that may be related, of few nodes: they are met again.
fn related() -> impl Strategy<Value = (Node, EdgeKind, Node)> {
    let process = || {
        (0..6_u8, 0..4_u8).prop_map(|(host, path)| {
            Node::process(Place::Host(&format!("h{host}")), &format!("/bin/p{path}"))
        })
    };
    let host = || (0..6_u8).prop_map(|host| Node::host(&format!("h{host}")));
    let container = || (0..6_u8).prop_map(|number| Node::container(&format!("c{number}")));
    let rule = || (0..4_u8).prop_map(|number| Node::rule(&format!("r{number}")));
    let ip = (0..5_u8).prop_map(|number| Node::ip(&format!("192.0.2.{number}")));
    let image = (0..3_u8).prop_map(|number| Node::image(&format!("shop/i{number}")));
    let project = (1..3_u8)
        .prop_map(|number| Node::project(Uuid::from_u128(number.into()), &format!("t{number}")));
    prop_oneof![
        (process(), process()).prop_map(|(a, b)| (a, EdgeKind::Started, b)),
        (process(), host()).prop_map(|(a, b)| (a, EdgeKind::RunsOn, b)),
        (process(), container()).prop_map(|(a, b)| (a, EdgeKind::RunsOn, b)),
        (rule(), process()).prop_map(|(a, b)| (a, EdgeKind::Matched, b)),
        (rule(), host()).prop_map(|(a, b)| (a, EdgeKind::Matched, b)),
        (process(), ip).prop_map(|(a, b)| (a, EdgeKind::Connected, b)),
        (container(), image).prop_map(|(a, b)| (a, EdgeKind::FromImage, b)),
        (host(), container()).prop_map(|(a, b)| (a, EdgeKind::Runs, b)),
        (host(), project).prop_map(|(a, b)| (a, EdgeKind::InProject, b)),
    ]
}

fn some<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    let some = prop::collection::vec(prop::sample::select(all.to_vec()), 1..6);
    prop_oneof![5 => Just(Vec::new()), 1 => some]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![Direction::Both, Direction::Out, Direction::In])
}

fn filter() -> impl Strategy<Value = NeighbourFilter> {
    let time = || prop::option::weighted(0.3, (0..20_i64).prop_map(|n| NOW + n));
    let kinds = (some(&EdgeKind::ALL), some(&NodeKind::ALL));
    (kinds, direction(), time(), time()).prop_map(|((edges, kinds), direction, from, until)| {
        NeighbourFilter {
            edges,
            kinds,
            direction,
            from,
            until,
        }
    })
}

fn walk() -> impl Strategy<Value = Walk> {
    let kinds = (some(&EdgeKind::ALL), some(&NodeKind::ALL));
    (1..=6_u8, direction(), kinds).prop_map(|(hops, direction, (edges, not_through))| Walk {
        hops,
        direction,
        edges,
        not_through,
    })
}

fn runner() -> TestRunner {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    TestRunner::new_with_rng(Config::default(), random)
}

pub async fn the_store_answers_as_the_model(case: &Case) {
    let mut runner = runner();
    let projects: Vec<Uuid> = (0..3).map(|_| new_id()).collect();
    let of_projects = prop::collection::vec(prop::sample::select(projects.clone()), 0..3);
    let one = (related(), 0..20_i64, of_projects.clone());
    let mut seen = Vec::new();
    let mut writes = GraphWrites::default();
    for number in 0..EDGES {
        let ((src, kind, dst), time, mut projects) = one.new_tree(&mut runner).unwrap().current();
        projects.sort_unstable();
        projects.dedup();
        if src == dst {
            continue;
        }
        let time = NOW + time;
        writes.sighting(time, &projects, 1).edge(&src, kind, &dst);
        seen.push(Seen {
            src,
            kind,
            dst,
            time,
            projects,
        });
        // Written in several batches: rows are changed too.
        if number % 40 == 0 {
            let writes = std::mem::take(&mut writes);
            case.store.add_to_graph(writes).await.unwrap();
        }
    }
    case.store.add_to_graph(writes).await.unwrap();
    let all: Vec<Uuid> = Model::of(&seen, None).nodes().into_iter().collect();
    let viewers = prop::option::weighted(0.8, of_projects);
    let mut paths = 0;
    for _ in 0..VIEWERS {
        let viewer = viewers.new_tree(&mut runner).unwrap().current();
        let model = Model::of(&seen, viewer.as_deref());
        let view = match &viewer {
            None => everything(),
            Some(projects) => only(projects),
        };
        nodes(case, &view, &model, &all).await;
        let node = prop::sample::select(all.clone());
        for _ in 0..QUESTIONS {
            let asked = (node.clone(), filter(), 1..12_u32);
            let (id, filter, rows) = asked.new_tree(&mut runner).unwrap().current();
            neighbours(case, &view, &model, id, &filter, rows).await;
            let asked = (node.clone(), node.clone(), walk());
            let (from, to, walk) = asked.new_tree(&mut runner).unwrap().current();
            paths += usize::from(path(case, &view, &model, (from, to), &walk).await);
            radius(case, &view, &model, from, &walk).await;
        }
    }
    // Enough was found for this to say something.
    assert!(paths > 30, "{paths}");
}

/// Exactly the nodes with an edge that the viewer sees are found.
async fn nodes(case: &Case, view: &GraphView, model: &Model, all: &[Uuid]) {
    let visible = model.nodes();
    for id in all {
        let found = case.store.graph_node(view, *id).await;
        assert_eq!(found.is_ok(), visible.contains(id), "{id}: {found:?}");
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let search = NodeSearch::default();
        let got = case
            .store
            .search_graph(view, &search, after, page(7))
            .await
            .unwrap();
        found.extend(got.items.into_iter().map(|node| node.id));
        after = got.next;
        if after.is_none() {
            break;
        }
    }
    let count = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), count);
    assert_eq!(found, visible.into_iter().collect::<Vec<_>>());
}

async fn neighbours(
    case: &Case,
    view: &GraphView,
    model: &Model,
    id: Uuid,
    filter: &NeighbourFilter,
    rows: u32,
) {
    let (mut found, mut after) = (Vec::<(Uuid, GraphEdge)>::new(), None);
    loop {
        let got = case
            .store
            .neighbours(view, id, filter, after, page(rows))
            .await;
        if !model.nodes().contains(&id) {
            assert!(got.is_err());
            return;
        }
        let got = got.unwrap();
        assert!(got.items.len() <= rows as usize);
        found.extend(got.items.into_iter().map(|one| (one.node.id, one.edge)));
        after = got.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = model.neighbours(id, filter);
    let key = |(id, edge): &(Uuid, GraphEdge)| (*id, edge.out, edge.kind);
    found.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(found, expected, "{filter:?}");
}

async fn path(
    case: &Case,
    view: &GraphView,
    model: &Model,
    (from, to): (Uuid, Uuid),
    walk: &Walk,
) -> bool {
    let answer = case.store.graph_path(view, from, to, walk).await;
    let visible = model.nodes();
    if !visible.contains(&from) || !visible.contains(&to) {
        assert!(answer.is_err());
        return false;
    }
    let answer = answer.unwrap();
    assert!(!answer.truncated);
    let expected = model.reached(from, walk, Some(to)).get(&to).copied();
    let Some(path) = answer.path else {
        assert_eq!(expected, None, "{walk:?}");
        return false;
    };
    assert_eq!(expected, Some(path.edges.len() as u8), "{walk:?} {path:?}");
    assert_eq!(path.nodes.first().unwrap().id, from);
    assert_eq!(path.nodes.last().unwrap().id, to);
    // Every step is an edge that the viewer sees.
    for (step, (kind, out)) in path.edges.iter().enumerate() {
        let (a, b) = (path.nodes[step].id, path.nodes[step + 1].id);
        let (src, dst) = if *out { (a, b) } else { (b, a) };
        assert!(model.edges.contains_key(&(src, kind.name(), dst)));
    }
    !path.edges.is_empty()
}

async fn radius(case: &Case, view: &GraphView, model: &Model, id: Uuid, walk: &Walk) {
    let answer = case.store.graph_radius(view, id, walk).await;
    if !model.nodes().contains(&id) {
        assert!(answer.is_err());
        return;
    }
    let answer = answer.unwrap();
    assert!(!answer.truncated);
    let mut expected: BTreeMap<NodeKind, Vec<usize>> = BTreeMap::new();
    for (other, hop) in model.reached(id, walk, None) {
        if other != id {
            let hops = expected
                .entry(picket_store::kind_of_id(other).unwrap())
                .or_default();
            hops.resize(hops.len().max(hop.into()), 0);
            hops[usize::from(hop) - 1] += 1;
        }
    }
    let found: BTreeMap<NodeKind, Vec<usize>> = answer
        .groups
        .iter()
        .map(|group| (group.kind, group.by_hop.clone()))
        .collect();
    assert_eq!(found, expected, "{walk:?}");
    for group in &answer.groups {
        assert_eq!(group.count, group.by_hop.iter().sum::<usize>());
        assert_eq!(group.top.len(), group.count.min(10));
    }
}
