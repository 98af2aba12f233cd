//! Every endpoint, tried by those who may and those who may not.

use crate::client::Client;
use crate::lab::{Lab, cause};
use crate::world::{self, LIST, alarming, digested, finding, policy, rule, store};
use picket_server::auth::Role;
use picket_store::{NewBundle, NewRun, RolloutState, RunState, RunStep, Uuid, new_id};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who may.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Needs {
    /// Anybody, without a token.
    Nothing,
    /// Any token: it is about oneself.
    Token,
    /// At least this role (`author` and `armer` are apart), in the thing's project.
    Role(Role),
}

use Needs::{Nothing, Token};
use Role::{Admin, Armer, Author, Responder, Viewer};

struct Endpoint {
    method: &'static str,
    template: &'static str,
    path: String,
    body: Option<Value>,
    needs: Needs,
    status: u16,
    /// An administrator of another project sees or does it too.
    shared: bool,
}

/// In a body: the digest of the policy's evidence.
const EVIDENCE: &str = "$evidence";

/// The parts of the world that paths name.
struct Names {
    sensor: Uuid,
    finding: String,
    issue: String,
    rollout: Uuid,
    join: String,
    filter: String,
    token: String,
    evidence: String,
    /// To be approved, refused, ended.
    runs: [Uuid; 3],
    node: Uuid,
    action: Uuid,
}

fn endpoint(
    method: &'static str,
    template: &'static str,
    needs: Needs,
    status: u16,
    body: Option<Value>,
    names: &Names,
) -> Endpoint {
    let name = if template.contains("/users/") {
        "bob"
    } else if template.contains("/exceptions/{name}") {
        "known"
    } else if template.contains("/rules/") {
        "web-shell"
    } else if template.contains("/policies/") {
        "stop-it"
    } else if template.contains("/playbooks/") {
        "tell"
    } else if template.contains("/lists/") {
        "shells"
    } else {
        "payments"
    };
    let id = if template.contains("/playbook-runs/") {
        let verb = template.rsplit('/').next().unwrap_or_default();
        let one = ["approve", "reject", "cancel"]
            .iter()
            .position(|known| *known == verb);
        names.runs[one.unwrap_or(0)].to_string()
    } else if template.contains("/host-actions/") {
        names.action.to_string()
    } else if template.contains("/sensors/") {
        names.sensor.to_string()
    } else if template.contains("/findings/") {
        names.finding.clone()
    } else if template.contains("/filters/") {
        names.filter.clone()
    } else if template.contains("/issues/") {
        names.issue.clone()
    } else if template.contains("/graph/nodes/") {
        names.node.to_string()
    } else if template.contains("/rollouts/") {
        names.rollout.to_string()
    } else if template.contains("/tokens/") {
        names.token.clone()
    } else {
        names.join.clone()
    };
    let mut path = template
        .replace("{name}", name)
        .replace("{id}", &id)
        .replace("{digest}", &names.evidence)
        .replace("{scope}", "quiet")
        .replace("{version}", "1");
    match template {
        "/api/v1/bundles" => path += "?scope=quiet",
        "/api/v1/findings/export" | "/api/v1/issues/export" => path += "?format=csv",
        "/api/v1/graph/path" => path += &format!("?from={0}&to={0}", names.node),
        "/api/v1/users/{name}/grants" if method == "DELETE" => {
            path += "?role=viewer&project=payments"
        }
        _ => {}
    }
    Endpoint {
        method,
        template,
        path,
        body,
        needs,
        status,
        shared: false,
    }
}

