//! A filter as SQL.

use super::{IssueCursor, IssueFilter, IssueStatus};
use crate::error::Result;
use crate::limits::{self, MAX_FILTER_VALUES, MAX_FINDING_TEXT, clip};
use crate::page::PageSize;
use sea_query::{Cond, Expr, ExprTrait, Func, LikeExpr, Order, Query, SelectStatement, Value};

/// A page of issues, the last seen first.
pub(super) fn page(
    filter: &IssueFilter,
    before: Option<IssueCursor>,
    size: PageSize,
) -> Result<SelectStatement> {
    check(filter)?;
    let mut query = Query::select();
    query
        .column(("i", sea_query::Asterisk))
        .from_as("issues", "i");
    let statuses = filter.statuses.iter().map(|status| status.name());
    one_of(&mut query, "status", statuses);
    let severities = filter.severities.iter();
    let severities = severities.map(|severity| i64::from(*severity as u8));
    one_of(&mut query, "severity", severities);
    for (column, values) in texts(filter) {
        // Cut as the columns are.
        let values = values.iter().map(|value| clip(value, MAX_FINDING_TEXT));
        one_of(&mut query, column, values);
    }
    one_of(&mut query, "assignee", filter.assignees.iter().copied());
    let mut labelled = Cond::any();
    for label in &filter.labels {
        super::labels::check(label)?;
        labelled = labelled.add(Expr::col(("i", "labels")).like(format!("%,{label},%")));
    }
    if !labelled.is_empty() {
        query.cond_where(labelled);
    }
    if filter.unassigned {
        query.and_where(Expr::col(("i", "assignee")).is_null());
    }
    if let Some(now) = filter.overdue_at {
        let unfinished = [IssueStatus::Open, IssueStatus::InProgress].map(IssueStatus::name);
        query
            .and_where(Expr::col(("i", "status")).is_in(unfinished))
            .and_where(Expr::col(("i", "due_at")).lt(now));
    }
    if let Some(text) = &filter.text {
        query.cond_where(holds(text));
    }
    if let Some(projects) = &filter.projects {
        let mut rows = Query::select();
        rows.expr(Expr::val(1))
            .from_as("issue_projects", "p")
            .and_where(Expr::col(("p", "issue_id")).equals(("i", "id")))
            .and_where(Expr::col(("p", "project_id")).is_in(projects.iter().copied()));
        query.and_where(Expr::exists(rows));
    }
    if let Some(before) = before {
        let place = Expr::tuple([Expr::col(("i", "last_seen")), Expr::col(("i", "id"))]);
        let before = Expr::tuple([Expr::val(before.last_seen), Expr::val(before.id)]);
        query.and_where(place.lt(before));
    }
    query
        .order_by(("i", "last_seen"), Order::Desc)
        .order_by(("i", "id"), Order::Desc)
        .limit(size.probe() as u64);
    Ok(query)
}

fn texts(filter: &IssueFilter) -> [(&'static str, &[String]); 5] {
    [
        ("rule", &filter.rules),
        ("host", &filter.hosts),
        ("namespace", &filter.namespaces),
        ("image", &filter.images),
        ("fingerprint", &filter.fingerprints),
    ]
}

fn check(filter: &IssueFilter) -> Result<()> {
    let projects = filter.projects.as_ref().map_or(0, Vec::len);
    let mut lists = vec![
        ("project", projects),
        ("status", filter.statuses.len()),
        ("severity", filter.severities.len()),
        ("assignee", filter.assignees.len()),
        ("label", filter.labels.len()),
    ];
    lists.extend(texts(filter).map(|(column, values)| (column, values.len())));
    if let Some(text) = &filter.text {
        limits::name("text", text)?;
    }
    lists
        .into_iter()
        .try_for_each(|(column, values)| limits::count(column, values, MAX_FILTER_VALUES))
}

/// Whether a column holds the text. `%`, `_` and the escape itself stand for themselves.
fn holds(text: &str) -> Cond {
    let mut pattern = String::from("%");
    for character in text.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    ["title", "rule", "host"]
        .into_iter()
        .fold(Cond::any(), |any, column| {
            let lower = Func::lower(Expr::col(("i", column)));
            any.add(Expr::expr(lower).like(LikeExpr::new(pattern.as_str()).escape('\\')))
        })
}

fn one_of<T: Into<Value>>(
    query: &mut SelectStatement,
    column: &'static str,
    values: impl Iterator<Item = T>,
) {
    let mut any = Cond::any();
    for value in values {
        any = any.add(Expr::col(("i", column)).eq(Expr::val(value)));
    }
    if !any.is_empty() {
        query.cond_where(any);
    }
}
