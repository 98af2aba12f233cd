//! Brings a PostgreSQL database's schema up to date.

use crate::error::{Result, StoreError};
use crate::schema::{self, STEP_DONE, VERSION, VERSION_TABLE};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// Held while a replica migrates; the others wait for it, and find it done.
const MIGRATING: i64 = 0x7069_636b_6574_0000;

/// In one transaction, which PostgreSQL allows for tables too: a step is done
/// whole, or not at all.
pub(super) async fn bring_up_to_date(connection: &mut PgConnection, place: &str) -> Result<()> {
    let error = |source| StoreError::Open {
        place: place.to_owned(),
        source,
    };
    let mut transaction = connection.begin().await.map_err(error)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATING)
        .execute(&mut *transaction)
        .await
        .map_err(error)?;
    sqlx::raw_sql(VERSION_TABLE)
        .execute(&mut *transaction)
        .await
        .map_err(error)?;
    let found: i64 = sqlx::query_scalar(VERSION)
        .fetch_one(&mut *transaction)
        .await
        .map_err(error)?;
    for step in schema::missing(schema::POSTGRES, found, place)? {
        sqlx::raw_sql(step.text)
            .execute(&mut *transaction)
            .await
            .map_err(error)?;
        sqlx::query(STEP_DONE)
            .bind(step.version)
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut *transaction)
            .await
            .map_err(error)?;
    }
    transaction.commit().await.map_err(error)
}