fn table(names: &Names) -> Vec<Endpoint> {
    let why = || Some(json!({"reason": "test"}));
    let selector = json!({"hosts": ["web-*"]});
    let get = |template, needs| endpoint("GET", template, needs, 200, None, names);
    let shared = |mut endpoint: Endpoint| {
        endpoint.shared = true;
        endpoint
    };
    let role = Needs::Role;
    let call = |method, template, needs, status, body| {
        endpoint(method, template, needs, status, body, names)
    };
    let paths = |kind: &str| json!({"name": format!("new-{kind}"), "reason": "test"});
    let mut new_rule = paths("rule");
    new_rule["body"] = json!(rule("new-rule", "payments", "process.name == \"x\""));
    let mut new_policy = paths("policy");
    new_policy["body"] = json!(policy("new-policy", "web-shell", "payments", "simulate"));
    let mut new_list = paths("list");
    new_list["body"] = json!("lists:\n  more: [\"a\"]\n");
    let next_rule = rule(
        "web-shell",
        "payments",
        "process.name in $shells and process.pid > 1",
    );
    let next_policy = policy("stop-it", "web-shell", "payments", "block");
    let file =
        json!({"name": "f.yaml", "text": rule("by-file", "payments", "process.name == \"y\"")});
    vec![
        get("/healthz", Nothing),
        get("/readyz", Nothing),
        get("/metrics", role(Viewer)),
        call(
            "POST",
            "/api/v1/session",
            Nothing,
            401,
            Some(json!({"name": "x", "password": "y"})),
        ),
        // This server has no provider.
        call("GET", "/api/v1/session/oidc", Nothing, 404, None),
        call("GET", "/api/v1/session/oidc/callback", Nothing, 404, None),
        get("/api/v1/me", Token),
        // A token of these users' has no password to change: the old one is wrong.
        call(
            "PUT",
            "/api/v1/me/password",
            Token,
            403,
            Some(json!({"old": "x", "new": "y"})),
        ),
        call("DELETE", "/api/v1/session", Token, 409, None),
        get("/api/v1/users", role(Admin)),
        get("/api/v1/users/{name}", role(Admin)),
        get("/api/v1/users/{name}/grants", role(Admin)),
        get("/api/v1/users/{name}/tokens", role(Admin)),
        shared(get("/api/v1/projects", role(Viewer))),
        get("/api/v1/projects/{name}", role(Viewer)),
        get("/api/v1/projects/{name}/versions", role(Viewer)),
        shared(call(
            "POST",
            "/api/v1/project-preview",
            role(Viewer),
            200,
            Some(json!({"selector": selector})),
        )),
        shared(get("/api/v1/rules", role(Viewer))),
        get("/api/v1/rules/{name}", role(Viewer)),
        get("/api/v1/rules/{name}/versions", role(Viewer)),
        get("/api/v1/rules/{name}/evidence", role(Viewer)),
        get("/api/v1/rules/{name}/diff", role(Viewer)),
        get("/api/v1/rules/{name}/sensors", role(Viewer)),
        shared(get("/api/v1/policies", role(Viewer))),
        get("/api/v1/policies/{name}", role(Viewer)),
        get("/api/v1/policies/{name}/versions", role(Viewer)),
        get("/api/v1/policies/{name}/evidence", role(Viewer)),
        get("/api/v1/evidence/{digest}", role(Viewer)),
        get("/api/v1/policies/{name}/diff", role(Viewer)),
        shared(get("/api/v1/lists", role(Viewer))),
        // Lists are everybody's to read.
        shared(get("/api/v1/lists/{name}", role(Viewer))),
        shared(get("/api/v1/lists/{name}/versions", role(Viewer))),
        shared(get("/api/v1/lists/{name}/diff", role(Viewer))),
        shared(get("/api/v1/export", role(Viewer))),
        shared(get("/api/v1/sensors", role(Viewer))),
        get("/api/v1/sensors/{id}", role(Viewer)),
        get("/api/v1/sensors/{id}/rules", role(Viewer)),
        get("/api/v1/join-tokens", role(Admin)),
        get("/api/v1/bundles", role(Viewer)),
        get("/api/v1/bundles/{scope}/{version}", role(Viewer)),
        get("/api/v1/bundles/{scope}/{version}/signed", role(Viewer)),
        get("/api/v1/rollouts", role(Viewer)),
        get("/api/v1/rollouts/{id}", role(Viewer)),
        shared(get("/api/v1/findings", role(Viewer))),
        shared(get("/api/v1/findings/stream", role(Viewer))),
        shared(get("/api/v1/findings/export", role(Viewer))),
        get("/api/v1/findings/{id}", role(Viewer)),
        get("/api/v1/playbooks", role(Viewer)),
        get("/api/v1/playbooks/{name}", role(Viewer)),
        get("/api/v1/playbooks/{name}/versions", role(Viewer)),
        get("/api/v1/noisy-rules", role(Viewer)),
        shared(get("/api/v1/exceptions", role(Viewer))),
        get("/api/v1/exceptions/{name}", role(Viewer)),
        get("/api/v1/findings/{id}/exception-proposals", role(Viewer)),
        get("/api/v1/issues/{id}/exception-proposals", role(Viewer)),
        call(
            "POST",
            "/api/v1/rules/{name}/exceptions/preview",
            role(Viewer),
            200,
            Some(world::exception("new-one")),
        ),
        call(
            "POST",
            "/api/v1/rules/{name}/exceptions",
            role(Author),
            201,
            Some(world::exception("new-one")),
        ),
        call(
            "PUT",
            "/api/v1/exceptions/{name}",
            role(Author),
            200,
            Some(world::exception("known")),
        ),
        call(
            "DELETE",
            "/api/v1/exceptions/{name}",
            role(Author),
            204,
            None,
        ),
        get("/api/v1/sensors/{id}/actions", role(Viewer)),
        get("/api/v1/host-actions", role(Viewer)),
        get("/api/v1/host-actions/{id}", role(Viewer)),
        get("/api/v1/playbook-runs", role(Viewer)),
        get("/api/v1/playbook-runs/{id}", role(Viewer)),
        shared(get("/api/v1/issues", role(Viewer))),
        shared(get("/api/v1/issues/stream", role(Viewer))),
        shared(get("/api/v1/issues/export", role(Viewer))),
        get("/api/v1/issues/{id}", role(Viewer)),
        get("/api/v1/issues/{id}/findings", role(Viewer)),
        get("/api/v1/issues/{id}/notes", role(Viewer)),
        shared(get("/api/v1/graph/nodes", role(Viewer))),
        get("/api/v1/graph/nodes/{id}", role(Viewer)),
        get("/api/v1/graph/nodes/{id}/neighbours", role(Viewer)),
        get("/api/v1/graph/nodes/{id}/radius", role(Viewer)),
        get("/api/v1/graph/path", role(Viewer)),
        get("/api/v1/audit", role(Admin)),
        get("/api/v1/audit/verify", role(Admin)),
        // What changes something, and what takes it away last.
        call(
            "POST",
            "/api/v1/users",
            role(Admin),
            201,
            Some(json!({"name": "new"})),
        ),
        call(
            "PUT",
            "/api/v1/users/{name}",
            role(Admin),
            200,
            Some(json!({"disabled": false})),
        ),
        call(
            "POST",
            "/api/v1/users/{name}/grants",
            role(Admin),
            204,
            Some(json!({"role": "viewer", "project": "payments"})),
        ),
        call(
            "DELETE",
            "/api/v1/users/{name}/grants",
            role(Admin),
            204,
            None,
        ),
        call(
            "POST",
            "/api/v1/users/{name}/tokens",
            role(Admin),
            201,
            Some(json!({"name": "ci"})),
        ),
        call(
            "DELETE",
            "/api/v1/users/{name}/tokens/{id}",
            role(Admin),
            204,
            None,
        ),
        call(
            "POST",
            "/api/v1/projects",
            role(Admin),
            201,
            Some(json!({"name": "more", "selector": selector})),
        ),
        call(
            "PUT",
            "/api/v1/projects/{name}",
            role(Admin),
            200,
            Some(json!({"selector": selector})),
        ),
        call("POST", "/api/v1/rules", role(Author), 201, Some(new_rule)),
        call(
            "PUT",
            "/api/v1/rules/{name}",
            role(Author),
            200,
            Some(json!({"body": next_rule})),
        ),
        call(
            "POST",
            "/api/v1/rules/{name}/stage",
            role(Author),
            200,
            Some(json!({"stage": "simulate"})),
        ),
        call(
            "POST",
            "/api/v1/policies",
            role(Author),
            201,
            Some(new_policy),
        ),
        call(
            "PUT",
            "/api/v1/policies/{name}",
            role(Author),
            200,
            Some(json!({"body": next_policy})),
        ),
        call(
            "POST",
            "/api/v1/policies/{name}/stage",
            role(Armer),
            200,
            Some(json!({"stage": "block", "reason": "test", "evidence": EVIDENCE})),
        ),
        call("POST", "/api/v1/lists", role(Author), 201, Some(new_list)),
        call(
            "PUT",
            "/api/v1/lists/{name}",
            role(Author),
            200,
            Some(json!({"body": LIST})),
        ),
        call(
            "POST",
            "/api/v1/apply",
            role(Author),
            200,
            Some(json!({"files": [file]})),
        ),
        call(
            "POST",
            "/api/v1/issues/{id}/notes",
            role(Responder),
            201,
            Some(json!({"text": "looked at it"})),
        ),
        call(
            "PATCH",
            "/api/v1/issues/{id}",
            role(Responder),
            200,
            Some(json!({"status": "in_progress"})),
        ),
        call(
            "PUT",
            "/api/v1/sensors/{id}/labels",
            role(Admin),
            200,
            Some(json!({"labels": {"env": "test"}})),
        ),
        call(
            "POST",
            "/api/v1/sensors/{id}/revoke",
            role(Responder),
            204,
            why(),
        ),
        call(
            "POST",
            "/api/v1/sensors/{id}/actions",
            role(Armer),
            202,
            Some(world::kill_tree()),
        ),
        call(
            "POST",
            "/api/v1/host-actions/{id}/undo",
            role(Responder),
            202,
            why(),
        ),
        shared(get("/api/v1/workbench/language", role(Viewer))),
        shared(call(
            "POST",
            "/api/v1/workbench/check",
            role(Viewer),
            200,
            Some(json!({"text": ""})),
        )),
        shared(call(
            "POST",
            "/api/v1/workbench/try",
            role(Viewer),
            200,
            Some(json!({"text": rule("tried", "payments", "process.pid > 1")})),
        )),
        // This one's event cannot be read.
        call(
            "GET",
            "/api/v1/findings/{id}/explanation",
            role(Viewer),
            422,
            None,
        ),
        shared(get("/api/v1/filters", role(Viewer))),
        shared(call(
            "POST",
            "/api/v1/filters",
            role(Viewer),
            201,
            Some(json!({"kind": "finding", "name": "mine", "query": "severity=high"})),
        )),
        // One that an administrator shares.
        call("DELETE", "/api/v1/filters/{id}", role(Admin), 204, None),
        call("POST", "/api/v1/join-tokens", role(Admin), 201, why()),
        call("DELETE", "/api/v1/join-tokens/{id}", role(Admin), 204, None),
        call(
            "POST",
            "/api/v1/rollouts/{id}/halt",
            role(Responder),
            200,
            why(),
        ),
        call(
            "POST",
            "/api/v1/rollouts/{id}/resume",
            role(Author),
            200,
            why(),
        ),
        call(
            "POST",
            "/api/v1/rollouts/{id}/rollback",
            role(Responder),
            200,
            why(),
        ),
        call(
            "POST",
            "/api/v1/playbooks",
            role(Author),
            201,
            Some(json!({"name": "new-playbook", "playbook": playbook()})),
        ),
        call(
            "PUT",
            "/api/v1/playbooks/{name}",
            role(Author),
            200,
            Some(json!({"playbook": playbook()})),
        ),
        call(
            "POST",
            "/api/v1/playbooks/{name}/stage",
            role(Author),
            200,
            Some(json!({"stage": "simulate"})),
        ),
        call(
            "POST",
            "/api/v1/playbooks/{name}/dry-run",
            role(Viewer),
            200,
            Some(json!({"finding": names.finding})),
        ),
        call(
            "POST",
            "/api/v1/playbook-runs/{id}/approve",
            role(Responder),
            200,
            why(),
        ),
        call(
            "POST",
            "/api/v1/playbook-runs/{id}/reject",
            role(Responder),
            200,
            why(),
        ),
        call(
            "POST",
            "/api/v1/playbook-runs/{id}/cancel",
            role(Responder),
            200,
            why(),
        ),
        call(
            "DELETE",
            "/api/v1/playbooks/{name}",
            role(Author),
            204,
            None,
        ),
        call("DELETE", "/api/v1/policies/{name}", role(Author), 204, None),
        call("DELETE", "/api/v1/rules/{name}", role(Author), 422, None),
        call("DELETE", "/api/v1/lists/{name}", role(Author), 422, None),
        call("DELETE", "/api/v1/projects/{name}", role(Admin), 409, None),
    ]
}

