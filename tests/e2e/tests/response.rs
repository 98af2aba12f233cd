//! Policies act, on the right process and on nothing else, in a cgroup of the test's own.

use anyhow::{Result, ensure};
use picket_e2e::rules::{RuleFile, by, quote};
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, needs_root, skip_unless};
use std::os::unix::process::ExitStatusExt;

const KILLED: Option<i32> = Some(9);

/// `target` is what the rule is about; `cause` starts it and is not.
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

    fn target(&self) -> Result<Cause<'_>> {
        Cause::new(&self.scratch, "target")
    }

    fn cause(&self) -> Result<Cause<'_>> {
        Cause::new(&self.scratch, "cause")
    }

    fn on_exec(&self) -> Result<String> {
        Ok(format!(
            "process.path == {}",
            quote(&self.target()?.path_text())
        ))
    }

    fn sensor(&self) -> Result<Sensor> {
        self.builder().start()
    }

    fn builder(&self) -> Builder {
        Builder::new(self.scratch.path().join("rules")).enforce_in(self.cgroup.path())
    }
}

#[test]
fn block_kills_the_process_and_nothing_else() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("bad", "process.exec", &stage.on_exec()?)
        .policy("stop-bad", "bad", "block")
        .write(&stage.scratch)?;
    let target = stage.target()?.path_text();
    let mut sensor = stage.sensor()?;

    // In the scope: its parent and a stranger beside it live on.
    let cause = stage.cause()?.in_cgroup(&stage.cgroup);
    let mut stranger = cause.clone().start(["linger"])?;
    stranger.go()?;
    stranger.said()?;
    let mut parent = cause
        .env("CAUSE_LINGER", "1")
        .start(["spawn", &target, "linger"])?;
    parent.go()?;
    // The target died before it could speak: this is its parent's line.
    let said = parent.said()?;
    assert_eq!(said.ret(), 128 + 9, "the target was not killed: {said:?}");
    ensure!(parent.is_alive()? && stranger.is_alive()?);

    let finding = sensor.finding("bad")?;
    finding.event().has("process.pid", said.number("child"))?;
    assert_eq!(finding.text("disposition"), "Blocked");
    let response = finding.response("stop-bad")?;
    response
        .has("mode", "block")?
        .has("kill", true)?
        .has("pid", said.number("child"))?
        .has("mechanism", "kernel_kill")?
        .has("outcome", "acted")?
        .has("operation_completed", false)?;
    let latency = response.number("latency_ns").unwrap_or(-1);
    ensure!(
        (1..10_000_000_000).contains(&latency),
        "latency {latency} ns"
    );

    // Outside of it: detected, and left alone.
    let outside = stage.cause()?.start(["exec", &target, "linger"]);
    let mut outside = outside?;
    outside.go()?;
    let finding = sensor.finding("bad")?;
    finding.event().has("process.pid", outside.pid())?;
    finding
        .response("stop-bad")?
        .has("outcome", "withheld")?
        .has("reason", "out_of_scope")?;
    assert_eq!(finding.text("disposition"), "Logged");
    ensure!(outside.is_alive()? && parent.is_alive()? && stranger.is_alive()?);
    assert_eq!(outside.end()?.status.code(), Some(0));
    assert_eq!(stranger.end()?.status.code(), Some(0));
    assert_eq!(parent.end()?.status.code(), Some(0));

    let stopped = sensor.stop()?;
    ensure!(
        stopped
            .messages
            .iter()
            .any(|line| line.starts_with("killed: 1")),
        "{:?}",
        stopped.messages
    );
    Ok(())
}

