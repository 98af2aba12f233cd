//! One golden pair for every diagnostic: `diagnostics/CODE….yaml` and what is
//! printed for it in `….out`. `PICKET_BLESS=1 cargo test` writes the latter anew.
//!
//! A first line `# limits: file_bytes=100` lowers limits, `# now: 2027-01-01`
//! sets the present.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside `#[test]` functions"
)]

use picket_lang::{Limits, Source, check_at, problems, render_json, render_text};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    cases
}

fn setting<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().take(2).find_map(|line| {
        line.strip_prefix("# ")?
            .strip_prefix(name)?
            .strip_prefix(": ")
    })
}

fn limits(text: &str) -> Limits {
    let mut limits = Limits::default();
    for pair in setting(text, "limits")
        .into_iter()
        .flat_map(str::split_whitespace)
    {
        let (name, value) = pair.split_once('=').unwrap();
        let value: usize = value.parse().unwrap();
        match name {
            "file_bytes" => limits.file_bytes = value,
            "yaml_nodes" => limits.yaml_nodes = value,
            "yaml_depth" => limits.yaml_depth = value,
            "diagnostics_per_file" => limits.diagnostics_per_file = value,
            "rules" => limits.rules = value,
            "list_items" => limits.list_items = value,
            "condition_bytes" => limits.condition_bytes = value,
            "condition_depth" => limits.condition_depth = value,
            "condition_predicates" => limits.condition_predicates = value,
            other => panic!("no limit {other}"),
        }
    }
    limits
}

fn now(text: &str) -> Option<i64> {
    let date: jiff::Timestamp = setting(text, "now")?.parse().unwrap();
    Some(i64::try_from(date.as_nanosecond()).unwrap())
}

/// What is printed for a case, and the codes in it.
fn output(path: &Path) -> (String, BTreeSet<&'static str>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let sources = [Source::new(name, bytes)];
    let checked = check_at(&sources, &limits(&text), now(&text));
    let codes = checked
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    let json = render_json(&checked.diagnostics, &sources);
    assert!(
        serde_json::from_str::<serde_json::Value>(&json)
            .unwrap()
            .is_array()
    );
    assert!(
        render_text(&checked.diagnostics, &sources, true).contains("\u{1b}["),
        "{name}"
    );
    let mut shown = render_text(&checked.diagnostics, &sources, false);
    if name.contains("json") {
        shown = json + "\n";
    }
    (shown, codes)
}

#[test]
fn every_diagnostic_is_as_recorded() {
    let bless = std::env::var_os("PICKET_BLESS").is_some();
    let mut stale = Vec::new();
    for path in cases() {
        let (shown, codes) = output(&path);
        let code = &path.file_name().unwrap().to_str().unwrap()[..6];
        assert!(codes.contains(code), "{}: only {codes:?}", path.display());
        let expected = path.with_extension("out");
        if bless {
            std::fs::write(&expected, &shown).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            stale.push(format!("--- {}\n{shown}", expected.display()));
        }
    }
    assert!(
        stale.is_empty(),
        "PICKET_BLESS=1 records these:\n{}",
        stale.join("\n")
    );
}

/// What only those can tell who compile the rules: their cases are in crates/picket.
const TOLD_ELSEWHERE: [&str; 2] = ["PK0608", "PK0609"];

#[test]
fn every_code_has_a_case() {
    let names: BTreeSet<String> = cases()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap()[..6].to_owned())
        .collect();
    let missing: Vec<_> = problems()
        .iter()
        .map(|problem| problem.code)
        .filter(|code| !names.contains(*code) && !TOLD_ELSEWHERE.contains(code))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
