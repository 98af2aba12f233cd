//! What is to be measured.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::str::FromStr;

/// What the command line says.
#[derive(Debug)]
pub struct Arguments {
    /// Sensors that are connected.
    pub sensors: usize,
    /// Where an enrolled fleet is kept for the next run.
    pub folder: Option<PathBuf>,
    /// Findings that the fleet delivers.
    pub findings: usize,
    /// How often a rule is published.
    pub publications: usize,
    /// Rules that stand before.
    pub rules: usize,
    /// On a PostgreSQL of its own, not on SQLite.
    pub postgres: bool,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            sensors: 1_000,
            folder: None,
            findings: 40_000,
            publications: 5,
            // As many as are built in.
            rules: 130,
            postgres: false,
        }
    }
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--sensors" => arguments.sensors = value(&word, &mut words)?,
                "--folder" => arguments.folder = Some(value(&word, &mut words)?),
                "--findings" => arguments.findings = value(&word, &mut words)?,
                "--publications" => arguments.publications = value(&word, &mut words)?,
                "--rules" => arguments.rules = value(&word, &mut words)?,
                "--postgres" => arguments.postgres = true,
                other => bail!("what is {other}?"),
            }
        }
        Ok(arguments)
    }
}

fn value<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<T> {
    let word = words
        .next()
        .with_context(|| format!("{name} needs a value"))?;
    word.parse().with_context(|| format!("{name} {word}"))
}
