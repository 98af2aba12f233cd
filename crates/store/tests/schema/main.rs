//! The schema: made, brought up to date, refused, and what it refuses itself.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should end"
)]

mod data;
mod fixture;
mod raw;

use picket_store::testing::{PostgresServer, scratch, skipped};
use picket_store::{AuditFilter, Location, PageSize, StoreError, Verified, open};
use raw::Raw;
use std::os::unix::fs::PermissionsExt;

/// Runs a test on both databases, each with an empty one.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let folder = picket_store::testing::scratch("picket-store-").unwrap();
                let location = crate::Location::Sqlite(folder.path().join("picket.db"));
                crate::$test(&location).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                match crate::PostgresServer::start() {
                    Ok(server) => crate::$test(&server.database().unwrap()).await,
                    Err(why) => crate::skipped(&why),
                }
            })+
        }
    };
}

on_both!(
    four_replicas_open_an_empty_database_at_once,
    a_newer_schema_is_refused,
    what_stands_stays,
    a_changed_entry_is_found,
);

async fn four_replicas_open_an_empty_database_at_once(location: &Location) {
    let openings: Vec<_> = (0..4)
        .map(|_| {
            let location = location.clone();
            tokio::spawn(async move { open(&location).await })
        })
        .collect();
    for opening in openings {
        opening.await.unwrap().unwrap().close().await;
    }
    let mut raw = Raw::connect(location).await;
    let steps = raw
        .numbers("SELECT version FROM picket_schema ORDER BY version")
        .await;
    let newest = fixture::newest_schema();
    assert_eq!(steps, (1..=newest).collect::<Vec<_>>());
}

async fn a_newer_schema_is_refused(location: &Location) {
    open(location).await.unwrap().close().await;
    let mut raw = Raw::connect(location).await;
    raw.run("INSERT INTO picket_schema (version, program) VALUES (999, '9.9.9')")
        .await
        .unwrap();
    let error = open(location).await.err().expect("a refusal");
    assert!(
        matches!(error, StoreError::SchemaTooNew { found: 999, .. }),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains("start a newer picket"), "{said}");
}

async fn what_stands_stays(location: &Location) {
    let store = open(location).await.unwrap();
    data::fill(&*store).await;
    let mut raw = Raw::connect(location).await;
    for statement in [
        "UPDATE audit SET actor = 'somebody else' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
        "UPDATE definition_versions SET body = 'never said' WHERE version = 1",
        "DELETE FROM definition_versions",
    ] {
        let error = raw.run(statement).await.expect_err(statement);
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    data::check(&*store).await;
    store.close().await;
}

async fn a_changed_entry_is_found(location: &Location) {
    let store = open(location).await.unwrap();
    data::fill(&*store).await;
    let page = PageSize::new(100).unwrap();
    let entries = store
        .entries(&AuditFilter::default(), None, page)
        .await
        .unwrap()
        .items;
    let last = entries[0].seq;
    assert!(last > 5, "{last}");
    let mut raw = Raw::connect(location).await;
    raw.lift_audit_guard().await;
    raw.run("UPDATE audit SET reason = 'another' WHERE seq = 3")
        .await
        .unwrap();
    assert_eq!(
        store.verify(1, 100).await.unwrap(),
        Verified::Broken { at: 3 }
    );
    assert_eq!(
        store.verify(4, 100).await.unwrap(),
        Verified::Whole { next: None }
    );
    raw.run("DELETE FROM audit WHERE seq = 3").await.unwrap();
    assert_eq!(
        store.verify(1, 100).await.unwrap(),
        Verified::Broken { at: 3 }
    );
    assert_eq!(
        store.verify(4, 100).await.unwrap(),
        Verified::Broken { at: 3 }
    );
    store.close().await;
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let folder = scratch("picket-store-").unwrap();
    let file = Location::Sqlite(folder.path().join("picket.db"));
    let server = match PostgresServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let database = server.database().unwrap();
    let mut columns = Vec::new();
    for location in [file, database] {
        open(&location).await.unwrap().close().await;
        columns.push(Raw::connect(&location).await.columns().await);
    }
    assert!(columns[0].len() > 100, "{}", columns[0].len());
    assert_eq!(columns[0], columns[1]);
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let folder = scratch("picket-store-").unwrap();
    let path = folder.path().join("other.db");
    std::fs::File::create(&path).unwrap();
    let location = Location::Sqlite(path);
    Raw::connect(&location)
        .await
        .run("CREATE TABLE t (x INTEGER)")
        .await
        .unwrap();
    let error = open(&location).await.err().expect("a refusal");
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
    let tables = "SELECT COUNT(*) FROM sqlite_master";
    assert_eq!(Raw::connect(&location).await.numbers(tables).await, [1]);
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let folder = scratch("picket-store-").unwrap();
    let path = folder.path().join("picket.db");
    let store = open(&Location::Sqlite(path.clone())).await.unwrap();
    data::fill(&*store).await;
    for file in ["picket.db", "picket.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_without_its_password() {
    let nowhere = Location::Sqlite("/nonexistent/picket.db".into());
    let error = open(&nowhere).await.err().expect("a refusal").to_string();
    assert!(
        error.starts_with("cannot open sqlite:/nonexistent/picket.db: "),
        "{error}"
    );
    let url = "postgres://anna:secret@127.0.0.1:1/picket";
    let error = open(&Location::Postgres(url.to_owned()))
        .await
        .err()
        .expect("a refusal");
    let error = error.to_string();
    assert!(
        error.starts_with("cannot open postgres://anna@127.0.0.1:1/picket: "),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
