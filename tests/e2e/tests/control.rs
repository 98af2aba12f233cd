//! A running sensor is asked: what is in force, what it counted, whose budget is used
//! up. What lifts blocks, on the whole host, is shown in guests (`guest_control`).

use anyhow::{Context, Result, ensure};
use picket_e2e::binary::{self, run_picket};
use picket_e2e::lines::Lines;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, needs_root};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A sensor with a socket, a state and a name of its own.
struct Stage {
    scratch: Scratch,
    cgroup: Cgroup,
}

impl Stage {
    fn new() -> Result<Stage> {
        Ok(Stage {
            scratch: Scratch::new()?,
            cgroup: Cgroup::new()?,
        })
    }

    fn socket(&self) -> String {
        self.scratch.at("run/sensor.sock")
    }

    fn state(&self) -> String {
        self.scratch.at("state")
    }

    fn builder(&self) -> Builder {
        Builder::new(self.scratch.path().join("rules"))
            .enforce_in(self.cgroup.path())
            .arg("--control")
            .arg(self.socket())
            .arg("--state")
            .arg(self.state())
    }

    /// A subcommand that asks it.
    fn ask(&self, command: &[&str]) -> Result<Output> {
        let socket = self.socket();
        run_picket(command.iter().copied().chain(["--control", &socket]))
    }

