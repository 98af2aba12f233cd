//! `process.exec`: every way to come to a new image, seen with the right actor.

use anyhow::{Result, ensure};
use picket_e2e::finding::Part;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::{Cause, Finding, Scratch, Sensor, needs_root, wait};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

/// A cause, the program it starts, and a sensor with one rule on that program.
struct Stage<'a> {
    scratch: Scratch,
    cause: Cause<'a>,
    target: Cause<'a>,
    sensor: Sensor,
}

impl Stage<'_> {
    fn new() -> Result<Self> {
        let scratch = Scratch::new()?;
        let cause = Cause::new(&scratch, "bin/cause")?.from_folder(scratch.path());
        let target = Cause::new(&scratch, "bin/target")?;
        let condition = format!("process.path == {}", quote(&target.path_text()));
        RuleFile::new()
            .rule("target", "process.exec", &condition)
            .write(&scratch)?;
        let sensor = Sensor::start(&scratch)?;
        Ok(Stage {
            scratch,
            cause,
            target,
            sensor,
        })
    }

    fn target(&self) -> String {
        self.target.path_text()
    }

    fn finding(&mut self) -> Result<Finding> {
        self.sensor.finding("target")
    }
}

fn pids(processes: &[Part<'_>]) -> Vec<i64> {
    processes
        .iter()
        .filter_map(|process| process.number("pid"))
        .collect()
}

fn paths(processes: &[Part<'_>]) -> Vec<String> {
    processes
        .iter()
        .map(|process| process.text("file.path").to_owned())
        .collect()
}

fn this_program() -> Result<String> {
    Ok(std::env::current_exe()?.display().to_string())
}

#[test]
fn a_chain_of_forks_and_an_exec() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let target = stage.target();
    let said = stage.cause.run(["chain", "3", &target, "hold", "x y"])?;
    let mut forked: Vec<i64> = Vec::new();
    let mut first = None;
    for line in &said {
        if line.number("child") > 0 {
            forked.push(line.number("child"));
            first = first.or_else(|| {
                let pid = i64::from(line.pid());
                let is_child = said.iter().any(|other| other.number("child") == pid);
                (!is_child).then_some(pid)
            });
        }
    }
    let first = first.unwrap_or_default();
    let parent_of = |child: i64| {
        said.iter()
            .find(|line| line.number("child") == child)
            .map(|line| i64::from(line.pid()))
    };
    let finding = stage.finding()?;
    let event = finding.event();
    let pid = event.number("process.pid").unwrap_or_default();
    ensure!(forked.contains(&pid), "{pid} is none of {forked:?}");

    let command = format!("{target} hold x y");
    event
        .has("class_uid", 1007)?
        .has("activity_id", 1)?
        .has("process.name", "target")?
        .has("process.file.path", target.as_str())?
        .has("process.cmd_line", command.as_str())?
        .has("process.ext.args", vec![target.as_str(), "hold", "x y"])?
        .has(
            "process.working_directory",
            stage.scratch.path().display().to_string(),
        )?
        .has("process.ext.uid", 0)?
        .has("process.ext.gid", 0)?
        .has("process.ext.memfd", false)?
        .has("process.ext.deleted", false)?
        .has("process.ext.upper_layer", false)?
        .has("process.ext.script", serde_json::Value::Null)?
        .has("actor.process.pid", pid)?
        .has("actor.process.name", "cause")?
        .has("actor.process.file.path", stage.cause.path_text())?
        .has("actor.user.uid", "0")?
        .has("actor.user.name", "root")?
        .has("process.parent_process.pid", parent_of(pid))?
        .has("process.parent_process.file.path", stage.cause.path_text())?;
    ensure!(!event.is_unknown("process.cmd_line") && !event.is_truncated("process.cmd_line"));

    let ancestry = event.list("process.ancestry");
    let mut expected = Vec::new();
    let mut child = pid;
    while let Some(parent) = parent_of(child) {
        expected.push(parent);
        child = parent;
    }
    expected.push(i64::from(std::process::id()));
    ensure!(expected[2] == first && expected.len() == 4);
    assert_eq!(pids(&ancestry)[..4], expected);
    assert_eq!(paths(&ancestry)[3], this_program()?);
    Ok(())
}

#[test]
fn a_process_that_already_ran_is_an_actor_with_all_its_ancestors() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cause = Cause::new(&scratch, "early")?;
    let target = Cause::new(&scratch, "target")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    RuleFile::new()
        .rule("target", "process.exec", &condition)
        .write(&scratch)?;
    let mut early = cause.start(["exec", &target.path_text(), "hold"])?;
    // It must have its own image before the sensor looks.
    wait::until("the image", || {
        let image = std::fs::read_link(format!("/proc/{}/exe", early.pid()))?;
        Ok((image == cause.path()).then_some(()))
    })?;

    let mut sensor = Sensor::start(&scratch)?;
    early.go()?;
    let finding = sensor.finding("target")?;
    let event = finding.event();
    let command = format!("{} exec {} hold", cause.path_text(), target.path_text());
    event
        .has("process.pid", early.pid())?
        .has("actor.process.pid", early.pid())?
        .has("actor.process.name", "early")?
        .has("actor.process.file.path", cause.path_text())?
        .has("actor.process.cmd_line", command.as_str())?;
    let ancestry = event.list("process.ancestry");
    assert_eq!(pids(&ancestry)[0], i64::from(std::process::id()));
    assert_eq!(paths(&ancestry)[0], this_program()?);
    ensure!(
        !event.is_unknown("process.ancestors"),
        "the chain is cut: {:?}",
        paths(&ancestry)
    );
    assert_eq!(pids(&ancestry).last(), Some(&1));
    Ok(())
}