fn build(lab: &Lab) -> Names {
    let admin = &lab.admin;
    world::project(admin, "payments", "web-*");
    world::project(admin, "other", "db-*");
    world::project(admin, "quiet", "nobody");
    world::define(admin, "lists", "shells", LIST);
    world::define(
        admin,
        "rules",
        "web-shell",
        &rule("web-shell", "payments", "process.name in $shells"),
    );
    let known = world::exception("known");
    admin
        .post("/api/v1/rules/web-shell/exceptions", known)
        .expect(201);
    world::define(
        admin,
        "policies",
        "stop-it",
        &policy("stop-it", "web-shell", "payments", "block"),
    );
    world::stage(admin, "policies", "stop-it", "simulate");
    let sensor = world::sensor(lab, "web-1");
    let project = world::project_id(lab, "payments");
    store(
        lab,
        vec![finding(sensor, "e1/web-shell", world::NOW, &[project])],
    );
    let issues = digested(
        lab,
        vec![alarming("e2/web-shell", world::NOW, "a", &[project])],
        1,
    );
    let findings = admin.get("/api/v1/findings").expect(200).json();
    let rollout = lab.runtime.block_on(async {
        let bundle = NewBundle {
            scope: "quiet".to_owned(),
            version: 1,
            key_id: "k".to_owned(),
            bytes: b"signed".to_vec(),
            expires_at: None,
        };
        let bundle = lab.store.publish(bundle, &cause()).await.unwrap();
        let begun = lab
            .store
            .begin_rollout(bundle.id, RolloutState::Canary, json!({}), &cause())
            .await;
        begun.unwrap().id
    });
    let node = world::graph(lab, &[project]);
    let runs = runs(lab);
    let order = admin.post(
        &format!("/api/v1/sensors/{sensor}/actions"),
        world::isolate(),
    );
    let action = order.expect(202).json()["id"].as_str().unwrap().parse();
    lab.user("bob", &[]);
    let token = admin.post("/api/v1/users/bob/tokens", json!({"name": "old"}));
    let join = admin.post("/api/v1/join-tokens", json!({}));
    let filter = json!({"kind": "issue", "name": "ours", "query": "status=open", "shared": true});
    let filter = admin.post("/api/v1/filters", filter).expect(201).json();
    Names {
        sensor,
        finding: findings["items"][0]["id"].as_str().unwrap().to_owned(),
        issue: issues[0]["id"].as_str().unwrap().to_owned(),
        rollout,
        filter: filter["id"].as_str().unwrap().to_owned(),
        join: join.expect(201).json()["id"].as_str().unwrap().to_owned(),
        evidence: world::evidence(admin, "policies", "stop-it"),
        runs,
        token: token.expect(201).json()["id"].as_str().unwrap().to_owned(),
        node,
        action: action.unwrap(),
    }
}

