use crate::lab::{Case, cause, page};
use picket_store::{AuditFilter, Content, Deed, Kind, LogIn, Stage, Verified};
use serde_json::json;
use std::sync::Arc;

fn draft(body: &str) -> Content {
    Content {
        stage: Stage::Draft,
        body: body.to_owned(),
        projects: Vec::new(),
    }
}

fn deed(subject: &str) -> Deed {
    Deed {
        action: "log_in.refused".to_owned(),
        kind: "log_in".to_owned(),
        subject: subject.to_owned(),
        detail: json!({"from": "192.0.2.1", "tries": 0.1}),
    }
}

pub async fn every_change_has_its_entry_and_the_chain_holds(case: &Case) {
    let store = &case.store;
    assert_eq!(
        store.verify(1, 100).await.unwrap(),
        Verified::Whole { next: None }
    );
    let rule = store
        .define(Kind::Rule, "r", draft("1"), &cause("anna"))
        .await
        .unwrap();
    store
        .redefine(rule.id, 1, draft("2"), &cause("bob"))
        .await
        .unwrap();
    store.undefine(rule.id, 2, &cause("anna")).await.unwrap();
    store.record(deed("eve"), &cause("system")).await.unwrap();

    let entries = store
        .entries(&AuditFilter::default(), None, page(10))
        .await
        .unwrap()
        .items;
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.seq, entry.actor.as_str(), entry.action.as_str()))
        .collect();
    let expected = [
        (4, "system", "log_in.refused"),
        (3, "anna", "rule.delete"),
        (2, "bob", "rule.update"),
        (1, "anna", "rule.create"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(entries[3].subject, rule.id.to_string());
    assert_eq!(entries[3].reason, "for the test");
    // In parts, and from anywhere.
    assert_eq!(
        store.verify(1, 2).await.unwrap(),
        Verified::Whole { next: Some(3) }
    );
    assert_eq!(
        store.verify(3, 2).await.unwrap(),
        Verified::Whole { next: None }
    );
    assert_eq!(
        store.verify(1, 100).await.unwrap(),
        Verified::Whole { next: None }
    );
}

pub async fn a_failed_change_leaves_no_entry(case: &Case) {
    let store = &case.store;
    store
        .define(Kind::Rule, "r", draft("1"), &cause("anna"))
        .await
        .unwrap();
    store
        .define(Kind::Rule, "r", draft("1"), &cause("anna"))
        .await
        .unwrap_err();
    store
        .undefine(picket_store::new_id(), 1, &cause("anna"))
        .await
        .unwrap_err();
    let mut nameless = deed("eve");
    nameless.action = String::new();
    store.record(nameless, &cause("anna")).await.unwrap_err();
    let entries = store
        .entries(&AuditFilter::default(), None, page(10))
        .await
        .unwrap()
        .items;
    assert_eq!(entries.len(), 1);
}

pub async fn entries_written_at_once_form_one_chain(case: &Case) {
    let replicas = [Arc::clone(&case.store), case.replica().await];
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&replicas[task % 2]);
            tokio::spawn(async move {
                for number in 0..5 {
                    let deed = deed(&format!("{task}-{number}"));
                    store.record(deed, &cause("system")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = case
        .store
        .entries(&AuditFilter::default(), None, page(100))
        .await
        .unwrap();
    let seqs: Vec<_> = entries.items.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=40).rev().collect::<Vec<_>>());
    assert_eq!(
        case.store.verify(1, 100).await.unwrap(),
        Verified::Whole { next: None }
    );
}

pub async fn entries_are_found_by_actor_and_subject(case: &Case) {
    let store = &case.store;
    for name in ["a", "b", "c"] {
        store
            .make_user(name, LogIn::default(), &cause("root"))
            .await
            .unwrap();
        store.record(deed(name), &cause("system")).await.unwrap();
    }
    let filter = AuditFilter {
        actor: Some("root".to_owned()),
        ..AuditFilter::default()
    };
    let first = store.entries(&filter, None, page(2)).await.unwrap();
    assert_eq!(
        first.items.iter().map(|e| e.seq).collect::<Vec<_>>(),
        [5, 3]
    );
    let second = store.entries(&filter, first.next, page(2)).await.unwrap();
    assert_eq!(second.items.iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(second.next, None);
    let filter = AuditFilter {
        kind: Some("log_in".to_owned()),
        subject: Some("b".to_owned()),
        ..AuditFilter::default()
    };
    let found = store.entries(&filter, None, page(10)).await.unwrap().items;
    assert_eq!(found.iter().map(|e| e.seq).collect::<Vec<_>>(), [4]);
}
