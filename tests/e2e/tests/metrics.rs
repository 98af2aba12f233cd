//! What a sensor tells Prometheus.

use anyhow::{Context, Result, ensure};
use picket_e2e::fleet::Control;
use picket_e2e::http::get;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::scrape::Samples;
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, needs_root, wait};
use picket_store::Stage;
use std::net::TcpListener;

fn address(sensor: &mut Sensor) -> Result<String> {
    let line = sensor.message("metrics: http://")?;
    let rest = line.strip_prefix("metrics: http://");
    let address = rest.and_then(|rest| rest.strip_suffix("/metrics"));
    Ok(address.context(line.clone())?.to_owned())
}

#[test]
fn events_findings_costs_and_actions_are_counted() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new()?;
    let target = Cause::new(&scratch, "target")?.path_text();
    RuleFile::new()
        .rule(
            "bad",
            "process.exec",
            &format!("process.path == {}", quote(&target)),
        )
        .policy("stop-bad", "bad", "block")
        .write(&scratch)?;
    let mut sensor = Builder::new(scratch.path().join("rules"))
        .enforce_in(cgroup.path())
        .arg("--metrics")
        .arg("127.0.0.1:0")
        .spawn()?;
    let address = address(&mut sensor)?;
    // It answers before the hooks are armed, and says which it is.
    ensure!(get(&address, "/healthz")?.status == 200);
    sensor.message("ready")?;
    let ready = get(&address, "/readyz")?;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    assert_eq!(get(&address, "/other")?.status, 404);

    let inside = Cause::new(&scratch, "cause")?.in_cgroup(&cgroup);
    let said = inside.act(["spawn", &target, "hold"])?;
    assert_eq!(said.ret(), 128 + 9, "it was not killed: {said:?}");
    let outside = Cause::new(&scratch, "cause")?;
    assert_eq!(outside.act(["spawn", &target, "hold"])?.ret(), 0);
    sensor.finding("bad")?;
    sensor.finding("bad")?;

    let samples = wait::until("both findings in the metrics", || {
        let samples = Samples::of(&address)?;
        let found = samples.value("picket_findings_total{rule=\"bad\"}");
        Ok((found == 2.0).then_some(samples))
    })?;
    ensure!(samples.value("picket_events_total{class=\"process.exec\"}") >= 4.0);
    assert_eq!(
        samples.value("picket_rule_matches_total{rule=\"bad\"}"),
        2.0
    );
    ensure!(samples.value("picket_rule_evaluations_total{rule=\"bad\"}") >= 4.0);
    ensure!(samples.has("picket_rule_sampled_nanoseconds_total{rule=\"bad\"}"));
    let actions = |mechanism: &str| {
        samples.value(&format!(
            "picket_actions_total{{mechanism=\"{mechanism}\"}}"
        ))
    };
    ensure!(
        actions("kernel_kill") + actions("pidfd_kill") >= 1.0,
        "{samples:?}"
    );
    let held_back = "picket_decisions_held_back_total{reason=\"out_of_scope\"}";
    assert_eq!(samples.value(held_back), 1.0);
    assert_eq!(samples.value("picket_sensor_up"), 1.0);
    assert_eq!(samples.value("picket_rules"), 1.0);
    assert_eq!(samples.value("picket_policies"), 1.0);
    assert_eq!(samples.value("picket_disarmed"), 0.0);
    ensure!(samples.has("picket_blind_intervals_total"));
    ensure!(samples.value("process_resident_memory_bytes") > 1e6);
    // Without a server there is none to be connected to.
    ensure!(!samples.has("picket_server_connected"));
    sensor.stop()?;
    Ok(())
}

#[test]
fn the_line_to_the_server_is_told_of() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let mut control = Control::start(&scratch)?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    control.rule("bad", Stage::Block, &condition)?;
    let token = control.join_token(1, &[])?;
    let mut sensor = control
        .sensor(&scratch, "state", &token)
        .arg("--metrics")
        .arg("127.0.0.1:0")
        .spawn()?;
    let address = address(&mut sensor)?;
    sensor.message("ready")?;
    wait::until("a bundle and a server in the metrics", || {
        let samples = Samples::of(&address)?;
        let version = samples.value("picket_bundle_version{scope=\"fleet:\"}");
        let connected = samples.value("picket_server_connected");
        Ok((version >= 1.0 && connected == 1.0).then_some(()))
    })?;

    // Without the server: still ready, and findings wait.
    control.stop_serving();
    let cause = Cause::new(&scratch, "cause")?;
    assert_eq!(cause.act(["spawn", &target.path_text(), "hold"])?.ret(), 0);
    let samples = wait::until("a finding that waits", || {
        let samples = Samples::of(&address)?;
        let waits = samples.value("picket_spool_findings") == 1.0;
        let alone = samples.value("picket_server_connected") == 0.0;
        Ok((waits && alone).then_some(samples))
    })?;
    ensure!(samples.value("picket_spool_bytes") > 0.0);
    assert_eq!(samples.value("picket_bundle_expired"), 0.0);
    assert_eq!(get(&address, "/readyz")?.status, 200);
    sensor.stop()?;
    Ok(())
}

#[test]
fn an_address_that_is_taken_stops_it_before_anything_is_armed() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.name == \"nobody\"")
        .write(&scratch)?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let mut sensor = Builder::new(scratch.path().join("rules"))
        .arg("--metrics")
        .arg(&port)
        .spawn()?;
    let ended = sensor.ended()?;
    assert_eq!(ended.status.code(), Some(2));
    let said = ended.messages.join("\n");
    ensure!(
        said.contains(&format!("cannot serve metrics on 127.0.0.1:{port}")),
        "{said}"
    );
    ensure!(!said.lines().any(|line| line == "ready"), "{said}");
    Ok(())
}
