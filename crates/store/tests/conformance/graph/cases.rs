use crate::findings::finding;
use crate::lab::{Case, NOW, SECOND, page};
use picket_store::limits::{MAX_GRAPH_FAN_OUT, MAX_GRAPH_FIRST_FAN_OUT, MAX_GRAPH_REACHED};
use picket_store::{
    Delivered, Direction, EdgeKind, GraphNode, GraphView, GraphWrites, Micros, NeighbourFilter,
    Node, NodeKind, NodeSearch, Place, StoreError, Uuid, Walk, new_id,
};
use std::sync::Arc;

const DAY: Micros = 24 * 3600 * SECOND;

pub fn everything() -> GraphView {
    GraphView::of(None).unwrap()
}

pub fn only(projects: &[Uuid]) -> GraphView {
    GraphView::of(Some(projects.to_vec())).unwrap()
}

pub fn walk(hops: u8) -> Walk {
    Walk {
        hops,
        direction: Direction::Both,
        edges: Vec::new(),
        not_through: Vec::new(),
    }
}

fn shell() -> Node {
    Node::process(Place::Host("web-1"), "/usr/bin/dash")
}

fn server() -> Node {
    Node::process(Place::Host("web-1"), "/usr/sbin/nginx")
}

/// A web server that started a shell, which a rule matched.
fn web_shell(writes: &mut GraphWrites, time: Micros, projects: &[Uuid]) {
    let mut seen = writes.sighting(time, projects, 1);
    assert!(seen.edge(&server(), EdgeKind::Started, &shell()));
    assert!(seen.edge(&Node::rule("web-shell"), EdgeKind::Matched, &shell()));
    for process in [shell(), server()] {
        assert!(seen.edge(&process, EdgeKind::RunsOn, &Node::host("web-1")));
    }
    assert!(seen.edge(&shell(), EdgeKind::Connected, &Node::ip("198.51.100.7")));
}

async fn names(case: &Case, view: &GraphView, filter: &NeighbourFilter, of: &Node) -> Vec<String> {
    let found = case
        .store
        .neighbours(view, of.id(), filter, None, page(100))
        .await
        .unwrap();
    assert_eq!(found.next, None);
    let name = |one: &picket_store::Neighbour| {
        let arrow = if one.edge.out { ">" } else { "<" };
        format!("{arrow}{} {}", one.edge.kind.name(), one.node.label)
    };
    found.items.iter().map(name).collect()
}

pub async fn sightings_add_up(case: &Case) {
    let store = &case.store;
    let project = new_id();
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW + 5, &[project]);
    web_shell(&mut writes, NOW + 2, &[]);
    store.add_to_graph(writes).await.unwrap();
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW + 9, &[]);
    store.add_to_graph(writes).await.unwrap();

    let node = store.graph_node(&everything(), shell().id()).await.unwrap();
    let expected = GraphNode {
        id: shell().id(),
        kind: NodeKind::Process,
        key: "host:web-1:/usr/bin/dash".to_owned(),
        label: "/usr/bin/dash".to_owned(),
        first_seen: NOW + 2,
        last_seen: NOW + 9,
        count: 3,
    };
    assert_eq!(node, expected);
    // Of what others see, nothing is told: not even how often.
    let node = store
        .graph_node(&only(&[project]), shell().id())
        .await
        .unwrap();
    assert_eq!(
        (node.first_seen, node.last_seen, node.count),
        (NOW + 5, NOW + 5, 1)
    );
    let all = NeighbourFilter::default();
    let expected = [
        ">runs_on web-1",
        ">connected 198.51.100.7",
        "<matched web-shell",
        "<started /usr/sbin/nginx",
    ];
    assert_eq!(names(case, &everything(), &all, &shell()).await, expected);
    let edges = store
        .neighbours(&everything(), shell().id(), &all, None, page(1))
        .await
        .unwrap();
    let edge = edges.items[0].edge;
    assert_eq!(
        (edge.first_seen, edge.last_seen, edge.count),
        (NOW + 2, NOW + 9, 3)
    );
}

