use crate::lab::{Case, cause};
use picket_store::{Change, Changes, LogIn};
use std::time::Duration;

/// How long a notice may take. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

async fn next(changes: &mut Changes) -> Change {
    let change = tokio::time::timeout(PATIENCE, changes.next()).await;
    change.expect("a notice in time").expect("an open store")
}

pub async fn a_change_is_told_to_every_replica(case: &Case) {
    let other = case.replica().await;
    let (mut here, mut there) = (case.store.changes(), other.changes());
    case.store
        .make_user("anna", LogIn::default(), &cause("root"))
        .await
        .unwrap();
    assert_eq!(next(&mut here).await, Change::Access);
    assert_eq!(next(&mut there).await, Change::Access);
    // It is told after the commit: whoever looks, sees it.
    assert!(other.user_named("anna").await.is_ok());
}

pub async fn a_failed_change_is_not_told(case: &Case) {
    let store = &case.store;
    let mut changes = store.changes();
    let user = store
        .make_user("anna", LogIn::default(), &cause("root"))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Change::Access);
    let by = cause("root");
    let stale = store.change_user(user.id, 9, LogIn::default(), true, &by);
    stale.await.unwrap_err();
    store
        .make_user("anna", LogIn::default(), &cause("root"))
        .await
        .unwrap_err();
    // The next notice is that of the next change.
    let content = picket_store::Content {
        stage: picket_store::Stage::Draft,
        body: String::new(),
        projects: Vec::new(),
    };
    store
        .define(picket_store::Kind::List, "l", content, &cause("root"))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Change::Definitions);
    store.close().await;
    let end = tokio::time::timeout(PATIENCE, changes.next()).await;
    assert_eq!(end.expect("the end in time"), None);
}
