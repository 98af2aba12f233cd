//! What is wrong with a text, and what its tests give.

use super::super::App;
use super::super::extract::Json;
use super::super::problem::{Diagnostic, Problem};
use super::super::who::Who;
use super::Draft;
use crate::auth::Permission;
use axum::extract::State;
use picket_engine::{Explanation, Truth, run_tests};
use picket_lang::Checked;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A rule file that is being written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DraftText {
    /// What stands in it so far.
    #[schema(max_length = 1048576)]
    text: String,
}

/// A rule in it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DraftRule {
    /// Its id.
    id: String,
    /// Its title.
    title: String,
    /// How bad its matches are.
    severity: String,
    /// The event classes that it looks at.
    classes: Vec<String>,
}

/// What one of its tests gave.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DraftTest {
    /// Of which rule.
    rule: String,
    /// The line it starts on, from 1.
    line: u32,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether the rule must match.
    expected: bool,
    /// What it says of the event: `true`, `false`, or `unknown`, which is no match.
    #[schema(value_type = String)]
    verdict: Truth,
    /// Whether that is what it must say.
    passed: bool,
    /// Of a failed test: what each predicate saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    explanation: Option<Explanation>,
}

/// What there is to say of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DraftReport {
    /// What is wrong, or may be, and where.
    diagnostics: Vec<Diagnostic>,
    /// The rules that are right.
    rules: Vec<DraftRule>,
    /// The policies that are right, by their ids.
    policies: Vec<String>,
    /// What the tests in those rules gave.
    tests: Vec<DraftTest>,
}

/// Check a rule file that is being written, and run its tests
///
/// Nothing is stored. Lists and macros that are stored may be used.
#[utoipa::path(post, path = "/workbench/check", tag = "workbench", operation_id = "check_draft", request_body = DraftText,
    responses((status = 200, body = DraftReport), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn check(
    State(app): State<App>,
    who: Who,
    Json(draft): Json<DraftText>,
) -> Result<Json<DraftReport>, Problem> {
    who.needs(Permission::Read)?;
    let draft = Draft::of(&app, draft.text).await?;
    let report = tokio::task::spawn_blocking(move || {
        let diagnostics = draft.diagnostics();
        report(draft.0.checked, diagnostics)
    });
    Ok(Json(report.await.map_err(Problem::internal)?))
}

fn report(checked: Checked, diagnostics: Vec<Diagnostic>) -> DraftReport {
    let rules = checked.rules.iter().map(|rule| DraftRule {
        id: rule.info.id.clone(),
        title: rule.info.title.clone(),
        severity: rule.info.severity.name().to_owned(),
        classes: rule
            .classes
            .iter()
            .map(|class| class.name().to_owned())
            .collect(),
    });
    let rules = rules.collect();
    let policies = checked
        .policies
        .iter()
        .map(|policy| policy.id.clone())
        .collect();
    DraftReport {
        diagnostics,
        rules,
        policies,
        tests: tests(checked),
    }
}

fn tests(checked: Checked) -> Vec<DraftTest> {
    run_tests(checked.rules, &checked.tests)
        .into_iter()
        .map(|tested| DraftTest {
            rule: tested.rule,
            line: tested.line,
            name: tested.name,
            expected: tested.expected,
            verdict: tested.verdict,
            passed: tested.passed,
            explanation: tested.explanation,
        })
        .collect()
}
