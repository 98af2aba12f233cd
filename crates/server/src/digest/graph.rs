//! What findings and issues add to the graph.

use super::Facts;
use picket_store::{
    EdgeKind, GraphWrites, IssueChange, Node, PendingFinding, Place, Sighting, Uuid,
};

/// Of a finding's ancestors, the nearest: who started whom further up is the same on
/// every host.
const ANCESTORS: usize = 5;
/// What starts a container's first process, from outside: by the beginning of its name.
const RUNTIMES: [&str; 4] = ["containerd-shim", "conmon", "runc", "crun"];

/// Nodes and edges of findings.
pub(super) fn of_findings(findings: &[(&PendingFinding, Facts)]) -> GraphWrites {
    let mut writes = GraphWrites::default();
    for (finding, facts) in findings {
        let mut seen = writes.sighting(finding.columns.time, &finding.projects, 1);
        sighting(&mut seen, finding, facts);
    }
    writes
}

fn sighting(seen: &mut Sighting<'_>, finding: &PendingFinding, facts: &Facts) {
    let columns = &finding.columns;
    let host = Node::host(&columns.host);
    let rule = Node::rule(&columns.rule);
    let place = Place::of(&columns.host, columns.container.as_deref());
    let container = columns.container.as_deref().map(Node::container);
    if let Some(container) = &container {
        seen.edge(&host, EdgeKind::Runs, container);
        if let Some(image) = &columns.image {
            seen.edge(container, EdgeKind::FromImage, &Node::image(image));
        }
    }
    let process = columns
        .process
        .as_deref()
        .map(|path| Node::process(place, path));
    // What is known of no process is its host's.
    let actor = process.as_ref().unwrap_or(&host);
    if let Some(process) = &process {
        runs(seen, process, place, &columns.host);
        if let Some(user) = &columns.user {
            seen.edge(process, EdgeKind::AsUser, &Node::user(place, user));
        }
        ancestors(seen, process, place, &columns.host, facts);
    }
    seen.edge(&rule, EdgeKind::Matched, actor);
    for response in facts.policies.iter().filter(|one| !one.name.is_empty()) {
        let policy = Node::policy(&response.name);
        seen.edge(&policy, EdgeKind::Answers, &rule);
        if response.outcome == "acted" {
            seen.edge(&policy, EdgeKind::ActedOn, actor);
        }
    }
    if let Some(domain) = &facts.domain {
        seen.edge(actor, EdgeKind::Asked, &Node::domain(domain));
    }
    if let Some(destination) = &facts.destination {
        let address = Node::ip(&destination.ip);
        seen.edge(actor, EdgeKind::Connected, &address);
        if let Some(domain) = &destination.domain {
            let domain = Node::domain(domain);
            seen.edge(actor, EdgeKind::Asked, &domain);
            seen.edge(&domain, EdgeKind::Resolved, &address);
        }
    }
    if let Some(file) = &facts.file {
        seen.edge(actor, EdgeKind::Touched, &Node::file(place, file));
    }
}

fn runs(seen: &mut Sighting<'_>, process: &Node, place: Place<'_>, host: &str) {
    let on = match place {
        Place::Host(_) => Node::host(host),
        Place::Container(id) => Node::container(id),
    };
    seen.edge(process, EdgeKind::RunsOn, &on);
}

/// Who started the process, and who started that.
fn ancestors<'a>(
    seen: &mut Sighting<'_>,
    process: &Node,
    mut place: Place<'a>,
    host: &'a str,
    facts: &Facts,
) {
    let parents: Vec<&str> = match facts.ancestors.as_slice() {
        [] => facts.parent.iter().map(String::as_str).collect(),
        known => known.iter().take(ANCESTORS).map(String::as_str).collect(),
    };
    let mut child = process.clone();
    for path in parents {
        let name = path.rsplit('/').next().unwrap_or(path);
        if RUNTIMES.iter().any(|runtime| name.starts_with(runtime)) {
            place = Place::Host(host);
        }
        let parent = Node::process(place, path);
        // A program that started itself is no edge.
        seen.edge(&parent, EdgeKind::Started, &child);
        runs(seen, &parent, place, host);
        child = parent;
    }
}

/// Nodes and edges of issues on which findings were counted.
pub(super) fn of_issues(changes: &[IssueChange]) -> GraphWrites {
    let mut writes = GraphWrites::default();
    for change in changes {
        let issue = &change.issue;
        let count = u32::try_from(change.findings.len()).unwrap_or(u32::MAX);
        let mut seen = writes.sighting(issue.last_seen, &change.projects, count);
        let node = Node::issue(issue.id, &issue.title);
        let mut about = vec![
            (EdgeKind::Groups, Node::rule(&issue.rule)),
            (EdgeKind::On, Node::host(&issue.host)),
        ];
        if let Some(image) = &issue.image {
            about.push((EdgeKind::On, Node::image(image)));
        }
        for (edge, other) in about {
            // Its findings have counted it.
            seen.uncounted(&other);
            seen.edge(&node, edge, &other);
        }
    }
    writes
}

