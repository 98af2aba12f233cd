use crate::lab::{Case, NOW, SECOND, cause, page, secret};
use picket_store::{
    AppliedBundle, Certificate, Heartbeat, JoinRefusal, JoinToken, Labels, Micros, NewJoinToken,
    NewSensor, RuleStatus, SensorFilter, StoreError, Uuid, new_id,
};
use serde_json::json;
use std::sync::Arc;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

async fn token(case: &Case, name: &str, uses: u32) -> JoinToken {
    let new = NewJoinToken {
        hash: secret(name),
        labels: labels(&[("env", "prod")]),
        expires_at: NOW + 100 * SECOND,
        uses,
    };
    case.store
        .make_join_token(new, &cause("anna"))
        .await
        .unwrap()
}

fn certificate(serial: &str) -> Certificate {
    Certificate {
        serial: serial.to_owned(),
        issued_at: NOW,
        expires_at: NOW + 10 * SECOND,
    }
}

fn sensor(host: &str) -> NewSensor {
    NewSensor {
        id: new_id(),
        host: host.to_owned(),
        facts: json!({"kernel": "6.18"}),
        certificate: certificate(&format!("serial of {host}")),
    }
}

async fn enrolled(case: &Case, host: &str) -> Uuid {
    let sensor = case.store.enrol(&secret("t"), sensor(host), NOW).await;
    sensor.unwrap().id
}

pub async fn a_token_labels_and_lets_in(case: &Case) {
    let store = &case.store;
    let made = token(case, "t", 2).await;
    let new = sensor("web-1");
    let joined = store.enrol(&secret("t"), new.clone(), NOW).await.unwrap();
    assert_eq!((joined.id, joined.join_token), (new.id, made.id));
    assert_eq!((&joined.labels, &joined.facts), (&made.labels, &new.facts));
    assert_eq!(store.sensor(new.id).await.unwrap(), joined);
    let tokens = store.join_tokens(None, page(10)).await.unwrap().items;
    assert_eq!(
        tokens,
        [JoinToken {
            uses_left: 1,
            ..made
        }]
    );
    let other = labels(&[("env", "test"), ("team", "a")]);
    store
        .label_sensor(new.id, other.clone(), &cause("anna"))
        .await
        .unwrap();
    assert_eq!(store.sensor(new.id).await.unwrap().labels, other);
    let now = json!({"kernel": "6.19"});
    for changed in [true, false] {
        let renewed = store.renew_facts(new.id, now.clone()).await.unwrap();
        assert_eq!(renewed, changed);
    }
    assert_eq!(store.sensor(new.id).await.unwrap().facts, now);
}

