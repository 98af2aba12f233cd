//! The schema's versions, as SQL that takes a database from one to the next.
//!
//! A file that was released is never changed: add the next one, in both
//! dialects, and a fixture of the schema before it (`docs/store.md`).

use crate::error::{Result, StoreError};

/// One step forward.
pub(crate) struct Migration {
    /// The schema that it leads to; the first is 1.
    pub version: i64,
    /// Its SQL.
    pub text: &'static str,
}

macro_rules! migrations {
    ($dialect:literal: $($version:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            text: include_str!(concat!("../migrations/", $dialect, "/", $name, ".sql")),
        }),+]
    };
}

/// SQLite's, in order.
pub(crate) const SQLITE: &[Migration] = migrations!("sqlite": 1 "0001_control_plane", 2 "0002_response", 3 "0003_answers", 4 "0004_working");
/// PostgreSQL's, in order.
pub(crate) const POSTGRES: &[Migration] = migrations!("postgres": 1 "0001_control_plane", 2 "0002_response", 3 "0003_answers", 4 "0004_working");

/// The table that says which schema a database has; in both dialects the same.
pub(crate) const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS picket_schema \
    (version BIGINT PRIMARY KEY, program TEXT NOT NULL)";
/// Gives the schema's version; 0 for a new database.
pub(crate) const VERSION: &str = "SELECT COALESCE(MAX(version), 0) FROM picket_schema";
/// Says that a step is done.
pub(crate) const STEP_DONE: &str = "INSERT INTO picket_schema (version, program) VALUES ($1, $2)";

/// The steps that a database needs; an error if a newer program has been at it.
pub(crate) fn missing(
    migrations: &'static [Migration],
    found: i64,
    place: &str,
) -> Result<impl Iterator<Item = &'static Migration>> {
    let known = migrations.last().map_or(0, |last| last.version);
    if found > known {
        let place = place.to_owned();
        return Err(StoreError::SchemaTooNew {
            place,
            found,
            known,
        });
    }
    Ok(migrations.iter().filter(move |step| step.version > found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_have_the_same_versions_in_order() {
        let versions = |list: &[Migration]| list.iter().map(|m| m.version).collect::<Vec<_>>();
        let sqlite = versions(SQLITE);
        assert_eq!(sqlite, versions(POSTGRES));
        assert_eq!(sqlite, (1..=sqlite.len() as i64).collect::<Vec<_>>());
    }
}
