//! A filter as SQL.

use super::{FindingCursor, FindingFilter};
use crate::basics::Uuid;
use crate::error::Result;
use crate::limits::{self, MAX_FILTER_VALUES, MAX_FINDING_TEXT, clip};
use crate::page::PageSize;
use sea_query::{
    Asterisk, Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, UnionType, Value,
};

/// The columns of a list.
pub(super) const COLUMNS: [&str; 15] = [
    "id",
    "sensor_id",
    "uid",
    "time",
    "received_at",
    "severity",
    "disposition",
    "rule",
    "host",
    "container",
    "image",
    "username",
    "process",
    "fingerprint",
    "fingerprint_version",
];

/// A page of findings, newest first.
///
/// The order is that of every index on `findings`, so the page is read off one of
/// them. Several values of one column would spoil that: their findings, however
/// many, would have to be sorted. So a page is read for each value, and the pages are
/// merged.
pub(super) fn page(
    filter: &FindingFilter,
    before: Option<FindingCursor>,
    size: PageSize,
) -> Result<SelectStatement> {
    check(filter)?;
    let mut branches = split(filter)
        .into_iter()
        .map(|narrower| branch(&narrower, before, size));
    let Some(first) = branches.next() else {
        return Ok(branch(filter, before, size));
    };
    let whole = |branch| {
        let mut query = Query::select();
        query.column(Asterisk).from_subquery(branch, "b");
        query
    };
    let mut union = whole(first);
    for next in branches {
        // Distinct: a finding in two projects is on the page of each.
        union.union(UnionType::Distinct, whole(next));
    }
    let mut query = Query::select();
    query.column(Asterisk).from_subquery(union, "u");
    Ok(newest(query, ("u", "time"), ("u", "id"), size))
}

type Column = (&'static str, &'static str);

fn newest(mut query: SelectStatement, time: Column, id: Column, size: PageSize) -> SelectStatement {
    query
        .order_by(time, Order::Desc)
        .order_by(id, Order::Desc)
        .limit(size.probe() as u64);
    query
}

/// The lists of texts, with their columns.
type Texts = fn(&mut FindingFilter) -> &mut Vec<String>;
const TEXTS: [(&str, Texts); 7] = [
    ("rule", |filter| &mut filter.rules),
    ("host", |filter| &mut filter.hosts),
    ("container", |filter| &mut filter.containers),
    ("image", |filter| &mut filter.images),
    ("username", |filter| &mut filter.users),
    ("process", |filter| &mut filter.processes),
    ("fingerprint", |filter| &mut filter.fingerprints),
];

/// Filters with one value each that find together what this one finds, if there
/// is a list of several values; the first such list.
fn split(filter: &FindingFilter) -> Vec<FindingFilter> {
    let each = |values: usize, keep: &dyn Fn(&mut FindingFilter, usize)| {
        let narrower = |value| {
            let mut narrower = filter.clone();
            keep(&mut narrower, value);
            narrower
        };
        (0..values).map(narrower).collect()
    };
    let projects = filter.projects.as_deref().unwrap_or_default();
    if projects.len() > 1 {
        return each(projects.len(), &|one, value| {
            one.projects = Some(vec![projects[value]]);
        });
    }
    for (_, list) in TEXTS {
        let values = list(&mut filter.clone()).len();
        if values > 1 {
            return each(values, &|one, value| {
                let kept = list(one).swap_remove(value);
                *list(one) = vec![kept];
            });
        }
    }
    let severities = &filter.severities;
    if severities.len() > 1 {
        return each(severities.len(), &|one, value| {
            one.severities = vec![severities[value]];
        });
    }
    Vec::new()
}

fn check(filter: &FindingFilter) -> Result<()> {
    let projects = filter.projects.as_ref().map_or(0, Vec::len);
    let mut lists = vec![
        ("project", projects),
        ("severity", filter.severities.len()),
        ("disposition", filter.dispositions.len()),
    ];
    let mut filter = filter.clone();
    lists.extend(TEXTS.map(|(column, list)| (column, list(&mut filter).len())));
    lists
        .into_iter()
        .try_for_each(|(column, values)| limits::count(column, values, MAX_FILTER_VALUES))
}

