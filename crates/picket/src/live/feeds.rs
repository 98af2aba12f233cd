//! The file of `--feeds`: which lists of indicators are read, and from where.

use crate::console;
use anyhow::{Context, Result, ensure};
use picket_intel::Feed;
use picket_model::Policy;
use picket_sensor::indicators::{Indicators, Loaded};
use serde::Deserialize;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A longer file is no list of feeds.
const MAX_FILE: u64 = 1 << 20;

/// Longest name of a feed, bytes: it becomes a part of its findings' rule ids.
const MAX_NAME: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    feeds: Vec<Feed>,
}

/// Reads the feeds that `path` names, and tells what was not taken and which of
/// the policies will answer late.
pub fn load(path: &Path, policies: &[Policy]) -> Result<Indicators> {
    let shown = path.display().to_string();
    let text = read(path).with_context(|| format!("cannot read {shown}"))?;
    let mut feeds = parse(&text).with_context(|| format!("{shown} is no list of feeds"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for feed in &mut feeds {
        feed.path = folder.join(&feed.path);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let (indicators, loaded) =
        Indicators::load(&feeds, &shown, now).with_context(|| format!("feeds of {shown}"))?;
    for file in &loaded {
        tell(file);
    }
    if indicators.hashes() > 0 {
        console::warning(&format!(
            "the feeds list {} hashes, which this version does not look for",
            indicators.hashes()
        ));
    }
    for policy in policies {
        if indicators.blocked_by(policy) {
            console::note(&format!(
                "policy {} answers what the feeds list from user space: it kills once the connection \
                 or question has begun, and denies nothing",
                policy.id
            ));
        }
    }
    Ok(indicators)
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    // Cut short it might well parse, without the feeds at its end.
    ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "it is larger than {} MiB",
        MAX_FILE >> 20
    );
    Ok(String::from_utf8(bytes)?)
}

fn parse(text: &str) -> Result<Vec<Feed>> {
    let file: File = toml::from_str(text)?;
    ensure!(
        !file.feeds.is_empty(),
        "it has no [[feeds]]: give name, category, confidence, format and path of each"
    );
    let mut names = HashSet::new();
    for feed in &file.feeds {
        let name = &feed.name;
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        ensure!(
            !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(word),
            "feed name {name:?}: use 1 to {MAX_NAME} of a-z, 0-9, `-`, `_` and `.`"
        );
        ensure!(names.insert(name), "two feeds are called {name}");
        ensure!(
            (1..=100).contains(&feed.confidence),
            "feed {name}: confidence {} is not from 1 to 100",
            feed.confidence
        );
    }
    Ok(file.feeds)
}

/// What of a file was not taken.
fn tell(file: &Loaded) {
    let Loaded { feed, path, report } = file;
    if report.bad > 0 {
        let first = report
            .named
            .first()
            .map(|bad| format!(" (first: line {}: {})", bad.line, bad.fault))
            .unwrap_or_default();
        console::warning(&format!(
            "feed {feed}: {}: {} bad lines left out{first}",
            path.display(),
            report.bad
        ));
    }
    let notes = [
        (report.expired, "expired indicators left out"),
        (
            report.not_understood,
            "entries of kinds that are not matched",
        ),
        (
            u64::from(report.cut),
            "limit of lines reached: the rest was left out",
        ),
    ];
    for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
        console::note(&format!("feed {feed}: {}: {count} {what}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[feeds]]\nname = \"a\"\ncategory = \"botnet\"\nconfidence = 90\nformat = \"plain\"\npath = \"a.txt\"\n";

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feeds.toml");
        let filler = "#\n".repeat(1 << 19);
        std::fs::write(&path, &filler).unwrap();
        assert_eq!(read(&path).unwrap().len(), filler.len());
        // Also where the limit falls into a character.
        for more in [GOOD, "é"] {
            std::fs::write(&path, format!("{filler}{more}")).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("larger than 1 MiB"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_feed_is_named() {
        assert_eq!(parse(GOOD).unwrap().len(), 1);
        let wrong = |text: &str, part: &str| {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        };
        wrong("", "no [[feeds]]");
        wrong(&GOOD.repeat(2), "two feeds are called a");
        wrong(&GOOD.replace("90", "101"), "confidence 101");
        wrong(&GOOD.replace("\"a\"", "\"A b\""), "feed name \"A b\"");
        wrong(&GOOD.replace("path", "paht"), "paht");
    }
}