#[test]
fn simulate_decides_the_same_and_kills_nothing() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("bad", "process.exec", &stage.on_exec()?)
        .policy("stop-bad", "bad", "simulate")
        .write(&stage.scratch)?;
    let target = stage.target()?.path_text();
    let mut sensor = stage.sensor()?;
    let mut inside = stage
        .cause()?
        .in_cgroup(&stage.cgroup)
        .start(["exec", &target, "linger"])?;
    inside.go()?;
    let finding = sensor.finding("bad")?;
    assert_eq!(finding.text("disposition"), "Logged");
    finding
        .response("stop-bad")?
        .has("mode", "simulate")?
        .has("kill", true)?
        .has("deny", true)?
        .has("pid", inside.pid())?
        .has("mechanism", "kernel_kill")?
        .has("outcome", "simulated")?;

    let mut outside = stage.cause()?.start(["exec", &target, "linger"])?;
    outside.go()?;
    sensor
        .finding("bad")?
        .response("stop-bad")?
        .has("outcome", "withheld")?
        .has("reason", "out_of_scope")?;
    sensor.stop()?;
    assert_eq!(inside.end()?.status.code(), Some(0));
    assert_eq!(outside.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn every_class_can_be_answered() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let path = stage.target()?.path_text();
    let file = stage.scratch.at("file");
    let on_file = format!("{} and file.path == {}", by(&path), quote(&file));
    let classes: &[(&str, String, &[&str])] = &[
        (
            "network.connect",
            // Not where the question goes: that is another rule's.
            format!("{} and dst_endpoint.port == 9", by(&path)),
            &["connect", "udp", "127.0.0.1", "9"],
        ),
        ("network.listen", by(&path), &["listen", "127.0.0.1", "0"]),
        (
            "dns.query",
            by(&path),
            &["dns", "sendto", "127.0.0.1", "53", "e2e.example", "1"],
        ),
        ("file.create", on_file.clone(), &["creat", &file]),
        ("file.open", on_file.clone(), &["open", &file, "r"]),
        ("file.chmod", on_file.clone(), &["chmod", &file, "777"]),
        ("file.delete", on_file, &["unlink", &file]),
    ];
    let mut rules = RuleFile::new();
    for (class, condition, _) in classes {
        rules =
            rules
                .rule(class, class, condition)
                .policy(&format!("stop-{class}"), class, "block");
    }
    rules.write(&stage.scratch)?;
    let mut sensor = stage.sensor()?;
    for (class, _, args) in classes {
        let cause = stage
            .target()?
            .in_cgroup(&stage.cgroup)
            .env("CAUSE_LINGER", "1");
        let mut running = cause.start(*args)?;
        running.go()?;
        let status = running.killed()?;
        assert_eq!(status.signal(), KILLED, "{class}: {status}");
        let finding = sensor.finding(class)?;
        finding
            .response(&format!("stop-{class}"))?
            .has("outcome", "acted")?
            .has("pid", running.pid())?;
    }
    Ok(())
}

#[test]
fn triggers_by_tag_category_and_severity() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    let rule = stage.on_exec()?;
    let rules = RuleFile::new()
        .rule_with(
            "bad",
            "process.exec",
            &rule,
            "category: cryptominer.pool\ntags: [attack.t1496]",
        )
        .policy_on("by-tag", "{tags: [attack.t1496]}", "simulate", "")
        .policy_on("by-category", "{categories: [cryptominer]}", "simulate", "")
        .policy_on("by-severity", "{severity: \">= high\"}", "simulate", "")
        .policy_on("worse-only", "{severity: \">= critical\"}", "simulate", "")
        .policy_on("other-tag", "{tags: [attack.t1059]}", "simulate", "")
        .policy_on(
            "elsewhere",
            "{rules: [bad]}",
            "block",
            "projects: [another]",
        );
    rules.write(&stage.scratch)?;
    let mut sensor = stage.sensor()?;
    let target = stage.target()?.path_text();
    stage
        .cause()?
        .in_cgroup(&stage.cgroup)
        .run(["exec", &target, "hold"])?;
    let finding = sensor.finding("bad")?;
    let policies: Vec<&str> = finding
        .responses()
        .iter()
        .map(|response| response.text("policy"))
        .collect();
    assert_eq!(policies, ["by-tag", "by-category", "by-severity"]);
    Ok(())
}