fn playbook() -> Value {
    let tell = json!({"action": {"slack": {"url_secret": "chat", "text": "{{ event }}"}}});
    json!({"trigger": {"on": ["finding"]}, "steps": [tell]})
}

/// Runs whose only step waits.
fn runs(lab: &Lab) -> [Uuid; 3] {
    let body = json!({"name": "tell", "playbook": playbook()});
    let made = lab.admin.post("/api/v1/playbooks", body).expect(201).json();
    let playbook = made["id"].as_str().unwrap().parse().unwrap();
    let ids = [new_id(), new_id(), new_id()];
    for id in ids {
        let run = NewRun {
            id,
            playbook,
            version: 1,
            name: "tell".to_owned(),
            event: "finding".to_owned(),
            issue: None,
            finding: None,
            dry: false,
            steps: vec!["slack".to_owned()],
            per_hour: 10,
        };
        lab.runtime.block_on(async {
            lab.store.begin_run(run, world::NOW).await.unwrap();
            let waits = RunState::WaitingApproval;
            let step = lab.store.run_steps(id).await.unwrap().remove(0);
            let step = RunStep {
                state: waits,
                ..step
            };
            let written = lab.store.step_done(id, step, waits, world::NOW);
            assert!(written.await.unwrap());
        });
    }
    ids
}