#[test]
fn a_daemon_keeps_its_origin_and_has_its_parent_by_ppid() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let said = stage.cause.run(["daemon", &stage.target(), "hold"])?;
    let finding = stage.finding()?;
    let event = finding.event();
    let daemon = &said[0];
    let adopter = said[1].number("ppid");
    event
        .has("process.pid", daemon.id("child"))?
        .has("process.parent_process.pid", adopter)?;
    assert_eq!(
        pids(&event.list("process.ancestry"))[..3],
        [
            daemon.number("middle"),
            daemon.number("pid"),
            std::process::id().into()
        ]
    );
    Ok(())
}

#[test]
fn processes_that_end_at_once_have_their_whole_record() -> Result<()> {
    needs_root!();
    const COUNT: usize = 300;
    let mut stage = Stage::new()?;
    stage
        .cause
        .run(["burst", &COUNT.to_string(), &stage.target()])?;
    let mut seen = vec![false; COUNT];
    for _ in 0..COUNT {
        let finding = stage.finding()?;
        let event = finding.event();
        let number: usize = event.at("process.ext.args")[3]
            .as_str()
            .unwrap_or_default()
            .parse()?;
        ensure!(!seen[number], "{number} was found twice");
        seen[number] = true;
        event
            .has("process.name", "target")?
            .has("process.parent_process.name", "cause")?;
        assert_eq!(
            paths(&event.list("process.ancestry"))[..2],
            [stage.cause.path_text(), this_program()?]
        );
    }
    let stopped = stage.sensor.stop()?;
    ensure!(stopped.findings.is_empty(), "more findings than processes");
    Ok(())
}

#[test]
fn vfork_and_exec_from_another_thread() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let target = stage.target();
    let said = stage.cause.act(["vfork", &target, "exit", "0"])?;
    let finding = stage.finding()?;
    finding
        .event()
        .has("process.pid", said.number("child"))?
        .has("process.parent_process.pid", said.pid())?
        .has("actor.process.file.path", stage.cause.path_text())?;

    let mut running = stage
        .cause
        .clone()
        .in_thread()
        .start(["exec", &target, "hold"])?;
    running.go()?;
    let finding = stage.finding()?;
    finding
        .event()
        .has("process.pid", running.pid())?
        .has("actor.process.pid", running.pid())?
        .has("actor.process.name", "cause")?;
    Ok(())
}

#[test]
fn an_image_from_memory() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let cause = Cause::new(&scratch, "cause")?;
    let name = format!("e2e-{}", std::process::id());
    RuleFile::new()
        .rule(
            "memory",
            "process.exec",
            &format!("process.memfd == true and process.path == \"memfd:{name}\""),
        )
        .write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    let mut running = cause.start(["memfd", &name, &cause.path_text(), "hold"])?;
    running.go()?;
    let finding = sensor.finding("memory")?;
    let command = format!("{} hold", cause.path_text());
    finding
        .event()
        .has("process.pid", running.pid())?
        .has("process.ext.memfd", true)?
        .has("process.file.path", format!("memfd:{name}"))?
        .has("process.cmd_line", command)?
        .has("actor.process.file.path", cause.path_text())?
        .has("actor.process.ext.memfd", false)?;
    Ok(())
}

#[test]
fn a_file_that_is_deleted_before_it_runs() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let target = stage.target();
    let mut running = stage.cause.start(["deleted", &target, "hold"])?;
    running.go()?;
    let finding = stage.finding()?;
    finding
        .event()
        .has("process.pid", running.pid())?
        .has("process.file.path", target)?
        .has("process.ext.deleted", true)?
        .has("process.ext.memfd", false)?;
    Ok(())
}

