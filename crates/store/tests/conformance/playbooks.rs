use crate::lab::{Case, NOW, SECOND, cause, page};
use picket_store::{
    Begun, Content, Kind, NewRun, RunFilter, RunState, RunStep, Stage, StoreError, Uuid, new_id,
};

const HOUR: i64 = 3600 * SECOND;

async fn playbook(case: &Case) -> Uuid {
    let content = Content {
        stage: Stage::Draft,
        body: "{}".to_owned(),
        projects: Vec::new(),
    };
    let by = cause("anna");
    let made = case.store.define(Kind::Playbook, "tell", content, &by);
    made.await.unwrap().id
}

fn run(playbook: Uuid, per_hour: u32) -> NewRun {
    NewRun {
        id: new_id(),
        playbook,
        version: 1,
        name: "tell".to_owned(),
        event: "issue_opened".to_owned(),
        issue: Some(Uuid::from_u128(7)),
        finding: None,
        dry: false,
        steps: vec!["webhook".to_owned(), "note".to_owned()],
        per_hour,
    }
}

pub async fn a_run_goes_on_where_it_was(case: &Case) {
    let store = &case.store;
    let new = run(playbook(case).await, 10);
    let id = new.id;
    assert_eq!(
        store.begin_run(new.clone(), NOW).await.unwrap(),
        Begun::There
    );
    let steps = store.run_steps(id).await.unwrap();
    let done = |step: &RunStep, state| RunStep {
        state,
        attempts: 1,
        detail: "ok".to_owned(),
        ..step.clone()
    };
    let first = done(&steps[0], RunState::Succeeded);
    assert!(
        store
            .step_done(id, first, RunState::Queued, NOW)
            .await
            .unwrap()
    );
    // The job comes again: nothing is begun anew.
    assert_eq!(store.begin_run(new, NOW).await.unwrap(), Begun::There);
    let waits = done(&steps[1], RunState::WaitingApproval);
    let waiting = RunState::WaitingApproval;
    assert!(store.step_done(id, waits, waiting, NOW).await.unwrap());
    let error = store
        .approve_step(id, 0, "user:bob", NOW)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    store
        .approve_step(id, 1, "user:bob", NOW + 1)
        .await
        .unwrap();
    let steps = store.run_steps(id).await.unwrap();
    assert_eq!(steps[0].state, RunState::Succeeded);
    assert_eq!((steps[1].state, steps[1].attempts), (RunState::Queued, 1));
    assert_eq!(steps[1].approved_by.as_deref(), Some("user:bob"));
    let last = done(&steps[1], RunState::Succeeded);
    let over = RunState::Succeeded;
    assert!(
        store
            .step_done(id, last.clone(), over, NOW + 2)
            .await
            .unwrap()
    );
    // What is over stays so.
    assert!(
        !store
            .step_done(id, last, RunState::Queued, NOW + 3)
            .await
            .unwrap()
    );
    assert!(
        !store
            .end_run(id, RunState::Cancelled, "no", NOW + 3)
            .await
            .unwrap()
    );
    let found = store.run(id).await.unwrap();
    assert_eq!((found.state, found.ended_at), (over, Some(NOW + 2)));
    // Old ones go, with their steps.
    assert_eq!(store.delete_runs_before(NOW + 2, 10).await.unwrap(), 0);
    assert_eq!(store.delete_runs_before(NOW + 3, 10).await.unwrap(), 1);
    assert_eq!(store.run_steps(id).await.unwrap(), []);
}

pub async fn too_many_runs_of_an_hour_are_one_row(case: &Case) {
    let store = &case.store;
    let playbook = playbook(case).await;
    for (at, begun) in [
        (0, Begun::There),
        (1, Begun::There),
        (2, Begun::Suppressed),
        (3, Begun::Suppressed),
        // The first one is an hour old.
        (HOUR, Begun::There),
    ] {
        let found = store.begin_run(run(playbook, 2), NOW + at).await.unwrap();
        assert_eq!(found, begun, "at {at}");
    }
    let filter = RunFilter {
        playbook: Some(playbook),
        state: Some(RunState::Suppressed),
        ..RunFilter::default()
    };
    let counted = store.runs(&filter, None, page(10)).await.unwrap().items;
    assert_eq!(counted.iter().map(|run| run.count).collect::<Vec<_>>(), [2]);
    let of_issue = RunFilter {
        issue: Some(Uuid::from_u128(7)),
        state: Some(RunState::Queued),
        ..RunFilter::default()
    };
    let first = store.runs(&of_issue, None, page(2)).await.unwrap();
    let rest = store.runs(&of_issue, first.next, page(2)).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 1));
}

pub async fn a_run_that_is_ended_skips_the_rest(case: &Case) {
    let store = &case.store;
    let new = run(playbook(case).await, 10);
    let id = new.id;
    store.begin_run(new, NOW).await.unwrap();
    assert!(
        store
            .end_run(id, RunState::Cancelled, "a drill", NOW)
            .await
            .unwrap()
    );
    let steps = store.run_steps(id).await.unwrap();
    assert!(steps.iter().all(|step| step.state == RunState::Skipped));
}
