use crate::lab::{Case, NOW, SECOND, cause, page};
use picket_store::{BACK_OFF, NewJob, StoreError};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

fn job(number: i64) -> NewJob {
    NewJob {
        queue: "compile".to_owned(),
        key: None,
        payload: json!({ "number": number }),
        due_at: NOW,
        max_attempts: 3,
    }
}

const LEASE: i64 = 60 * SECOND;

pub async fn eight_takers_do_each_job_once(case: &Case) {
    const JOBS: i64 = 200;
    for number in 0..JOBS {
        case.store.add_job(job(number), NOW).await.unwrap().unwrap();
    }
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let takers: Vec<_> = (0..8)
        .map(|taker: usize| {
            let store = Arc::clone(&replicas[taker % 2]);
            tokio::spawn(async move {
                let mut done = Vec::new();
                loop {
                    let jobs = store.take_jobs("compile", 3, LEASE, NOW).await.unwrap();
                    assert!(jobs.len() <= 3);
                    if jobs.is_empty() {
                        return done;
                    }
                    for job in jobs {
                        store.finish_job(&job).await.unwrap();
                        done.push(job.payload["number"].as_i64().unwrap());
                    }
                }
            })
        })
        .collect();
    let mut times: BTreeMap<i64, u32> = BTreeMap::new();
    for taker in takers {
        for number in taker.await.unwrap() {
            *times.entry(number).or_default() += 1;
        }
    }
    assert_eq!(times, (0..JOBS).map(|number| (number, 1)).collect());
    assert_eq!(case.store.next_job_due("compile").await.unwrap(), None);
}

pub async fn a_lost_lease_is_taken_again(case: &Case) {
    let store = &case.store;
    store.add_job(job(1), NOW).await.unwrap();
    let later = NewJob {
        due_at: NOW + SECOND,
        ..job(2)
    };
    store.add_job(later, NOW).await.unwrap();
    let take = |now| store.take_jobs("compile", 10, LEASE, now);
    let lost = take(NOW).await.unwrap().remove(0);
    assert_eq!((lost.attempt, &lost.payload), (1, &json!({"number": 1})));
    assert_eq!(
        store.next_job_due("compile").await.unwrap(),
        Some(NOW + SECOND)
    );
    assert!(
        store
            .take_jobs("other queue", 10, LEASE, NOW + LEASE)
            .await
            .unwrap()
            .is_empty()
    );

    store.renew_job(&lost, 2 * LEASE, NOW).await.unwrap();
    assert_eq!(take(NOW + LEASE).await.unwrap().len(), 1);
    let again = take(NOW + 2 * LEASE).await.unwrap();
    let again = again.iter().find(|job| job.id == lost.id).unwrap();
    assert_eq!(again.attempt, 2);
    for error in [
        store.finish_job(&lost).await.unwrap_err(),
        store.fail_job(&lost, "late", NOW).await.unwrap_err(),
        store.renew_job(&lost, LEASE, NOW).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    }
    store.finish_job(again).await.unwrap();
}

pub async fn failures_wait_longer_and_end(case: &Case) {
    let store = &case.store;
    let id = store.add_job(job(1), NOW).await.unwrap().unwrap();
    let mut now = NOW;
    for attempt in 1..=3 {
        let taken = store
            .take_jobs("compile", 1, LEASE, now)
            .await
            .unwrap()
            .remove(0);
        assert_eq!(taken.attempt, attempt);
        store.fail_job(&taken, "no disk\0", now).await.unwrap();
        if attempt < 3 {
            assert!(
                store
                    .take_jobs("compile", 1, LEASE, now)
                    .await
                    .unwrap()
                    .is_empty()
            );
            let due = store.next_job_due("compile").await.unwrap().unwrap();
            let least = BACK_OFF << (attempt - 1);
            assert!(
                (least..least * 5 / 4).contains(&(due - now)),
                "{}",
                due - now
            );
            now = due;
        }
    }
    assert_eq!(store.next_job_due("compile").await.unwrap(), None);
    let dead = store.dead_jobs(None, page(10)).await.unwrap().items;
    assert_eq!((dead.len(), dead[0].id, dead[0].attempts), (1, id, 3));
    assert_eq!(dead[0].last_error, "no disk\u{fffd}");

    // One whose takers all died is given up too.
    store.revive_job(id, &cause("anna")).await.unwrap();
    let mut now = NOW;
    for _ in 0..3 {
        assert_eq!(
            store
                .take_jobs("compile", 1, LEASE, now)
                .await
                .unwrap()
                .len(),
            1
        );
        now += LEASE;
    }
    assert!(
        store
            .take_jobs("compile", 1, LEASE, now)
            .await
            .unwrap()
            .is_empty()
    );
    let dead = store.dead_jobs(None, page(10)).await.unwrap().items;
    assert!(
        dead[0].last_error.contains("lease"),
        "{}",
        dead[0].last_error
    );
    let error = store
        .revive_job(picket_store::new_id(), &cause("anna"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
}

pub async fn a_key_keeps_a_second_job_out(case: &Case) {
    let store = &case.store;
    let keyed = || NewJob {
        key: Some("scope all".to_owned()),
        ..job(1)
    };
    assert!(store.add_job(keyed(), NOW).await.unwrap().is_some());
    assert!(store.add_job(keyed(), NOW).await.unwrap().is_none());
    let other_queue = NewJob {
        queue: "other".to_owned(),
        ..keyed()
    };
    assert!(store.add_job(other_queue, NOW).await.unwrap().is_some());
    let taken = store.take_jobs("compile", 10, LEASE, NOW).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(store.add_job(keyed(), NOW).await.unwrap().is_none());
    store.finish_job(&taken[0]).await.unwrap();
    assert!(store.add_job(keyed(), NOW).await.unwrap().is_some());
}
