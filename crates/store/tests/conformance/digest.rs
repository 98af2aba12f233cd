use crate::findings::finding;
use crate::lab::{Case, NOW, SECOND, page};
use picket_model::severity::Severity;
use picket_store::{
    Change, Digested, Digester, FindingFilter, FindingWrites, Fingerprint, IssueChange, IssueEvent,
    IssueOpening, IssueWrites, NewFinding, NewJob, PendingFinding, Uuid, new_id,
};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

const HOUR: i64 = 3600 * SECOND;

/// Opens an issue for each finding, and remembers what became of it.
#[derive(Default)]
pub struct Opener(Mutex<Vec<IssueChange>>);

impl Opener {
    pub fn changes(&self) -> Vec<IssueChange> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

pub fn opening(finding: &PendingFinding) -> IssueOpening {
    let columns = &finding.columns;
    IssueOpening {
        fingerprint: columns.fingerprint.clone(),
        severity: columns.severity,
        title: "A web server started a shell".to_owned(),
        rule: columns.rule.clone(),
        host: columns.host.clone(),
        namespace: None,
        image: columns.image.clone(),
        first_seen: columns.time,
        last_seen: columns.time,
        due_after: HOUR,
        projects: finding.projects.clone(),
        findings: vec![finding.id],
    }
}

impl Digester for Opener {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        FindingWrites {
            openings: pending.iter().map(opening).collect(),
            ..FindingWrites::default()
        }
    }

    fn issues(&self, changes: &[IssueChange]) -> IssueWrites {
        self.0.lock().unwrap().extend_from_slice(changes);
        IssueWrites::default()
    }
}

pub fn printed(uid: &str, print: &str, time: i64) -> NewFinding {
    let mut new = finding(Uuid::from_u128(7), uid, time);
    new.columns.fingerprint = Fingerprint {
        version: 2,
        value: print.to_owned(),
    };
    new
}

pub async fn findings_of_a_fingerprint_are_one_issue(case: &Case) {
    let store = &case.store;
    let (one, two) = (new_id(), new_id());
    let mut low = printed("low", "a", NOW + 5);
    low.columns.severity = Severity::Low;
    low.projects = vec![one];
    let mut critical = printed("critical", "a", NOW + 3);
    critical.columns.severity = Severity::Critical;
    critical.projects = vec![one, two];
    let other = printed("other", "b", NOW + 4);
    store.store_findings(vec![low, other], NOW).await.unwrap();
    let mut changes = store.changes();
    let opener = Arc::new(Opener::default());
    let done = store.digest(opener.clone(), 100, NOW + 10).await.unwrap();
    let first = Digested {
        findings: 2,
        opened: 2,
        oldest: Some(NOW),
        ..Digested::default()
    };
    assert_eq!(done, first);
    while changes.next().await.unwrap() != Change::Issues {}
    let opened = opener.changes();
    let a = &opened[0];
    assert_eq!((a.event, a.issue.count), (IssueEvent::Opened, 1));
    assert_eq!(a.issue.due_at, NOW + 10 + HOUR);
    assert_eq!(a.projects, [one]);

    store
        .store_findings(vec![critical], NOW + 20)
        .await
        .unwrap();
    assert_eq!(store.findings_pending().await.unwrap(), 1);
    let done = store.digest(opener.clone(), 100, NOW + 30).await.unwrap();
    assert_eq!((done.findings, done.opened), (1, 0));
    assert_eq!(store.findings_pending().await.unwrap(), 0);
    let changed = opener.changes();
    let issue = &changed[0].issue;
    assert_eq!(changed[0].event, IssueEvent::Raised);
    assert_eq!((issue.id, issue.count), (a.issue.id, 2));
    assert_eq!(issue.severity, Severity::Critical);
    assert_eq!((issue.first_seen, issue.last_seen), (NOW + 3, NOW + 5));
    // It is no later due for being worse.
    assert_eq!((issue.due_at, issue.opened_at), (NOW + 10 + HOUR, NOW + 10));
    assert_eq!(issue.version, 2);
    // Nothing is left.
    let done = store.digest(opener.clone(), 100, NOW).await.unwrap();
    assert_eq!(done, Digested::default());
    assert_eq!(opener.changes(), []);
}