    fn json(&self, command: &str) -> Result<Value> {
        let output = self.ask(&[command, "--format", "json"])?;
        ensure!(output.status.code() == Some(0), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The target's end, inside the scope.
    fn run_target(&self, sensor: &mut Sensor) -> Result<Option<i32>> {
        let target = Cause::new(&self.scratch, "target")?.path_text();
        let cause = Cause::new(&self.scratch, "cause")?.in_cgroup(&self.cgroup);
        let mut running = cause.start(["exec", &target, "linger"])?;
        running.go()?;
        let finding = sensor.finding("bad")?;
        let outcome = finding.response("stop-bad")?.text("outcome").to_owned();
        if outcome == "acted" {
            return Ok(running.killed()?.signal());
        }
        Ok(running.end()?.status.code())
    }

    fn on_target(&self) -> Result<String> {
        let target = Cause::new(&self.scratch, "target")?.path_text();
        Ok(format!("process.path == {}", quote(&target)))
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

const BUDGET: &str = "budget: {kills: 1, per: 10m, on_exceed: simulate}";

#[test]
fn status_tells_what_is_in_force_and_arm_gives_a_budget_back() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let nobody = "container.uid == \"nobody-has-it\"";
    RuleFile::new()
        .rule("bad", "process.exec", &stage.on_target()?)
        .rule("boxed", "dns.query", nobody)
        .policy_on("stop-bad", "{rules: [bad, boxed]}", "block", BUDGET)
        .policy("refuse-boxed", "boxed", "{deny: true}")
        .policy("watch-bad", "bad", "simulate")
        .write(&stage.scratch)?;
    let mut sensor = stage.builder().start()?;
    // What falls short of a block is told at the start, and at each reload.
    let short = "warning: rule boxed on dns.query: killed from user space: container.uid is known";
    sensor.message(short)?;

    let status = stage.json("status")?;
    assert_eq!(status["running"], true);
    assert_eq!(status["sensor"]["pid"], sensor.pid());
    assert_eq!(
        (&status["rules"], &status["disarmed"]),
        (&2.into(), &false.into())
    );
    let policy = |status: &Value, id: &str| -> Result<Value> {
        let policies = status["policies"].as_array().context("policies")?;
        let found = policies.iter().find(|policy| policy["id"] == id);
        Ok(found.with_context(|| format!("{id} in {status}"))?.clone())
    };
    let stop = policy(&status, "stop-bad")?;
    assert_eq!(
        (&stop["action"], &stop["kill"]),
        (&"block".into(), &true.into())
    );
    assert_eq!(stop["budget"]["used"], 0);
    let refuse = policy(&status, "refuse-boxed")?;
    assert_eq!(
        (&refuse["kill"], &refuse["deny"]),
        (&false.into(), &true.into())
    );
    assert_eq!(policy(&status, "watch-bad")?["action"], "simulate");
    let modes = status["enforcement"].as_array().context("enforcement")?;
    let mode = |rule: &str| {
        let found = modes.iter().find(|mode| mode["rule"] == rule);
        found.map(|mode| mode["classes"][0]["mode"].clone())
    };
    assert_eq!(mode("bad"), Some("killed_in_kernel".into()));
    assert_eq!(mode("boxed"), Some("killed_from_user_space".into()));

    // One action is all it may take.
    assert_eq!(stage.run_target(&mut sensor)?, Some(9));
    assert_eq!(stage.run_target(&mut sensor)?, Some(0));
    sensor.message_with("policy stop-bad has used up its budget")?;
    let text = said(&stage.ask(&["status"])?);
    ensure!(text.contains("USED UP"), "{text}");
    assert_eq!(
        policy(&stage.json("status")?, "stop-bad")?["budget"]["tripped"],
        true
    );

    let output = stage.ask(&["arm", "stop-bad", "no-such-policy"])?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    ensure!(
        said(&output).contains("no policy `no-such-policy`"),
        "{}",
        said(&output)
    );
    assert_eq!(
        policy(&stage.json("status")?, "stop-bad")?["budget"]["used"],
        0
    );
    assert_eq!(stage.run_target(&mut sensor)?, Some(9));

    sensor.signal(rustix::process::Signal::HUP)?;
    sensor.message(short)?;
    sensor.message("reloaded")?;
    sensor.stop()?;
    let output = stage.ask(&["status"])?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    ensure!(said(&output).contains("not running"), "{}", said(&output));
    ensure!(!Path::new(&stage.socket()).exists());
    Ok(())
}

#[test]
fn stats_names_what_is_dear_and_it_is_told_once() -> Result<()> {
    needs_root!();
    const PROCESSES: usize = 2_000;
    let stage = Stage::new()?;
    let target = Cause::new(&stage.scratch, "target")?.path_text();
    RuleFile::new()
        // Every command line is another, and nothing in it is certain.
        .rule(
            "dear",
            "process.exec",
            "process.cmd_line matches r\"[0-9]+[02468]$\"",
        )
        .rule(
            "cheap",
            "process.exec",
            "process.path == \"/nobody/has/it\"",
        )
        .write(&stage.scratch)?;
    let mut sensor = stage.builder().arg("--rule-budget").arg("1").start()?;
    let cause = Cause::new(&stage.scratch, "cause")?;
    let mut burst = cause.start(["burst", &PROCESSES.to_string(), &target])?;
    burst.go()?;
    burst.end()?;
    sensor.message("warning: rule dear takes ")?;

    let stats = stage.json("stats")?;
    assert_eq!(stats["rule_budget_ns"], 1);
    let events = stats["counters"]["events"]["process.exec"].as_u64();
    ensure!(events >= Some(PROCESSES as u64), "{stats}");
    let rules = stats["rules"].as_array().context("rules")?;
    assert_eq!(rules[0]["rule"], "dear");
    assert_eq!(rules[0]["over_budget"], true);
    for count in ["events", "candidates", "matches", "timed", "timed_ns"] {
        ensure!(rules[0][count].as_u64() > Some(0), "{count} in {stats}");
    }
    assert_eq!(
        (&rules[1]["rule"], &rules[1]["over_budget"]),
        (&"cheap".into(), &false.into())
    );
    let text = said(&stage.ask(&["stats"])?);
    ensure!(
        text.contains("over budget") && !text.contains('\x1b'),
        "{text}"
    );
    ensure!(text.contains("1 rule came into no question"), "{text}");

    // Again and again, a line each, until the sensor is gone.
    let mut child = Command::new(binary::picket()?)
        .args(["stats", "--watch", "1", "--format", "json", "--control"])
        .arg(stage.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = Lines::of("stats", child.stdout.take().context("stdout")?);
    let mut errors = Lines::of("its errors", child.stderr.take().context("stderr")?);
    for _ in 0..2 {
        let line = lines.take("a line of stats", |line| Some(line.to_owned()))?;
        assert_eq!(
            serde_json::from_str::<Value>(&line)?["sensor"]["pid"],
            sensor.pid()
        );
    }
    let stopped = sensor.stop()?;
    errors.take("that it is gone", |line| {
        line.starts_with("error: ").then_some(())
    })?;
    assert_eq!(
        picket_e2e::wait::for_exit(&mut child, "stats")?.code(),
        Some(2)
    );
    let again = stopped
        .messages
        .iter()
        .any(|line| line.contains("rule dear takes"));
    ensure!(!again, "{:?}", stopped.messages);
    Ok(())
}

#[test]
fn a_sensor_that_starts_where_blocks_were_lifted_only_simulates() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("bad", "process.exec", &stage.on_target()?)
        .policy("stop-bad", "bad", "block")
        .write(&stage.scratch)?;
    let marker =
        r#"{"time_ns":1795400000000000000,"user":"alice","uid":1000,"reason":"ticket 4711"}"#;
    stage.scratch.write("state/disarmed", marker)?;
    let mut sensor = stage.builder().start()?;
    let told = sensor.message("warning: every block on this host was lifted")?;
    for part in [
        "by alice (uid 1000)",
        "ticket 4711",
        "starts disarmed",
        "picket arm",
    ] {
        ensure!(told.contains(part), "{told}");
    }
    let target = Cause::new(&stage.scratch, "target")?.path_text();
    let cause = Cause::new(&stage.scratch, "cause")?.in_cgroup(&stage.cgroup);
    let mut running = cause.start(["exec", &target, "linger"])?;
    running.go()?;
    sensor
        .finding("bad")?
        .response("stop-bad")?
        .has("outcome", "withheld")?
        .has("reason", "disarmed")?;
    assert_eq!(running.end()?.status.code(), Some(0));
    let status = stage.json("status")?;
    assert_eq!(status["disarmed"], true);
    assert_eq!(status["lifted"]["user"], "alice");
    let text = said(&stage.ask(&["status"])?);
    ensure!(text.contains("blocks    LIFTED by alice"), "{text}");
    // Told at the start, and not as if it had just happened.
    let stopped = sensor.stop()?;
    let again = stopped
        .messages
        .iter()
        .any(|line| line.contains("was lifted"));
    ensure!(!again, "{:?}", stopped.messages);
    Ok(())
}

#[test]
fn each_sensor_has_a_socket_of_its_own() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.pid == 1")
        .write(&scratch)?;
    let plain = || Builder::new(scratch.path().join("rules"));
    // One of the two, or another sensor of this host, has the usual place.
    let (first, mut second) = (plain().start()?, plain().start()?);
    let told = second.message("warning: another sensor answers at /run/picket/sensor.sock")?;
    let own = format!("/run/picket/sensor-{}.sock", second.pid());
    ensure!(told.ends_with(&format!("--control {own}")), "{told}");
    let output = run_picket(["status", "--format", "json", "--control", &own])?;
    let status: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(status["sensor"]["pid"], second.pid());

    // A place that was asked for is not given up for another.
    let mut third = plain().arg("--control").arg(&own).spawn()?;
    let ended = third.ended()?;
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.messages);
    let said = ended.messages.join("\n");
    ensure!(
        said.contains("another sensor answers at") && said.contains("none"),
        "{said}"
    );
    let fourth = plain().arg("--control").arg("none").start()?;
    for sensor in [first, second, fourth] {
        sensor.stop()?;
    }
    ensure!(!Path::new(&own).exists());
    Ok(())
}

/// As in the rest of the suite: util-linux has it.
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

#[test]
fn only_root_may_ask() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.pid == 1")
        .write(&stage.scratch)?;
    let sensor = stage.builder().start()?;
    let socket = stage.socket();
    let folder = Path::new(&socket).parent().context("a folder")?;
    let mode =
        |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode() & 0o777);
    assert_eq!((mode(folder)?, mode(Path::new(&socket))?), (0o700, 0o600));

    let copy = stage.scratch.path().join("picket");
    fs::copy(binary::picket()?, &copy)?;
    fs::set_permissions(stage.scratch.path(), Permissions::from_mode(0o755))?;
    let run = |args: &[&str]| {
        let mut command = Command::new(NOBODY[0]);
        command.args(&NOBODY[1..]).arg(&copy).args(args).output()
    };
    let ask = || run(&["status", "--control", &socket]);
    let output = ask()?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    ensure!(said(&output).contains("run as root"), "{}", said(&output));
    // Nor lift anything.
    let state = stage.state();
    for command in ["disarm", "arm"] {
        let output = run(&[command, "--state", &state])?;
        assert_eq!(
            output.status.code(),
            Some(2),
            "{command}: {}",
            said(&output)
        );
        ensure!(
            said(&output).contains("run as root"),
            "{command}: {}",
            said(&output)
        );
    }
    ensure!(!Path::new(&state).exists());
    // Even where somebody opened the way.
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    let output = ask()?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    ensure!(said(&output).contains("only root"), "{}", said(&output));
    sensor.stop()?;
    Ok(())
}
