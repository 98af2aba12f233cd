//! docs/enforcement.md, made of what was seen. Whatever is recorded writes it anew.

use crate::row::{Column, Outcome, Row, Seen};
use anyhow::{Result, ensure};
use std::fmt::Write;
use std::path::PathBuf;

/// Fails unless the page says what is recorded.
pub fn check(kinds: &[&'static str]) -> Result<()> {
    let found = std::fs::read_to_string(path()).unwrap_or_default();
    ensure!(
        found == made(kinds)?,
        "docs/enforcement.md is stale: PICKET_BLESS=1 cargo test -p picket-e2e --test block"
    );
    Ok(())
}

/// Writes it.
pub fn write(kinds: &[&'static str]) -> Result<()> {
    Ok(std::fs::write(path(), made(kinds)?)?)
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn path() -> PathBuf {
    docs().join("enforcement.md")
}

fn made(kinds: &[&'static str]) -> Result<String> {
    let head = std::fs::read_to_string(docs().join("enforcement.head.md"))?;
    let seen = Column::ALL
        .into_iter()
        .map(|column| Ok((column, column.recorded()?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(format!("{head}{}", tables(kinds, &seen)))
}

fn tables(kinds: &[&'static str], seen: &[(Column, Seen)]) -> String {
    let mut text = String::from("## What the kernels were\n\n");
    let offered: Vec<&String> = seen
        .first()
        .map(|(_, first)| first.offers.keys().collect())
        .unwrap_or_default();
    line(
        &mut text,
        "`picket doctor`",
        seen.iter().map(|(column, _)| column.title()),
    );
    rule(&mut text, seen.len());
    for name in offered {
        let cell = |seen: &Seen| match seen.offers.get(name) {
            Some(true) => "yes".to_owned(),
            _ => "no".to_owned(),
        };
        line(&mut text, name, seen.iter().map(|(_, seen)| cell(seen)));
    }
    for kind in kinds {
        let _ = write!(text, "\n## {kind}\n\n");
        line(
            &mut text,
            "way",
            seen.iter().map(|(column, _)| column.title()),
        );
        rule(&mut text, seen.len());
        // The newest kernel has every way.
        let Some((_, newest)) = seen.last() else {
            continue;
        };
        for row in newest.rows.iter().filter(|row| row.kind == *kind) {
            let same = |other: &&Row| (&other.kind, &other.way) == (&row.kind, &row.way);
            let cells = seen.iter().map(|(_, seen)| seen.rows.iter().find(same));
            line(
                &mut text,
                &row.way,
                cells.map(|found| found.map_or_else(|| "?".to_owned(), cell)),
            );
        }
    }
    text
}

fn line(text: &mut String, first: &str, cells: impl Iterator<Item = String>) {
    let _ = write!(text, "| {first} |");
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

fn rule(text: &mut String, columns: usize) {
    text.push_str(&"|---".repeat(columns + 1));
    text.push_str("|\n");
}

/// What a policy that blocks does, and in brackets what one does that only denies, where
/// that is less.
fn cell(row: &Row) -> String {
    let by = |word: &str| row.by.iter().any(|one| one == word);
    let block = match row.block {
        Outcome::Impossible => return "–".to_owned(),
        Outcome::NotCovered => return "**not covered**".to_owned(),
        Outcome::Prevented => "prevented",
        Outcome::Killed if by("pidfd_kill") => "killed by the sensor",
        Outcome::Killed => "killed",
    };
    match row.deny {
        Outcome::NotCovered => format!("{block} (deny: no)"),
        _ => block.to_owned(),
    }
}
