use crate::lab::{Case, NOW, cause, page};
use picket_store::{NewBundle, RolloutState, StoreError};
use serde_json::json;

fn bundle(scope: &str, version: i64) -> NewBundle {
    NewBundle {
        scope: scope.to_owned(),
        version,
        key_id: "key-1".to_owned(),
        bytes: vec![0, 1, 255, version as u8],
        expires_at: Some(NOW + 1),
    }
}

pub async fn versions_only_go_up(case: &Case) {
    let store = &case.store;
    assert_eq!(store.latest_version("all").await.unwrap(), 0);
    let one = store
        .publish(bundle("all", 1), &cause("anna"))
        .await
        .unwrap();
    store
        .publish(bundle("all", 5), &cause("anna"))
        .await
        .unwrap();
    for version in [1, 4, 5] {
        let error = store
            .publish(bundle("all", version), &cause("anna"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict { found: 5, .. }),
            "{error}"
        );
    }
    let error = store
        .publish(bundle("all", 0), &cause("anna"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    store
        .publish(bundle("other", 1), &cause("anna"))
        .await
        .unwrap();

    assert_eq!(store.latest_version("all").await.unwrap(), 5);
    assert_eq!(store.bundle("all", 1).await.unwrap(), one);
    assert!(store.bundle("all", 2).await.is_err());
    assert_eq!(store.bundle_bytes(one.id).await.unwrap(), [0, 1, 255, 1]);
    let listed = store.bundles("all", None, page(10)).await.unwrap().items;
    assert_eq!(listed.iter().map(|b| b.version).collect::<Vec<_>>(), [5, 1]);
    let listed = store.bundles("all", Some(5), page(10)).await.unwrap().items;
    assert_eq!(listed, [one]);
}

pub async fn of_two_publishers_one_comes_second(case: &Case) {
    let (one, other) = (&case.store, case.replica().await);
    for version in 1..=10 {
        let (a, b) = (cause("anna"), cause("bob"));
        let (a, b) = tokio::join!(
            one.publish(bundle("all", version), &a),
            other.publish(bundle("all", version), &b),
        );
        assert_eq!(a.is_ok() as u8 + b.is_ok() as u8, 1, "{a:?} {b:?}");
    }
}

pub async fn one_rollout_at_a_time_in_a_scope(case: &Case) {
    let store = &case.store;
    let first = store
        .publish(bundle("all", 1), &cause("anna"))
        .await
        .unwrap()
        .id;
    let second = store
        .publish(bundle("all", 2), &cause("anna"))
        .await
        .unwrap()
        .id;
    let other = store
        .publish(bundle("other", 1), &cause("anna"))
        .await
        .unwrap()
        .id;
    let begin = |bundle| {
        let plan = json!({"share": 0.05});
        async move {
            store
                .begin_rollout(bundle, RolloutState::Canary, plan, &cause("anna"))
                .await
        }
    };
    let running = begin(first).await.unwrap();
    assert_eq!((running.version, running.scope.as_str()), (1, "all"));
    assert_eq!(running.plan, json!({"share": 0.05}));
    let error = begin(second).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    begin(other).await.unwrap();

    let under_way = store
        .rollouts(Some("all"), true, None, page(10))
        .await
        .unwrap()
        .items;
    assert_eq!(under_way, std::slice::from_ref(&running));
    let taken_back = RolloutState::RolledBack;
    store
        .move_rollout(running.id, 1, taken_back, json!({}), &cause("anna"))
        .await
        .unwrap();
    let next = begin(second).await.unwrap();
    let all = store
        .rollouts(Some("all"), false, None, page(10))
        .await
        .unwrap()
        .items;
    assert_eq!(
        all.iter().map(|r| r.id).collect::<Vec<_>>(),
        [next.id, running.id]
    );
    assert_eq!(
        store
            .rollouts(None, true, None, page(10))
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

pub async fn rollouts_go_only_where_they_may(case: &Case) {
    let store = &case.store;
    let id = store
        .publish(bundle("all", 1), &cause("anna"))
        .await
        .unwrap()
        .id;
    let error = store
        .begin_rollout(id, RolloutState::Done, json!({}), &cause("anna"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Transition { .. }), "{error}");
    let rollout = store
        .begin_rollout(id, RolloutState::Canary, json!({}), &cause("anna"))
        .await
        .unwrap();
    let step = |version, state| {
        let progress = json!({"applied": version});
        async move {
            store
                .move_rollout(rollout.id, version, state, progress, &cause("anna"))
                .await
        }
    };
    let error = step(1, RolloutState::Done).await.unwrap_err();
    assert!(matches!(error, StoreError::Transition { .. }), "{error}");
    step(1, RolloutState::Full).await.unwrap();
    let error = step(1, RolloutState::Halted).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict { found: 2, .. }),
        "{error}"
    );
    step(2, RolloutState::Full).await.unwrap();
    let done = step(3, RolloutState::Done).await.unwrap();
    assert_eq!((done.version, &done.progress), (4, &json!({"applied": 3})));
    assert!(step(4, RolloutState::Canary).await.is_err());
    assert_eq!(store.rollout(rollout.id).await.unwrap(), done);
    step(4, RolloutState::RolledBack).await.unwrap();
}

/// One that gave way was not taken back: nothing is to be brought back for it.
pub async fn a_superseded_rollout_is_over(case: &Case) {
    let store = &case.store;
    let by = cause("anna");
    let id = store.publish(bundle("all", 1), &by).await.unwrap().id;
    let rollout = store
        .begin_rollout(id, RolloutState::Canary, json!({}), &by)
        .await
        .unwrap();
    let step = |version, state| store.move_rollout(rollout.id, version, state, json!({}), &by);
    let over = step(1, RolloutState::Superseded).await.unwrap();
    assert_eq!(over.state, RolloutState::Superseded);
    for next in RolloutState::ALL {
        let error = step(2, next).await.unwrap_err();
        assert!(matches!(error, StoreError::Transition { .. }), "{error}");
    }
    let under_way = store.rollouts(Some("all"), true, None, page(10)).await;
    assert_eq!(under_way.unwrap().items, []);
}
