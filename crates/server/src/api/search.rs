//! Findings by any field of their events: a condition of the rule language, judged by the
//! engine that sensors have on the event that each finding holds.
//!
//! No index helps here: findings are read, the newest first, and looked at. So a search
//! looks at so many for an answer, and says where to go on.

use super::App;
use super::definitions::Whole;
use super::exceptions::{Judge, event};
use super::findings::bodies;
use super::problem::{Diagnostic, Problem};
use picket_lang::Source;
use picket_model::EventClass;
use picket_store::{FindingCursor, FindingFilter, FindingRow, Page, PageSize, limits};

/// Findings looked at for one page.
const LOOKED_AT: usize = 10_000;
/// Bytes of a condition, at most.
const MAX_CONDITION: usize = 4096;
/// Where diagnostics say that the fault is.
const FILE: &str = "where";
/// Before each line of a condition, in the text around it.
const INDENT: &str = "      ";

/// A search that was understood.
pub(super) struct Search(Judge);

impl Search {
    /// Reads a condition. It holds for the events of those classes that have its fields.
    pub(super) async fn parse(condition: String) -> Result<Search, Problem> {
        if condition.len() > MAX_CONDITION {
            let why = format!("where: longer than {MAX_CONDITION} bytes");
            return Err(Problem::invalid(why));
        }
        let parsed = tokio::task::spawn_blocking(move || Search::parse_now(&condition));
        parsed.await.map_err(Problem::internal)?
    }

    fn parse_now(condition: &str) -> Result<Search, Problem> {
        let mut rules = Vec::new();
        let mut wrong: Vec<Diagnostic> = Vec::new();
        for class in EventClass::ALL {
            let (text, before) = around(condition, class);
            let source = Source::new(FILE, text.as_bytes());
            let whole = Whole::of(vec![source]);
            if !whole.checked.has_errors() {
                rules.extend(whole.checked.rules);
                continue;
            }
            let told = whole.diagnostics();
            let errors = told.into_iter().filter(|told| told.severity == "error");
            let errors: Vec<_> = errors.map(|told| moved(told, before)).collect();
            // The class that got furthest is the one that was meant.
            let place = |told: &[Diagnostic]| told.first().map(|first| (first.line, first.column));
            if wrong.is_empty() || place(&errors) > place(&wrong) {
                wrong = errors;
            }
        }
        if rules.is_empty() {
            let first = wrong.first().map(|told| told.message.clone());
            let why = format!("where: {}", first.unwrap_or_default());
            return Err(Problem::invalid(why).with(wrong));
        }
        Ok(Search(Judge::of(rules)))
    }

    /// A page of what it finds.
    pub(super) async fn page(
        mut self,
        app: &App,
        filter: &FindingFilter,
        mut before: Option<FindingCursor>,
        size: PageSize,
    ) -> Result<Page<FindingRow, FindingCursor>, Problem> {
        let wanted = size.rows();
        let mut found = Vec::new();
        let mut looked_at = 0;
        loop {
            let most = PageSize::new(limits::MAX_PAGE)?;
            let page = app.store.findings(filter, before, most).await?;
            looked_at += page.items.len();
            let (search, kept) = self.keep(app, page.items).await?;
            self = search;
            found.extend(kept);
            if found.len() > wanted {
                found.truncate(wanted);
                let last = found.last();
                let next = last.map(|row: &FindingRow| FindingCursor {
                    time: row.columns.time,
                    id: row.id,
                });
                return Ok(Page { items: found, next });
            }
            before = page.next;
            if before.is_none() || looked_at >= LOOKED_AT {
                return Ok(Page {
                    items: found,
                    next: before,
                });
            }
        }
    }

    /// Those of them whose events are as they must be. One whose event cannot be read, or
    /// lacks what decides, is none of them.
    async fn keep(
        self,
        app: &App,
        rows: Vec<FindingRow>,
    ) -> Result<(Search, Vec<FindingRow>), Problem> {
        let bodies = bodies(app, &rows).await?;
        // Evaluating is quick, reading JSON is not: off the async threads.
        let judged = tokio::task::spawn_blocking(move || {
            let Search(mut judge) = self;
            let mut rows = rows;
            rows.retain(|row| {
                let event = bodies.get(&row.id).and_then(event);
                event.and_then(|event| judge.matches(&event)) == Some(true)
            });
            (Search(judge), rows)
        });
        judged.await.map_err(Problem::internal)
    }
}

/// What a search leaves of findings; all of them where there is none.
pub(super) async fn sifted(
    search: &mut Option<Search>,
    app: &App,
    rows: Vec<FindingRow>,
) -> Result<Vec<FindingRow>, Problem> {
    let Some(judging) = search.take() else {
        return Ok(rows);
    };
    let (judged, kept) = judging.keep(app, rows).await?;
    *search = Some(judged);
    Ok(kept)
}

/// A rule with the condition, and how many lines stand before it.
fn around(condition: &str, class: EventClass) -> (String, u32) {
    let head = format!(
        "rules:\n  - id: search\n    title: Search\n    event: {}\n    severity: low\n    condition: |-\n",
        class.name()
    );
    let mut text = head.clone();
    for line in condition.trim_start().lines() {
        text.push_str(INDENT);
        text.push_str(line);
        text.push('\n');
    }
    (text, head.lines().count() as u32)
}

/// The place in the condition alone.
fn moved(mut told: Diagnostic, before: u32) -> Diagnostic {
    let indent = INDENT.len() as u32;
    for line in [&mut told.line, &mut told.end_line] {
        *line = line.saturating_sub(before).max(1);
    }
    for column in [&mut told.column, &mut told.end_column] {
        *column = column.saturating_sub(indent).max(1);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_for_the_classes_that_have_its_fields() {
        assert!(Search::parse_now(r#"process.cmd_line contains "curl""#).is_ok());
        assert!(
            Search::parse_now("dst_endpoint.port == 4444 and\n  actor.process.name == \"nc\"")
                .is_ok()
        );
    }

    #[test]
    fn faults_are_shown_at_their_place_in_the_condition() {
        for (condition, line, column) in [
            ("dst_endpoint.port == \"x\"", 1, 22),
            ("process.nmae == \"sh\"", 1, 1),
            ("process.name == \"sh\" and\nprocess.pid == ", 2, 16),
        ] {
            let problem = Search::parse_now(condition).err().unwrap();
            let told = serde_json::to_value(&problem).unwrap();
            let first = &told["diagnostics"][0];
            assert_eq!(first["file"], FILE);
            assert_eq!(
                (first["line"].as_u64(), first["column"].as_u64()),
                (Some(line), Some(column)),
                "{condition}: {first}"
            );
        }
        for condition in ["", "  \n", "\"", "a: b", "# x"] {
            assert!(Search::parse_now(condition).is_err(), "{condition:?}");
        }
    }
}
