use crate::digest::{Opener, opening, printed};
use crate::lab::{Case, NOW, SECOND, cause, page};
use picket_model::severity::Severity;
use picket_store::{
    AuditFilter, Cause, ChangeIssue, Issue, IssueChange, IssueEvent, IssueFilter, IssueStatus,
    LogIn, NewFinding, OpenIssues, PendingFinding, Rejection, StoreError, Uuid, new_id,
};
use serde_json::json;
use std::sync::Arc;

/// Stores and digests; what became of the issues.
async fn happens(case: &Case, findings: Vec<NewFinding>, now: i64) -> Vec<IssueChange> {
    let opener = Arc::new(Opener::default());
    case.store.store_findings(findings, now).await.unwrap();
    case.store.digest(opener.clone(), 1000, now).await.unwrap();
    opener.changes()
}

async fn one(case: &Case, uid: &str, time: i64, now: i64) -> IssueChange {
    let mut changes = happens(case, vec![printed(uid, "a", time)], now).await;
    changes.pop().unwrap()
}

fn at(now: i64) -> Cause {
    Cause {
        at: now,
        ..cause("user:anna")
    }
}

fn to(status: IssueStatus, rejection: Option<Rejection>) -> ChangeIssue {
    ChangeIssue {
        status: Some((status, rejection)),
        ..ChangeIssue::default()
    }
}

async fn moved(case: &Case, issue: &Issue, change: ChangeIssue, now: i64) -> Issue {
    let changed = case
        .store
        .change_issue(issue.id, issue.version, change, &at(now))
        .await;
    changed.unwrap()
}

async fn notes(case: &Case, id: Uuid) -> Vec<(String, String)> {
    let notes = case.store.issue_notes(id, None, page(100)).await.unwrap();
    let notes = notes.items.into_iter();
    notes.map(|note| (note.author, note.text)).collect()
}

pub async fn what_comes_back_is_reopened(case: &Case) {
    let first = one(case, "first", NOW, NOW + 1).await;
    let resolved = moved(
        case,
        &first.issue,
        to(IssueStatus::Resolved, None),
        NOW + SECOND,
    )
    .await;
    assert_eq!(resolved.closed_at, Some(NOW + SECOND));
    assert_eq!(resolved.reason, "for the test");
    // It happened before, and is only told now: it is counted.
    let late = one(case, "late", NOW + SECOND, NOW + 2 * SECOND).await;
    assert_eq!(late.event, IssueEvent::Counted);
    assert_eq!(
        (late.issue.status, late.issue.count),
        (IssueStatus::Resolved, 2)
    );
    assert_eq!(late.issue.version, resolved.version);
    // Of two told together, one happened after.
    let again = vec![
        printed("old", "a", NOW - SECOND),
        printed("new", "a", NOW + SECOND + 1),
    ];
    let back = happens(case, again, NOW + 3 * SECOND).await.pop().unwrap();
    let issue = &back.issue;
    assert_eq!(back.event, IssueEvent::Reopened);
    assert_eq!(
        (issue.id, issue.status),
        (first.issue.id, IssueStatus::Open)
    );
    assert_eq!((issue.count, issue.reopened, issue.closed_at), (4, 1, None));
    assert_eq!(
        (issue.first_seen, issue.last_seen),
        (NOW - SECOND, NOW + SECOND + 1)
    );
    assert_eq!(issue.opened_at, NOW + 3 * SECOND);
    assert!(issue.due_at > first.issue.due_at);
    assert!(issue.version > resolved.version);
    assert_eq!(issue.reason, "");
    let said = notes(case, issue.id).await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, "system:digest");
    // Whoever had read it as resolved does not close it again unseen.
    let stale = case
        .store
        .change_issue(
            issue.id,
            resolved.version,
            to(IssueStatus::Resolved, None),
            &at(NOW),
        )
        .await;
    assert!(
        matches!(stale, Err(StoreError::Conflict { .. })),
        "{stale:?}"
    );
}

pub async fn what_was_rejected_is_counted_alone(case: &Case) {
    let first = one(case, "first", NOW, NOW).await.issue;
    for (status, rejection) in [
        (IssueStatus::Rejected, None),
        (IssueStatus::Resolved, Some(Rejection::Duplicate)),
    ] {
        let refused = case
            .store
            .change_issue(first.id, first.version, to(status, rejection), &at(NOW))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Invalid { .. })),
            "{refused:?}"
        );
    }
    let wordless = Cause {
        reason: String::new(),
        ..at(NOW)
    };
    let other = to(IssueStatus::Rejected, Some(Rejection::Other));
    let refused = case
        .store
        .change_issue(first.id, first.version, other, &wordless)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Invalid { .. })),
        "{refused:?}"
    );

    let change = to(IssueStatus::Rejected, Some(Rejection::FalsePositive));
    let rejected = moved(case, &first, change, NOW + 1).await;
    assert_eq!(rejected.rejection, Some(Rejection::FalsePositive));
    let after = one(case, "after", NOW + 5 * SECOND, NOW + 5 * SECOND).await;
    assert_eq!(after.event, IssueEvent::Counted);
    assert_eq!(
        (after.issue.status, after.issue.count),
        (IssueStatus::Rejected, 2)
    );
    // Somebody thinks better of it.
    let open = moved(case, &rejected, to(IssueStatus::Open, None), NOW + 9).await;
    assert_eq!(
        (open.status, open.rejection, open.closed_at),
        (IssueStatus::Open, None, None)
    );
}

