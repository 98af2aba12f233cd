//! A real container: its id, its upper layer, and its host.

use anyhow::{Result, ensure};
use picket_e2e::container::{self, CAUSE_INSIDE, Container};
use picket_e2e::rules::{RuleFile, by, quote};
use picket_e2e::{Sensor, needs_root, skip_unless};

#[test]
fn what_runs_in_a_container_carries_its_id() -> Result<()> {
    needs_root!();
    let missing = container::missing();
    skip_unless!(missing.is_none(), missing.unwrap_or_default());
    let container = Container::new()?;
    // Names of this test's own: the container sees another root than the host.
    let added = format!("/tmp/added-{}", &container.id[56..]);
    let own = format!("container.uid == {}", quote(&container.id));
    let image = format!("process.path == {}", quote(CAUSE_INSIDE));
    RuleFile::new()
        .rule(
            "image",
            "process.exec",
            &format!("{own} and {image} and not process.upper_layer == true"),
        )
        .rule(
            "added",
            "process.exec",
            &format!("{own} and process.upper_layer == true"),
        )
        .rule(
            "connects",
            "network.connect",
            &format!("{own} and {}", by(CAUSE_INSIDE)),
        )
        .rule(
            "creates",
            "file.create",
            &format!("{own} and file.path == \"/tmp/made\""),
        )
        .write(container.scratch())?;
    let mut sensor = Sensor::start(container.scratch())?;

    let output = container.run(&format!(
        "{CAUSE_INSIDE} hold; \
         cp {CAUSE_INSIDE} {added}; {added} hold; \
         {CAUSE_INSIDE} connect udp 127.0.0.1 9; \
         {CAUSE_INSIDE} creat /tmp/made"
    ))?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(
        told.matches("\"what\": \"hold\"").count() == 2,
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let finding = sensor.finding("image")?;
    let event = finding.event();
    event
        .has("container.uid", container.id.as_str())?
        .has("process.file.path", CAUSE_INSIDE)?
        .has("process.ext.upper_layer", false)?
        .has("actor.process.name", "sh")?
        .has("actor.process.file.path", "/bin/busybox")?;
    ensure!(
        event.at("process.ext.pid_namespace")
            != event.list("process.ancestry")[3].at("ext.pid_namespace")
    );
    // The chain leads out of the container to runc.
    let names: Vec<&str> = event
        .list("process.ancestry")
        .iter()
        .map(|p| p.text("name"))
        .collect();
    ensure!(names.contains(&"runc"), "{names:?}");

    sensor
        .finding("added")?
        .event()
        .has("container.uid", container.id.as_str())?
        .has("process.file.path", added)?
        .has("process.ext.upper_layer", true)?;
    sensor
        .finding("connects")?
        .event()
        .has("container.uid", container.id.as_str())?
        .has("dst_endpoint.port", 9)?;
    sensor
        .finding("creates")?
        .event()
        .has("container.uid", container.id.as_str())?
        .has("file.path", "/tmp/made")?
        .has("actor.process.file.path", CAUSE_INSIDE)?;
    Ok(())
}
