use crate::findings::finding;
use crate::lab::{Case, NOW, SECOND};
use picket_store::{
    Digester, FindingWrites, ForOutput, IssueChange, IssueWrites, PendingFinding, Uuid, new_id,
};
use std::sync::Arc;

const SIEM: &str = "siem";

/// Queues each finding for these outputs.
struct Teller(&'static [&'static str]);

impl Digester for Teller {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let each = |output: &&str| {
            let output = (*output).to_owned();
            let one = move |finding: &PendingFinding| ForOutput {
                output: output.clone(),
                finding: finding.id,
            };
            pending.iter().map(one).collect::<Vec<_>>()
        };
        FindingWrites {
            outputs: self.0.iter().flat_map(each).collect(),
            ..FindingWrites::default()
        }
    }

    fn issues(&self, _: &[IssueChange]) -> IssueWrites {
        IssueWrites::default()
    }
}

async fn fill(case: &Case, findings: i64, outputs: &'static [&'static str]) {
    let sensor = Uuid::from_u128(7);
    let batch = (0..findings).map(|n| finding(sensor, &format!("f{n}"), NOW + n));
    case.store
        .store_findings(batch.collect(), NOW)
        .await
        .unwrap();
    let teller = Arc::new(Teller(outputs));
    case.store.digest(teller, 1000, NOW).await.unwrap();
}

pub async fn each_output_has_a_queue_of_its_own(case: &Case) {
    let store = &case.store;
    fill(case, 5, &[SIEM, "disk"]).await;
    let first = store.queued_findings(SIEM, 3).await.unwrap();
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|queued| queued.ocsf.is_some()));
    assert!(first.is_sorted_by_key(|queued| queued.id));
    let ids: Vec<Uuid> = first.iter().map(|queued| queued.id).collect();
    store.told(SIEM, &ids).await.unwrap();
    let rest = store.queued_findings(SIEM, 500).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|queued| !ids.contains(&queued.id)));
    let backlog = store.output_backlog().await.unwrap();
    assert_eq!(backlog, [("disk".to_owned(), 5), (SIEM.to_owned(), 2)]);
    // What is no output any more is emptied; what is one stays.
    assert_eq!(
        store
            .forget_other_outputs(&[SIEM.to_owned()])
            .await
            .unwrap(),
        5
    );
    assert_eq!(store.forget_other_outputs(&[]).await.unwrap(), 2);
    assert_eq!(store.output_backlog().await.unwrap(), []);
}

pub async fn a_finding_that_was_deleted_first_is_told_from_one_that_was_told(case: &Case) {
    let store = &case.store;
    fill(case, 2, &[SIEM]).await;
    store.delete_findings_before(NOW + 1, 100).await.unwrap();
    let queued = store.queued_findings(SIEM, 10).await.unwrap();
    let there: Vec<bool> = queued.iter().map(|queued| queued.ocsf.is_some()).collect();
    assert_eq!(there, [false, true]);
}

pub async fn one_replica_at_a_time_holds_an_output(case: &Case) {
    let replica = case.replica().await;
    let (one, other) = (new_id(), new_id());
    let hold = |store: &Arc<dyn picket_store::Store>, holder, now| {
        let store = Arc::clone(store);
        async move {
            let until = now + 10 * SECOND;
            store.hold_output(SIEM, holder, until, now).await.unwrap()
        }
    };
    assert!(hold(&case.store, one, NOW).await);
    assert!(!hold(&replica, other, NOW + SECOND).await);
    // It goes on holding it; once it says no more, another has it.
    assert!(hold(&case.store, one, NOW + 5 * SECOND).await);
    assert!(!hold(&replica, other, NOW + 12 * SECOND).await);
    assert!(hold(&replica, other, NOW + 15 * SECOND).await);
    // Only its holder lets it go.
    case.store.release_output(SIEM, one).await.unwrap();
    assert!(!hold(&case.store, one, NOW + 16 * SECOND).await);
    replica.release_output(SIEM, other).await.unwrap();
    assert!(hold(&case.store, one, NOW + 16 * SECOND).await);
    replica.close().await;
}
