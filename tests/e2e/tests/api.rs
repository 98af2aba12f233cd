//! What a person writes through the API kills on a host: test and server speak HTTP,
//! server and sensor mutual TLS, each a process of its own.

use anyhow::{Context, Result, ensure};
use picket_e2e::fleet::sensor;
use picket_e2e::http::{Answer, request};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, needs_root, wait};
use serde_json::{Value, json};

const FIRST: &str = "first start: log in as admin with the password ";
const API: &str = "/api/v1";

/// A server of the test's own, and somebody who is logged in.
struct Console {
    _server: Sensor,
    address: String,
    /// Where sensors come in.
    fleet: String,
    token: String,
}

impl Console {
    fn start(scratch: &Scratch) -> Result<Console> {
        let config = format!(
            "data = {:?}\nlisten = \"127.0.0.1:0\"\n[fleet]\nlisten = \"127.0.0.1:0\"\n",
            scratch.at("server")
        );
        let config = scratch.write("server.toml", config)?;
        let config = config.display().to_string();
        let mut server = Builder::command(["server", "--config", &config]).start()?;
        let after = |line: String, words: &str| -> Result<String> {
            let rest = line.split(words).nth(1).context("another line")?;
            Ok(rest.split([' ', ',']).next().unwrap_or(rest).to_owned())
        };
        let password = after(server.message(FIRST)?, FIRST)?;
        let api = after(server.message("the API: ")?, "https://")?;
        let fleet = after(server.message("for sensors: ")?, "for sensors: ")?;
        let mut console = Console {
            _server: server,
            address: api.trim_end_matches(API).to_owned(),
            fleet,
            token: String::new(),
        };
        let login = json!({"name": "admin", "password": password, "token": true});
        let session = console.post("/session", &login)?;
        console.token = session["token"].as_str().context("no token")?.to_owned();
        Ok(console)
    }

    fn ask(&self, method: &str, path: &str, match_: &str, body: Option<&Value>) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = Vec::new();
        if !self.token.is_empty() {
            headers.push(("Authorization", bearer.as_str()));
        }
        if !match_.is_empty() {
            headers.push(("If-Match", match_));
        }
        let path = format!("{API}{path}");
        request(&self.address, method, &path, &headers, body)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.ask("POST", path, "", Some(body))?;
        answer.json().with_context(|| path.to_owned())
    }

    fn items(&self, path: &str) -> Result<Vec<Value>> {
        let page = self.ask("GET", path, "", None)?.json()?;
        Ok(page["items"].as_array().context("no items")?.clone())
    }

    /// What policies would have killed for a rule or policy.
    fn evidence(&self, path: &str) -> Result<Value> {
        self.ask("GET", &format!("{path}/evidence"), "", None)?
            .json()
    }

    /// Takes a definition as far as that; to block on what is known of it.
    fn stage(&self, path: &str, stages: &[&str]) -> Result<()> {
        for stage in stages {
            let read = self.ask("GET", path, "", None)?;
            let tag = read.header("etag").context("no ETag")?;
            let mut body = json!({"stage": stage, "reason": "end-to-end test"});
            if *stage == "block" {
                body["evidence"] = self.evidence(path)?["digest"].clone();
            }
            self.ask("POST", &format!("{path}/stage"), tag, Some(&body))?
                .json()
                .with_context(|| format!("{path} to {stage}"))?;
        }
        Ok(())
    }

    /// Waits until the sensor tells that of the rule.
    fn mode(&self, rule: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        wait::until("what the sensor says of the rule", || {
            let told = self.items(&format!("/rules/{rule}/sensors"))?;
            let modes = told.iter().filter_map(|status| status["mode"].as_str());
            Ok(modes.into_iter().any(&wanted).then_some(()))
        })
    }
}