pub async fn people_change_what_they_have_read(case: &Case) {
    let store = &case.store;
    let log_in = LogIn {
        password_hash: None,
        subject: None,
    };
    let anna = store.make_user("anna", log_in, &at(NOW)).await.unwrap();
    let mut low = printed("low", "a", NOW);
    low.columns.severity = Severity::Low;
    let issue = happens(case, vec![low], NOW).await.pop().unwrap().issue;
    let change = ChangeIssue {
        status: Some((IssueStatus::InProgress, None)),
        assignee: Some(Some(anna.id)),
        severity: Some(Severity::Medium),
        due_at: Some(NOW + 7),
        labels: Some(vec!["b".to_owned(), "a".to_owned()]),
    };
    let changed = moved(case, &issue, change.clone(), NOW + 1).await;
    assert_eq!(changed, store.issue(issue.id).await.unwrap());
    assert_eq!(changed.version, issue.version + 1);
    assert_eq!(changed.assignee, Some(anna.id));
    assert_eq!(
        (changed.severity, changed.severity_set),
        (Severity::Medium, true)
    );
    assert_eq!(changed.due_at, NOW + 7);
    // Again changes nothing, and makes no entry.
    let again = ChangeIssue {
        status: None,
        ..change
    };
    assert_eq!(moved(case, &changed, again, NOW + 2).await, changed);
    // What somebody has said of the severity stands.
    let worse = one(case, "worse", NOW + 3, NOW + 3).await;
    assert_eq!(worse.event, IssueEvent::Counted);
    assert_eq!(worse.issue.severity, Severity::Medium);

    let nobody = ChangeIssue {
        assignee: Some(Some(new_id())),
        ..ChangeIssue::default()
    };
    let refused = store
        .change_issue(issue.id, changed.version, nobody, &at(NOW))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Dangling { .. })),
        "{refused:?}"
    );
    let missing = store
        .change_issue(new_id(), 1, ChangeIssue::default(), &at(NOW))
        .await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{missing:?}"
    );

    let filter = AuditFilter {
        kind: Some("issue".to_owned()),
        ..AuditFilter::default()
    };
    let entries = store.entries(&filter, None, page(10)).await.unwrap().items;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].action, "issue.update");
    let detail: serde_json::Value = serde_json::from_str(&entries[0].detail).unwrap();
    assert_eq!(
        detail["status"],
        json!({"from": "open", "to": "in_progress"})
    );
    assert_eq!(detail["severity"], json!({"from": "low", "to": "medium"}));
}

pub async fn notes_are_added_and_stay(case: &Case) {
    let store = &case.store;
    let issue = one(case, "first", NOW, NOW).await.issue;
    for text in ["looked at it", "a colleague did it"] {
        store
            .add_issue_note(issue.id, text, &at(NOW))
            .await
            .unwrap();
    }
    let first = store.issue_notes(issue.id, None, page(1)).await.unwrap();
    assert_eq!(first.items[0].text, "looked at it");
    let rest = store
        .issue_notes(issue.id, first.next, page(9))
        .await
        .unwrap();
    assert_eq!(rest.items[0].text, "a colleague did it");
    assert_eq!(rest.items[0].author, "user:anna");
    assert_eq!(store.issue(issue.id).await.unwrap().version, issue.version);
    for (id, text) in [(new_id(), "x"), (issue.id, " "), (issue.id, "a\0b")] {
        assert!(
            store.add_issue_note(id, text, &at(NOW)).await.is_err(),
            "{text:?}"
        );
    }
}