impl Endpoint {
    /// Its body, with what is evidence of the thing now.
    fn body(&self, admin: &Client) -> Option<String> {
        let body = self.body.as_ref()?.to_string();
        Some(match body.contains(EVIDENCE) {
            true => body.replace(EVIDENCE, &world::evidence(admin, "policies", "stop-it")),
            false => body,
        })
    }

    /// The status, and whether the answer is a problem.
    fn status_for(&self, client: &Client, etag: &str, body: Option<&str>) -> (u16, String) {
        let headers = [("if-match", etag), ("content-type", "application/json")];
        let response = client.send(self.method, &self.path, &headers, body.map(str::as_bytes));
        let status = response.status().as_u16();
        if status == 200 && self.template.ends_with("/stream") {
            return (status, String::new());
        }
        (status, crate::client::read(response).text)
    }

    /// The tag of what it changes.
    fn etag(&self, admin: &Client) -> String {
        let path = self.path.split('?').next().unwrap();
        let path = path.strip_suffix("/stage").unwrap_or(path);
        let changes = matches!(self.method, "PUT" | "DELETE") || self.path.ends_with("/stage");
        if (changes && self.template.contains("{name}")) || self.method == "PATCH" {
            admin.get(path).etag()
        } else {
            String::new()
        }
    }
}

