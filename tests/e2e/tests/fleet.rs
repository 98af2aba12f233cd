//! Sensor and server over real mutual TLS, on the real kernel.

use anyhow::{Context, Result, ensure};
use picket_e2e::binary::run_picket;
use picket_e2e::fleet::{Control, applied, cause, health, now, socket};
use picket_e2e::rules::quote;
use picket_e2e::{Cause, Cgroup, Scratch, needs_root, wait};
use picket_proto::bundle::{Bundle, RuleFile, SigningKey, sign};
use picket_store::{Content, NewBundle, RolloutState, Stage};
use std::time::Duration;

const SCOPE: &str = "fleet:";

#[test]
fn a_rule_in_the_store_kills_on_the_host_and_the_finding_comes_back() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new()?;
    let control = Control::start(&scratch)?;
    let token = control.join_token(1, &[("env", "test")])?;
    let mut sensor = control
        .sensor(&scratch, "state", &token)
        .enforce_in(cgroup.path())
        .start()?;
    sensor.message("joined ")?;

    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    let rule = control.rule("bad", Stage::Block, &condition)?;
    let policy = control.policy("stop-bad", Stage::Simulate, "bad")?;
    sensor.message_with("is in force")?;
    let known = control.sensor_where("one that reports its rules", |sensor| applied(sensor) > 0)?;
    assert_eq!(known.labels["env"], "test");

    // Simulated: it lives.
    let cause = Cause::new(&scratch, "cause")?.in_cgroup(&cgroup);
    wait::until("a version that has the policy", || {
        let rules = control.rules_on(known.id)?;
        Ok(rules
            .iter()
            .any(|rule| rule.status.mode == "simulated")
            .then_some(()))
    })?;
    let said = cause.act(["spawn", target.path_text().as_str(), "hold"])?;
    assert_eq!(said.ret(), 0, "{said:?}");
    let finding = control.finding("bad")?;
    assert_eq!(finding.columns.disposition.name(), "Logged");
    assert_eq!(finding.sensor, known.id);

    // Armed: it dies.
    let content = Content {
        stage: Stage::Block,
        ..policy.content.clone()
    };
    control.change(&policy, content)?;
    let mode = wait::until("a rule that is enforced", || {
        let rules = control.rules_on(known.id)?;
        let enforced = rules
            .into_iter()
            .find(|rule| rule.status.mode.ends_with("_in_kernel"));
        Ok(enforced)
    })?;
    assert_eq!(mode.status.rule, "bad");
    let said = cause.act(["spawn", target.path_text().as_str(), "hold"])?;
    assert_eq!(said.ret(), 128 + 9, "it was not killed: {said:?}");
    let blocked = wait::until("the finding of the kill", || {
        let mut findings = control.findings()?.into_iter();
        Ok(findings.find(|finding| finding.columns.disposition.name() == "Blocked"))
    })?;
    assert_eq!(blocked.columns.rule, "bad");
    let (_, ocsf) = control
        .ask(control.store().findings_ocsf(&[blocked.id]))?
        .pop()
        .context("its JSON")?;
    assert_eq!(ocsf["evidences"][0]["process"]["pid"], said.number("child"));

    // Taken back: it lives, and nothing is found.
    let content = Content {
        stage: Stage::Draft,
        ..rule.content.clone()
    };
    control.change(&rule, content)?;
    wait::until("no rule on the sensor", || {
        Ok(control.rules_on(known.id)?.is_empty().then_some(()))
    })?;
    let said = cause.act(["spawn", target.path_text().as_str(), "hold"])?;
    assert_eq!(said.ret(), 0, "{said:?}");
    sensor.stop()?;
    assert_eq!(control.findings()?.len(), 2);
    Ok(())
}

/// A sensor whose rule `found` is in force by the bundle of version 1.
struct Stage1 {
    scratch: Scratch,
    control: Control,
    token: String,
    target: std::path::PathBuf,
}

impl Stage1 {
    fn new() -> Result<Stage1> {
        let scratch = Scratch::new()?;
        let control = Control::start(&scratch)?;
        let token = control.join_token(1, &[])?;
        let target = Cause::new(&scratch, "target")?.path().to_owned();
        let condition = format!("process.path == {}", quote(&target.display().to_string()));
        control.rule("found", Stage::Simulate, &condition)?;
        Ok(Stage1 {
            scratch,
            control,
            token,
            target,
        })
    }

    fn sensor(&self) -> picket_e2e::sensor::Builder {
        self.control.sensor(&self.scratch, "state", &self.token)
    }

    /// Runs the target: a finding in the spool.
    fn cause(&self) -> Result<()> {
        let said = Cause::new(&self.scratch, "target")?.act(["hold"]);
        ensure!(self.target.exists(), "{said:?}");
        said.map(|_| ())
    }

