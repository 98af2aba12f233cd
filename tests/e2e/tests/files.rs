//! The file classes: every system call and io_uring's own requests.

use anyhow::{Context, Result, ensure};
use picket_e2e::finding::Part;
use picket_e2e::rules::{RuleFile, by};
use picket_e2e::{Cause, Finding, Scratch, Sensor, needs_root};
use std::fs;
use std::os::unix::fs::PermissionsExt;

struct Stage {
    scratch: Scratch,
    sensor: Sensor,
    path: String,
}

impl Stage {
    fn new(classes: &[&str]) -> Result<Stage> {
        let scratch = Scratch::new()?;
        let path = scratch.at("bin/cause");
        // A static program opens nothing by itself.
        let own = format!(
            "{} and file.path startswith \"{}\"",
            by(&path),
            scratch.at("data")
        );
        let rules = classes.iter().fold(RuleFile::new(), |rules, class| {
            rules.rule(class, class, &own)
        });
        rules.write(&scratch)?;
        fs::create_dir(scratch.at("data"))?;
        Ok(Stage {
            sensor: Sensor::start(&scratch)?,
            scratch,
            path,
        })
    }

    fn cause(&self) -> Result<Cause<'static>> {
        Ok(Cause::new(&self.scratch, "bin/cause")?.from_folder(self.scratch.path()))
    }

    fn found(&mut self, class: &str, pid: u32, path: &str) -> Result<Finding> {
        let finding = self.sensor.finding(class)?;
        let event = finding.event();
        let (folder, name) = path.rsplit_once('/').context("a path")?;
        event
            .has("class_uid", 1001)?
            .has("file.path", path)?
            .has("file.name", name)?
            .has("file.parent_folder", folder)?
            .has("actor.process.pid", pid)?
            .has("actor.process.name", "cause")?
            .has("actor.process.file.path", self.path.as_str())?;
        Ok(finding)
    }

    fn nothing_more(self) -> Result<()> {
        let stopped = self.sensor.stop()?;
        let left: Vec<String> = stopped
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.rule(), finding.event().text("file.path")))
            .collect();
        ensure!(left.is_empty(), "one act, several events: {left:?}");
        Ok(())
    }
}

fn opened(event: Part<'_>, read: bool, write: bool, create: bool) -> Result<()> {
    event
        .has("file.ext.open.read", read)?
        .has("file.ext.open.write", write)?
        .has("file.ext.open.create", create)?;
    succeeded(event)
}

/// io_uring requests are seen when they are submitted: their outcome is unknown.
fn succeeded(event: Part<'_>) -> Result<()> {
    if !event.is_unknown("status") {
        event.has("status", "Success")?;
    }
    Ok(())
}

const OPENING: [&str; 4] = ["open", "openat", "openat2", "uring-openat"];

#[test]
fn opens() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.open", "file.create"])?;
    let path = stage.scratch.at("data/there");
    fs::write(&path, "x")?;
    for way in OPENING {
        for (flags, read, write, create) in [
            ("r", true, false, false),
            ("w", false, true, false),
            ("rw", true, true, false),
            ("rwc", true, true, true),
        ] {
            let what = || format!("{way} {flags}");
            let said = stage.cause()?.act([way, &path, flags])?;
            ensure!(said.ret() >= 0, "{}: {said:?}", what());
            // At an io_uring request's submission nobody knows yet what is there.
            let guessed = way == "uring-openat" && create;
            let class = if guessed { "file.create" } else { "file.open" };
            let finding = stage.found(class, said.pid(), &path).with_context(what)?;
            opened(finding.event(), read, write, create).with_context(what)?;
        }
    }
    stage.nothing_more()
}

#[test]
fn creations() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.open", "file.create"])?;
    for way in OPENING {
        let path = stage.scratch.at(&format!("data/new-{way}"));
        let said = stage.cause()?.act([way, &path, "wc"])?;
        ensure!(said.ret() >= 0, "{way}: {said:?}");
        let finding = stage
            .found("file.create", said.pid(), &path)
            .with_context(|| way.to_owned())?;
        finding.event().has("activity_id", 1)?;
        opened(finding.event(), false, true, true).with_context(|| way.to_owned())?;
    }
    let path = stage.scratch.at("data/new-creat");
    let said = stage.cause()?.act(["creat", &path])?;
    opened(
        stage.found("file.create", said.pid(), &path)?.event(),
        false,
        true,
        true,
    )?;
    for way in ["mknod", "mknodat"] {
        let path = stage.scratch.at(&format!("data/new-{way}"));
        let said = stage.cause()?.act([way, &path])?;
        let finding = stage.found("file.create", said.pid(), &path)?;
        opened(finding.event(), false, false, false).with_context(|| way.to_owned())?;
    }
    stage.nothing_more()
}

