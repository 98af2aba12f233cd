//! A server is killed while it stores and digests: what it had acknowledged is there,
//! once, and nothing that it had not been given; and every finding that is there is
//! counted in an issue, once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::testing::{PostgresServer, scratch, skipped};
use picket_store::{
    Digester, FindingColumns, FindingFilter, FindingWrites, Fingerprint, IssueChange, IssueFilter,
    IssueOpening, IssueWrites, Location, NewFinding, PageSize, PendingFinding, Store, Uuid, open,
};
use serde_json::json;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Names the store to the process that is killed, and its round.
const STORE: &str = "PICKET_TEST_STORE";
const ROUND: &str = "PICKET_TEST_ROUND";
/// Before a finding's id that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";
const ROUNDS: usize = 4;
/// In a delivery.
const BATCH: usize = 20;

fn finding(round: usize, number: usize) -> NewFinding {
    NewFinding {
        sensor: Uuid::from_u128(round as u128),
        uid: format!("{round}-{number}"),
        columns: FindingColumns {
            time: number as i64,
            severity: Severity::Low,
            disposition: Disposition::Logged,
            rule: "r".to_owned(),
            host: "h".to_owned(),
            container: None,
            image: None,
            user: None,
            process: None,
            fingerprint: Fingerprint {
                version: 1,
                value: round.to_string(),
            },
        },
        projects: Vec::new(),
        ocsf: json!({ "number": number }),
        facts: json!({}),
    }
}

/// One issue for every round.
struct Opener;

impl Digester for Opener {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let opening = |finding: &PendingFinding| IssueOpening {
            fingerprint: finding.columns.fingerprint.clone(),
            severity: finding.columns.severity,
            title: "One".to_owned(),
            rule: finding.columns.rule.clone(),
            host: finding.columns.host.clone(),
            namespace: None,
            image: None,
            first_seen: finding.columns.time,
            last_seen: finding.columns.time,
            due_after: 1,
            projects: finding.projects.clone(),
            findings: vec![finding.id],
        };
        FindingWrites {
            openings: pending.iter().map(opening).collect(),
            ..FindingWrites::default()
        }
    }

    fn issues(&self, _changes: &[IssueChange]) -> IssueWrites {
        IssueWrites::default()
    }
}

/// The process that is killed: stores and digests without end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the tests beside it"]
async fn stores_until_it_is_killed() {
    let Ok(place) = std::env::var(STORE) else {
        return;
    };
    let round: usize = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = open(&place.parse().unwrap()).await.unwrap();
    // Smaller bites than deliveries: it is behind when it is killed.
    let digesting = Arc::clone(&store);
    tokio::spawn(async move {
        loop {
            let done = digesting.digest(Arc::new(Opener), 7, 1).await.unwrap();
            if done.findings == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    for batch in 0.. {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let delivery: Vec<_> = numbers.map(|number| finding(round, number)).collect();
        let uids: Vec<_> = delivery.iter().map(|one| one.uid.clone()).collect();
        store.store_findings(delivery, 1).await.unwrap();
        for uid in uids {
            println!("{ACKNOWLEDGED}{uid}");
        }
    }
}

/// Starts it, kills it after so many acknowledgements, and gives all that it had
/// acknowledged until then.
fn kill_one(place: &str, round: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "stores_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(STORE, place)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    // Another moment in each round: in the middle of a delivery or not.
    let enough = 100 + round * 37;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, uid)) = line.split_once(ACKNOWLEDGED) {
            acknowledged.push(uid.to_owned());
        }
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

/// All that is stored. The database may still be committing what the killed one had
/// asked for: then it is read again.
async fn all(store: &dyn Store) -> Vec<String> {
    loop {
        let before = store.findings_tally().await.unwrap();
        let found = walk(store).await;
        if store.findings_tally().await.unwrap() == before {
            assert_eq!(before.findings, found.len() as i64);
            return found;
        }
    }
}

async fn walk(store: &dyn Store) -> Vec<String> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let size = PageSize::new(500).unwrap();
        let page = store
            .findings(&FindingFilter::default(), before, size)
            .await
            .unwrap();
        found.extend(page.items.into_iter().map(|row| row.uid));
        before = page.next;
        if before.is_none() {
            return found;
        }
    }
}

/// That after a digest the issues count what is stored.
async fn counted_once(store: &dyn Store, stored: &[String]) {
    while store.findings_pending().await.unwrap() > 0 {
        store.digest(Arc::new(Opener), 1000, 1).await.unwrap();
    }
    let size = PageSize::new(100).unwrap();
    let issues = store.issues(&IssueFilter::default(), None, size).await;
    for issue in issues.unwrap().items {
        let round = format!("{}-", issue.fingerprint.value);
        let findings = stored.iter().filter(|uid| uid.starts_with(&round));
        assert_eq!(issue.count, findings.count() as i64, "of round {round}");
    }
}

async fn nothing_is_lost(location: &Location, place: &str) {
    for round in 0..ROUNDS {
        let acknowledged = kill_one(place, round);
        assert!(acknowledged.len() >= 100, "{}", acknowledged.len());
        let store = open(location).await.unwrap();
        let stored = all(&*store).await;
        let once: HashSet<&String> = stored.iter().collect();
        assert_eq!(once.len(), stored.len());
        for uid in &acknowledged {
            assert!(
                once.contains(uid),
                "{uid} was acknowledged, and is not there"
            );
        }
        // A delivery is there whole or not at all.
        assert_eq!(stored.len() % BATCH, 0);
        counted_once(&*store, &stored).await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let folder = scratch("picket-store-").unwrap();
    let path = folder.path().join("picket.db");
    let place = format!("sqlite:{}", path.display());
    nothing_is_lost(&Location::Sqlite(path), &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = match PostgresServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let location = server.database().unwrap();
    let Location::Postgres(url) = &location else {
        unreachable!()
    };
    nothing_is_lost(&location, &url.clone()).await;
}