#[test]
fn a_budget_bounds_what_a_policy_kills() -> Result<()> {
    needs_root!();
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("bad", "process.exec", &stage.on_exec()?)
        .policy_on(
            "bounded",
            "{rules: [bad]}",
            "block",
            "budget: {kills: 2, per: 10m, on_exceed: simulate}",
        )
        .write(&stage.scratch)?;
    let mut sensor = stage.sensor()?;
    let target = stage.target()?.path_text();
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let mut running = stage
            .cause()?
            .in_cgroup(&stage.cgroup)
            .start(["exec", &target, "linger"])?;
        running.go()?;
        let finding = sensor.finding("bad")?;
        let response = finding.response("bounded")?;
        outcomes.push(format!(
            "{} {}",
            response.text("outcome"),
            response.text("reason")
        ));
        if response.text("outcome") == "acted" {
            assert_eq!(running.killed()?.signal(), KILLED);
        } else {
            ensure!(running.is_alive()?);
            assert_eq!(running.end()?.status.code(), Some(0));
        }
    }
    assert_eq!(
        outcomes,
        [
            "acted ",
            "acted ",
            "withheld budget_exceeded",
            "withheld budget_exceeded"
        ]
    );
    Ok(())
}

#[test]
fn a_rule_that_matches_everything_spares_the_protected_set() -> Result<()> {
    needs_root!();
    let runc = picket_e2e::binary::find("runc");
    skip_unless!(runc.is_some(), "runc is not installed");
    let stage = Stage::new()?;
    RuleFile::new()
        .rule("everything", "process.exec", "process.pid > 0")
        .policy("stop-everything", "everything", "block")
        .write(&stage.scratch)?;
    // By name, by path, and one that only looks protected.
    let named = Cause::new(&stage.scratch, "kept-by-name")?;
    let pathed = Cause::new(&stage.scratch, "kept-by-path")?;
    let imposter = Cause::new(&stage.scratch, "sshd")?;
    let mut sensor = stage
        .builder()
        .arg("--protect")
        .arg("kept-by-name")
        .arg("--protect")
        .arg(pathed.path())
        .start()?;
    // The sensor itself is in its own scope.
    stage.cgroup.add(sensor.pid())?;

    let runc = runc.unwrap_or_default().display().to_string();
    for (program, protected) in [
        (runc, true),
        (named.path_text(), true),
        (pathed.path_text(), true),
        (imposter.path_text(), false),
        (stage.target()?.path_text(), false),
    ] {
        let args = if program.ends_with("runc") {
            "--version"
        } else {
            "linger"
        };
        let mut running = stage
            .cause()?
            .in_cgroup(&stage.cgroup)
            .start(["exec", &program, args])?;
        let pid = running.pid();
        running.go()?;
        let finding = sensor.finding_where("everything", |finding| {
            let event = finding.event();
            event.number("process.pid") == Some(pid.into())
                && event.text("process.file.path") == program
        })?;
        let response = finding.response("stop-everything")?;
        if protected {
            response
                .has("outcome", "withheld")?
                .has("reason", "protected")?;
            ensure!(!response.text("protected_by").is_empty());
            assert_eq!(running.end()?.status.code(), Some(0), "{program} died");
        } else {
            response.has("outcome", "acted")?;
            assert_eq!(running.killed()?.signal(), KILLED, "{program}");
        }
    }
    let stopped = sensor.stop()?;
    assert_eq!(stopped.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_scope_that_is_no_cgroup_is_refused() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.pid == 1")
        .write(&scratch)?;
    let mut sensor = Builder::new(scratch.path().join("rules"))
        .enforce_in(scratch.path())
        .spawn()?;
    let ended = sensor.ended()?;
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.messages);
    let said = ended.messages.join("\n");
    ensure!(said.contains("cgroup"), "{said}");
    ensure!(!said.contains("ready"), "{said}");
    Ok(())
}
