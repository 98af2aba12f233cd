//! SQL with its values. Values are always bound, never written into the text.

use sea_query::{PostgresQueryBuilder, QueryStatementBuilder, SqliteQueryBuilder, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// One statement, ready to run.
pub(crate) struct Statement {
    /// What it does, for the error that says where.
    pub doing: &'static str,
    /// Its text.
    pub text: SqlStr,
    /// Whether the same text will come again: whether to keep it prepared.
    pub recurs: bool,
    values: Vec<Value>,
}

/// A statement that both databases understand as it is: `$1` is the first bound
/// value in both.
pub(crate) fn sql(doing: &'static str, text: &'static str) -> Statement {
    Statement {
        doing,
        text: text.into_sql_str(),
        recurs: true,
        values: Vec::new(),
    }
}

/// A statement put together at run time, in the database's own SQL.
pub(crate) fn in_dialect(
    doing: &'static str,
    dialect: Dialect,
    query: &impl QueryStatementBuilder,
) -> Statement {
    let (text, Values(values)) = match dialect {
        Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
        Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
    };
    Statement {
        doing,
        // sea-query writes only names that stand in this crate; values it binds.
        text: AssertSqlSafe(text).into_sql_str(),
        recurs: false,
        values,
    }
}

impl Statement {
    /// Binds the next value.
    pub fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.values.push(value.into());
        self
    }

    /// The text comes again and again: keep it prepared.
    pub fn recurring(mut self) -> Statement {
        self.recurs = true;
        self
    }

    /// The bound values.
    pub fn into_parts(self) -> (SqlStr, SqlxValues) {
        (self.text, SqlxValues(Values(self.values)))
    }
}
