use crate::lab::{Case, cause, page};
use picket_store::limits::{MAX_BODY, MAX_NAME};
use picket_store::{Content, DefinitionFilter, Kind, Stage, StoreError, Uuid};
use std::sync::Arc;

fn content(stage: Stage, body: &str, projects: &[Uuid]) -> Content {
    Content {
        stage,
        body: body.to_owned(),
        projects: projects.to_vec(),
    }
}

fn draft(body: &str) -> Content {
    content(Stage::Draft, body, &[])
}

pub async fn a_definition_keeps_all_its_versions(case: &Case) {
    let store = &case.store;
    let project = store
        .define(Kind::Project, "p", draft("env=prod"), &cause("anna"))
        .await
        .unwrap();
    let first = store
        .define(Kind::Rule, "r", draft("one"), &cause("anna"))
        .await
        .unwrap();
    let two = content(Stage::Simulate, "two", &[project.id, project.id]);
    let second = store
        .redefine(first.id, 1, two, &cause("bob"))
        .await
        .unwrap();
    assert_eq!((second.version, second.actor.as_str()), (2, "bob"));
    assert_eq!(
        second.content,
        content(Stage::Simulate, "two", &[project.id])
    );
    assert_eq!(store.definition(first.id).await.unwrap(), second);
    assert_eq!(
        store.definition_named(Kind::Rule, "r").await.unwrap(),
        second
    );
    assert!(store.definition_named(Kind::Policy, "r").await.is_err());

    store.undefine(first.id, 2, &cause("anna")).await.unwrap();
    assert!(store.definition(first.id).await.unwrap().deleted);
    assert!(
        store
            .redefine(first.id, 3, draft("x"), &cause("anna"))
            .await
            .is_err()
    );
    let versions = store.versions(first.id, None, page(2)).await.unwrap();
    assert_eq!(
        versions.items.iter().map(|v| v.version).collect::<Vec<_>>(),
        [3, 2]
    );
    assert_eq!(versions.items[1], second);
    let rest = store
        .versions(first.id, versions.next, page(2))
        .await
        .unwrap();
    assert_eq!((rest.items, rest.next), (vec![first], None));
    assert!(
        store
            .versions(picket_store::new_id(), None, page(2))
            .await
            .is_err()
    );
}

pub async fn of_two_writers_one_gets_a_conflict(case: &Case) {
    let (one, other) = (Arc::clone(&case.store), case.replica().await);
    let id = one
        .define(Kind::Rule, "r", draft("0"), &cause("anna"))
        .await
        .unwrap()
        .id;
    for version in 1..=10 {
        let (by_anna, by_bob) = (cause("anna"), cause("bob"));
        let (a, b) = tokio::join!(
            one.redefine(id, version, draft("anna's"), &by_anna),
            other.redefine(id, version, draft("bob's"), &by_bob),
        );
        let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
        let error = lost.unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict { expected, found, .. }
                if expected == version && found == version + 1),
            "{error}"
        );
        assert_eq!(one.definition(id).await.unwrap(), won.unwrap());
    }
}

pub async fn the_life_cycle_has_its_steps(case: &Case) {
    let store = &case.store;
    for stage in [Stage::Simulate, Stage::Block] {
        let new = content(stage, "", &[]);
        let error = store
            .define(Kind::Rule, "r", new, &cause("anna"))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Transition { .. }), "{error}");
    }
    let id = store
        .define(Kind::Policy, "r", draft(""), &cause("anna"))
        .await
        .unwrap()
        .id;
    let step = |version, stage| async move {
        store
            .redefine(id, version, content(stage, "", &[]), &cause("anna"))
            .await
    };
    let error = step(1, Stage::Block).await.unwrap_err();
    assert!(
        error.to_string().ends_with("cannot go from draft to block"),
        "{error}"
    );
    step(1, Stage::Simulate).await.unwrap();
    step(2, Stage::Block).await.unwrap();
    step(3, Stage::Draft).await.unwrap();
    // Lists have none.
    let list = content(Stage::Block, "", &[]);
    store
        .define(Kind::List, "l", list, &cause("anna"))
        .await
        .unwrap();
}

