use crate::findings::finding;
use crate::lab::{Case, NOW, page};
use picket_store::{FindingFilter, Keep, Tally, new_id};
use std::sync::Arc;

/// Ten findings, one a microsecond; all their JSON of the same length.
async fn ten(case: &Case) -> i64 {
    let (sensor, project) = (new_id(), new_id());
    let batch: Vec<_> = (0..10)
        .map(|n| {
            let mut one = finding(sensor, &n.to_string(), NOW + n);
            one.projects = vec![project];
            one
        })
        .collect();
    let bytes = batch[0].ocsf.to_string().len() as i64;
    case.store.store_findings(batch, NOW).await.unwrap();
    bytes
}

async fn left(case: &Case) -> String {
    let rows = case
        .store
        .findings(&FindingFilter::default(), None, page(100))
        .await
        .unwrap();
    let ids: Vec<_> = rows.items.iter().map(|row| row.id).collect();
    // The JSON goes with its finding.
    assert_eq!(
        case.store.findings_ocsf(&ids).await.unwrap().len(),
        ids.len()
    );
    rows.items.iter().map(|row| row.uid.as_str()).collect()
}

pub async fn by_age_in_bounded_steps(case: &Case) {
    let store = &case.store;
    let bytes = ten(case).await;
    let all = store
        .findings(&FindingFilter::default(), None, page(100))
        .await
        .unwrap()
        .items;
    assert_eq!(store.delete_findings_before(NOW + 5, 3).await.unwrap(), 3);
    assert_eq!(left(case).await, "9876543");
    assert_eq!(store.delete_findings_before(NOW + 5, 3).await.unwrap(), 2);
    assert_eq!(store.delete_findings_before(NOW + 5, 3).await.unwrap(), 0);
    assert_eq!(left(case).await, "98765");
    let tally = Tally {
        findings: 5,
        bytes: 5 * bytes,
    };
    assert_eq!(store.findings_tally().await.unwrap(), tally);
    let gone = all.last().unwrap().id;
    assert!(store.finding(gone).await.is_err());
    assert!(store.findings_ocsf(&[gone]).await.unwrap().is_empty());
    assert!(store.finding_projects(gone).await.unwrap().is_empty());
}

pub async fn by_count_and_by_bytes(case: &Case) {
    let store = &case.store;
    let bytes = ten(case).await;
    let keep = |findings, bytes| Keep { findings, bytes };
    assert_eq!(store.trim_findings(keep(None, None), 100).await.unwrap(), 0);
    assert_eq!(
        store
            .trim_findings(keep(Some(10), None), 100)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store.trim_findings(keep(Some(7), None), 2).await.unwrap(),
        2
    );
    assert_eq!(
        store.trim_findings(keep(Some(7), None), 2).await.unwrap(),
        1
    );
    assert_eq!(left(case).await, "9876543");
    // One byte too many costs a whole finding.
    let some = keep(Some(7), Some(5 * bytes - 1));
    assert_eq!(store.trim_findings(some, 100).await.unwrap(), 3);
    assert_eq!(left(case).await, "9876");
    assert_eq!(
        store.trim_findings(keep(Some(0), None), 100).await.unwrap(),
        4
    );
    let nothing = Tally {
        findings: 0,
        bytes: 0,
    };
    assert_eq!(store.findings_tally().await.unwrap(), nothing);
}

pub async fn two_at_once_do_not_delete_too_much(case: &Case) {
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let mut bytes = 0;
    for round in 1..=10 {
        bytes = ten(case).await;
        let keep = Keep {
            findings: Some(6),
            bytes: None,
        };
        let trimming: Vec<_> = (0..6)
            .map(|task: usize| {
                let store = Arc::clone(&replicas[task % 2]);
                tokio::spawn(async move { store.trim_findings(keep, 100).await.unwrap() })
            })
            .collect();
        let mut deleted = 0;
        for task in trimming {
            deleted += task.await.unwrap();
        }
        assert_eq!(deleted, if round == 1 { 4 } else { 10 }, "round {round}");
    }
    let tally = Tally {
        findings: 6,
        bytes: 6 * bytes,
    };
    assert_eq!(case.store.findings_tally().await.unwrap(), tally);
    assert_eq!(left(case).await.len(), 6);
}
