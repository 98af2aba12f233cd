//! A copy of a SQLite store, made while a server uses it, and a look at one.

use crate::error::{Result, StoreError};
use crate::schema::VERSION;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Copies the store of that file into a new one, as it is at one moment: what is
/// written meanwhile is not in it, and waits for nothing. The copy is readable by its
/// owner alone. Gives the schema's version.
pub async fn snapshot(from: &Path, to: &Path) -> Result<i64> {
    let mut connection = existing(from).await?;
    let schema = version(&mut connection, from).await?;
    // VACUUM INTO takes an empty file: made here, for the sake of its rights. One that
    // is there already is somebody's.
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to);
    made.map_err(|why| failed(to, sqlx::Error::Io(why)))?;
    let copied = copy(connection, to).await;
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied.map(|()| schema).map_err(|why| failed(to, why))
}

async fn copy(mut connection: SqliteConnection, to: &Path) -> std::result::Result<(), sqlx::Error> {
    sqlx::query("VACUUM INTO $1")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}

/// Looks whether the file is a whole store; gives its schema's version.
pub async fn verify(file: &Path) -> Result<i64> {
    let mut connection = existing(file).await?;
    let schema = version(&mut connection, file).await?;
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await
        .map_err(|why| failed(file, why))?;
    connection.close().await.map_err(|why| failed(file, why))?;
    match found == "ok" {
        true => Ok(schema),
        false => Err(failed(file, sqlx::Error::Protocol(found))),
    }
}

async fn existing(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .busy_timeout(super::BUSY)
        .disable_statement_logging();
    options.connect().await.map_err(|why| failed(file, why))
}

async fn version(connection: &mut SqliteConnection, file: &Path) -> Result<i64> {
    let tables: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'picket_schema'")
            .fetch_one(&mut *connection)
            .await
            .map_err(|why| failed(file, why))?;
    if tables == 0 {
        return Err(StoreError::NotOurs { place: place(file) });
    }
    let version = sqlx::query_scalar(VERSION).fetch_one(connection).await;
    version.map_err(|why| failed(file, why))
}

fn place(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn failed(file: &Path, source: sqlx::Error) -> StoreError {
    StoreError::Open {
        place: place(file),
        source,
    }
}
