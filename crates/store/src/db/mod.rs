//! What the resources' SQL is written against: one set of statements, run on
//! either database's own typed connection.
//!
//! ```text
//! sensors, findings, …  ─ Statement ─►  Link ◄─ Backend::{read, write}
//!                                        ├─ sqlite::SqliteLink     (one writer task, a pool of readers)
//!                                        └─ postgres::PostgresLink (a pool, transactions)
//! ```

mod row;
mod statement;

pub(crate) use row::{Columns, One, Record};
pub(crate) use statement::{Dialect, Statement, in_dialect, sql};

use crate::changes::{Change, Changes};
use crate::error::Result;
use std::pin::Pin;

/// A future in a box: what a unit of work is.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// One database connection, as the resources see it.
pub(crate) trait Link: Send + 'static {
    const DIALECT: Dialect;

    /// The rows that a statement gives.
    fn fetch<T: Record>(
        &mut self,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<T>>> + Send;

    /// How many rows a statement changed.
    fn execute(&mut self, statement: Statement) -> impl Future<Output = Result<u64>> + Send;

    /// The first row, if there is one.
    fn first<T: Record>(
        &mut self,
        statement: Statement,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { Ok(self.fetch(statement).await?.into_iter().next()) }
    }

    /// Tells of a change, once the unit of work is committed.
    fn announce(&mut self, change: Change) -> impl Future<Output = Result<()>> + Send;

    /// Keeps other units of work out of the same section until this one is
    /// committed. Where there is one writer, it is alone already.
    fn enter(&mut self, section: Section) -> impl Future<Output = Result<()>> + Send;
}

/// What only one unit of work does at a time, over all replicas. Whoever enters
/// two does it in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum Section {
    /// Counting findings and deleting the oldest.
    Retention = 0x7069_636b_6574_0001,
    /// Adding to the audit log's chain.
    Audit = 0x7069_636b_6574_0002,
}

/// A database.
pub(crate) trait Backend: Send + Sync + 'static {
    type Link: Link;

    /// A connection for reading.
    fn read(&self) -> impl Future<Output = Result<Self::Link>> + Send;

    /// Runs a unit of work and commits it; nothing of it stands if it fails.
    /// It returns after the commit.
    fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Self::Link) -> Work<'c, T> + Send + 'static;

    /// Changes from here on.
    fn changes(&self) -> Changes;

    /// Ends what runs, after what was begun.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
