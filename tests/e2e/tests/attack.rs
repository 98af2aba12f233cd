//! What one attack leads to: an issue, the graph, a run of a playbook, an order.

use anyhow::{Context, Result, ensure};
use picket_e2e::console::Console;
use picket_e2e::fleet::sensor;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::{Cause, Scratch, Sensor, needs_root, wait};
use serde_json::{Value, json};

#[path = "../../../crates/server/tests/api/receiver.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's receiver that cannot go on should panic"
)]
mod receiver;

/// The receiver's and the server's.
const SECRET: &str = "a secret of the webhook's own";

/// A server, a sensor that has joined it, and rules that see a web server's shell.
struct Stage {
    console: Console,
    sensor: Sensor,
    /// What stands for the web server,
    server: String,
    /// and for its shell.
    shell: String,
}

impl Stage {
    fn new(scratch: &Scratch, config: &str) -> Result<Stage> {
        let console = Console::start_with(scratch, config)?;
        let join = console.post("/join-tokens", &json!({}))?;
        let join = join["token"].as_str().context("no join token")?;
        let mut sensor = sensor(scratch, "state", &console.fleet, join).start()?;
        sensor.message("joined ")?;
        let stage = Stage {
            console,
            sensor,
            server: Cause::new(scratch, "httpd")?.path_text(),
            shell: Cause::new(scratch, "shell")?.path_text(),
        };
        let is_shell = format!("process.path == {}", quote(&stage.shell));
        for (name, event, condition, outputs) in [
            (
                "web-shell",
                "process.exec",
                is_shell.clone(),
                "[finding, issue]",
            ),
            (
                "calls-out",
                "network.connect",
                format!("actor.{is_shell}"),
                "[finding]",
            ),
        ] {
            let outputs = format!("outputs: {outputs}");
            let rule = RuleFile::new().rule_with(name, event, &condition, &outputs);
            let written = json!({"name": name, "body": rule.text(), "reason": "t"});
            stage.console.post("/rules", &written)?;
            stage
                .console
                .stage(&format!("/rules/{name}"), &["simulate"])?;
        }
        for name in ["web-shell", "calls-out"] {
            stage.console.mode(name, |_| true)?;
        }
        Ok(stage)
    }

    fn node(&self, kind: &str, key: &str) -> Result<String> {
        let path = format!("/graph/nodes?kind={kind}&key={key}");
        wait::until("a node", || {
            let found = self.console.items(&path)?;
            let id = found.first().and_then(|node| node["id"].as_str());
            Ok(id.map(str::to_owned))
        })
    }

    /// Web server, shell, host, address and rules are joined, and it is one issue.
    fn stands_in_the_graph(&self) -> Result<()> {
        let (rule, address) = (
            self.node("rule", "web-shell")?,
            self.node("ip", "127.0.0.1")?,
        );
        let path = format!("/graph/path?from={rule}&to={address}");
        let path = self.console.ask("GET", &path, "", None)?.json()?;
        let steps = path["steps"].as_array().context("no steps")?;
        let joined: Vec<&Value> = steps.iter().map(|step| &step["edge"]).collect();
        ensure!(joined == ["matched", "connected"], "{path:#}");
        let process = &steps[0]["node"];
        ensure!(process["label"] == self.shell, "{path:#}");
        let around = format!(
            "/graph/nodes/{}/neighbours?limit=100",
            process["id"].as_str().context("no id")?
        );
        let around = self.console.items(&around)?;
        let has = |edge: &str, kind: &str, label: Option<&str>| {
            around.iter().any(|near| {
                near["edge"]["kind"] == edge
                    && near["node"]["kind"] == kind
                    && label.is_none_or(|label| near["node"]["label"] == label)
            })
        };
        let whole = has("started", "process", Some(&self.server))
            && (has("runs_on", "host", None) || has("runs_on", "container", None))
            && has("as_user", "user", None)
            && has("matched", "rule", Some("calls-out"))
            && has("by", "finding", None);
        ensure!(whole, "{around:#?}");
        let groups = format!("/graph/nodes/{rule}/neighbours?edge=groups");
        ensure!(self.console.items(&groups)?.len() == 1, "not one issue");
        Ok(())
    }

    /// The only run of the playbook, once it stands so.
    fn run(&self, state: &str) -> Result<Value> {
        let found = wait::until("a run", || {
            let runs = self.console.items("/playbook-runs?playbook=answer")?;
            ensure!(runs.len() < 2, "more than one run: {runs:#?}");
            Ok(runs.into_iter().find(|run| run["state"] == state))
        })?;
        let id = found["id"].as_str().context("no id")?;
        let path = format!("/playbook-runs/{id}");
        self.console.ask("GET", &path, "", None)?.json()
    }
}