/// What is known of a host before it has any finding: that it is there, and its projects.
pub(crate) fn host(writes: &mut GraphWrites, time: i64, name: &str, projects: &[(Uuid, &str)]) {
    let host = Node::host(name);
    writes.sighting(time, &[], 0).uncounted(&host);
    for (id, project) in projects {
        let mut seen = writes.sighting(time, &[*id], 0);
        seen.edge(&host, EdgeKind::InProject, &Node::project(*id, project));
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Destination, PolicyFact};
    use super::*;
    use picket_model::finding::Disposition;
    use picket_model::severity::Severity;
    use picket_store::{FindingColumns, Fingerprint, new_id};

    fn finding(container: Option<&str>, process: Option<&str>) -> PendingFinding {
        PendingFinding {
            id: new_id(),
            sensor: new_id(),
            received_at: 1,
            columns: FindingColumns {
                time: 1,
                severity: Severity::High,
                disposition: Disposition::Logged,
                rule: "web-shell".to_owned(),
                host: "web-1".to_owned(),
                container: container.map(str::to_owned),
                image: container.map(|_| "shop:1".to_owned()),
                user: Some("www-data".to_owned()),
                process: process.map(str::to_owned),
                fingerprint: Fingerprint {
                    version: 2,
                    value: "f".to_owned(),
                },
            },
            projects: vec![new_id()],
            facts: serde_json::Value::Null,
        }
    }

    /// The edges that a finding gives, once each, everywhere.
    fn edges(finding: &PendingFinding, facts: Facts) -> Vec<String> {
        let writes = of_findings(&[(finding, facts)]);
        let (nodes, edges) = writes.rows();
        let shown = writes.shown();
        // Everywhere, and in the one project.
        assert_eq!(edges, 2 * shown.len());
        assert!(nodes > 0 && nodes % 2 == 0);
        shown
    }

    #[test]
    fn a_web_shell_joins_server_shell_container_address_and_rule() {
        let facts = Facts {
            ancestors: [
                "/usr/sbin/nginx",
                "/usr/bin/containerd-shim-runc-v2",
                "/sbin/init",
            ]
            .map(str::to_owned)
            .to_vec(),
            destination: Some(Destination {
                ip: "198.51.100.7".to_owned(),
                port: Some(4444),
                domain: Some("C2.example.".to_owned()),
            }),
            file: Some("/tmp/x".to_owned()),
            policies: ["acted", "simulated"]
                .map(|outcome| PolicyFact {
                    name: format!("stop-{outcome}"),
                    outcome: outcome.to_owned(),
                    kill: true,
                    reason: None,
                })
                .to_vec(),
            ..Facts::default()
        };
        let found = edges(&finding(Some("c0"), Some("/usr/bin/dash")), facts);
        let mut expected = vec![
            "host web-1 runs container c0",
            "container c0 from_image image shop:1",
            "process container:c0:/usr/bin/dash runs_on container c0",
            "process container:c0:/usr/bin/dash as_user user container:c0:www-data",
            "process container:c0:/usr/sbin/nginx started process container:c0:/usr/bin/dash",
            "process container:c0:/usr/sbin/nginx runs_on container c0",
            "process host:web-1:/usr/bin/containerd-shim-runc-v2 started process container:c0:/usr/sbin/nginx",
            "process host:web-1:/usr/bin/containerd-shim-runc-v2 runs_on host web-1",
            "process host:web-1:/sbin/init started process host:web-1:/usr/bin/containerd-shim-runc-v2",
            "process host:web-1:/sbin/init runs_on host web-1",
            "rule web-shell matched process container:c0:/usr/bin/dash",
            "policy stop-acted answers rule web-shell",
            "policy stop-acted acted_on process container:c0:/usr/bin/dash",
            "policy stop-simulated answers rule web-shell",
            "process container:c0:/usr/bin/dash connected ip 198.51.100.7",
            "process container:c0:/usr/bin/dash asked domain c2.example",
            "domain c2.example resolved ip 198.51.100.7",
            "process container:c0:/usr/bin/dash touched file container:c0:/tmp/x",
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_no_process_is_known_of_is_the_hosts() {
        let facts = Facts {
            domain: Some("x7f.example.net".to_owned()),
            ..Facts::default()
        };
        let found = edges(&finding(None, None), facts);
        let expected = [
            "host web-1 asked domain x7f.example.net",
            "rule web-shell matched host web-1",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_program_that_started_itself_is_no_edge() {
        let facts = Facts {
            parent: Some("/usr/bin/dash".to_owned()),
            ..Facts::default()
        };
        let found = edges(&finding(None, Some("/usr/bin/dash")), facts);
        assert!(
            !found.iter().any(|edge| edge.contains("started")),
            "{found:?}"
        );
    }
}