    /// Publishes bytes as that version and rolls them out to all.
    fn publish(&self, version: i64, bytes: Vec<u8>) -> Result<()> {
        let store = self.control.store();
        let before = self.control.rollout(SCOPE)?;
        let bundle = NewBundle {
            scope: SCOPE.to_owned(),
            version,
            key_id: "somebody's".to_owned(),
            bytes,
            expires_at: None,
        };
        let bundle = self.control.ask(store.publish(bundle, &cause("test")))?;
        if before.state.is_under_way() {
            let progress = serde_json::json!({"superseded_by": version});
            let state = RolloutState::Superseded;
            let by = cause("test");
            self.control.ask(store.move_rollout(
                before.id,
                before.version,
                state,
                progress,
                &by,
            ))?;
        }
        let mut plan = before.plan;
        plan["version"] = version.into();
        let by = cause("test");
        let state = RolloutState::Full;
        self.control
            .ask(store.begin_rollout(bundle.id, state, plan, &by))?;
        Ok(())
    }
}

fn bundle(scope: &str, version: u64, expires_us: i64) -> Bundle {
    Bundle {
        scope: scope.to_owned(),
        version,
        created_us: now() - 10_000_000,
        expires_us,
        files: vec![RuleFile {
            name: "none.yaml".to_owned(),
            text: "rules: []\n".to_owned(),
        }],
    }
}

#[test]
fn bundles_that_are_not_for_this_sensor_are_refused() -> Result<()> {
    needs_root!();
    let stage = Stage1::new()?;
    let control = &stage.control;
    let mut sensor = stage.sensor().start()?;
    control.applied(1)?;
    control.rule("second", Stage::Simulate, "process.memfd")?;
    control.applied(2)?;
    wait::until("a roll-out that is done", || {
        let rollout = control.rollout(SCOPE)?;
        Ok((rollout.state == RolloutState::Done).then_some(()))
    })?;
    let key = control.signing_key()?;
    let hour = now() + 3_600_000_000;
    let first = control.ask(control.store().bundle(SCOPE, 1))?;
    let replayed = control.ask(control.store().bundle_bytes(first.id))?;
    let stranger = SigningKey::from_seed(&[9; 32]);
    let mut tampered = sign(&bundle(SCOPE, 7, hour), &key)?;
    let at = tampered.len() / 3;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    let cases = [
        (
            "forged",
            sign(&bundle(SCOPE, 3, hour), &stranger)?,
            "no trusted key",
        ),
        ("replayed", replayed, "has version 1, and 2 was applied"),
        (
            "relabelled",
            sign(&bundle("payments", 5, hour), &key)?,
            "is for scope",
        ),
        (
            "over",
            sign(&bundle(SCOPE, 6, now() - 1), &key)?,
            "past its end",
        ),
        ("tampered", tampered, "no trusted key"),
    ];
    for (at, (what, bytes, why)) in cases.into_iter().enumerate() {
        let version = 3 + at as i64;
        stage.publish(version, bytes)?;
        let refused = sensor
            .message("warning: a bundle was refused")
            .context(what)?;
        ensure!(refused.contains(why), "{what}: {refused}");
        let told = control.sensor_where(what, |sensor| {
            health(sensor, "failed_version") == serde_json::json!(version)
        })?;
        assert_eq!(applied(&told), 2, "{what}");
        // One sensor that cannot take it is too many: the roll-out has halted.
        wait::until(what, || {
            let rollout = control.rollout(SCOPE)?;
            Ok((rollout.state == RolloutState::Halted).then_some(()))
        })?;
    }
    // What was in force still is.
    stage.cause()?;
    control.finding("found")?;
    sensor.stop()?;
    Ok(())
}

#[test]
fn an_expired_bundle_stays_in_force_without_a_server_and_raises_an_alarm() -> Result<()> {
    needs_root!();
    let mut stage = Stage1::new()?;
    stage.control.stop_serving();
    stage
        .control
        .set(|config| config.bundle_life = Duration::from_secs(4));
    stage.control.serve()?;
    let builder = stage.sensor();
    let sensor = builder.start()?;
    let known = stage
        .control
        .sensor_where("the bundle", |sensor| applied(sensor) > 0)?;
    let version = applied(&known);
    // Nobody renews it from here on.
    stage.control.stop_serving();
    sensor.stop()?;

    // A new run, and no server: the rules are in force before it is reached.
    let mut sensor = builder.spawn()?;
    sensor.message_with("is in force, as it was before")?;
    sensor.message("ready")?;
    sensor.message_with("should have been replaced by now: it stays in force")?;
    stage.cause()?;

    // The server comes back, and for it the bundle is young enough.
    stage
        .control
        .set(|config| config.bundle_life = Duration::from_secs(86_400));
    stage.control.serve()?;
    let told = stage.control.sensor_where("the alarm", |sensor| {
        let alarms = health(sensor, "alarms");
        alarms.to_string().contains("bundle_expired")
    })?;
    assert!(applied(&told) >= version);
    stage.control.finding("found")?;
    sensor.stop()?;
    Ok(())
}

