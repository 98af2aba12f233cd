//! What is wrong is said in a clear line, with the right exit code, and in time.

use anyhow::{Result, ensure};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Scratch, binary, needs_root};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

fn errors(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Rules that hold nothing wrong.
fn good(scratch: &Scratch) -> Result<()> {
    RuleFile::new()
        .rule("file", "file.create", "file.name == \"nobody-makes-it\"")
        .write(scratch)?;
    Ok(())
}

#[test]
fn files_that_are_no_rules() -> Result<()> {
    let scratch = Scratch::new()?;
    let mut forty = RuleFile::new();
    for number in 0..40 {
        forty = forty.rule(
            &format!("r{number}"),
            "process.exec",
            "process.nmae == \"x\"",
        );
    }
    let mut long = String::from("process.pid == 0");
    while long.len() < 10 << 20 {
        write!(long, " or process.name == \"{:07}\"", long.len())?;
    }
    let deep = format!(
        "{}process.pid == 0{}",
        "(".repeat(60_000),
        ")".repeat(60_000)
    );
    let list = format!("rules: {}", "[".repeat(100_000));
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("forty.yaml", forty.text().into(), "40 errors"),
        (
            "long.yaml",
            RuleFile::new()
                .rule("long", "process.exec", &long)
                .text()
                .into(),
            "bytes",
        ),
        (
            "deep.yaml",
            RuleFile::new()
                .rule("deep", "process.exec", &deep)
                .text()
                .into(),
            "deep",
        ),
        ("nested.yaml", list.into(), "nested.yaml"),
        ("binary.yaml", fs::read(binary::CAUSE)?, "binary"),
    ];
    for (name, content, told) in cases {
        let path = scratch.write(name, content)?.display().to_string();
        let start = Instant::now();
        let output = binary::run_picket(["rules", "check", &path])?;
        let took = start.elapsed();
        let said = errors(&output);
        let short: String = said.chars().take(2_000).collect();
        assert_eq!(output.status.code(), Some(1), "{name}: {short}");
        ensure!(said.contains(told), "{name}: {short}");
        ensure!(
            said.len() < 100_000,
            "{name}: {} bytes of message",
            said.len()
        );
        ensure!(took < Duration::from_secs(20), "{name}: {took:?}");
        if name == "forty.yaml" {
            assert_eq!(said.matches("error[").count(), 40);
            ensure!(said.contains("did you mean `process.name`"), "{short}");
        }

        // The sensor does not start on them; whoever it is.
        let output = binary::run_picket(["sensor", "--rules", &path])?;
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{name}");
        ensure!(said.contains("error[") && !said.contains("ready"), "{name}");
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_read() -> Result<()> {
    let scratch = Scratch::new()?;
    symlink("/nowhere/at/all", scratch.at("dangling.yaml"))?;
    for name in ["dangling.yaml", "missing.yaml"] {
        let path = scratch.at(name);
        for args in [["rules", "check", &path], ["sensor", "--rules", &path]] {
            let output = binary::run_picket(args)?;
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            ensure!(
                errors(&output).contains(&format!("cannot read {path}")),
                "{}",
                errors(&output)
            );
        }
    }
    needs_root!();
    let secret = scratch.write("secret.yaml", "rules: []")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let output = as_nobody(&scratch, &["rules", "check", &secret.display().to_string()])?;
    assert_eq!(output.status.code(), Some(2));
    ensure!(
        errors(&output).contains("Permission denied"),
        "{}",
        errors(&output)
    );
    Ok(())
}

/// The binary may lie where nobody may not go.
fn as_nobody(scratch: &Scratch, args: &[&str]) -> Result<Output> {
    let copy = scratch.path().join("picket");
    if !copy.exists() {
        fs::copy(binary::picket()?, &copy)?;
    }
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
    Ok(Command::new(NOBODY[0])
        .args(&NOBODY[1..])
        .arg(copy)
        .args(args)
        .output()?)
}

#[test]
fn without_root_it_says_what_is_missing() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    good(&scratch)?;
    let rules = scratch.at("rules");
    for args in [
        vec!["sensor", "--rules", &rules],
        vec!["record", "-o", "/dev/null"],
    ] {
        let output = as_nobody(&scratch, &args)?;
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        ensure!(
            said.contains("root") && said.contains("CAP_BPF"),
            "{args:?}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
    let output = as_nobody(&scratch, &["doctor"])?;
    ensure!(errors(&output).contains("root"), "{}", errors(&output));
    Ok(())
}

#[test]
fn usage_errors_end_with_2() -> Result<()> {
    for args in [
        &["sensor", "--bogus"][..],
        &["nonsense"],
        &["sensor", "--ring", "3"],
        &["replay"],
    ] {
        let output = binary::run_picket(args.iter().copied())?;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        ensure!(output.stdout.is_empty(), "{args:?} wrote to stdout");
    }
    Ok(())
}

/// Runs the sensor where a kernel file system is hidden.
fn hidden(scratch: &Scratch, hide: &str) -> Result<picket_e2e::Sensor> {
    Builder::new(scratch.at("rules"))
        .through(&[
            "unshare",
            "--mount",
            "sh",
            "-c",
            &format!("{hide}; exec \"$0\" \"$@\""),
        ])
        .spawn()
}

#[test]
fn without_tracefs_the_rest_still_works() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    RuleFile::new()
        .rule(
            "exec",
            "process.exec",
            &format!("process.path == {}", quote(&target.path_text())),
        )
        .rule("file", "file.create", "file.name == \"nobody-makes-it\"")
        .write(&scratch)?;
    let hide =
        "for m in /sys/kernel/tracing /sys/kernel/debug/tracing; do umount $m; done 2>/dev/null";
    let mut sensor = hidden(&scratch, hide)?;
    let said = sensor.message_with("file.create")?;
    ensure!(said.contains("mount -t tracefs"), "{said}");
    sensor.message("ready")?;
    target.run(["hold"])?;
    sensor.finding("exec")?;
    sensor.stop()?;
    Ok(())
}

#[test]
fn without_cgroup2_the_rest_still_works() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    RuleFile::new()
        .rule(
            "exec",
            "process.exec",
            &format!("process.path == {}", quote(&target.path_text())),
        )
        .rule("net", "network.connect", "dst_endpoint.port == 1")
        .write(&scratch)?;
    let hide = format!("umount {}", picket_e2e::cgroup::mount_point()?.display());
    let mut sensor = hidden(&scratch, &hide)?;
    let said = sensor.message_with("network.connect")?;
    ensure!(said.contains("mount -t cgroup2"), "{said}");
    sensor.message("ready")?;
    target.run(["hold"])?;
    sensor.finding("exec")?;
    sensor.stop()?;
    Ok(())
}

#[test]
fn without_type_information_it_does_not_start() -> Result<()> {
    needs_root!();
    ensure!(Path::new("/sys/kernel/btf/vmlinux").exists());
    let scratch = Scratch::new()?;
    good(&scratch)?;
    let mut sensor = hidden(&scratch, "mount -t tmpfs none /sys/kernel/btf")?;
    let ended = sensor.ended()?;
    assert_eq!(ended.status.code(), Some(2));
    let said = ended.messages.join("\n");
    ensure!(
        said.contains("BTF") && said.contains("CONFIG_DEBUG_INFO_BTF"),
        "{said}"
    );
    Ok(())
}

#[test]
fn two_sensors_do_not_disturb_each_other() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    RuleFile::new()
        .rule("exec", "process.exec", &condition)
        .write(&scratch)?;
    let mut first = picket_e2e::Sensor::start(&scratch)?;
    let mut second = picket_e2e::Sensor::start(&scratch)?;
    target.run(["hold"])?;
    first.finding("exec")?;
    second.finding("exec")?;
    first.stop()?;
    target.run(["hold"])?;
    second.finding("exec")?;
    second.stop()?;
    Ok(())
}
