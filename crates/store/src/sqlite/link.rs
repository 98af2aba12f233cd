//! A connection to SQLite.

use crate::changes::Change;
use crate::db::{Dialect, Link, Record, Section, Statement};
use crate::error::{Result, StoreError};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnection};

/// The writer's connection, or one that reads.
pub(crate) struct SqliteLink {
    held: Held,
    /// What is to be told after the commit.
    pub(super) notices: Vec<Change>,
}

enum Held {
    Writer(Box<SqliteConnection>),
    Reader(PoolConnection<Sqlite>),
}

impl SqliteLink {
    pub(super) fn writing(connection: SqliteConnection) -> SqliteLink {
        SqliteLink {
            held: Held::Writer(Box::new(connection)),
            notices: Vec::new(),
        }
    }

    pub(super) fn reading(connection: PoolConnection<Sqlite>) -> SqliteLink {
        SqliteLink {
            held: Held::Reader(connection),
            notices: Vec::new(),
        }
    }

    pub(super) fn into_connection(self) -> Option<SqliteConnection> {
        match self.held {
            Held::Writer(connection) => Some(*connection),
            Held::Reader(_) => None,
        }
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.held {
            Held::Writer(connection) => connection,
            Held::Reader(connection) => connection,
        }
    }
}

impl Link for SqliteLink {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn fetch<T: Record>(&mut self, statement: Statement) -> Result<Vec<T>> {
        let (doing, recurs) = (statement.doing, statement.recurs);
        let (text, values) = statement.into_parts();
        let rows = sqlx::query_with::<Sqlite, _>(text, values)
            .persistent(recurs)
            .fetch_all(self.connection())
            .await
            .map_err(|why| StoreError::of_database(doing, why))?;
        rows.iter().map(T::read).collect()
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let (doing, recurs) = (statement.doing, statement.recurs);
        let (text, values) = statement.into_parts();
        let done = sqlx::query_with::<Sqlite, _>(text, values)
            .persistent(recurs)
            .execute(self.connection())
            .await
            .map_err(|why| StoreError::of_database(doing, why))?;
        Ok(done.rows_affected())
    }

    async fn announce(&mut self, change: Change) -> Result<()> {
        self.notices.push(change);
        Ok(())
    }

    async fn enter(&mut self, _section: Section) -> Result<()> {
        Ok(())
    }
}