/// The page of a filter with at most one project.
fn branch(
    filter: &FindingFilter,
    before: Option<FindingCursor>,
    size: PageSize,
) -> SelectStatement {
    let mut query = Query::select();
    query
        .columns(COLUMNS.map(|column| ("f", column)))
        .from_as("findings", "f");
    // A project's page is read off its own list, which has the same order: the few
    // findings of a small project are found at once among many.
    let (mut time, mut id) = (("f", "time"), ("f", "id"));
    for project in filter.projects.iter().flatten() {
        (time, id) = (("p", "time"), ("p", "finding_id"));
        query
            .join_as(
                JoinType::InnerJoin,
                "finding_projects",
                "p",
                Expr::col(("p", "finding_id")).equals(("f", "id")),
            )
            .and_where(Expr::col(("p", "project_id")).eq(*project));
    }
    let severities = filter.severities.iter();
    let severities = severities.map(|severity| i64::from(*severity as u8));
    one_of(&mut query, "severity", severities);
    let dispositions = filter.dispositions.iter().map(|done| i64::from(done.id()));
    one_of(&mut query, "disposition", dispositions);
    let mut lists = filter.clone();
    for (column, list) in TEXTS {
        // Cut as the columns are.
        let values = list(&mut lists).iter();
        let values = values.map(|value| clip(value, MAX_FINDING_TEXT));
        one_of(&mut query, column, values);
    }
    if let Some(from) = filter.from {
        query.and_where(Expr::col(time).gte(from));
    }
    if let Some(until) = filter.until {
        query.and_where(Expr::col(time).lt(until));
    }
    if let Some(before) = before {
        let place = Expr::tuple([Expr::col(time), Expr::col(id)]);
        query.and_where(place.lt(Expr::tuple([Expr::val(before.time), Expr::val(before.id)])));
    }
    newest(query, time, id, size)
}

/// A page in the order of the ids.
pub(super) fn stored_after(
    filter: &FindingFilter,
    after: Uuid,
    size: PageSize,
) -> Result<SelectStatement> {
    let mut query = page(filter, None, size)?;
    query
        .clear_order_by()
        .and_where(Expr::col(("f", "id")).gt(after))
        .order_by(("f", "id"), Order::Asc);
    Ok(query)
}

fn one_of<T: Into<Value>>(
    query: &mut SelectStatement,
    column: &'static str,
    values: impl Iterator<Item = T>,
) {
    let mut any = Cond::any();
    for value in values {
        any = any.add(Expr::col(("f", column)).eq(Expr::val(value)));
    }
    if !any.is_empty() {
        query.cond_where(any);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basics::new_id;
    use crate::db::{Columns, Dialect, Link, Record, in_dialect};
    use crate::sqlite::SqliteBackend;
    use picket_model::finding::Disposition;
    use picket_model::severity::Severity;
    use sqlx::{AssertSqlSafe, SqlSafeStr};

    struct Step(String);

    impl Record for Step {
        fn read(row: &impl Columns) -> Result<Step> {
            row.text("detail").map(Step)
        }
    }

    /// How SQLite reads a page.
    async fn plan(store: &SqliteBackend, filter: FindingFilter) -> String {
        use crate::db::Backend;
        let before = FindingCursor {
            time: 5,
            id: new_id(),
        };
        let query = page(&filter, Some(before), PageSize::new(50).unwrap()).unwrap();
        let mut statement = in_dialect("planning", Dialect::Sqlite, &query);
        let text = format!("EXPLAIN QUERY PLAN {}", statement.text.as_str());
        statement.text = AssertSqlSafe(text).into_sql_str();
        let steps = store
            .read()
            .await
            .unwrap()
            .fetch::<Step>(statement)
            .await
            .unwrap();
        steps.into_iter().map(|Step(step)| step + "\n").collect()
    }

    #[tokio::test]
    async fn every_filter_alone_reads_its_page_off_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteBackend::open(&folder.path().join("picket.db"))
            .await
            .unwrap();
        let all = FindingFilter::default;
        let one = || vec!["x".to_owned()];
        #[rustfmt::skip]
        let filters = [
            ("findings_time", all()),
            ("findings_time", FindingFilter { from: Some(1), until: Some(9), ..all() }),
            ("findings_severity", FindingFilter { severities: vec![Severity::Low], ..all() }),
            ("findings_disposition", FindingFilter { dispositions: vec![Disposition::Blocked], ..all() }),
            ("findings_rule", FindingFilter { rules: one(), ..all() }),
            ("SEARCH p USING PRIMARY KEY (project_id=?", FindingFilter { projects: Some(vec![new_id()]), ..all() }),
            ("findings_host", FindingFilter { hosts: one(), ..all() }),
            ("findings_container", FindingFilter { containers: one(), ..all() }),
            ("findings_image", FindingFilter { images: one(), ..all() }),
            ("findings_username", FindingFilter { users: one(), ..all() }),
            ("findings_process", FindingFilter { processes: one(), ..all() }),
            ("findings_fingerprint", FindingFilter { fingerprints: one(), ..all() }),
        ];
        for (index, filter) in filters {
            let plan = plan(&store, filter).await;
            assert!(plan.contains(index), "{index}:\n{plan}");
            assert!(
                !plan.contains("TEMP B-TREE"),
                "{index} does not give the order:\n{plan}"
            );
        }
    }

    #[tokio::test]
    async fn several_values_read_a_page_each() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteBackend::open(&folder.path().join("picket.db"))
            .await
            .unwrap();
        let filter = FindingFilter {
            rules: ["a", "b", "c"].map(str::to_owned).to_vec(),
            severities: vec![Severity::High, Severity::Critical],
            ..FindingFilter::default()
        };
        let plan = plan(&store, filter).await;
        assert_eq!(plan.matches("findings_rule").count(), 3, "{plan}");
        // What is sorted are the three pages.
        assert_eq!(plan.matches("FOR ORDER BY").count(), 1, "{plan}");
    }
}
