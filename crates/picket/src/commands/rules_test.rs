//! `picket rules test`: the tests inside rule files.

use super::Format;
use crate::rule_files::{RuleFiles, counted};
use crate::{console, output};
use anyhow::Result;
use picket_engine::{Explanation, Truth, run_tests};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files, and folders of *.yaml and *.yml
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How results are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What all tests gave.
#[derive(Debug, Serialize)]
struct Report {
    rules: usize,
    rules_without_tests: Vec<String>,
    tests: usize,
    failed: usize,
    results: Vec<TestResult>,
}

/// What one test gave.
#[derive(Debug, Serialize)]
struct TestResult {
    rule: String,
    file: String,
    line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    expected: bool,
    verdict: &'static str,
    passed: bool,
    /// Of a failed test: what each predicate saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// Runs every test through the compiled program; 1 if one fails, or if the
/// files have errors.
pub fn run(args: &Args) -> Result<ExitCode> {
    let files = RuleFiles::read(&args.paths, false)?;
    if files.tell_errors() {
        console::error(&format!(
            "nothing was tested: {}",
            files.errors_and_warnings()
        ));
        return Ok(ExitCode::from(1));
    }
    let report = test(files);
    match args.format {
        Format::Json => output::write(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
        Format::Text => output::write(&text(&report))?,
    }
    Ok(ExitCode::from(u8::from(report.failed > 0)))
}

fn test(files: RuleFiles) -> Report {
    let rules = files.checked.rules;
    let mut without: Vec<String> = rules.iter().map(|rule| rule.info.id.clone()).collect();
    let count = without.len();
    let results: Vec<TestResult> = run_tests(rules, &files.checked.tests)
        .into_iter()
        .map(|tested| TestResult {
            rule: tested.rule,
            file: tested.file,
            line: tested.line,
            name: tested.name,
            expected: tested.expected,
            verdict: match tested.verdict {
                Truth::True => "match",
                Truth::Unknown => "undecided",
                Truth::False => "no_match",
            },
            passed: tested.passed,
            explanation: tested.explanation,
        })
        .collect();
    without.retain(|id| !results.iter().any(|result| result.rule == *id));
    Report {
        rules: count,
        rules_without_tests: without,
        tests: results.len(),
        failed: results.iter().filter(|result| !result.passed).count(),
        results,
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for result in &report.results {
        let Some(explanation) = &result.explanation else {
            continue;
        };
        let name = result.name.as_ref().map(|name| format!(" ({name})"));
        let (expected, found) = match (result.expected, result.verdict) {
            (true, "undecided") => ("a match", "it is undecided"),
            (true, _) => ("a match", "there is none"),
            (false, _) => ("no match", "there is one"),
        };
        let _ = writeln!(
            text,
            "FAILED {}:{}{}: expected {expected}, but {found}",
            result.file,
            result.line,
            name.unwrap_or_default()
        );
        for line in explanation.to_string().lines() {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
    }
    let untested = report.rules_without_tests.len();
    let untested = match untested {
        0 => String::new(),
        _ => format!(" ({} without a test)", counted(untested, "rule", "rules")),
    };
    let outcome = match report.failed {
        0 => "all pass".to_owned(),
        failed => format!("{failed} failed"),
    };
    let _ = writeln!(
        text,
        "{}{untested}, {}: {outcome}",
        counted(report.rules, "rule", "rules"),
        counted(report.tests, "test", "tests")
    );
    text
}
