//! Something in every table, and a look at all of it.

use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{
    AppliedBundle, AuditFilter, Cause, Certificate, Content, DefinitionFilter, FindingColumns,
    FindingFilter, Fingerprint, Grant, Heartbeat, Kind, LogIn, Micros, NewApiToken, NewBundle,
    NewFinding, NewJob, NewJoinToken, NewSensor, PageSize, RolloutState, RuleStatus, SensorFilter,
    Stage, Store, Verified, new_id,
};
use serde_json::json;

const NOW: Micros = 1_790_000_000_000_000;

fn page() -> PageSize {
    PageSize::new(100).unwrap()
}

fn cause() -> Cause {
    Cause {
        actor: "user:anna".to_owned(),
        reason: "it's a \"test\"; é".to_owned(),
        at: NOW,
    }
}

fn content(stage: Stage, body: &str) -> Content {
    Content {
        stage,
        body: body.to_owned(),
        projects: Vec::new(),
    }
}

pub async fn fill(store: &dyn Store) {
    let by = cause();
    let selector = content(Stage::Draft, "env=prod");
    let project = store
        .define(Kind::Project, "payments", selector, &by)
        .await
        .unwrap()
        .id;
    for (kind, name) in [
        (Kind::Rule, "web-shell"),
        (Kind::Policy, "stop"),
        (Kind::List, "shells"),
    ] {
        let first = store
            .define(kind, name, content(Stage::Draft, "one\n"), &by)
            .await
            .unwrap();
        let mut second = content(Stage::Simulate, "two\n");
        second.projects = vec![project];
        store.redefine(first.id, 1, second, &by).await.unwrap();
    }
    let log_in = LogIn {
        password_hash: Some("$argon2id$…".to_owned()),
        subject: None,
    };
    let user = store.make_user("anna", log_in, &by).await.unwrap().id;
    for project in [None, Some(project)] {
        let role = "armer".to_owned();
        store
            .grant(user, Grant { project, role }, &by)
            .await
            .unwrap();
    }
    let token = NewApiToken {
        user,
        name: "ci".to_owned(),
        hash: [7; 32],
        expires_at: None,
    };
    store.make_api_token(token, &by).await.unwrap();
    let token = NewJoinToken {
        hash: [8; 32],
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        expires_at: NOW + 1,
        uses: 2,
    };
    store.make_join_token(token, &by).await.unwrap();
    let sensor = NewSensor {
        id: new_id(),
        host: "web-1".to_owned(),
        facts: json!({"kernel": "6.18", "cores": 2}),
        certificate: Certificate {
            serial: "01ab".to_owned(),
            issued_at: NOW,
            expires_at: NOW + 1,
        },
    };
    let sensor = store.enrol(&[8; 32], sensor, NOW).await.unwrap().id;
    let bundle = NewBundle {
        scope: "all".to_owned(),
        version: 3,
        key_id: "key-1".to_owned(),
        bytes: vec![0, 39, 255],
        expires_at: None,
    };
    let bundle = store.publish(bundle, &by).await.unwrap().id;
    let plan = json!({"share": 0.05});
    store
        .begin_rollout(bundle, RolloutState::Canary, plan, &by)
        .await
        .unwrap();
    let heartbeat = Heartbeat {
        sensor,
        at: NOW,
        bundle: Some(AppliedBundle {
            scope: "all".to_owned(),
            version: 3,
        }),
        health: json!({"ok": true}),
        coverage: json!({}),
    };
    store.store_heartbeats(vec![heartbeat]).await.unwrap();
    let status = RuleStatus {
        rule: "web-shell".to_owned(),
        mode: "killed in kernel".to_owned(),
        detail: None,
    };
    store
        .store_rule_status(sensor, vec![status], NOW)
        .await
        .unwrap();
    let finding = NewFinding {
        sensor,
        uid: "e1/web-shell".to_owned(),
        columns: FindingColumns {
            time: NOW,
            severity: Severity::Critical,
            disposition: Disposition::Blocked,
            rule: "web-shell".to_owned(),
            host: "web-1".to_owned(),
            container: Some("c1".to_owned()),
            image: Some("nginx".to_owned()),
            user: Some("www-data".to_owned()),
            process: Some("/usr/bin/dash".to_owned()),
            fingerprint: Fingerprint {
                version: 1,
                value: "f".to_owned(),
            },
        },
        projects: vec![project],
        ocsf: json!({"class_uid": 2004, "message": "it's"}),
        facts: json!({}),
    };
    store.store_findings(vec![finding], NOW).await.unwrap();
    let job = NewJob {
        queue: "compile".to_owned(),
        key: Some("all".to_owned()),
        payload: json!({"scope": "all"}),
        due_at: NOW,
        max_attempts: 3,
    };
    store.add_job(job, NOW).await.unwrap();
}

