//! What can go wrong, told so that the reader knows what to do.

use crate::join_tokens::JoinRefusal;
use std::fmt;

/// Every call's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such thing, or no longer.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for, such as `rule`.
        what: &'static str,
        /// Under which id or name.
        id: String,
    },
    /// Somebody else changed it first.
    #[error(
        "{what} {id} is at version {found}, not {expected}: it was changed since it was read; \
         read it again and repeat the change"
    )]
    Conflict {
        /// What was to be changed.
        what: &'static str,
        /// Its id.
        id: String,
        /// The version that the change was made for.
        expected: i64,
        /// The version that stands.
        found: i64,
    },
    /// The name, or whatever else tells it from others, is taken.
    #[error("there is a {what} {name} already")]
    Exists {
        /// What was to be made.
        what: &'static str,
        /// What is taken.
        name: String,
    },
    /// The life cycle has no such step.
    #[error("{what} {id} cannot go from {from} to {to}")]
    Transition {
        /// What was to be moved on.
        what: &'static str,
        /// Its id.
        id: String,
        /// Where it stands.
        from: &'static str,
        /// Where it was to go.
        to: &'static str,
    },
    /// A value is not one that may be stored.
    #[error("{field}: {why}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A join token does not let anybody in.
    #[error("the join token {0}: make a new one for this sensor")]
    JoinRefused(JoinRefusal),
    /// Something that the change refers to is not there.
    #[error("{doing}: something that it refers to does not exist")]
    Dangling {
        /// What the store was at.
        doing: &'static str,
    },
    /// The database was written by a newer Picket.
    #[error(
        "{place} has schema {found}, and this picket knows schemas up to {known}: \
         start a newer picket, or restore a backup from before the upgrade"
    )]
    SchemaTooNew {
        /// Which database.
        place: String,
        /// The schema that stands there.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// A file that holds something else.
    #[error("{place} is not a Picket database: it holds other tables; name another file")]
    NotOurs {
        /// Which database.
        place: String,
    },
    /// The place that was named cannot be one of a database.
    #[error("{place:?} names no database: write sqlite:FILE, or postgres://USER@HOST/DATABASE")]
    Location {
        /// What was written.
        place: String,
    },
    /// The database cannot be opened, or its schema brought up to date.
    #[error("cannot open {place}: {source}")]
    Open {
        /// Which database, without its password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database failed.
    #[error("the database failed at {doing}: {source}")]
    Database {
        /// What the store was at.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// What was read is nothing that this store writes.
    #[error("the database holds a bad value, {what}: {why}; restore a backup, or report this")]
    Damaged {
        /// Where.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store was closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn not_found(what: &'static str, id: impl fmt::Display) -> StoreError {
        let id = id.to_string();
        StoreError::NotFound { what, id }
    }

    pub(crate) fn exists(what: &'static str, name: impl fmt::Display) -> StoreError {
        let name = name.to_string();
        StoreError::Exists { what, name }
    }

    pub(crate) fn damaged(what: impl fmt::Display, why: impl fmt::Display) -> StoreError {
        StoreError::Damaged {
            what: what.to_string(),
            why: why.to_string(),
        }
    }

    /// What a database's error means to the caller.
    pub(crate) fn of_database(doing: &'static str, source: sqlx::Error) -> StoreError {
        match &source {
            sqlx::Error::Database(said) if said.is_foreign_key_violation() => {
                StoreError::Dangling { doing }
            }
            sqlx::Error::PoolClosed => StoreError::Closed,
            _ => StoreError::Database { doing, source },
        }
    }
}
