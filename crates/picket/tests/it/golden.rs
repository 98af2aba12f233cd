//! Diagnostics that the binary adds to the language's own: `tests/diagnostics/CODE….yaml`
//! and what `rules check` prints for it in `….out`. `PICKET_BLESS=1 cargo test` writes
//! the latter anew.

use crate::support::Bench;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn diagnostics_of_the_binary_are_as_recorded() {
    let bless = std::env::var_os("PICKET_BLESS").is_some();
    let mut stale = Vec::new();
    for path in cases() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bench = Bench::new();
        bench.write(name, std::fs::read(&path).unwrap());
        let mut args = vec!["rules", "check", name];
        if name.contains("json") {
            args.extend(["--format", "json"]);
        }
        // Neither is an error.
        let ran = bench.run(&args).expect_code(0).prints(&name[..6]);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
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

#[test]
fn built_in_policies_only_simulate_and_are_not_warned_of() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let ran = Bench::new()
        .run(&["rules", "check", rules.to_str().unwrap()])
        .expect_code(0);
    assert!(!ran.stdout.contains("PK060"), "{}", ran.stdout);
}

#[test]
fn a_policy_on_many_such_rules_names_twenty_and_counts_the_rest() {
    let mut file = String::from("rules:\n");
    for number in 0..23 {
        file += &format!(
            "  - {{id: r{number}, title: t, event: dns.query, severity: low, condition: 'container.uid == \"x{number}\"'}}\n"
        );
    }
    file += "policies:\n  - {id: p, trigger: {severity: low}, action: block}\n";
    let bench = Bench::new();
    bench.write("many.yaml", file);
    let ran = bench
        .run(&["rules", "check", "many.yaml"])
        .expect_code(0)
        .prints("and 3 more rules of this policy like these");
    assert_eq!(ran.stdout.matches("warning[PK0608]").count(), 20);
}
