use crate::lab::{Case, NOW, page};
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::limits::{MAX_FINDING_JSON, MAX_FINDING_TEXT, MAX_FINDINGS};
use picket_store::{
    Change, Delivered, FindingColumns, FindingFilter, Fingerprint, NewFinding, StoreError, Tally,
    Uuid, new_id,
};
use serde_json::json;
use std::sync::Arc;

/// A finding that says no more than it must.
pub fn finding(sensor: Uuid, uid: &str, time: i64) -> NewFinding {
    NewFinding {
        sensor,
        uid: uid.to_owned(),
        columns: FindingColumns {
            time,
            severity: Severity::High,
            disposition: Disposition::Logged,
            rule: "web-shell".to_owned(),
            host: "web-1".to_owned(),
            container: None,
            image: None,
            user: None,
            process: None,
            fingerprint: Fingerprint {
                version: 1,
                value: "f".to_owned(),
            },
        },
        projects: Vec::new(),
        ocsf: json!({"finding_info": {"uid": uid}}),
        facts: json!({}),
    }
}

fn new_ones(delivered: &[Delivered]) -> Vec<bool> {
    let new = |one: &Delivered| matches!(one, Delivered::New(_));
    delivered.iter().map(new).collect()
}

pub async fn a_second_delivery_stores_nothing(case: &Case) {
    let store = &case.store;
    let (sensor, project) = (new_id(), new_id());
    let mut changes = store.changes();
    let batch = |uids: &[&str]| -> Vec<NewFinding> {
        let one = |uid: &&str| NewFinding {
            projects: vec![project],
            ..finding(sensor, uid, NOW)
        };
        uids.iter().map(one).collect()
    };
    let first = store
        .store_findings(batch(&["b", "a", "b"]), NOW + 1)
        .await
        .unwrap();
    assert_eq!(new_ones(&first), [true, true, false]);
    assert_eq!(changes.next().await, Some(Change::Findings));
    let second = store
        .store_findings(batch(&["a", "c", "b"]), NOW + 2)
        .await
        .unwrap();
    assert_eq!(new_ones(&second), [false, true, false]);
    assert_eq!(second[0], Delivered::Known);

    let Delivered::New(id) = first[1] else {
        panic!("{first:?}")
    };
    let stored = store.finding(id).await.unwrap();
    let delivered = finding(sensor, "a", NOW);
    assert_eq!(
        (stored.id, stored.sensor, stored.uid.as_str()),
        (id, sensor, "a")
    );
    assert_eq!(
        (stored.received_at, &stored.columns),
        (NOW + 1, &delivered.columns)
    );
    assert_eq!(store.finding_projects(id).await.unwrap(), [project]);
    let bodies = store.findings_ocsf(&[id, new_id()]).await.unwrap();
    assert_eq!(bodies, [(id, delivered.ocsf.clone())]);
    let bytes = 3 * delivered.ocsf.to_string().len() as i64;
    assert_eq!(
        store.findings_tally().await.unwrap(),
        Tally { findings: 3, bytes }
    );
}

