//! The whole store, and opening one.

use crate::access::Access;
use crate::audit::AuditLog;
use crate::bundles::Bundles;
use crate::changes::Changes;
use crate::db::Backend;
use crate::definitions::Definitions;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::evidence::Evidence;
use crate::findings::Findings;
use crate::graph::Graph;
use crate::host_actions::HostActions;
use crate::issues::Issues;
use crate::jobs::Jobs;
use crate::join_tokens::JoinTokens;
use crate::outputs::Outputs;
use crate::playbooks::Playbooks;
use crate::postgres::PostgresBackend;
use crate::saved_filters::SavedFilters;
use crate::sensors::Sensors;
use crate::sqlite::SqliteBackend;
use async_trait::async_trait;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that the control plane keeps. A call that changes something
/// returns after the commit.
#[async_trait]
pub trait Store:
    Access
    + AuditLog
    + Bundles
    + Definitions
    + Digest
    + Evidence
    + Findings
    + Graph
    + HostActions
    + Issues
    + Jobs
    + JoinTokens
    + Outputs
    + Playbooks
    + SavedFilters
    + Sensors
{
    /// Changes from here on, those of other replicas too.
    fn changes(&self) -> Changes;

    /// Answers whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Takes no more work, and ends what was taken.
    async fn close(&self);
}

/// Where a store is. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, for one server.
    Sqlite(PathBuf),
    /// A URL, `postgres://USER@HOST/DATABASE`, for several replicas. Options stand
    /// behind it, such as `?sslmode=verify-full&sslrootcert=FILE`.
    Postgres(String),
}

impl std::str::FromStr for Location {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Location> {
        if let Some(file) = text.strip_prefix("sqlite:").filter(|file| !file.is_empty()) {
            return Ok(Location::Sqlite(file.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Location::Postgres(text.to_owned()));
        }
        // Of a URL only the scheme is repeated: there may be a password in it.
        let place = text.split_once("://").map_or(text, |(scheme, _)| scheme);
        Err(StoreError::Location {
            place: place.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Location::Postgres(url) => f.write_str(&crate::postgres::place(url)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens a store and brings its schema up to date. If another replica is at it,
/// this one waits.
pub async fn open(location: &Location) -> Result<Arc<dyn Store>> {
    Ok(match location {
        Location::Sqlite(path) => Arc::new(SqlStore(SqliteBackend::open(path).await?)),
        Location::Postgres(url) => Arc::new(SqlStore(PostgresBackend::open(url).await?)),
    })
}

/// A store on either database. What the resources do stands once, in SQL that
/// both understand; a backend is what differs.
pub(crate) struct SqlStore<B>(pub B);

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    fn changes(&self) -> Changes {
        self.0.changes()
    }

    async fn ping(&self) -> Result<()> {
        use crate::db::{Link, One, sql};
        let mut link = self.0.read().await?;
        link.first::<One<i64>>(sql(
            "asking whether it is there",
            "SELECT CAST(1 AS BIGINT)",
        ))
        .await?;
        Ok(())
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_or_a_url() {
        assert_eq!(
            "sqlite:/var/lib/picket/picket.db"
                .parse::<Location>()
                .unwrap(),
            Location::Sqlite("/var/lib/picket/picket.db".into())
        );
        assert!("postgres://picket@db/picket".parse::<Location>().is_ok());
        let error = "mysql://root:secret@db".parse::<Location>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!("sqlite:".parse::<Location>().is_err());
    }

    #[test]
    fn a_place_is_shown_without_its_password() {
        let url = "postgres://anna:secret@db/picket?password=hidden";
        let place = url.parse::<Location>().unwrap();
        assert_eq!(
            format!("{place} {place:?}"),
            "postgres://anna@db:5432/picket ".repeat(2).trim()
        );
        let broken = "postgres://anna:secret@db:port/picket"
            .parse::<Location>()
            .unwrap();
        assert_eq!(broken.to_string(), "postgres:");
    }
}