#[test]
fn a_script_names_itself_and_its_interpreter() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let script = scratch
        .write("job.sh", "#!/bin/sh -e\nexit 0\n")?
        .display()
        .to_string();
    Command::new("chmod").args(["755", &script]).status()?;
    RuleFile::new()
        .rule(
            "script",
            "process.exec",
            &format!("process.script == {}", quote(&script)),
        )
        .write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    let mut child = Command::new(&script).arg("argument").spawn()?;
    wait::for_exit(&mut child, "the script")?;
    let finding = sensor.finding("script")?;
    let shell = std::fs::canonicalize("/bin/sh")?.display().to_string();
    finding
        .event()
        .has("process.pid", child.id())?
        .has("process.name", "job.sh")?
        .has("process.file.path", shell)?
        .has("process.ext.interpreter", "/bin/sh")?
        .has("process.ext.script", script.as_str())?
        .has("process.cmd_line", format!("/bin/sh -e {script} argument"))?
        .has("actor.process.file.path", this_program()?)?;
    Ok(())
}

#[test]
fn arguments_past_4096_bytes_are_unknown_not_absent() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?;
    let path = target.path_text();
    let own = format!("process.path == {}", quote(&path));
    RuleFile::new()
        .rule(
            "by-beginning",
            "process.exec",
            &format!("{own} and process.cmd_line startswith {}", quote(&path)),
        )
        .rule(
            "by-end",
            "process.exec",
            &format!("{own} and process.cmd_line endswith \"needle\""),
        )
        .rule(
            "by-absence",
            "process.exec",
            &format!("{own} and not process.cmd_line contains \"needle\""),
        )
        .write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    let long = "x".repeat(5_000);
    target.run(["hold", &long, "needle"])?;
    let finding = sensor.finding("by-beginning")?;
    let event = finding.event();
    ensure!(
        event.is_truncated("process.cmd_line"),
        "not marked: {:#}",
        event.0
    );
    ensure!(
        event.is_truncated("process.args"),
        "not marked: {:#}",
        event.0
    );
    ensure!(event.text("process.cmd_line").len() < 4_200);

    let stopped = sensor.stop()?;
    let rules: Vec<&str> = stopped.findings.iter().map(Finding::rule).collect();
    ensure!(
        rules.is_empty(),
        "decided on half a command line: {rules:?}"
    );
    let undecided = stopped
        .messages
        .iter()
        .find(|line| line.starts_with("undecided:"));
    ensure!(
        undecided.is_some_and(|line| line.contains("by-end") || !line.ends_with(": 0")),
        "{:?}",
        stopped.messages
    );
    Ok(())
}

#[test]
fn another_user_without_capabilities() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    // The folder is nobody's to read otherwise.
    Command::new("chmod")
        .arg("755")
        .arg(stage.scratch.path())
        .status()?;
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65533", "--clear-groups"])
        .args([&stage.target(), "hold"])
        .output()?
        .status;
    ensure!(status.success(), "setpriv: {status}");
    let finding = stage.finding()?;
    finding
        .event()
        .has("process.ext.uid", 65_534)?
        .has("process.ext.euid", 65_534)?
        .has("process.ext.gid", 65_533)?
        .has("process.ext.capabilities", Vec::<String>::new())?
        .has("actor.user.uid", "65534")?
        .has("actor.user.name", "nobody")?
        .has("actor.process.name", "setpriv")?
        .has("actor.process.ext.uid", 0)?;
    Ok(())
}

#[test]
fn a_login_uid_is_kept_through_exec() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let script = r#"echo 4242 >/proc/self/loginuid || exit 9; exec "$0" hold"#;
    let output = Command::new("sh")
        .args(["-c", script, &stage.target()])
        .output()?;
    if output.status.code() == Some(9) {
        picket_e2e::skipped("this kernel lets nobody set a login uid");
        return Ok(());
    }
    stage
        .finding()?
        .event()
        .has("actor.session.ext.auid", 4242)?;
    Ok(())
}

#[test]
fn odd_names_stay_one_line_of_json() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "odd\n\"name\"\t{}")?;
    let condition = format!("process.path == {}", quote(&target.path_text()));
    RuleFile::new()
        .rule("odd", "process.exec", &condition)
        .write(&scratch)?;
    let mut sensor = Sensor::start(&scratch)?;
    let not_utf8 = OsStr::from_bytes(b"caf\xe9 \xff\n\x1b[31m");
    target.run([OsStr::new("hold"), not_utf8, OsStr::new("")])?;
    let finding = sensor.finding("odd")?;
    let event = finding.event();
    event.has("process.name", "odd\n\"name\"\t{}")?;
    let args = event.at("process.ext.args");
    assert_eq!(args[2], "caf\u{fffd} \u{fffd}\n\u{1b}[31m");
    assert_eq!(args[3], "");
    Ok(())
}