#[test]
fn a_web_shell_leads_to_one_issue_one_run_and_its_end() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let receiver = receiver::Receiver::start(&[500, 200]);
    let secret = scratch.write("hook.secret", SECRET)?;
    let config =
        format!("[playbooks]\nallow_private = true\n[playbooks.secrets]\nhook = {secret:?}\n");
    let stage = Stage::new(&scratch, &config)?;
    let console = &stage.console;
    let url = format!("http://{}/hook", receiver.address);
    let playbook = json!({
        "trigger": {"on": ["issue_opened"], "rules": ["web-shell"]},
        "steps": [
            {"action": {"webhook": {"url": url, "secret": "hook"}}},
            {"action": {"command": {"collect_forensics": {}}}},
            {"action": {"command": {"kill_tree": {}}}},
        ],
    });
    console.post(
        "/playbooks",
        &json!({"name": "answer", "playbook": playbook, "reason": "t"}),
    )?;
    let live = |stage_name: &str| -> Result<()> {
        let read = console.ask("GET", "/playbooks/answer", "", None)?;
        let tag = read.header("etag").context("no ETag")?;
        let body = json!({"stage": stage_name, "reason": "t"});
        let path = "/playbooks/answer/stage";
        console
            .ask("POST", path, tag, Some(&body))?
            .json()
            .map(drop)
    };
    live("simulate")?;
    live("block")?;

    // The attack: the shell stays, and is started twice more.
    let httpd = Cause::new(&scratch, "httpd")?;
    let mut attack = httpd.start(["spawn", &stage.shell, "linger"])?;
    attack.go()?;
    // The shell itself says that it is there.
    attack.said()?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    for _ in 0..2 {
        let said = httpd.act(["spawn", &stage.shell, "connect", "tcp", "127.0.0.1", &port])?;
        assert_eq!(said.ret(), 0, "{said:?}");
    }

    // The receiver fails, is asked again under the same key, and finds the signature good.
    let (first, second) = (receiver.next(), receiver.next());
    for request in [&first, &second] {
        ensure!(receiver::is_signed(request, SECRET), "{request:?}");
        ensure!(request.line.starts_with("POST /hook "), "{request:?}");
    }
    ensure!(first.headers["webhook-id"] == second.headers["webhook-id"]);
    let event: Value = serde_json::from_str(&second.body)?;
    ensure!(event["type"] == "dev.picket.issue_opened", "{event:#}");

    // What changes the host waits for somebody; what was found of the process does not.
    let run = stage.run("waiting_approval")?;
    let steps: Vec<&Value> = (0..3).map(|at| &run["steps"][at]["state"]).collect();
    ensure!(
        steps == ["succeeded", "succeeded", "waiting_approval"],
        "{run:#}"
    );
    ensure!(attack.is_alive()?, "nobody has approved that");
    let id = run["id"].as_str().context("no id")?;

    // One issue, with the right count.
    let issues = wait::until("three findings in the issue", || {
        let issues = console.items("/issues")?;
        Ok((issues.first().is_some_and(|issue| issue["count"] == 3)).then_some(issues))
    })?;
    ensure!(issues.len() == 1, "{issues:#?}");
    stage.stands_in_the_graph()?;

    // A dry run changes nothing, and shows what would be done.
    let before = console.ask("GET", "/audit?limit=1", "", None)?.json()?;
    let dry = console.post(
        "/playbooks/answer/dry-run",
        &json!({"issue": issues[0]["id"]}),
    )?;
    ensure!(
        dry["steps"][0]["would"]["headers"]["webhook-signature"] == "***",
        "{dry:#}"
    );
    ensure!(
        console.ask("GET", "/audit?limit=1", "", None)?.json()? == before,
        "it left a trace"
    );
    ensure!(receiver.is_silent(), "a dry run was sent");

    // Approved, the shell dies with what it started.
    let why = json!({"reason": "it is one"});
    console.post(&format!("/playbook-runs/{id}/approve"), &why)?;
    stage.run("succeeded")?;
    let said = attack.said()?;
    assert_eq!(said.ret(), 128 + 9, "{said:?}");
    let orders = console.items("/host-actions")?;
    let kinds: Vec<&Value> = orders.iter().map(|order| &order["kind"]).collect();
    ensure!(kinds == ["kill_tree", "collect_forensics"], "{orders:#?}");
    ensure!(
        orders.iter().all(|order| order["state"] == "done"),
        "{orders:#?}"
    );
    let seen = &orders[1]["result"];
    ensure!(seen["exe"] == stage.shell, "{seen:#}");
    stage.sensor.stop()?;
    Ok(())
}
