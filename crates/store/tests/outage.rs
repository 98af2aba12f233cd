//! PostgreSQL's connections break: the store says so, and goes on.

use picket_store::testing::{PostgresServer, skipped};
use picket_store::{Cause, Change, Location, LogIn, open};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::time::Duration;

/// How long a notice may take. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn broken_connections_are_told_and_made_anew() {
    let server = match PostgresServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let location = server.database().unwrap();
    let Location::Postgres(url) = &location else {
        unreachable!()
    };
    let store = open(&location).await.unwrap();
    let mut changes = store.changes();
    store.ping().await.unwrap();

    let mut other = PgConnection::connect(url).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'picket'";
    other.execute(end).await.unwrap();
    let told = tokio::time::timeout(PATIENCE, changes.next())
        .await
        .unwrap();
    assert_eq!(told, Some(Change::Unknown));

    let cause = Cause {
        actor: "root".to_owned(),
        reason: String::new(),
        at: 1,
    };
    store
        .make_user("anna", LogIn::default(), &cause)
        .await
        .unwrap();
    // The listener is back too; it may have told of its loss twice.
    loop {
        let told = tokio::time::timeout(PATIENCE, changes.next())
            .await
            .unwrap();
        match told {
            Some(Change::Access) => break,
            Some(Change::Unknown) => {}
            other => panic!("{other:?}"),
        }
    }
    store.close().await;
    assert!(store.ping().await.is_err());
}
