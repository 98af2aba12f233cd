//! A filter as SQL.

use super::{FindingCursor, FindingFilter};
use crate::basics::Uuid;
use crate::error::Result;
use crate::limits::{self, MAX_FILTER_VALUES, MAX_FINDING_TEXT, clip};
use crate::page::PageSize;
use sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, Value};

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

/// A page of findings, newest first. The order is that of every index on
/// `findings`, so the page is read off one of them, whichever filter is narrowest.
pub(super) fn page(
    filter: &FindingFilter,
    before: Option<FindingCursor>,
    size: PageSize,
) -> Result<SelectStatement> {
    let mut query = Query::select();
    query
        .columns(COLUMNS.map(|column| ("f", column)))
        .from_as("findings", "f");
    let projects = filter.projects.as_deref();
    limits::count(
        "projects",
        projects.map_or(0, <[_]>::len),
        MAX_FILTER_VALUES,
    )?;

    // Of a single project the page is read off the project's own list, which has
    // the same order: a project with few findings among many is found at once.
    let (time, id) = match projects {
        Some([_]) => (("p", "time"), ("p", "finding_id")),
        _ => (("f", "time"), ("f", "id")),
    };
    match projects {
        None => {}
        Some([project]) => {
            query
                .join_as(
                    JoinType::InnerJoin,
                    "finding_projects",
                    "p",
                    Expr::col(("p", "finding_id")).equals(("f", "id")),
                )
                .and_where(Expr::col(("p", "project_id")).eq(*project));
        }
        Some(several) => {
            let mut rows = Query::select();
            rows.expr(Expr::val(1))
                .from_as("finding_projects", "p")
                .and_where(Expr::col(("p", "project_id")).is_in(several.iter().copied()))
                .and_where(Expr::col(("p", "time")).equals(("f", "time")))
                .and_where(Expr::col(("p", "finding_id")).equals(("f", "id")));
            query.and_where(Expr::exists(rows));
        }
    }

    let severities = filter
        .severities
        .iter()
        .map(|severity| i64::from(*severity as u8));
    one_of(&mut query, "severity", severities)?;
    let dispositions = filter.dispositions.iter().map(|done| i64::from(done.id()));
    one_of(&mut query, "disposition", dispositions)?;
    let texts = [
        ("rule", &filter.rules),
        ("host", &filter.hosts),
        ("container", &filter.containers),
        ("image", &filter.images),
        ("username", &filter.users),
        ("process", &filter.processes),
        ("fingerprint", &filter.fingerprints),
    ];
    for (column, values) in texts {
        // Cut as the columns are.
        let values = values.iter().map(|value| clip(value, MAX_FINDING_TEXT));
        one_of(&mut query, column, values)?;
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
    query
        .order_by(time, Order::Desc)
        .order_by(id, Order::Desc)
        .limit(size.probe() as u64);
    Ok(query)
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
    values: impl ExactSizeIterator<Item = T>,
) -> Result<()> {
    limits::count(column, values.len(), MAX_FILTER_VALUES)?;
    let mut any = Cond::any();
    for value in values {
        any = any.add(Expr::col(("f", column)).eq(Expr::val(value)));
    }
    if !any.is_empty() {
        query.cond_where(any);
    }
    Ok(())
}
