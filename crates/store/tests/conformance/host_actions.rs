use crate::lab::{Case, NOW, SECOND, cause, page, secret};
use picket_store::{
    AuditFilter, Certificate, HostActionAnswer, HostActionFilter, HostActionState, Labels,
    NewHostAction, NewJoinToken, NewSensor, StoreError, Uuid, new_id,
};
use serde_json::{Value, json};

async fn sensor(case: &Case, name: &str) -> Uuid {
    let token = NewJoinToken {
        hash: secret(name),
        labels: Labels::new(),
        expires_at: NOW + SECOND,
        uses: 1,
    };
    case.store
        .make_join_token(token, &cause("root"))
        .await
        .unwrap();
    let new = NewSensor {
        id: new_id(),
        host: name.to_owned(),
        facts: json!({}),
        certificate: Certificate {
            serial: name.to_owned(),
            issued_at: NOW,
            expires_at: NOW + SECOND,
        },
    };
    let joined = case.store.enrol(&secret(name), new, NOW).await;
    joined.unwrap().id
}

fn order(sensor: Uuid) -> NewHostAction {
    NewHostAction {
        id: new_id(),
        sensor,
        kind: "isolate_host".to_owned(),
        action: json!({"kind": "isolate_host", "dns": true}),
        of: None,
        lease_seconds: Some(60),
        expires_at: NOW + SECOND,
    }
}

fn answer(id: Uuid, state: HostActionState, result: Value) -> HostActionAnswer {
    HostActionAnswer {
        id,
        state,
        at: NOW + 5,
        why: "because\0".to_owned(),
        result,
    }
}

pub async fn an_order_is_given_once_and_answered_by_its_sensor(case: &Case) {
    let store = &case.store;
    let (web, other) = (sensor(case, "web").await, sensor(case, "other").await);
    let new = order(web);
    for _ in 0..2 {
        let given = store
            .order_action(new.clone(), &cause("anna"))
            .await
            .unwrap();
        assert_eq!(given.order, new);
        assert_eq!(given.state, HostActionState::Queued);
        assert_eq!(given.actor, "anna");
    }
    assert_eq!(store.open_actions(10).await.unwrap().len(), 1);
    store.action_sent(new.id, NOW + 1).await.unwrap();
    store.action_sent(new.id, NOW + 2).await.unwrap();
    let sent = store.host_action(new.id).await.unwrap();
    assert_eq!(
        (sent.state, sent.sent_at),
        (HostActionState::Sent, Some(NOW + 1))
    );
    assert_eq!(store.open_actions(10).await.unwrap(), [sent]);

    let done = answer(
        new.id,
        HostActionState::Done,
        json!({"server": ["192.0.2.1"]}),
    );
    let foreign = store.action_answered(other, done.clone()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })));
    assert!(store.action_answered(web, done.clone()).await.unwrap());
    assert!(!store.action_answered(web, done.clone()).await.unwrap());
    let undone = answer(new.id, HostActionState::Undone, Value::Null);
    assert!(store.action_answered(web, undone).await.unwrap());
    // Said again, late: what was taken back stays so.
    assert!(!store.action_answered(web, done).await.unwrap());
    let there = store.host_action(new.id).await.unwrap();
    assert_eq!(there.state, HostActionState::Undone);
    assert_eq!(there.result["server"][0], "192.0.2.1");
    assert_eq!(there.why, "because\u{fffd}");
    assert!(store.open_actions(10).await.unwrap().is_empty());
    let audit = store
        .entries(&AuditFilter::default(), None, page(10))
        .await
        .unwrap();
    let deeds: Vec<&str> = audit
        .items
        .iter()
        .filter(|entry| entry.action.starts_with("host_action."))
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(
        deeds,
        [
            "host_action.undone",
            "host_action.done",
            "host_action.order"
        ]
    );
}

pub async fn what_is_not_answered_ends_and_old_ones_go(case: &Case) {
    let store = &case.store;
    let web = sensor(case, "web").await;
    let (one, two) = (order(web), order(web));
    for new in [&one, &two] {
        store
            .order_action(new.clone(), &cause("anna"))
            .await
            .unwrap();
    }
    let failed = answer(two.id, HostActionState::Failed, Value::Null);
    store.action_answered(web, failed).await.unwrap();
    assert_eq!(store.expire_actions(NOW + SECOND, NOW).await.unwrap(), 0);
    let late = NOW + SECOND + 1;
    assert_eq!(store.expire_actions(late, late).await.unwrap(), 1);
    let expired = store.host_action(one.id).await.unwrap();
    assert_eq!(expired.state, HostActionState::Expired);
    // It was done all the same, and its answer was on the way.
    let done = answer(one.id, HostActionState::Done, json!({}));
    assert!(store.action_answered(web, done).await.unwrap());

    let filter = |state| HostActionFilter {
        sensors: Some(vec![web]),
        state,
    };
    let all = store.host_actions(&filter(None), None, page(10)).await;
    let all: Vec<Uuid> = all.unwrap().items.iter().map(|one| one.order.id).collect();
    assert_eq!(all, [two.id, one.id]);
    let failed = filter(Some(HostActionState::Failed));
    let failed = store.host_actions(&failed, None, page(10)).await.unwrap();
    assert_eq!(failed.items[0].order.id, two.id);
    assert_eq!(failed.items.len(), 1);
    assert_eq!(store.delete_actions_before(NOW, 10).await.unwrap(), 0);
    assert_eq!(store.delete_actions_before(late, 10).await.unwrap(), 2);
}