#[test]
fn a_revoked_sensors_stream_is_closed_and_it_does_not_come_back() -> Result<()> {
    needs_root!();
    let stage = Stage1::new()?;
    let control = &stage.control;
    let mut sensor = stage.sensor().start()?;
    let known = control.applied(1)?;
    assert_eq!(control.fleet()?.connected(), 1);
    control.ask(control.store().revoke_sensor(known.id, &cause("stolen")))?;
    sensor.message_with("the sensor was revoked")?;
    wait::until("no stream", || {
        Ok((control.fleet()?.connected() == 0).then_some(()))
    })?;
    // What it has stays in force: a thief's sensor is no reason to leave a host alone.
    stage.cause()?;
    sensor.stop()?;
    let mut sensor = stage.sensor().start()?;
    sensor.message_with("unknown, over or revoked")?;
    sensor.stop()?;
    assert!(control.findings()?.is_empty());
    Ok(())
}

#[test]
fn what_cannot_be_evaluated_here_comes_back_by_rule_and_host() -> Result<()> {
    needs_root!();
    let stage = Stage1::new()?;
    let hash = "0".repeat(64);
    let condition = format!("process.hash.sha256 == {}", quote(&hash));
    stage.control.rule("by-hash", Stage::Simulate, &condition)?;
    let sensor = stage.sensor().start()?;
    let known = stage
        .control
        .sensor_where("the bundle", |sensor| applied(sensor) > 0)?;
    let modes = wait::until("both rules", || {
        let rules = stage.control.rules_on(known.id)?;
        Ok((rules.len() == 2).then_some(rules))
    })?;
    assert_eq!(modes[0].status.rule, "by-hash");
    assert_eq!(modes[0].status.mode, "cannot_be_evaluated");
    assert_eq!(modes[1].status.mode, "detected");
    sensor.stop()?;

    // What this host can do is told at each return: it may have another kernel by then.
    let facts = known.facts.clone();
    ensure!(facts["kernel"].is_string(), "{facts}");
    let old = serde_json::json!({"kernel": "4.4"});
    let renewed = stage.control.store().renew_facts(known.id, old);
    stage.control.ask(renewed)?;
    let back = stage.sensor().start()?;
    stage
        .control
        .sensor_where("the host as it is now", |sensor| sensor.facts == facts)?;
    // And people on the host are told how it stands with its server.
    let socket = socket(&stage.scratch, "state");
    let socket = socket.to_string_lossy();
    let told = wait::until("a sensor that is connected", || {
        let asked = run_picket(["status", "--format", "json", "--control", &socket])?;
        let told: serde_json::Value = serde_json::from_slice(&asked.stdout)?;
        Ok((told["fleet"]["connected"] == true).then_some(told))
    })?;
    assert_eq!(told["fleet"]["server"], stage.control.url());
    assert_eq!(told["fleet"]["bundle"]["scope"], SCOPE);
    let asked = run_picket(["status", "--control", &socket])?;
    let text = String::from_utf8_lossy(&asked.stdout);
    ensure!(text.contains("connected, 0 findings to deliver"), "{text}");
    back.stop()?;
    Ok(())
}

#[test]
fn a_sensor_without_its_server_knows_what_it_waits_for() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let control = Control::start(&scratch)?;
    // Another fleet's authority.
    let other = Scratch::new()?;
    let stranger = Control::start(&other)?;
    let foreign = stranger.join_token(1, &[])?;
    let mut sensor = control.sensor(&scratch, "a", &foreign).start()?;
    let told = sensor.message("warning: no line to the server")?;
    ensure!(told.contains("UnknownIssuer"), "{told}");
    sensor.stop()?;
    // Used up.
    let token = control.join_token(1, &[])?;
    let first = control.sensor(&scratch, "b", &token).start()?;
    control.sensor_where("the first", |_| true)?;
    first.stop()?;
    let mut second = control.sensor(&scratch, "c", &token).start()?;
    let told = second.message("warning: no line to the server")?;
    ensure!(told.contains("is used up"), "{told}");
    second.stop()?;
    Ok(())
}

/// Resident memory of a process that is nobody else's, KiB.
fn resident_kib(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = text
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kib.sum())
}

#[test]
fn the_line_to_a_server_takes_little_memory() -> Result<()> {
    needs_root!();
    let stage = Stage1::new()?;
    let joined = stage.sensor().start()?;
    stage.control.applied(1)?;
    let rules = picket_e2e::rules::RuleFile::new()
        .rule("found", "process.exec", "process.memfd")
        .write(&stage.scratch)?;
    let alone = picket_e2e::sensor::Builder::new(rules)
        .arg("--control")
        .arg(socket(&stage.scratch, "alone"))
        .start()?;
    let (with, without) = (resident_kib(joined.pid())?, resident_kib(alone.pid())?);
    println!("private memory: {with} KiB with a server, {without} KiB alone");
    // About 8 MiB in a build without optimisation, and a little less or more by the run.
    ensure!(
        with < without + 12 * 1024,
        "{with} KiB, alone {without} KiB"
    );
    joined.stop()?;
    alone.stop()?;
    Ok(())
}