pub async fn the_last_use_is_given_once(case: &Case) {
    token(case, "t", 3).await;
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let tasks: Vec<_> = (0..8)
        .map(|task: usize| {
            let store = Arc::clone(&replicas[task % 2]);
            let sensor = sensor(&format!("host-{task}"));
            tokio::spawn(async move { store.enrol(&secret("t"), sensor, NOW).await })
        })
        .collect();
    let mut joined = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => joined += 1,
            Err(StoreError::JoinRefused(JoinRefusal::UsedUp)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(joined, 3);
    let stored = case
        .store
        .sensors(&SensorFilter::default(), None, page(10))
        .await
        .unwrap();
    assert_eq!(stored.items.len(), 3);
}

pub async fn a_refused_sensor_costs_no_use(case: &Case) {
    let store = &case.store;
    let made = token(case, "t", 1).await;
    let refused = |secret_name: &'static str, now: Micros| async move {
        match store
            .enrol(&secret(secret_name), sensor("web-1"), now)
            .await
        {
            Err(StoreError::JoinRefused(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("unknown", NOW).await, JoinRefusal::Unknown);
    assert_eq!(refused("t", NOW + 100 * SECOND).await, JoinRefusal::Expired);
    // A serial that another sensor has: the whole of it is taken back.
    let taken = sensor("web-1");
    token(case, "other", 1).await;
    store
        .enrol(&secret("other"), taken.clone(), NOW)
        .await
        .unwrap();
    let twin = NewSensor {
        id: new_id(),
        ..taken
    };
    let error = store.enrol(&secret("t"), twin, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    store
        .enrol(&secret("t"), sensor("web-2"), NOW)
        .await
        .unwrap();
    assert_eq!(refused("t", NOW).await, JoinRefusal::UsedUp);
    store
        .revoke_join_token(made.id, &cause("anna"))
        .await
        .unwrap();
    assert_eq!(refused("t", NOW).await, JoinRefusal::Revoked);
}

pub async fn certificates_overlap_and_are_revoked(case: &Case) {
    let store = &case.store;
    token(case, "t", 2).await;
    let id = enrolled(case, "web-1").await;
    let other = enrolled(case, "web-2").await;
    store
        .add_certificate(id, certificate("second"))
        .await
        .unwrap();
    let error = store
        .add_certificate(other, certificate("second"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    for serial in ["serial of web-1", "second"] {
        assert_eq!(
            store.sensor_of_certificate(serial, NOW).await.unwrap().id,
            id
        );
        assert!(
            store
                .sensor_of_certificate(serial, NOW + 10 * SECOND)
                .await
                .is_err()
        );
    }
    store.revoke_sensor(id, &cause("anna")).await.unwrap();
    assert_eq!(store.sensor(id).await.unwrap().revoked_at, Some(NOW));
    for serial in ["serial of web-1", "second"] {
        assert!(store.sensor_of_certificate(serial, NOW).await.is_err());
    }
    assert_eq!(
        store
            .sensor_of_certificate("serial of web-2", NOW)
            .await
            .unwrap()
            .id,
        other
    );
    // A certificate that comes late does not help a revoked sensor.
    store
        .add_certificate(id, certificate("third"))
        .await
        .unwrap();
    assert!(store.sensor_of_certificate("third", NOW).await.is_err());
}

fn heartbeat(sensor: Uuid, at: Micros) -> Heartbeat {
    Heartbeat {
        sensor,
        at,
        bundle: Some(AppliedBundle {
            scope: "all".to_owned(),
            version: at - NOW,
        }),
        health: json!({"ok": true}),
        coverage: json!({"lost": at - NOW}),
    }
}

pub async fn heartbeats_do_not_go_back(case: &Case) {
    let store = &case.store;
    token(case, "t", 2).await;
    let id = enrolled(case, "web-1").await;
    assert_eq!(store.sensor(id).await.unwrap().heartbeat, None);
    let batch = vec![
        heartbeat(id, NOW + 2),
        heartbeat(new_id(), NOW),
        heartbeat(id, NOW + 1),
    ];
    store.store_heartbeats(batch).await.unwrap();
    assert_eq!(
        store.sensor(id).await.unwrap().heartbeat,
        Some(heartbeat(id, NOW + 2))
    );
    store
        .store_heartbeats(vec![heartbeat(id, NOW)])
        .await
        .unwrap();
    assert_eq!(
        store.sensor(id).await.unwrap().heartbeat,
        Some(heartbeat(id, NOW + 2))
    );
    // One that lies does not hold up the others.
    let other = enrolled(case, "web-2").await;
    let mut bad = heartbeat(id, NOW + 9);
    bad.health = json!("a\0b");
    let refused = store
        .store_heartbeats(vec![bad, heartbeat(other, NOW)])
        .await
        .unwrap();
    assert_eq!(refused, [id]);
    assert_eq!(
        store.sensor(other).await.unwrap().heartbeat,
        Some(heartbeat(other, NOW))
    );
    assert_eq!(
        store.sensor(id).await.unwrap().heartbeat,
        Some(heartbeat(id, NOW + 2))
    );
    let without_bundle = Heartbeat {
        bundle: None,
        ..heartbeat(id, NOW + 3)
    };
    store
        .store_heartbeats(vec![without_bundle.clone()])
        .await
        .unwrap();
    assert_eq!(
        store.sensor(id).await.unwrap().heartbeat,
        Some(without_bundle)
    );
}

pub async fn rule_states_are_replaced(case: &Case) {
    let store = &case.store;
    token(case, "t", 2).await;
    let (a, b) = (enrolled(case, "web-1").await, enrolled(case, "web-2").await);
    let state = |rule: &str, mode: &str| RuleStatus {
        rule: rule.to_owned(),
        mode: mode.to_owned(),
        detail: Some("no BPF LSM".to_owned()),
    };
    let first = vec![
        state("z", "denied"),
        state("x", "killed"),
        state("y", "killed"),
    ];
    store.store_rule_status(a, first, NOW).await.unwrap();
    store
        .store_rule_status(a, vec![state("x", "denied"), state("z", "killed")], NOW + 1)
        .await
        .unwrap();
    store
        .store_rule_status(b, vec![state("x", "killed")], NOW)
        .await
        .unwrap();
    let first = store.rules_on_sensor(a, None, page(1)).await.unwrap();
    assert_eq!(first.items[0].status, state("x", "denied"));
    assert_eq!(first.items[0].reported_at, NOW + 1);
    let second = store.rules_on_sensor(a, first.next, page(1)).await.unwrap();
    assert_eq!(
        (&second.items[0].status, &second.next),
        (&state("z", "killed"), &None)
    );

    let on = |mode: Option<&'static str>| async move {
        let found = store
            .sensors_with_rule("x", mode, None, page(10))
            .await
            .unwrap();
        found.items.iter().map(|row| row.sensor).collect::<Vec<_>>()
    };
    assert_eq!(on(None).await, [a, b]);
    assert_eq!(on(Some("killed")).await, [b]);
    let nobody = store
        .store_rule_status(new_id(), Vec::new(), NOW)
        .await
        .unwrap_err();
    assert!(matches!(nobody, StoreError::NotFound { .. }), "{nobody}");
}

pub async fn sensors_are_listed_by_filter(case: &Case) {
    let store = &case.store;
    let made = token(case, "t", 9).await;
    let mut ids = Vec::new();
    for host in ["a", "b", "c", "d"] {
        ids.push(enrolled(case, host).await);
    }
    store.revoke_sensor(ids[1], &cause("anna")).await.unwrap();
    store
        .store_heartbeats(vec![heartbeat(ids[2], NOW + 5)])
        .await
        .unwrap();
    let list = |filter: SensorFilter| async move {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = store.sensors(&filter, before, page(2)).await.unwrap();
            found.extend(page.items.into_iter().map(|sensor| sensor.host));
            before = page.next;
            if before.is_none() {
                return found.join("");
            }
        }
    };
    let all = SensorFilter::default;
    assert_eq!(list(all()).await, "dcba");
    assert_eq!(
        list(SensorFilter {
            revoked: Some(true),
            ..all()
        })
        .await,
        "b"
    );
    assert_eq!(
        list(SensorFilter {
            revoked: Some(false),
            ..all()
        })
        .await,
        "dca"
    );
    assert_eq!(
        list(SensorFilter {
            silent_since: Some(NOW + 5),
            ..all()
        })
        .await,
        "dba"
    );
    assert_eq!(
        list(SensorFilter {
            host: Some("c".to_owned()),
            ..all()
        })
        .await,
        "c"
    );
    assert_eq!(
        list(SensorFilter {
            join_token: Some(made.id),
            ..all()
        })
        .await,
        "dcba"
    );
    assert_eq!(
        list(SensorFilter {
            join_token: Some(new_id()),
            ..all()
        })
        .await,
        ""
    );
}
