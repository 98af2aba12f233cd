//! Every way around a block that we know of, tried on three kernels; what is seen is
//! what docs/enforcement.md says.
//!
//! ```text
//! ways ─► Stage: one sensor, three policies ─► Trial: the act, and a look from outside ─► Row
//!                                                                                          │
//!            docs/enforcement.md ◄── page ◄── enforcement/<kernel>.json ◄── PICKET_BLESS ◄─┤
//!                                                                                          ▼
//!                                                                                       compared
//! ```
//! In a guest the same tests print their rows, and the host compares them.

mod look;
mod page;
mod props;
mod row;
mod stage;
mod trial;
mod ways;

use anyhow::{Context, Result, ensure};
use picket_e2e::binary::run_picket;
use picket_e2e::guest::kernel::{self, Series};
use picket_e2e::guest::{Guest, suite};
use picket_e2e::{needs_root, skipped};
use row::{Column, Offers, Row, Seen};
use stage::Stage;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;
use trial::Trial;
use ways::Group;

/// Before a row, and before what the kernel offers, in a guest's output.
const ROW: &str = "row: ";
const OFFERS: &str = "offers: ";

/// How long a guest may take, emulated as it is.
const LIFE: Duration = Duration::from_secs(280);

fn try_out(group: Group) -> Result<Vec<Row>> {
    let mut stage = Stage::new(group)?;
    let mut trials = Vec::new();
    for (number, way) in group.ways().into_iter().enumerate() {
        trials.push(Trial::of(&stage, way, number)?);
    }
    stage.fence()?;
    for trial in &mut trials {
        trial.look(&stage)?;
    }
    let (stopped, _grounds) = stage.stop()?;
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for trial in trials {
        match trial.row(&stopped.findings) {
            Ok(row) => rows.push(row),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(rows)
}

/// What this kernel offers, as `picket doctor` finds it.
fn offers() -> Result<&'static Offers> {
    static FOUND: OnceLock<Offers> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let output = run_picket(["doctor"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let offers: Offers = text
        .lines()
        .filter_map(|line| {
            let (offered, rest) =
                [("ok  ", true), ("no  ", false)]
                    .into_iter()
                    .find_map(|(word, offered)| {
                        Some((offered, line.trim_start().strip_prefix(word)?))
                    })?;
            let end = rest.find([':', '(']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            let told = ["BPF LSM", "kills in cgroup hooks", "io_uring tracepoint"];
            told.contains(&name).then(|| (name.to_owned(), offered))
        })
        .collect();
    ensure!(!offers.is_empty(), "picket doctor says nothing: {text}");
    Ok(FOUND.get_or_init(|| offers))
}

fn kinds() -> Vec<&'static str> {
    let ways = Group::ALL.into_iter().flat_map(Group::ways);
    let mut kinds: Vec<&str> = ways.map(|way| way.kind).collect();
    kinds.dedup();
    kinds
}

fn ways_of(group: Group) -> Result<()> {
    needs_root!();
    let rows = try_out(group)?;
    let offers = offers()?;
    if suite::inside().is_some() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{OFFERS}{}", serde_json::json!(offers))?;
        for row in rows {
            writeln!(out, "{ROW}{}", row.json())?;
        }
        return Ok(());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let seen = Seen {
        offers: offers.clone(),
        rows,
    };
    // Another host may be built in another way: what must hold anywhere has held.
    if release.starts_with("6.18.") && Column::V6_18.is_like(offers)? {
        Column::V6_18.check(&seen, &kinds())?;
    }
    Ok(())
}

#[test]
fn ways_to_execute() -> Result<()> {
    ways_of(Group::Exec)
}

#[test]
fn ways_through_the_network() -> Result<()> {
    ways_of(Group::Network)
}

#[test]
fn ways_to_files() -> Result<()> {
    ways_of(Group::Files)
}

fn kernel(series: Series, column: Column) -> Result<()> {
    let prepare = |guest: &mut Guest| {
        if column == Column::V6_1_PLAIN {
            // The last one counts.
            guest.argument("lsm=landlock,lockdown,yama,integrity,apparmor");
        }
        guest.module("overlay")
    };
    let outcome = match suite::run(series, LIFE, &["ways_"], prepare)? {
        Ok(outcome) => outcome,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    ensure!(
        outcome.status == 0,
        "the tests failed in the guest:\n{}",
        outcome.lines.join("\n")
    );
    let told = |start: &'static str| {
        // The test harness writes the test's name on the same line.
        let after = move |line: &'_ String| line.split_once(start).map(|(_, rest)| rest.to_owned());
        outcome.lines.iter().filter_map(after)
    };
    let rows = told(ROW)
        .map(|line| Row::parse(&serde_json::from_str(&line)?))
        .collect::<Result<Vec<Row>>>()?;
    let offers = told(OFFERS)
        .next()
        .context("the guest does not say what it offers")?;
    let seen = Seen {
        offers: serde_json::from_str(&offers)?,
        rows,
    };
    let tried: usize = Group::ALL.iter().map(|group| group.ways().len()).sum();
    ensure!(
        seen.rows.len() == tried,
        "{} of {tried} ways came back",
        seen.rows.len()
    );
    column.check(&seen, &kinds())
}

#[test]
fn kernel_6_1() -> Result<()> {
    kernel(kernel::V6_1, Column::V6_1)
}

#[test]
fn kernel_6_1_without_security_hooks() -> Result<()> {
    kernel(kernel::V6_1, Column::V6_1_PLAIN)
}

#[test]
fn kernel_6_12() -> Result<()> {
    kernel(kernel::V6_12, Column::V6_12)
}

#[test]
fn the_page_says_what_was_seen() -> Result<()> {
    page::check(&kinds())
}
