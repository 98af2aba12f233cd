//! A connection to PostgreSQL.

use crate::changes::Change;
use crate::db::{Dialect, Link, Record, Section, Statement, sql};
use crate::error::{Result, StoreError};
use sqlx::Transaction;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};

/// The channel on which replicas tell each other of changes.
pub(super) const CHANNEL: &str = "picket_changes";

/// A transaction, or a connection that reads.
pub(crate) struct PostgresLink {
    held: Held,
    /// It stored findings: to be told after the commit.
    findings: bool,
}

enum Held {
    Writer(Transaction<'static, Postgres>),
    Reader(PoolConnection<Postgres>),
}

impl PostgresLink {
    pub(super) fn writing(transaction: Transaction<'static, Postgres>) -> PostgresLink {
        PostgresLink {
            held: Held::Writer(transaction),
            findings: false,
        }
    }

    pub(super) fn reading(connection: PoolConnection<Postgres>) -> PostgresLink {
        PostgresLink {
            held: Held::Reader(connection),
            findings: false,
        }
    }

    /// Commits; whether findings are to be told of.
    pub(super) async fn commit(self) -> Result<bool> {
        let findings = self.findings;
        match self.held {
            Held::Writer(transaction) => transaction
                .commit()
                .await
                .map(|()| findings)
                .map_err(|why| StoreError::of_database("committing", why)),
            Held::Reader(_) => Ok(false),
        }
    }

    fn connection(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Held::Writer(transaction) => transaction,
            Held::Reader(connection) => connection,
        }
    }
}

impl Link for PostgresLink {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn fetch<T: Record>(&mut self, statement: Statement) -> Result<Vec<T>> {
        let (doing, recurs) = (statement.doing, statement.recurs);
        let (text, values) = statement.into_parts();
        let rows = sqlx::query_with::<Postgres, _>(text, values)
            .persistent(recurs)
            .fetch_all(self.connection())
            .await
            .map_err(|why| StoreError::of_database(doing, why))?;
        rows.iter().map(T::read).collect()
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let (doing, recurs) = (statement.doing, statement.recurs);
        let (text, values) = statement.into_parts();
        let done = sqlx::query_with::<Postgres, _>(text, values)
            .persistent(recurs)
            .execute(self.connection())
            .await
            .map_err(|why| StoreError::of_database(doing, why))?;
        Ok(done.rows_affected())
    }

    async fn announce(&mut self, change: Change) -> Result<()> {
        if change == Change::Findings {
            self.findings = true;
            return Ok(());
        }
        let notify = sql("telling of a change", "SELECT pg_notify($1, $2)");
        self.execute(notify.bind(CHANNEL).bind(change.name()))
            .await?;
        Ok(())
    }

    async fn enter(&mut self, section: Section) -> Result<()> {
        let lock = sql(
            "waiting for other replicas",
            "SELECT pg_advisory_xact_lock($1)",
        );
        self.execute(lock.bind(section as i64)).await?;
        Ok(())
    }
}
