use crate::lab::{Case, NOW, SECOND, cause, page, secret};
use picket_store::limits::MAX_GRANTED;
use picket_store::{Content, Grant, Kind, LogIn, NewApiToken, Stage, StoreError, Subject};

fn with_password(hash: &str) -> LogIn {
    LogIn {
        password_hash: Some(hash.to_owned()),
        subject: None,
    }
}

pub async fn users_are_found_by_name_id_and_subject(case: &Case) {
    let store = &case.store;
    let subject = Subject {
        issuer: "https://id.example".to_owned(),
        subject: "4711".to_owned(),
    };
    let log_in = LogIn {
        password_hash: Some("$argon2id$x".to_owned()),
        subject: Some(subject.clone()),
    };
    let anna = store
        .make_user("anna", log_in.clone(), &cause("root"))
        .await
        .unwrap();
    assert_eq!((anna.version, &anna.log_in), (1, &log_in));
    assert_eq!(store.user(anna.id).await.unwrap(), anna);
    assert_eq!(store.user_named("anna").await.unwrap(), anna);
    assert_eq!(store.user_of_subject(&subject).await.unwrap(), anna);
    let error = store.user_named("Anna").await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");

    for (name, log_in) in [("anna", LogIn::default()), ("other", log_in)] {
        let error = store
            .make_user(name, log_in, &cause("root"))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    }
    store
        .make_user("bob", LogIn::default(), &cause("root"))
        .await
        .unwrap();
    let first = store.users(None, page(1)).await.unwrap();
    assert_eq!(first.items, [anna]);
    let second = store.users(first.next, page(1)).await.unwrap();
    assert_eq!((second.items[0].name.as_str(), second.next), ("bob", None));
}

pub async fn a_stale_change_of_a_user_is_a_conflict(case: &Case) {
    let store = &case.store;
    let user = store
        .make_user("anna", with_password("a"), &cause("root"))
        .await
        .unwrap();
    let change = |version, disabled| async move {
        store
            .change_user(
                user.id,
                version,
                with_password("b"),
                disabled,
                &cause("root"),
            )
            .await
    };
    let changed = change(1, true).await.unwrap();
    assert_eq!((changed.version, changed.disabled_at), (2, Some(NOW)));
    assert_eq!(changed.log_in, with_password("b"));
    let error = change(1, false).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Conflict {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(change(2, false).await.unwrap().disabled_at, None);
}

pub async fn grants_hold_once_and_can_be_taken_back(case: &Case) {
    let store = &case.store;
    let content = Content {
        stage: Stage::Draft,
        body: "env=prod".to_owned(),
        projects: Vec::new(),
    };
    let project = store
        .define(Kind::Project, "payments", content, &cause("root"))
        .await
        .unwrap();
    let user = store
        .make_user("anna", LogIn::default(), &cause("root"))
        .await
        .unwrap()
        .id;
    let everywhere = Grant {
        project: None,
        role: "viewer".to_owned(),
    };
    let here = Grant {
        project: Some(project.id),
        role: "armer".to_owned(),
    };
    for grant in [&here, &everywhere, &here, &everywhere] {
        store
            .grant(user, grant.clone(), &cause("root"))
            .await
            .unwrap();
    }
    assert_eq!(
        store.grants(user).await.unwrap(),
        [everywhere.clone(), here.clone()]
    );
    store
        .revoke_grant(user, everywhere.clone(), &cause("root"))
        .await
        .unwrap();
    assert_eq!(
        store.grants(user).await.unwrap(),
        std::slice::from_ref(&here)
    );
    let error = store
        .revoke_grant(user, everywhere, &cause("root"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");

    for at in 1..=MAX_GRANTED {
        let content = Content {
            stage: Stage::Draft,
            body: "env=prod".to_owned(),
            projects: Vec::new(),
        };
        let project = store
            .define(Kind::Project, &format!("p{at}"), content, &cause("root"))
            .await
            .unwrap();
        let grant = Grant {
            project: Some(project.id),
            role: "viewer".to_owned(),
        };
        let granted = store.grant(user, grant, &cause("root")).await;
        // One was there already.
        assert_eq!(granted.is_ok(), at < MAX_GRANTED, "{granted:?}");
    }
    assert_eq!(store.grants(user).await.unwrap().len(), MAX_GRANTED);

    let nobody = picket_store::new_id();
    let error = store.grant(nobody, here, &cause("root")).await.unwrap_err();
    assert!(matches!(error, StoreError::Dangling { .. }), "{error}");
}

pub async fn tokens_speak_for_their_user_until_they_end(case: &Case) {
    let store = &case.store;
    let user = store
        .make_user("anna", LogIn::default(), &cause("root"))
        .await
        .unwrap();
    let new = |name: &str, expires_at| NewApiToken {
        user: user.id,
        name: name.to_owned(),
        hash: secret(name),
        expires_at,
    };
    let short = new("short", Some(NOW + SECOND));
    let short = store.make_api_token(short, &cause("anna")).await.unwrap();
    let long = store
        .make_api_token(new("long", None), &cause("anna"))
        .await
        .unwrap();
    let error = store
        .make_api_token(new("long", None), &cause("anna"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");

    let who = store.user_of_token(&secret("short"), NOW).await.unwrap();
    assert_eq!(who, (user.clone(), short.clone()));
    assert!(
        store
            .user_of_token(&secret("short"), NOW + SECOND)
            .await
            .is_err()
    );
    assert!(store.user_of_token(&secret("none"), NOW).await.is_err());

    let uses = vec![(long.id, NOW + 2), (long.id, NOW + 1)];
    store.store_token_uses(uses).await.unwrap();
    store.store_token_uses(vec![(long.id, NOW)]).await.unwrap();
    let tokens = store
        .api_tokens(user.id, None, page(10))
        .await
        .unwrap()
        .items;
    assert_eq!(
        tokens.iter().map(|token| token.used_at).collect::<Vec<_>>(),
        [Some(NOW + 2), None]
    );

    store
        .revoke_api_token(short.id, &cause("anna"))
        .await
        .unwrap();
    assert!(store.user_of_token(&secret("short"), NOW).await.is_err());
    store
        .change_user(user.id, 1, LogIn::default(), true, &cause("root"))
        .await
        .unwrap();
    assert!(store.user_of_token(&secret("long"), NOW).await.is_err());
}