pub async fn writers_at_once_lose_nothing(case: &Case) {
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let tasks: Vec<_> = (0..8_usize)
        .map(|task| {
            let store = Arc::clone(&replicas[task % 2]);
            tokio::spawn(async move {
                for round in 0..5 {
                    let mut writes = GraphWrites::default();
                    for number in 0..150_usize {
                        // Named in another order each time.
                        let host = Node::host(&format!("h{}", (number * 7 + task) % 150));
                        let mut seen = writes.sighting(NOW + round, &[], 1);
                        seen.edge(&Node::rule("r"), EdgeKind::Matched, &host);
                    }
                    store.add_to_graph(writes).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for (node, count) in [(Node::host("h3"), 40), (Node::rule("r"), 8 * 5 * 150)] {
        let found = case.store.graph_node(&everything(), node.id()).await;
        assert_eq!(found.unwrap().count, count);
    }
}

pub async fn neighbours_are_filtered(case: &Case) {
    let store = &case.store;
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW, &[]);
    let mut later = writes.sighting(NOW + 10, &[], 1);
    later.edge(&shell(), EdgeKind::Connected, &Node::ip("192.0.2.1"));
    store.add_to_graph(writes).await.unwrap();
    let all = NeighbourFilter::default;
    #[rustfmt::skip]
    let filters = [
        (NeighbourFilter { edges: vec![EdgeKind::Started, EdgeKind::Matched], ..all() },
            vec!["<matched web-shell", "<started /usr/sbin/nginx"]),
        (NeighbourFilter { kinds: vec![NodeKind::Host], ..all() }, vec![">runs_on web-1"]),
        (NeighbourFilter { direction: Direction::In, kinds: vec![NodeKind::Rule, NodeKind::Host], ..all() },
            vec!["<matched web-shell"]),
        (NeighbourFilter { direction: Direction::Out, from: Some(NOW + 1), ..all() },
            vec![">connected 192.0.2.1"]),
        (NeighbourFilter { direction: Direction::Out, until: Some(NOW + 1), ..all() },
            vec![">runs_on web-1", ">connected 198.51.100.7"]),
        (NeighbourFilter { from: Some(NOW + 11), ..all() }, vec![]),
    ];
    for (filter, expected) in filters {
        let found = names(case, &everything(), &filter, &shell()).await;
        assert_eq!(found, expected, "{filter:?}");
    }
    let nobody = store
        .neighbours(
            &everything(),
            Node::host("web-2").id(),
            &all(),
            None,
            page(9),
        )
        .await;
    assert!(
        matches!(nobody, Err(StoreError::NotFound { .. })),
        "{nobody:?}"
    );
}

pub async fn a_window_over_a_hub_is_read_in_bounded_steps(case: &Case) {
    let store = &case.store;
    let rule = Node::rule("hub");
    let mut writes = GraphWrites::default();
    for number in 0..5000_i64 {
        let host = Node::host(&format!("h{number}"));
        let time = NOW + i64::from(number == 4321) * SECOND;
        writes
            .sighting(time, &[], 1)
            .edge(&rule, EdgeKind::Matched, &host);
    }
    store.add_to_graph(writes).await.unwrap();
    let filter = NeighbourFilter {
        from: Some(NOW + 1),
        ..NeighbourFilter::default()
    };
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let got = store
            .neighbours(&everything(), rule.id(), &filter, after, page(10))
            .await
            .unwrap();
        found.extend(got.items.into_iter().map(|one| one.node.label));
        after = got.next;
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["h4321"]);
    assert!((2..=4).contains(&pages), "{pages}");
}

pub async fn nodes_are_searched_by_their_names(case: &Case) {
    let store = &case.store;
    let (mine, other) = (new_id(), new_id());
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW, &[mine]);
    let place = Place::Host("db_1");
    for (path, projects) in [
        ("/opt/DASH-tool", vec![other]),
        ("/opt/dash", vec![other, mine]),
    ] {
        let mut seen = writes.sighting(NOW, &projects, 1);
        let process = Node::process(place, path);
        seen.edge(&process, EdgeKind::RunsOn, &Node::host("db_1"));
    }
    store.add_to_graph(writes).await.unwrap();
    let search = async |view: &GraphView, kinds: &[NodeKind], text: &str| -> Vec<String> {
        let search = NodeSearch {
            kinds: kinds.to_vec(),
            text: text.to_owned(),
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let got = store
                .search_graph(view, &search, after, page(1))
                .await
                .unwrap();
            found.extend(got.items.into_iter().map(|node| node.label));
            after = got.next;
            if after.is_none() {
                found.sort();
                return found;
            }
        }
    };
    let (all, mine, other) = (everything(), only(&[mine]), only(&[other]));
    let process = [NodeKind::Process];
    assert_eq!(
        search(&all, &process, "dash").await,
        ["/opt/DASH-tool", "/opt/dash", "/usr/bin/dash"]
    );
    assert_eq!(search(&all, &process, "Dash-").await, ["/opt/DASH-tool"]);
    assert_eq!(
        search(&all, &process, "/opt/dash").await,
        ["/opt/DASH-tool", "/opt/dash"]
    );
    assert_eq!(search(&all, &process, "/usr/").await.len(), 2);
    assert_eq!(
        search(&mine, &process, "dash").await,
        ["/opt/dash", "/usr/bin/dash"]
    );
    assert_eq!(
        search(&other, &[], "d").await,
        ["/opt/DASH-tool", "/opt/dash", "db_1"]
    );
    let hosts = [NodeKind::Host, NodeKind::Rule, NodeKind::Host];
    assert_eq!(
        search(&all, &hosts, "").await,
        ["db_1", "web-1", "web-shell"]
    );
    // What SQL would take for a pattern is not one.
    assert!(search(&all, &hosts, "db%").await.is_empty());
    assert!(search(&all, &hosts, "web_1").await.is_empty());
    assert!(search(&only(&[]), &[], "").await.is_empty());
    assert!(search(&only(&[Uuid::nil()]), &[], "").await.is_empty());
}

pub async fn rights_hold_on_every_hop(case: &Case) {
    let store = &case.store;
    let (mine, other) = (new_id(), new_id());
    // a – secret – b: the middle is of another project; a – x – y – b is mine.
    let host = |name: &str| Node::host(name);
    let mut writes = GraphWrites::default();
    let mut edge = |rule: &str, to: &str, project: Uuid| {
        let mut seen = writes.sighting(NOW, &[project], 1);
        seen.edge(&Node::rule(rule), EdgeKind::Matched, &host(to));
    };
    edge("secret", "a", other);
    edge("secret", "b", other);
    edge("x", "a", mine);
    edge("x", "y", mine);
    edge("z", "y", mine);
    edge("z", "b", mine);
    edge("x", "b", other);
    store.add_to_graph(writes).await.unwrap();

    let path = async |view: &GraphView| -> Option<Vec<String>> {
        let found = store
            .graph_path(view, host("a").id(), host("b").id(), &walk(8))
            .await
            .unwrap();
        assert!(!found.truncated);
        let labels = |path: picket_store::GraphPath| {
            assert_eq!(path.edges.len() + 1, path.nodes.len());
            path.nodes.into_iter().map(|node| node.label).collect()
        };
        found.path.map(labels)
    };
    assert_eq!(path(&everything()).await.unwrap().len(), 3);
    assert_eq!(
        path(&only(&[mine])).await.unwrap(),
        ["a", "x", "y", "z", "b"]
    );
    assert_eq!(path(&only(&[other])).await.unwrap(), ["a", "secret", "b"]);
    assert_eq!(path(&only(&[mine, other])).await.unwrap().len(), 3);
    let hidden = store
        .graph_node(&only(&[mine]), Node::rule("secret").id())
        .await;
    assert!(matches!(hidden, Err(StoreError::NotFound { .. })));
    for (from, to) in [("a", "secret"), ("secret", "a")] {
        let id = |name: &str| match name {
            "secret" => Node::rule(name).id(),
            _ => host(name).id(),
        };
        let refused = store
            .graph_path(&only(&[mine]), id(from), id(to), &walk(3))
            .await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    }
    let reached = store
        .graph_radius(&only(&[mine]), host("a").id(), &walk(8))
        .await
        .unwrap();
    let rules = reached
        .groups
        .iter()
        .find(|group| group.kind == NodeKind::Rule);
    assert_eq!(rules.unwrap().by_hop, [1, 0, 1]);
    assert!(store.graph_node(&only(&[]), host("a").id()).await.is_err());
}

pub async fn a_hub_is_cut_and_said_so(case: &Case) {
    let store = &case.store;
    let hosts = MAX_GRAPH_FIRST_FAN_OUT + 500;
    let rule = Node::rule("hub");
    let host = |number: usize| Node::host(&format!("h{number}"));
    let mut writes = GraphWrites::default();
    for number in 0..hosts {
        let mut seen = writes.sighting(NOW, &[], 1);
        seen.edge(&rule, EdgeKind::Matched, &host(number));
    }
    let process = Node::process(Place::Host("h0"), "/bin/sh");
    let mut seen = writes.sighting(NOW, &[], 1);
    seen.edge(&process, EdgeKind::RunsOn, &host(0));
    seen.edge(&Node::policy("stop"), EdgeKind::Answers, &rule);
    store.add_to_graph(writes).await.unwrap();

    let radius = async |of: &Node, hops| {
        let found = store
            .graph_radius(&everything(), of.id(), &walk(hops))
            .await
            .unwrap();
        let count = |kind| {
            let group = found.groups.iter().find(|group| group.kind == kind);
            group.map_or(0, |group| group.count)
        };
        (
            count(NodeKind::Host),
            count(NodeKind::Policy),
            found.truncated,
        )
    };
    // From the hub itself; and over it.
    assert_eq!(radius(&rule, 1).await, (MAX_GRAPH_FIRST_FAN_OUT, 1, true));
    assert_eq!(radius(&process, 1).await, (1, 0, false));
    let (reached, policies, truncated) = radius(&process, 3).await;
    assert!(reached <= MAX_GRAPH_FAN_OUT + 1, "{reached}");
    assert_eq!((policies, truncated), (1, true));
    assert!(reached < MAX_GRAPH_REACHED);
    // Both ends meet at the hub, however many neighbours it has.
    let path = store
        .graph_path(&everything(), process.id(), host(hosts - 1).id(), &walk(4))
        .await
        .unwrap();
    assert_eq!(path.path.unwrap().nodes.len(), 4);
    // None is found within the limits: that there is none is not said.
    let mut writes = GraphWrites::default();
    let mut seen = writes.sighting(NOW, &[], 1);
    seen.edge(
        &Node::rule("alone"),
        EdgeKind::Matched,
        &Node::host("alone"),
    );
    store.add_to_graph(writes).await.unwrap();
    let alone = Node::host("alone").id();
    let none = store
        .graph_path(&everything(), alone, rule.id(), &walk(8))
        .await
        .unwrap();
    assert_eq!((none.path, none.truncated), (None, false));
    let along = Walk {
        edges: vec![EdgeKind::Answers],
        ..walk(3)
    };
    let only_answers = store
        .graph_radius(&everything(), rule.id(), &along)
        .await
        .unwrap();
    assert!(!only_answers.truncated);
    assert_eq!(only_answers.groups.len(), 1);
}

pub async fn walks_keep_to_what_they_are_told(case: &Case) {
    let store = &case.store;
    let project = Node::project(new_id(), "shop");
    let mut writes = GraphWrites::default();
    let mut seen = writes.sighting(NOW, &[], 0);
    for host in ["a", "b", "c"] {
        seen.edge(&Node::host(host), EdgeKind::InProject, &project);
    }
    let (first, second) = (Node::rule("r"), Node::rule("s"));
    seen.edge(&first, EdgeKind::Matched, &Node::host("a"));
    seen.edge(&second, EdgeKind::Matched, &Node::host("a"));
    seen.edge(&second, EdgeKind::Matched, &Node::host("b"));
    store.add_to_graph(writes).await.unwrap();
    let apart = Walk {
        not_through: vec![NodeKind::Project],
        ..walk(4)
    };
    let path = async |from: &Node, to: &Node, walk: &Walk| -> Option<Vec<String>> {
        let found = store
            .graph_path(&everything(), from.id(), to.id(), walk)
            .await
            .unwrap();
        let labels =
            |path: picket_store::GraphPath| path.nodes.into_iter().map(|node| node.label).collect();
        found.path.map(labels)
    };
    let (a, b, c) = (Node::host("a"), Node::host("b"), Node::host("c"));
    assert_eq!(path(&a, &b, &apart).await.unwrap(), ["a", "s", "b"]);
    assert_eq!(path(&a, &c, &apart).await, None);
    assert_eq!(path(&a, &c, &walk(2)).await.unwrap(), ["a", "shop", "c"]);
    assert_eq!(path(&a, &c, &walk(1)).await, None);
    // An end may be of such a kind.
    assert_eq!(path(&first, &project, &apart).await.unwrap().len(), 3);
    assert_eq!(path(&project, &first, &apart).await.unwrap().len(), 3);
    assert_eq!(path(&a, &a, &apart).await.unwrap(), ["a"]);
    let forward = Walk {
        direction: Direction::Out,
        ..walk(4)
    };
    assert_eq!(path(&first, &project, &forward).await.unwrap().len(), 3);
    assert_eq!(path(&project, &first, &forward).await, None);
    assert_eq!(path(&first, &second, &forward).await, None);
    let radius = store
        .graph_radius(&everything(), first.id(), &apart)
        .await
        .unwrap();
    let seen = radius.groups.iter().map(|group| (group.kind, group.count));
    let expected = [
        (NodeKind::Project, 1),
        (NodeKind::Rule, 1),
        (NodeKind::Host, 2),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    for hops in [0, 9, 255] {
        let refused = store
            .graph_radius(&everything(), first.id(), &walk(hops))
            .await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    }
}

pub async fn findings_are_nodes_that_are_not_stored(case: &Case) {
    let store = &case.store;
    let (mine, other) = (new_id(), new_id());
    let mut batch = Vec::new();
    for (number, project) in [mine, other, mine].into_iter().enumerate() {
        let mut one = finding(new_id(), &number.to_string(), NOW + number as i64);
        one.columns.process = Some("/usr/bin/dash".to_owned());
        one.columns.container = (number == 2).then(|| "c0".to_owned());
        one.projects = vec![project];
        batch.push(one);
    }
    let stored = store.store_findings(batch, NOW).await.unwrap();
    let ids: Vec<Uuid> = stored
        .into_iter()
        .map(|one| match one {
            Delivered::New(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW, &[mine]);
    web_shell(&mut writes, NOW, &[other]);
    store.add_to_graph(writes).await.unwrap();

    let findings = NeighbourFilter {
        kinds: vec![NodeKind::Finding],
        ..NeighbourFilter::default()
    };
    let of = async |view: &GraphView, node: &Node| -> Vec<Uuid> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let got = store
                .neighbours(view, node.id(), &findings, after, page(1))
                .await
                .unwrap();
            found.extend(got.items.into_iter().map(|one| one.node.id));
            after = got.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let (first, second, third) = (ids[0], ids[1], ids[2]);
    let rule = Node::rule("web-shell");
    assert_eq!(of(&everything(), &rule).await, [third, second, first]);
    assert_eq!(of(&only(&[mine]), &rule).await, [third, first]);
    // The one in the container is of another process.
    assert_eq!(of(&everything(), &shell()).await, [second, first]);
    assert_eq!(of(&only(&[mine]), &shell()).await, [first]);

    let node = store.graph_node(&only(&[mine]), first).await.unwrap();
    assert_eq!(
        (node.kind, node.label.as_str()),
        (NodeKind::Finding, "web-shell on web-1")
    );
    assert!(store.graph_node(&only(&[mine]), second).await.is_err());
    let all = NeighbourFilter::default();
    let (mut around, mut after) = (Vec::new(), None);
    loop {
        let got = store
            .neighbours(&only(&[mine]), first, &all, after, page(2))
            .await
            .unwrap();
        let name =
            |one: picket_store::Neighbour| format!("{} {}", one.edge.kind.name(), one.node.label);
        around.extend(got.items.into_iter().map(name));
        after = got.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(around, ["of web-shell", "on web-1", "by /usr/bin/dash"]);
    // After the edges come the findings, on pages of any size.
    for rows in 1..9 {
        let (mut labels, mut after) = (Vec::new(), None);
        loop {
            let got = store
                .neighbours(&only(&[mine]), shell().id(), &all, after, page(rows))
                .await
                .unwrap();
            labels.extend(got.items.into_iter().map(|one| one.node.label));
            after = got.next;
            if after.is_none() {
                break;
            }
        }
        let expected = [
            "web-1",
            "198.51.100.7",
            "web-shell",
            "/usr/sbin/nginx",
            "web-shell on web-1",
        ];
        assert_eq!(labels, expected, "pages of {rows}");
    }
    let ip = Node::ip("198.51.100.7").id();
    for (from, to) in [(first, ip), (ip, first)] {
        let path = store
            .graph_path(&only(&[mine]), from, to, &walk(4))
            .await
            .unwrap();
        let path = path.path.unwrap();
        assert_eq!(path.nodes.len(), 3);
        let from_finding = (EdgeKind::By, from == first);
        assert!(path.edges.contains(&from_finding), "{:?}", path.edges);
    }
    let radius = store
        .graph_radius(&only(&[mine]), first, &walk(2))
        .await
        .unwrap();
    assert_eq!(radius.node.id, first);
    assert!(radius.groups.iter().any(|group| group.kind == NodeKind::Ip));
}

pub async fn what_was_not_seen_for_long_is_deleted(case: &Case) {
    let store = &case.store;
    let mut writes = GraphWrites::default();
    web_shell(&mut writes, NOW - 10 * DAY, &[new_id()]);
    let mut recent = writes.sighting(NOW, &[], 1);
    recent.edge(
        &Node::rule("web-shell"),
        EdgeKind::Matched,
        &Node::host("web-2"),
    );
    store.add_to_graph(writes).await.unwrap();
    // Six edges and six nodes stand everywhere, five of each in the project too.
    assert_eq!(sweep(case, NOW - 11 * DAY, 100).await, [0, 0]);
    // The rule was seen since.
    assert_eq!(sweep(case, NOW, 4).await.iter().sum::<u64>(), 10 + 9);
    assert_eq!(sweep(case, NOW, 1000).await, [0, 0]);
    let gone = store.graph_node(&everything(), shell().id()).await;
    assert!(gone.is_err());
    let left = names(
        case,
        &everything(),
        &NeighbourFilter::default(),
        &Node::rule("web-shell"),
    )
    .await;
    assert_eq!(left, [">matched web-2"]);
}

/// What each step of a whole sweep deletes.
async fn sweep(case: &Case, time: Micros, step: u32) -> Vec<u64> {
    let (mut deleted, mut from) = (Vec::new(), None);
    loop {
        let swept = case.store.sweep_graph(time, from, step).await.unwrap();
        assert!(swept.deleted <= u64::from(step));
        deleted.push(swept.deleted);
        from = swept.next;
        if from.is_none() {
            return deleted;
        }
    }
}