#[test]
fn a_failed_open_says_why() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.open", "file.create"])?;
    let path = stage.scratch.at("data/mine");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let said = stage
        .cause()?
        .env("CAUSE_UID", "65534")
        .act(["openat", &path, "r"])?;
    ensure!(said.errno() == 13, "{said:?}");
    stage
        .found("file.open", said.pid(), &path)?
        .event()
        .has("status", "Failure")?
        .has("status_detail", "EACCES")?;
    stage.nothing_more()
}

#[test]
fn renames() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.rename"])?;
    let (from, to) = (stage.scratch.at("data/old"), stage.scratch.at("data/new"));
    for way in ["rename", "renameat", "renameat2", "uring-renameat"] {
        let _ = fs::remove_file(&to);
        fs::write(&from, way)?;
        let said = stage.cause()?.act([way, &from, &to])?;
        ensure!(said.ret() == 0, "{way}: {said:?}");
        let finding = stage
            .found("file.rename", said.pid(), &to)
            .with_context(|| way.to_owned())?;
        succeeded(finding.event())?;
        finding
            .event()
            .has("activity_id", 5)?
            .has("file.ext.rename_from", from.as_str())
            .with_context(|| way.to_owned())?;
    }
    stage.nothing_more()
}

#[test]
fn deletions() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.delete"])?;
    let path = stage.scratch.at("data/gone");
    for way in ["unlink", "unlinkat", "uring-unlinkat"] {
        fs::write(&path, way)?;
        let said = stage.cause()?.act([way, &path])?;
        ensure!(said.ret() == 0, "{way}: {said:?}");
        let finding = stage
            .found("file.delete", said.pid(), &path)
            .with_context(|| way.to_owned())?;
        succeeded(finding.event())?;
        finding.event().has("activity_id", 4)?;
    }
    stage.nothing_more()
}

#[test]
fn modes() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.chmod"])?;
    let path = stage.scratch.at("data/mode");
    fs::write(&path, "x")?;
    for way in ["chmod", "fchmod", "fchmodat", "fchmodat2"] {
        let said = stage.cause()?.act([way, &path, "4711"])?;
        if said.errno() == 38 {
            // ENOSYS: this kernel has no fchmodat2.
            continue;
        }
        ensure!(said.ret() == 0, "{way}: {said:?}");
        stage
            .found("file.chmod", said.pid(), &path)
            .with_context(|| way.to_owned())?
            .event()
            .has("activity_id", 6)?
            .has("file.ext.mode", 0o4711)
            .with_context(|| way.to_owned())?
            .has("status", "Success")?;
    }
    stage.nothing_more()
}

#[test]
fn relative_paths_and_threads() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.open", "file.create", "file.delete"])?;
    let path = stage.scratch.at("data/relative");
    let said = stage
        .cause()?
        .in_thread()
        .act(["creat", "data/../data/relative"])?;
    ensure!(said.number("tid") != said.number("pid"));
    stage.found("file.create", said.pid(), &path)?;
    let said = stage
        .cause()?
        .in_thread()
        .act(["open", "./data/relative", "r"])?;
    stage.found("file.open", said.pid(), &path)?;
    let said = stage.cause()?.act(["unlink", "data/relative"])?;
    stage.found("file.delete", said.pid(), &path)?;
    stage.nothing_more()
}

#[test]
fn an_open_through_a_symlink_names_the_file_itself() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new(&["file.open"])?;
    let (path, link) = (stage.scratch.at("data/secret"), stage.scratch.at("link"));
    fs::write(&path, "x")?;
    std::os::unix::fs::symlink(&path, &link)?;
    let said = stage.cause()?.act(["open", &link, "r"])?;
    stage.found("file.open", said.pid(), &path)?;
    stage.nothing_more()
}