pub async fn deliveries_at_once_store_each_finding_once(case: &Case) {
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let sensor = new_id();
    let tasks: Vec<_> = (0..8_i64)
        .map(|task| {
            let store = Arc::clone(&replicas[task as usize % 2]);
            tokio::spawn(async move {
                let mut new = 0;
                for round in 0..5 {
                    // The same ids, each time in another order.
                    let mut batch: Vec<_> = (0..50)
                        .map(|n| finding(sensor, &format!("{}", round * 50 + n), NOW + n))
                        .collect();
                    batch.rotate_left(task as usize * 7 % 50);
                    let delivered = store.store_findings(batch, NOW).await.unwrap();
                    new += new_ones(&delivered).iter().filter(|new| **new).count();
                }
                new
            })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += task.await.unwrap();
    }
    assert_eq!(new, 250);
    assert_eq!(case.store.findings_tally().await.unwrap().findings, 250);
}

pub async fn sensors_do_not_share_ids(case: &Case) {
    let (honest, other) = (new_id(), new_id());
    let batch = vec![finding(other, "e1/r", NOW), finding(honest, "e1/r", NOW)];
    let delivered = case.store.store_findings(batch, NOW).await.unwrap();
    assert_eq!(new_ones(&delivered), [true, true]);
}

pub async fn bad_findings_do_not_hold_up_the_others(case: &Case) {
    let store = &case.store;
    let sensor = new_id();
    let mut nul = finding(sensor, "nul", NOW);
    nul.ocsf = json!({"process": {"cmd_line": "a\0b"}});
    nul.columns.process = Some("p\0".to_owned());
    let mut long = finding(sensor, "long", NOW);
    long.columns.user = Some("é".repeat(MAX_FINDING_TEXT));
    let mut huge = finding(sensor, "huge", NOW);
    huge.ocsf = json!("x".repeat(MAX_FINDING_JSON));
    let batch = vec![
        huge,
        nul,
        finding(sensor, "", NOW),
        long,
        finding(sensor, "a\0", NOW),
    ];
    let delivered = store.store_findings(batch, NOW).await.unwrap();
    assert_eq!(new_ones(&delivered), [false, true, false, true, false]);
    for place in [0, 2, 4] {
        assert!(
            matches!(delivered[place], Delivered::Refused(_)),
            "{delivered:?}"
        );
    }
    let Delivered::New(id) = delivered[1] else {
        panic!("{delivered:?}")
    };
    assert_eq!(
        store.finding(id).await.unwrap().columns.process.as_deref(),
        Some("p\u{fffd}")
    );
    let bodies = store.findings_ocsf(&[id]).await.unwrap();
    assert_eq!(bodies[0].1, json!({"process": {"cmd_line": "a\u{fffd}b"}}));
    // What was cut is found by the whole text too.
    let filter = FindingFilter {
        users: vec!["é".repeat(MAX_FINDING_TEXT)],
        ..FindingFilter::default()
    };
    let found = store.findings(&filter, None, page(10)).await.unwrap().items;
    assert_eq!(
        found.iter().map(|row| row.uid.as_str()).collect::<Vec<_>>(),
        ["long"]
    );

    let too_many = vec![finding(sensor, "x", NOW); MAX_FINDINGS + 1];
    let error = store.store_findings(too_many, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    assert!(
        store
            .store_findings(Vec::new(), NOW)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Whatever their own times say, and through each filter.
pub async fn followers_see_findings_in_the_order_of_their_storing(case: &Case) {
    let store = &case.store;
    let (sensor, project) = (new_id(), new_id());
    let mut late = finding(sensor, "late", NOW - 1000);
    late.projects = vec![project];
    for new in [
        finding(sensor, "first", NOW),
        late,
        finding(sensor, "last", NOW),
    ] {
        store.store_findings(vec![new], NOW).await.unwrap();
    }
    let uids = async |filter: FindingFilter, after, rows| {
        let page = store
            .findings_stored_after(&filter, after, page(rows))
            .await
            .unwrap();
        let uids: Vec<String> = page.items.into_iter().map(|row| row.uid).collect();
        (uids, page.next)
    };
    let all = FindingFilter::default;
    let (first, next) = uids(all(), picket_store::Uuid::nil(), 2).await;
    assert_eq!(first, ["first", "late"]);
    let (rest, next) = uids(all(), next.unwrap(), 2).await;
    assert_eq!((rest, next), (vec!["last".to_owned()], None));
    for projects in [vec![project], vec![project, new_id()]] {
        let filter = FindingFilter {
            projects: Some(projects),
            ..all()
        };
        assert_eq!(uids(filter, picket_store::Uuid::nil(), 9).await.0, ["late"]);
    }
    let severities = FindingFilter {
        severities: Severity::ALL.to_vec(),
        hosts: vec!["web-1".to_owned(), "nobody".to_owned()],
        ..all()
    };
    let (every, _) = uids(severities, picket_store::Uuid::nil(), 9).await;
    assert_eq!(every, ["first", "late", "last"]);
}

pub async fn each_filter_filters(case: &Case) {
    let store = &case.store;
    let (sensor, project) = (new_id(), new_id());
    let plain = finding(sensor, "plain", NOW);
    let mut odd = finding(sensor, "odd", NOW + 10);
    odd.columns = FindingColumns {
        time: NOW + 10,
        severity: Severity::Critical,
        disposition: Disposition::Blocked,
        rule: "miner".to_owned(),
        host: "db-1".to_owned(),
        container: Some("c1".to_owned()),
        image: Some("redis".to_owned()),
        user: Some("root".to_owned()),
        process: Some("/usr/bin/xmrig".to_owned()),
        fingerprint: Fingerprint {
            version: 2,
            value: "g".to_owned(),
        },
    };
    odd.projects = vec![project, new_id()];
    store.store_findings(vec![plain, odd], NOW).await.unwrap();
    let all = FindingFilter::default;
    let one = |text: &str| vec![text.to_owned()];
    let filters = [
        FindingFilter {
            from: Some(NOW + 10),
            ..all()
        },
        FindingFilter {
            severities: vec![Severity::Critical],
            ..all()
        },
        FindingFilter {
            dispositions: vec![Disposition::Blocked],
            ..all()
        },
        FindingFilter {
            rules: one("miner"),
            ..all()
        },
        FindingFilter {
            projects: Some(vec![project]),
            ..all()
        },
        FindingFilter {
            projects: Some(vec![new_id(), project]),
            ..all()
        },
        FindingFilter {
            hosts: one("db-1"),
            ..all()
        },
        FindingFilter {
            containers: one("c1"),
            ..all()
        },
        FindingFilter {
            images: one("redis"),
            ..all()
        },
        FindingFilter {
            users: vec!["nobody".to_owned(), "root".to_owned()],
            ..all()
        },
        FindingFilter {
            processes: one("/usr/bin/xmrig"),
            ..all()
        },
        FindingFilter {
            fingerprints: one("g"),
            ..all()
        },
    ];
    let found = |filter: FindingFilter| async move {
        let page = store.findings(&filter, None, page(10)).await.unwrap();
        page.items
            .iter()
            .map(|row| row.uid.clone())
            .collect::<Vec<_>>()
    };
    for filter in filters {
        assert_eq!(found(filter.clone()).await, ["odd"], "{filter:?}");
    }
    assert_eq!(found(all()).await, ["odd", "plain"]);
    assert_eq!(
        found(FindingFilter {
            until: Some(NOW + 10),
            ..all()
        })
        .await,
        ["plain"]
    );
    let too_many = FindingFilter {
        rules: vec!["r".to_owned(); 101],
        ..all()
    };
    assert!(store.findings(&too_many, None, page(10)).await.is_err());
}

pub async fn no_project_is_nothing(case: &Case) {
    let store = &case.store;
    store
        .store_findings(vec![finding(new_id(), "a", NOW)], NOW)
        .await
        .unwrap();
    let filter = FindingFilter {
        projects: Some(Vec::new()),
        ..FindingFilter::default()
    };
    assert!(
        store
            .findings(&filter, None, page(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