pub async fn names_are_unique_until_deleted(case: &Case) {
    let (store, other) = (&case.store, case.replica().await);
    let (a, b) = (cause("anna"), cause("bob"));
    let (a, b) = tokio::join!(
        store.define(Kind::Rule, "r", draft("a"), &a),
        other.define(Kind::Rule, "r", draft("b"), &b),
    );
    let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
    let error = lost.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    store
        .define(Kind::List, "r", draft("another kind"), &cause("anna"))
        .await
        .unwrap();
    store
        .undefine(won.unwrap().id, 1, &cause("anna"))
        .await
        .unwrap();
    let next = store
        .define(Kind::Rule, "r", draft("c"), &cause("anna"))
        .await
        .unwrap();
    assert_eq!(store.definition_named(Kind::Rule, "r").await.unwrap(), next);
}

pub async fn filters_and_pages(case: &Case) {
    let store = &case.store;
    let project = |name: &'static str| async move {
        store
            .define(Kind::Project, name, draft(""), &cause("anna"))
            .await
            .unwrap()
            .id
    };
    let (payments, shop) = (project("payments").await, project("shop").await);
    for (name, projects) in [("b", vec![payments]), ("a", vec![shop]), ("C", vec![])] {
        let new = content(Stage::Draft, "", &projects);
        store
            .define(Kind::Rule, name, new, &cause("anna"))
            .await
            .unwrap();
    }
    let gone = store
        .define(Kind::Rule, "gone", draft(""), &cause("anna"))
        .await
        .unwrap();
    store.undefine(gone.id, 1, &cause("anna")).await.unwrap();
    let armed = store.definition_named(Kind::Rule, "b").await.unwrap();
    let simulated = content(Stage::Simulate, "", &[payments]);
    store
        .redefine(armed.id, 1, simulated, &cause("anna"))
        .await
        .unwrap();

    let names = |filter: DefinitionFilter| async move {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = store.definitions(&filter, after, page(2)).await.unwrap();
            names.extend(page.items.into_iter().map(|found| found.name));
            after = page.next;
            if after.is_none() {
                return names.join(" ");
            }
        }
    };
    let rules = DefinitionFilter {
        kind: Some(Kind::Rule),
        ..DefinitionFilter::default()
    };
    // Byte by byte, in both.
    assert_eq!(names(rules.clone()).await, "C a b");
    assert_eq!(
        names(DefinitionFilter::default()).await,
        "C a b payments shop"
    );
    let of_payments = DefinitionFilter {
        projects: Some(vec![payments]),
        ..rules.clone()
    };
    assert_eq!(names(of_payments).await, "C b");
    let of_none = DefinitionFilter {
        projects: Some(vec![]),
        ..rules.clone()
    };
    assert_eq!(names(of_none).await, "C");
    let drafts = DefinitionFilter {
        stages: vec![Stage::Draft],
        ..rules
    };
    assert_eq!(names(drafts).await, "C a");
}

pub async fn what_is_too_long_is_refused(case: &Case) {
    let store = &case.store;
    let long = "x".repeat(MAX_NAME + 1);
    let huge = draft(&"x".repeat(MAX_BODY + 1));
    let tries = [
        (long.as_str(), draft("")),
        ("", draft("")),
        ("r", huge),
        ("r", draft("a\0b")),
    ];
    for (name, content) in tries {
        let error = store
            .define(Kind::Rule, name, content, &cause("anna"))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    }
    let most = draft(&"x".repeat(MAX_BODY));
    store
        .define(Kind::Rule, &"x".repeat(MAX_NAME), most, &cause("anna"))
        .await
        .unwrap();
}