pub async fn issues_are_found_by_each_filter(case: &Case) {
    let store = &case.store;
    let (project, other) = (new_id(), new_id());
    let mut odd = printed("odd", "odd", NOW + 10);
    odd.columns.severity = Severity::Critical;
    odd.columns.rule = "100%_miner".to_owned();
    odd.columns.host = "DB-1".to_owned();
    odd.columns.image = Some("redis".to_owned());
    odd.projects = vec![project];
    let mut plain = printed("plain", "plain", NOW);
    plain.projects = vec![other];
    let changes = happens(case, vec![odd, plain], NOW).await;
    let odd = &changes[0].issue;
    let log_in = LogIn {
        password_hash: None,
        subject: None,
    };
    let anna = store.make_user("anna", log_in, &at(NOW)).await.unwrap();
    let change = ChangeIssue {
        status: Some((IssueStatus::InProgress, None)),
        assignee: Some(Some(anna.id)),
        due_at: Some(NOW - 1),
        ..ChangeIssue::default()
    };
    moved(case, odd, change, NOW).await;
    let all = IssueFilter::default;
    let text = |text: &str| vec![text.to_owned()];
    let holds = |part: &str| IssueFilter {
        text: Some(part.to_owned()),
        ..IssueFilter::default()
    };
    #[rustfmt::skip]
    let filters = [
        IssueFilter { statuses: vec![IssueStatus::InProgress, IssueStatus::Resolved], ..all() },
        IssueFilter { severities: vec![Severity::Critical], ..all() },
        IssueFilter { rules: text("100%_miner"), ..all() },
        IssueFilter { hosts: text("DB-1"), ..all() },
        IssueFilter { images: text("redis"), ..all() },
        IssueFilter { fingerprints: text("odd"), ..all() },
        IssueFilter { assignees: vec![anna.id], ..all() },
        IssueFilter { overdue_at: Some(NOW), ..all() },
        IssueFilter { projects: Some(vec![project, new_id()]), ..all() },
        holds("%_m"),
        holds("db-1"),
    ];
    let found = |filter: IssueFilter| async move {
        let page = store.issues(&filter, None, page(10)).await.unwrap();
        let prints = page.items.into_iter().map(|issue| issue.fingerprint.value);
        prints.collect::<Vec<_>>()
    };
    for filter in filters {
        assert_eq!(found(filter.clone()).await, ["odd"], "{filter:?}");
    }
    assert_eq!(found(all()).await, ["odd", "plain"]);
    assert_eq!(found(holds("WEB SERVER")).await, ["odd", "plain"]);
    assert!(found(holds("r%s")).await.is_empty());
    let unassigned = IssueFilter {
        unassigned: true,
        ..all()
    };
    assert_eq!(found(unassigned).await, ["plain"]);
    let nothing = IssueFilter {
        projects: Some(Vec::new()),
        ..all()
    };
    assert!(found(nothing).await.is_empty());
    // Page by page.
    let first = store.issues(&all(), None, page(1)).await.unwrap();
    let second = store.issues(&all(), first.next, page(1)).await.unwrap();
    assert_eq!(second.items[0].fingerprint.value, "plain");
    assert_eq!(second.next, None);
    let projects = store.issues_projects(&[odd.id]).await.unwrap();
    assert_eq!(projects, [(odd.id, project)]);
    let counts = store.open_issues(NOW).await.unwrap();
    let count = |severity, overdue| OpenIssues {
        severity,
        open: 1,
        overdue,
    };
    assert_eq!(
        counts,
        [count(Severity::High, 0), count(Severity::Critical, 1)]
    );
}

pub async fn an_issue_is_opened_by_hand_once(case: &Case) {
    let store = &case.store;
    let finding = printed("one", "a", NOW);
    let pending = PendingFinding {
        id: new_id(),
        sensor: finding.sensor,
        received_at: NOW,
        columns: finding.columns,
        projects: vec![new_id()],
        facts: json!({}),
    };
    let open = async |time| {
        let mut opening = opening(&pending);
        opening.last_seen = time;
        store.open_issue(opening, &at(NOW)).await.unwrap()
    };
    let first = open(NOW).await;
    assert_eq!((first.event, first.issue.count), (IssueEvent::Opened, 1));
    let again = open(NOW).await;
    assert_eq!((again.event, again.issue.count), (IssueEvent::Counted, 1));
    assert_eq!(again.issue.id, first.issue.id);
    moved(case, &again.issue, to(IssueStatus::Resolved, None), NOW + 5).await;
    assert_eq!(open(NOW + 5).await.event, IssueEvent::Counted);
    assert_eq!(open(NOW + 6).await.event, IssueEvent::Reopened);
}

pub async fn closed_issues_go_after_a_while(case: &Case) {
    let store = &case.store;
    let batch = ["a", "b", "c", "d"]
        .map(|print| printed(print, print, NOW))
        .to_vec();
    let changes = happens(case, batch, NOW).await;
    // Of a, nothing was done; b was closed late; c goes; d goes, and is seen again.
    moved(
        case,
        &changes[1].issue,
        to(IssueStatus::Resolved, None),
        NOW + 50,
    )
    .await;
    for change in &changes[2..] {
        let rejected = to(IssueStatus::Rejected, Some(Rejection::AcceptedRisk));
        moved(case, &change.issue, rejected, NOW + 1).await;
        store
            .add_issue_note(change.issue.id, "so it is", &at(NOW))
            .await
            .unwrap();
    }
    let limit = NOW + 10;
    assert_eq!(store.delete_closed_issues(limit, 1).await.unwrap(), 1);
    assert_eq!(store.delete_closed_issues(limit, 9).await.unwrap(), 1);
    assert_eq!(store.delete_closed_issues(limit, 9).await.unwrap(), 0);
    let left = store
        .issues(&IssueFilter::default(), None, page(9))
        .await
        .unwrap();
    assert_eq!(left.items.len(), 2);
    assert!(notes(case, changes[2].issue.id).await.is_empty());
    let new = happens(case, vec![printed("d2", "d", NOW + 60)], NOW + 60).await;
    assert_eq!(new[0].event, IssueEvent::Opened);
    assert_ne!(new[0].issue.id, changes[3].issue.id);
}
