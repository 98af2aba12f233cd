//! A sensor without a server tells others of what it finds: now, or when they are there.

use anyhow::{Context, Result, ensure};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Scratch, needs_root, wait};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

/// One message of a stream that counts octets (RFC 6587).
fn message(reader: &mut impl BufRead) -> Result<String> {
    let mut length = Vec::new();
    reader.read_until(b' ', &mut length)?;
    let length: usize = std::str::from_utf8(&length)?.trim().parse()?;
    let mut message = vec![0; length];
    reader.read_exact(&mut message)?;
    Ok(String::from_utf8(message)?)
}

#[test]
fn a_file_and_a_syslog_server_that_comes_late_are_told() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cause = Cause::new(&scratch, "bin/cause")?.from_folder(scratch.path());
    let target = Cause::new(&scratch, "bin/target")?.path_text();
    let condition = format!("process.path == {}", quote(&target));
    RuleFile::new()
        .rule("target", "process.exec", &condition)
        .write(&scratch)?;
    // Taken, so that nobody else gets it; closed, so that nobody answers.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = scratch.path().join("findings.jsonl");
    let outputs = scratch.write(
        "outputs.toml",
        format!(
            "[[outputs]]\nname = \"disk\"\nkind = \"file\"\npath = \"{}\"\n\
             [[outputs]]\nname = \"siem\"\nkind = \"syslog\"\nurl = \"tcp://127.0.0.1:{port}\"\n",
            file.display()
        ),
    )?;
    let builder = Builder::new(scratch.path().join("rules"))
        .arg("--state")
        .arg(scratch.path().join("state"))
        .arg("--outputs")
        .arg(&outputs);
    let mut sensor = builder.start()?;
    cause.run(["chain", "1", &target, "hold", "x"])?;
    let finding = sensor.finding("target")?;
    let uid = finding.text("finding_info.uid").to_owned();
    let written = wait::until("the file has it", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Ok(text.contains(&uid).then_some(text))
    })?;
    for line in written.lines() {
        let _: serde_json::Value = serde_json::from_str(line).context("whole lines")?;
    }
    sensor.message_with("output siem")?;
    sensor.stop()?;

    // The next run has what waited, before anything new happens.
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let sensor = builder.start()?;
    let mut reader = BufReader::new(listener.accept()?.0);
    let told = message(&mut reader)?;
    ensure!(told.starts_with('<') && told.contains(&uid), "{told}");
    sensor.stop()?;
    Ok(())
}

#[test]
fn what_is_wrong_with_outputs_is_said_with_its_place() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.name == \"none\"")
        .write(&scratch)?;
    let outputs = scratch.write(
        "outputs.toml",
        "[[outputs]]\nname = \"a\"\nkind = \"fax\"\n",
    )?;
    let mut sensor = Builder::new(scratch.path().join("rules"))
        .arg("--outputs")
        .arg(&outputs)
        .spawn()?;
    sensor.message_with("outputs.toml:3:8: outputs.kind")?;
    Ok(())
}
