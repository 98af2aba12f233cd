//! What a person writes through the API kills on a host: test and server speak HTTP,
//! server and sensor mutual TLS, each a process of its own.

use anyhow::{Context, Result, ensure};
use picket_e2e::console::Console;
use picket_e2e::fleet::sensor;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::{Cause, Cgroup, Scratch, needs_root, wait};
use serde_json::json;

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