pub async fn two_replicas_count_each_finding_once(case: &Case) {
    const FINDINGS: i64 = 3000;
    const PRINTS: i64 = 7;
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let opener = Arc::new(Opener::default());
    // They digest while findings come in.
    let storing = {
        let store = Arc::clone(&replicas[0]);
        tokio::spawn(async move {
            for start in (0..FINDINGS).step_by(100) {
                let batch = (start..start + 100)
                    .map(|n| printed(&n.to_string(), &format!("{}", n % PRINTS), NOW + n))
                    .collect();
                store.store_findings(batch, NOW).await.unwrap();
            }
        })
    };
    let total = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let digesting: Vec<_> = (0..6_usize)
        .map(|task| {
            let (store, total) = (Arc::clone(&replicas[task % 2]), Arc::clone(&total));
            let opener = opener.clone();
            tokio::spawn(async move {
                use std::sync::atomic::Ordering;
                while total.load(Ordering::Relaxed) < FINDINGS {
                    let done = store.digest(opener.clone(), 64, NOW).await.unwrap();
                    total.fetch_add(done.findings.into(), Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                (store, task)
            })
        })
        .collect();
    storing.await.unwrap();
    for task in digesting {
        task.await.unwrap();
    }
    let changes = opener.changes();
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for change in &changes {
        let count = counts
            .entry(change.issue.fingerprint.value.clone())
            .or_default();
        *count = change.issue.count.max(*count);
    }
    let expected: BTreeMap<String, i64> = (0..PRINTS)
        .map(|print| {
            let count = (0..FINDINGS).filter(|n| n % PRINTS == print).count();
            (print.to_string(), count as i64)
        })
        .collect();
    assert_eq!(counts, expected);
    let opened = changes
        .iter()
        .filter(|change| change.event == IssueEvent::Opened);
    assert_eq!(opened.count() as i64, PRINTS);
    let each: Vec<Uuid> = changes
        .iter()
        .flat_map(|change| change.findings.clone())
        .collect();
    let once: HashSet<&Uuid> = each.iter().collect();
    assert_eq!(
        (each.len(), once.len()),
        (FINDINGS as usize, FINDINGS as usize)
    );
}

/// Makes jobs: for findings of this uid's host one that no queue takes.
struct Worker {
    bad: &'static str,
}

impl Digester for Worker {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let job = |finding: &PendingFinding| NewJob {
            queue: match finding.columns.host.as_str() {
                host if host == self.bad => String::new(),
                _ => "playbooks".to_owned(),
            },
            key: Some(finding.id.to_string()),
            payload: json!({"host": finding.columns.host}),
            due_at: NOW,
            max_attempts: 3,
        };
        FindingWrites {
            openings: pending.iter().map(opening).collect(),
            jobs: pending.iter().map(job).collect(),
            ..FindingWrites::default()
        }
    }

    fn issues(&self, _changes: &[IssueChange]) -> IssueWrites {
        IssueWrites::default()
    }
}

pub async fn a_finding_that_cannot_be_stored_holds_up_no_other(case: &Case) {
    let store = &case.store;
    let batch = (0..10)
        .map(|n| {
            let mut new = printed(&n.to_string(), "a", NOW + n);
            new.columns.host = format!("host-{n}");
            new
        })
        .collect();
    store.store_findings(batch, NOW).await.unwrap();
    let worker = Arc::new(Worker { bad: "host-6" });
    let done = store.digest(worker, 100, NOW).await.unwrap();
    assert_eq!((done.findings, done.skipped, done.opened), (10, 1, 1));
    assert_eq!(store.findings_pending().await.unwrap(), 0);
    let jobs = store
        .take_jobs("playbooks", 100, SECOND, NOW)
        .await
        .unwrap();
    let hosts: HashSet<String> = jobs.iter().map(|job| job.payload.to_string()).collect();
    assert_eq!(hosts.len(), 9);
    assert!(!hosts.contains(r#"{"host":"host-6"}"#), "{hosts:?}");
    // The issue has the nine, not the one, and not twice those of a half that failed.
    let opener = Arc::new(Opener::default());
    store
        .store_findings(vec![printed("last", "a", NOW)], NOW)
        .await
        .unwrap();
    store.digest(opener.clone(), 100, NOW).await.unwrap();
    assert_eq!(opener.changes()[0].issue.count, 10);
}

/// Panics at one finding.
struct Failing(Arc<Opener>);

impl Digester for Failing {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let bad = pending.iter().any(|finding| finding.facts == json!("bad"));
        assert!(!bad, "for the test: a digester that fails");
        self.0.findings(pending)
    }

    fn issues(&self, changes: &[IssueChange]) -> IssueWrites {
        self.0.issues(changes)
    }
}

pub async fn a_digester_that_panics_skips_its_finding_alone(case: &Case) {
    let store = &case.store;
    let mut batch: Vec<_> = (0..5)
        .map(|n| printed(&n.to_string(), "a", NOW + n))
        .collect();
    batch[3].facts = json!("bad");
    store.store_findings(batch, NOW).await.unwrap();
    let opener = Arc::new(Opener::default());
    let failing = Arc::new(Failing(opener.clone()));
    let done = store.digest(failing, 100, NOW).await.unwrap();
    assert_eq!((done.findings, done.skipped, done.opened), (5, 1, 1));
    let count = opener.changes().last().map(|change| change.issue.count);
    assert_eq!(count, Some(4));
    assert_eq!(store.findings_pending().await.unwrap(), 0);
}

pub async fn what_retention_deletes_is_not_digested(case: &Case) {
    let store = &case.store;
    let batch = (0..5)
        .map(|n| printed(&n.to_string(), "a", NOW + n))
        .collect();
    store.store_findings(batch, NOW).await.unwrap();
    assert_eq!(store.delete_findings_before(NOW + 2, 100).await.unwrap(), 2);
    assert_eq!(store.findings_pending().await.unwrap(), 3);
    let opener = Arc::new(Opener::default());
    let done = store.digest(opener.clone(), 2, NOW).await.unwrap();
    assert_eq!(done.findings, 2);
    assert_eq!(store.digest(opener, 2, NOW).await.unwrap().findings, 1);
    let left = store
        .findings(&FindingFilter::default(), None, page(10))
        .await;
    assert_eq!(left.unwrap().items.len(), 3);
}

pub async fn jobs_are_added_with_what_they_are_for(case: &Case) {
    let store = &case.store;
    let mut changes = store.changes();
    store
        .store_findings(vec![printed("one", "a", NOW)], NOW)
        .await
        .unwrap();
    let worker = Arc::new(Worker { bad: "none" });
    store.digest(worker, 100, NOW).await.unwrap();
    while changes.next().await.unwrap() != Change::Jobs {}
    let jobs = store
        .take_jobs("playbooks", 100, SECOND, NOW)
        .await
        .unwrap();
    assert_eq!(jobs.len(), 1);
}