/// That everything is there, and can be gone on with.
pub async fn check(store: &dyn Store) {
    let everything = DefinitionFilter::default();
    let definitions = store
        .definitions(&everything, None, page())
        .await
        .unwrap()
        .items;
    let seen: Vec<_> = definitions
        .iter()
        .map(|found| {
            (
                found.name.as_str(),
                found.version,
                found.content.body.as_str(),
            )
        })
        .collect();
    let expected = [
        ("payments", 1, "env=prod"),
        ("shells", 2, "two\n"),
        ("stop", 2, "two\n"),
        ("web-shell", 2, "two\n"),
    ];
    assert_eq!(seen, expected);
    let rule = &definitions[3];
    assert_eq!(rule.content.stage, Stage::Simulate);
    assert_eq!(rule.content.projects, [definitions[0].id]);
    assert_eq!(rule.reason, cause().reason);
    let versions = store.versions(rule.id, None, page()).await.unwrap().items;
    assert_eq!(versions[1].content.body, "one\n");

    let (user, token) = store.user_of_token(&[7; 32], NOW).await.unwrap();
    assert_eq!((user.name.as_str(), token.name.as_str()), ("anna", "ci"));
    assert_eq!(store.grants(user.id).await.unwrap().len(), 2);
    let sensors = store
        .sensors(&SensorFilter::default(), None, page())
        .await
        .unwrap()
        .items;
    assert_eq!(sensors[0].facts, json!({"kernel": "6.18", "cores": 2}));
    assert_eq!(
        sensors[0]
            .heartbeat
            .as_ref()
            .unwrap()
            .bundle
            .as_ref()
            .unwrap()
            .version,
        3
    );
    assert_eq!(
        store.join_tokens(None, page()).await.unwrap().items[0].uses_left,
        1
    );
    assert_eq!(
        store.sensor_of_certificate("01ab", NOW).await.unwrap().id,
        sensors[0].id
    );
    let rules = store
        .rules_on_sensor(sensors[0].id, None, page())
        .await
        .unwrap()
        .items;
    assert_eq!(rules[0].status.mode, "killed in kernel");
    let bundle = store.bundle("all", 3).await.unwrap();
    assert_eq!(store.bundle_bytes(bundle.id).await.unwrap(), [0, 39, 255]);
    let rollouts = store
        .rollouts(None, true, None, page())
        .await
        .unwrap()
        .items;
    assert_eq!(
        (rollouts[0].bundle, &rollouts[0].plan),
        (bundle.id, &json!({"share": 0.05}))
    );

    let findings = store
        .findings(&FindingFilter::default(), None, page())
        .await
        .unwrap()
        .items;
    let first = findings.last().unwrap();
    assert_eq!(first.columns.user.as_deref(), Some("www-data"));
    let ocsf = store.findings_ocsf(&[first.id]).await.unwrap();
    assert_eq!(ocsf[0].1, json!({"class_uid": 2004, "message": "it's"}));
    assert_eq!(
        store.findings_tally().await.unwrap().findings,
        findings.len() as i64
    );
    assert!(store.next_job_due("compile").await.unwrap().is_some());

    assert_eq!(
        store.verify(1, 1000).await.unwrap(),
        Verified::Whole { next: None }
    );
    let entries = store
        .entries(&AuditFilter::default(), None, page())
        .await
        .unwrap()
        .items;
    assert!(entries.len() > 10, "{}", entries.len());
}

/// That what is new goes in beside what is old.
pub async fn go_on(store: &dyn Store) {
    let rule = store
        .definition_named(Kind::Rule, "web-shell")
        .await
        .unwrap();
    let next = content(Stage::Block, "three");
    store
        .redefine(rule.id, rule.version, next, &cause())
        .await
        .unwrap();
    assert_eq!(
        store.verify(1, 1000).await.unwrap(),
        Verified::Whole { next: None }
    );
    let jobs = store.take_jobs("compile", 1, 1, NOW).await.unwrap();
    store.finish_job(&jobs[0]).await.unwrap();
    assert_eq!(store.delete_findings_before(NOW + 1, 10).await.unwrap(), 1);
    assert_eq!(store.findings_tally().await.unwrap().findings, 0);
}