#[test]
fn a_rule_written_through_the_api_kills_on_the_host() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new()?;
    let console = Console::start(&scratch)?;
    let join = console.post("/join-tokens", &json!({"labels": {"env": "test"}}))?;
    let join = join["token"].as_str().context("no join token")?;
    let mut sensor = sensor(&scratch, "state", &console.fleet, join)
        .enforce_in(cgroup.path())
        .start()?;
    sensor.message("joined ")?;

    let target = Cause::new(&scratch, "target")?.path_text();
    let rule = RuleFile::new().rule(
        "bad",
        "process.exec",
        &format!("process.path == {}", quote(&target)),
    );
    let policy = RuleFile::new().policy("stop-bad", "bad", "block");
    let written = |name, file: &RuleFile| json!({"name": name, "body": file.text(), "reason": "t"});
    console.post("/rules", &written("bad", &rule))?;
    console.post("/policies", &written("stop-bad", &policy))?;
    // Of a draft no sensor hears; what is simulated lives, what is armed dies.
    console.stage("/rules/bad", &["simulate"])?;
    console.stage("/policies/stop-bad", &["simulate"])?;
    console.mode("bad", |mode| mode == "simulated")?;
    let cause = Cause::new(&scratch, "cause")?.in_cgroup(&cgroup);
    let said = cause.act(["spawn", &target, "hold"])?;
    assert_eq!(said.ret(), 0, "{said:?}");
    // What would have been killed is shown before anything is.
    let shown = wait::until("the evidence", || {
        let shown = console.evidence("/policies/stop-bad")?;
        let kills = &shown["evidence"]["actions"]["would_kill"];
        Ok((*kills == 1).then_some(shown))
    })?;
    let top = &shown["evidence"]["processes"]["top"][0];
    ensure!(top["name"] == target, "{shown:#}");
    let blind = json!({"stage": "block", "reason": "end-to-end test"});
    let read = console.ask("GET", "/policies/stop-bad", "", None)?;
    let tag = read.header("etag").context("no ETag")?;
    let refused = console.ask("POST", "/policies/stop-bad/stage", tag, Some(&blind))?;
    ensure!(refused.status == 422, "armed without evidence: {refused:?}");
    console.stage("/rules/bad", &["block"])?;
    console.stage("/policies/stop-bad", &["block"])?;
    console.mode("bad", |mode| mode.ends_with("_in_kernel"))?;
    let said = cause.act(["spawn", &target, "hold"])?;
    assert_eq!(said.ret(), 128 + 9, "it was not killed: {said:?}");
    // Taken back, it lives.
    console.stage("/policies/stop-bad", &["simulate"])?;
    console.mode("bad", |mode| mode == "simulated")?;
    let said = cause.act(["spawn", &target, "hold"])?;
    assert_eq!(said.ret(), 0, "{said:?}");

    // What came of it is there to be read, once each.
    for (disposition, times) in [("logged", 2), ("blocked", 1)] {
        let path = format!("/findings?rule=bad&disposition={disposition}&include=ocsf");
        let found = wait::until("the finding", || {
            let found = console.items(&path)?;
            Ok((found.len() >= times).then_some(found))
        })?;
        ensure!(found.len() == times, "{found:#?}");
        let event = &found[0]["ocsf"]["evidences"][0];
        ensure!(event["process"]["file"]["path"] == target, "{event:#}");
    }
    let entries = console.items("/audit?limit=100")?;
    let armed = entries.iter().any(|entry| {
        entry["actor"] == "user:admin"
            && entry["reason"] == "end-to-end test"
            && entry["kind"] == "policy"
            && entry["detail"]["stage"] == "block"
            && entry["detail"]["evidence"].is_string()
    });
    ensure!(armed, "{entries:#?}");
    let verified = console.ask("GET", "/audit/verify", "", None)?.json()?;
    ensure!(verified["whole"] == true, "{verified}");
    sensor.stop()?;
    Ok(())
}

#[test]
fn an_attack_stands_in_the_graph() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let console = Console::start(&scratch)?;
    let join = console.post("/join-tokens", &json!({}))?;
    let join = join["token"].as_str().context("no join token")?;
    let mut sensor = sensor(&scratch, "state", &console.fleet, join).start()?;
    sensor.message("joined ")?;
    let server = Cause::new(&scratch, "httpd")?;
    let shell = Cause::new(&scratch, "shell")?.path_text();
    let is_shell = format!("process.path == {}", quote(&shell));
    for (name, event, condition) in [
        ("web-shell", "process.exec", is_shell.clone()),
        ("calls-out", "network.connect", format!("actor.{is_shell}")),
    ] {
        let rule = RuleFile::new().rule_with(name, event, &condition, "outputs: [finding, issue]");
        let written = json!({"name": name, "body": rule.text(), "reason": "t"});
        console.post("/rules", &written)?;
        console.stage(&format!("/rules/{name}"), &["simulate"])?;
    }
    for name in ["web-shell", "calls-out"] {
        console.mode(name, |_| true)?;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let said = server.act(["spawn", &shell, "connect", "tcp", "127.0.0.1", &port])?;
    assert_eq!(said.ret(), 0, "{said:?}");

    let node = |kind: &str, key: &str| {
        let path = format!("/graph/nodes?kind={kind}&key={key}");
        wait::until("a node", || {
            let found = console.items(&path)?;
            Ok(found
                .first()
                .and_then(|node| node["id"].as_str().map(str::to_owned)))
        })
    };
    let (rule, address) = (node("rule", "web-shell")?, node("ip", "127.0.0.1")?);
    let path = format!("/graph/path?from={rule}&to={address}");
    let path = console.ask("GET", &path, "", None)?.json()?;
    let steps = path["steps"].as_array().context("no steps")?;
    let joined: Vec<&Value> = steps.iter().map(|step| &step["edge"]).collect();
    ensure!(joined == ["matched", "connected"], "{path:#}");
    let process = &steps[0]["node"];
    ensure!(process["label"] == shell, "{path:#}");
    let around = format!(
        "/graph/nodes/{}/neighbours?limit=100",
        process["id"].as_str().context("no id")?
    );
    let around = console.items(&around)?;
    let has = |edge: &str, kind: &str, label: Option<&str>| {
        around.iter().any(|near| {
            near["edge"]["kind"] == edge
                && near["node"]["kind"] == kind
                && label.is_none_or(|label| near["node"]["label"] == label)
        })
    };
    let whole = has("started", "process", Some(&server.path_text()))
        && (has("runs_on", "host", None) || has("runs_on", "container", None))
        && has("as_user", "user", None)
        && has("matched", "rule", Some("calls-out"))
        && has("by", "finding", None);
    ensure!(whole, "{around:#?}");
    let groups = format!("/graph/nodes/{rule}/neighbours?edge=groups");
    ensure!(console.items(&groups)?.len() == 1, "not one issue");
    sensor.stop()?;
    Ok(())
}
