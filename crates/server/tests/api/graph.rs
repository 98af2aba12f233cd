//! The security graph, from findings to questions.

use crate::client::Client;
use crate::lab::Lab;
use crate::world::{NOW, finding, project, project_id, sensor, store};
use picket_server::auth::Role;
use picket_store::{EdgeKind, GraphWrites, Node, Place};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The node of a kind and key, once the digest has made it.
fn node(client: &Client, kind: &str, key: &str) -> Value {
    let path = format!("/api/v1/graph/nodes?kind={kind}&key={key}");
    let begun = Instant::now();
    loop {
        let found = client.get(&path).expect(200).json();
        if let Some(node) = found["items"].get(0) {
            return node.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "no {kind} {key}");
        std::thread::yield_now();
    }
}

fn id(node: &Value) -> &str {
    node["id"].as_str().unwrap()
}

/// `>edge label`, for each neighbour.
fn around(client: &Client, node: &Value, query: &str) -> Vec<String> {
    let path = format!("/api/v1/graph/nodes/{}/neighbours?{query}", id(node));
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}{cursor}")).expect(200).json();
        for item in page["items"].as_array().unwrap() {
            let edge = &item["edge"];
            let arrow = if edge["direction"] == "out" { ">" } else { "<" };
            let kind = edge["kind"].as_str().unwrap();
            found.push(format!(
                "{arrow}{kind} {}",
                item["node"]["label"].as_str().unwrap()
            ));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

pub fn findings_and_issues_stand_in_the_graph(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    let payments = project_id(lab, "payments");
    let sensor = sensor(lab, "web-1");
    let mut one = finding(sensor, "e1/web-shell", NOW, &[payments]);
    one.columns.process = Some("/usr/bin/dash".to_owned());
    one.columns.user = Some("www-data".to_owned());
    one.facts = json!({
        "title": "A web server started a shell", "issue": true,
        "ancestors": ["/usr/sbin/nginx"],
        "destination": {"ip": "198.51.100.7", "port": 4444},
        "policies": [{"name": "stop", "outcome": "acted", "kill": true}],
    });
    store(lab, vec![one]);
    let viewer = lab.user("vera", &[(Some("payments"), Role::Viewer)]);
    let shell = node(&viewer, "process", "host:web-1:/usr/bin/dash");
    assert_eq!(
        (&shell["label"], &shell["count"]),
        (&json!("/usr/bin/dash"), &json!(1))
    );
    let near = [
        ">runs_on web-1",
        ">as_user www-data",
        ">connected 198.51.100.7",
        "<matched web-shell",
        "<acted_on stop",
        "<started /usr/sbin/nginx",
        "<by web-shell on web-1",
    ];
    for query in ["limit=100", "limit=1", "limit=3"] {
        assert_eq!(around(&viewer, &shell, query), near);
    }
    let rule = node(&viewer, "rule", "web-shell");
    // The finding's count, not the issue's on top of it.
    assert_eq!(rule["count"], json!(1));
    assert!(
        around(&viewer, &rule, "edge=groups")
            .iter()
            .eq(["<groups A web server started a shell"])
    );
    let issues = viewer
        .get("/api/v1/graph/nodes?kind=issue&text=a%20WEB")
        .json();
    let issue = &issues["items"][0];
    assert_eq!(
        around(&viewer, issue, "limit=9"),
        [
            ">groups web-shell",
            ">on web-1",
            ">groups web-shell on web-1"
        ]
    );

    let ip = node(&viewer, "ip", "198.51.100.7");
    let path = format!("/api/v1/graph/path?from={}&to={}", id(&rule), id(&ip));
    let path = viewer.get(&path).expect(200).json();
    assert_eq!(
        (&path["found"], &path["truncated"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(path["from"]["label"], "web-shell");
    let steps = path["steps"].as_array().unwrap();
    let step = |step: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{} {}", text(&step["edge"]), text(&step["node"]["label"]))
    };
    let steps: Vec<String> = steps.iter().map(step).collect();
    assert_eq!(steps, ["matched /usr/bin/dash", "connected 198.51.100.7"]);
    let radius = format!(
        "/api/v1/graph/nodes/{}/radius?hops=2&direction=out",
        id(&rule)
    );
    let radius = viewer.get(&radius).expect(200).json();
    let groups = radius["groups"].as_array().unwrap().iter();
    let groups: Vec<String> = groups
        .map(|group| format!("{} {}", group["kind"], group["count"]))
        .collect();
    assert_eq!(
        groups,
        ["\"user\" 1", "\"host\" 1", "\"process\" 1", "\"ip\" 1"]
    );
    for bad in [
        "nodes?kind=planet",
        "nodes?key=x",
        "nodes?kind=rule&kind=host&key=x",
        "nodes?colour=red",
        "nodes?cursor=x",
        &format!("path?from={}", id(&rule)),
        &format!("nodes/{}/radius?direction=up", id(&rule)),
        &format!("nodes/{}/neighbours?edge=loves", id(&rule)),
        &format!("nodes/{}/neighbours?cursor=YQ", id(&rule)),
    ] {
        viewer.get(&format!("/api/v1/graph/{bad}")).problem(400);
    }
    for (bad, status) in [
        (format!("nodes/{}/radius?hops=9", id(&rule)), 422),
        (format!("nodes/{}/radius?hops=0", id(&rule)), 422),
        ("nodes?limit=501".to_owned(), 422),
        // A cursor made up, with NUL in its name.
        (format!("nodes?cursor={NUL}"), 422),
        ("nodes/x/neighbours".to_owned(), 404),
        (format!("path?from={}&to={}", id(&rule), NOWHERE), 404),
        ("nodes?project=nowhere".to_owned(), 404),
    ] {
        let answer = viewer.get(&format!("/api/v1/graph/{bad}"));
        answer.problem(status);
    }
}

/// `rule`, an id, and a name that no database takes, as a cursor has them.
const NUL: &str = "cnVsZQowMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAKAA";
const NOWHERE: &str = "167e1d93-eeac-8cb7-86f9-3ff9d62ec0a9";

pub fn projects_hide_nodes_and_paths(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    project(&lab.admin, "other", "db-*");
    let (payments, other) = (project_id(lab, "payments"), project_id(lab, "other"));
    let (web, db) = (Node::host("web-1"), Node::host("db-1"));
    let secret = Node::process(Place::Host("db-1"), "/opt/secret");
    let rule = Node::rule("both");
    let mut writes = GraphWrites::default();
    let mut seen = writes.sighting(NOW, &[other], 1);
    seen.edge(&rule, EdgeKind::Matched, &secret);
    seen.edge(&secret, EdgeKind::RunsOn, &db);
    let mut seen = writes.sighting(NOW, &[payments], 1);
    seen.edge(&rule, EdgeKind::Matched, &web);
    lab.runtime
        .block_on(lab.store.add_to_graph(writes))
        .unwrap();

    let viewer = lab.user("vera", &[(Some("payments"), Role::Viewer)]);
    let both = lab.user(
        "bert",
        &[
            (Some("payments"), Role::Viewer),
            (Some("other"), Role::Viewer),
        ],
    );
    let labels = |client: &Client, query: &str| -> Vec<String> {
        let page = client.get(&format!("/api/v1/graph/nodes?{query}"));
        let page = page.expect(200).json();
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|node| node["label"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(labels(&viewer, "text=&kind=rule&kind=process"), ["both"]);
    assert!(labels(&viewer, "text=secret").is_empty());
    assert_eq!(labels(&both, "text=secret"), ["/opt/secret"]);
    assert!(labels(&both, "text=secret&project=payments").is_empty());
    viewer.get("/api/v1/graph/nodes?project=other").problem(404);
    let path = format!("/api/v1/graph/path?from={}&to=", web.id());
    let to = |client: &Client, node: &Node| client.get(&format!("{path}{}", node.id()));
    assert_eq!(
        to(&both, &db).expect(200).json()["steps"][2]["edge"],
        "runs_on"
    );
    to(&viewer, &db).problem(404);
    let rules = viewer.get(&format!("/api/v1/graph/nodes/{}/radius", rule.id()));
    let rules = rules.expect(200).json();
    assert_eq!(rules["groups"][0]["kind"], "host");
    assert_eq!(rules["groups"].as_array().unwrap().len(), 1);
}
