//! Brings a SQLite file's schema up to date.

use crate::error::{Result, StoreError};
use crate::schema::{self, STEP_DONE, VERSION, VERSION_TABLE};
use sqlx::sqlite::SqliteConnection;

/// In one transaction: a step is done whole, or not at all; a second process
/// waits for the first.
pub(super) async fn bring_up_to_date(connection: &mut SqliteConnection, place: &str) -> Result<()> {
    let done = steps(connection, place).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sqlx::raw_sql(end).execute(connection).await;
    done?;
    ended.map_err(|why| failed(place, why))?;
    Ok(())
}

async fn steps(connection: &mut SqliteConnection, place: &str) -> Result<()> {
    let error = |why| failed(place, why);
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .map_err(error)?;
    let (tables, ours): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(name = 'picket_schema'), 0) FROM sqlite_master \
         WHERE type = 'table'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(error)?;
    if tables > 0 && ours == 0 {
        let place = place.to_owned();
        return Err(StoreError::NotOurs { place });
    }
    sqlx::raw_sql(VERSION_TABLE)
        .execute(&mut *connection)
        .await
        .map_err(error)?;
    let found: i64 = sqlx::query_scalar(VERSION)
        .fetch_one(&mut *connection)
        .await
        .map_err(error)?;
    for step in schema::missing(schema::SQLITE, found, place)? {
        sqlx::raw_sql(step.text)
            .execute(&mut *connection)
            .await
            .map_err(error)?;
        sqlx::query(STEP_DONE)
            .bind(step.version)
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut *connection)
            .await
            .map_err(error)?;
    }
    Ok(())
}

fn failed(place: &str, source: sqlx::Error) -> StoreError {
    let place = place.to_owned();
    StoreError::Open { place, source }
}