pub fn every_endpoint_asks_for_its_right(lab: &mut Lab) {
    let names = build(lab);
    let table = table(&names);
    let described = serde_json::to_value(picket_server::api::openapi()).unwrap();
    let described: BTreeSet<(String, String)> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let tried: BTreeSet<(String, String)> = table
        .iter()
        .map(|one| (one.method.to_owned(), one.template.to_owned()))
        .collect();
    assert_eq!(described, tried, "described and tried");

    let stranger = lab.admin.without_token();
    let forger = stranger.with_token("pkt_made_up");
    let nobody = lab.user("nobody", &[]);
    // All of another project.
    let outsider = lab.user("outsider", &[(Some("other"), Admin)]);
    let roles: Vec<(Role, Client)> = Role::ALL
        .into_iter()
        .map(|role| {
            (
                role,
                lab.user(&format!("every-{}", role.name()), &[(None, role)]),
            )
        })
        .collect();
    for one in &table {
        let place = format!("{} {}", one.method, one.path);
        let etag = one.etag(&lab.admin);
        let body = one.body(&lab.admin);
        let status = |client: &Client| one.status_for(client, &etag, body.as_deref());
        let is = |client: &Client, who: &str, wanted: &[u16]| {
            let (found, text) = status(client);
            assert!(
                wanted.contains(&found),
                "{place} as {who}: {found}, not {wanted:?}: {text}"
            );
        };
        if one.needs == Nothing {
            is(&stranger, "a stranger", &[one.status]);
            continue;
        }
        is(&stranger, "a stranger", &[401]);
        is(&forger, "a forger", &[401]);
        let Needs::Role(least) = one.needs else {
            is(&nobody, "anybody", &[one.status]);
            continue;
        };
        is(&nobody, "nobody", &[403]);
        let hidden: &[u16] = if one.shared {
            &[one.status]
        } else {
            &[403, 404]
        };
        is(&outsider, "the administrator of another project", hidden);
        for (role, client) in &roles {
            let may = *role == least || *role == Admin || least == Viewer;
            // Whoever may write or respond may take a stage back; here it goes forward.
            if !may {
                is(client, role.name(), &[403]);
            }
        }
        let (_, client) = roles.iter().find(|(role, _)| *role == least).unwrap();
        is(client, least.name(), &[one.status]);
    }
}
