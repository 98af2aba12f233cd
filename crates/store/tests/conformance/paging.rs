//! Paging through random findings with random filters equals filtering in memory.

use crate::lab::{Case, NOW, page};
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{
    Delivered, FindingColumns, FindingFilter, FindingRow, Fingerprint, NewFinding, Uuid, new_id,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

const FINDINGS: usize = 400;
const FILTERS: usize = 150;

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "é"]).prop_map(str::to_owned)
}

fn words() -> impl Strategy<Value = Vec<String>> {
    // Mostly no filter: each one narrows what the others leave.
    prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(word(), 1..3)]
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

fn disposition() -> impl Strategy<Value = Disposition> {
    prop::sample::select(vec![Disposition::Blocked, Disposition::Logged])
}

fn time() -> impl Strategy<Value = i64> {
    // Few times: many findings have the same.
    (0..20_i64).prop_map(|n| NOW + n)
}

fn columns() -> impl Strategy<Value = FindingColumns> {
    let maybe = || prop::option::of(word());
    let texts = (word(), word(), maybe(), maybe(), maybe(), maybe(), word());
    (time(), severity(), disposition(), texts).prop_map(|(time, severity, disposition, texts)| {
        let (rule, host, container, image, user, process, value) = texts;
        FindingColumns {
            time,
            severity,
            disposition,
            rule,
            host,
            container,
            image,
            user,
            process,
            fingerprint: Fingerprint { version: 1, value },
        }
    })
}

fn some<T: Clone + std::fmt::Debug>(
    one: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![4 => Just(None), 1 => prop::collection::vec(one, 1..3).prop_map(Some)]
        .prop_map(Option::unwrap_or_default)
}

fn filter(projects: Vec<Uuid>) -> impl Strategy<Value = FindingFilter> {
    let projects = prop::collection::vec(prop::sample::select(projects), 0..3);
    let projects = prop_oneof![2 => Just(None), 1 => projects.prop_map(Some)];
    let times = (prop::option::of(time()), prop::option::of(time()));
    let texts = (
        words(),
        words(),
        words(),
        words(),
        words(),
        words(),
        words(),
    );
    (
        times,
        some(severity()),
        some(disposition()),
        projects,
        texts,
    )
        .prop_map(
            |((from, until), severities, dispositions, projects, texts)| {
                let (rules, hosts, containers, images, users, processes, fingerprints) = texts;
                FindingFilter {
                    from,
                    until,
                    severities,
                    dispositions,
                    rules,
                    projects,
                    hosts,
                    containers,
                    images,
                    users,
                    processes,
                    fingerprints,
                }
            },
        )
}

/// The filter, in Rust.
fn passes(filter: &FindingFilter, columns: &FindingColumns, projects: &[Uuid]) -> bool {
    let one_of = |wanted: &[String], value: Option<&String>| {
        wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
    };
    filter.from.is_none_or(|from| columns.time >= from)
        && filter.until.is_none_or(|until| columns.time < until)
        && (filter.severities.is_empty() || filter.severities.contains(&columns.severity))
        && (filter.dispositions.is_empty() || filter.dispositions.contains(&columns.disposition))
        && one_of(&filter.rules, Some(&columns.rule))
        && one_of(&filter.hosts, Some(&columns.host))
        && one_of(&filter.containers, columns.container.as_ref())
        && one_of(&filter.images, columns.image.as_ref())
        && one_of(&filter.users, columns.user.as_ref())
        && one_of(&filter.processes, columns.process.as_ref())
        && one_of(&filter.fingerprints, Some(&columns.fingerprint.value))
        && filter
            .projects
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|project| projects.contains(project)))
}

pub async fn pages_equal_filtering_in_memory(case: &Case) {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let projects: Vec<Uuid> = (0..3).map(|_| new_id()).collect();
    let sensor = new_id();
    let of_projects = prop::collection::vec(prop::sample::select(projects.clone()), 0..3);
    let one = (columns(), of_projects);
    let all: Vec<NewFinding> = (0..FINDINGS)
        .map(|number| {
            let (columns, projects) = one.new_tree(&mut runner).unwrap().current();
            NewFinding {
                sensor,
                uid: number.to_string(),
                columns,
                projects,
                ocsf: json!({}),
                facts: json!({}),
            }
        })
        .collect();
    let delivered = case.store.store_findings(all.clone(), NOW).await.unwrap();
    let mut in_memory: Vec<(Uuid, NewFinding)> = delivered
        .into_iter()
        .zip(all)
        .map(|(answer, finding)| match answer {
            Delivered::New(id) => (id, finding),
            other => panic!("{other:?}"),
        })
        .collect();
    in_memory.sort_by_key(|(id, finding)| std::cmp::Reverse((finding.columns.time, *id)));

    let filters = (filter(projects), 1..40_u32);
    let mut matched = 0;
    for _ in 0..FILTERS {
        let (filter, rows) = filters.new_tree(&mut runner).unwrap().current();
        let expected: Vec<Uuid> = in_memory
            .iter()
            .filter(|(_, finding)| passes(&filter, &finding.columns, &finding.projects))
            .map(|(id, _)| *id)
            .collect();
        let found = walk(case, &filter, rows).await;
        let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
        assert_eq!(ids, expected, "{filter:?}, pages of {rows}");
        matched += ids.len();
    }
    // Enough was found for this to say something.
    assert!(matched > FILTERS, "{matched}");
}

async fn walk(case: &Case, filter: &FindingFilter, rows: u32) -> Vec<FindingRow> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let got = case
            .store
            .findings(filter, before, page(rows))
            .await
            .unwrap();
        assert!(got.items.len() <= rows as usize);
        found.extend(got.items);
        before = got.next;
        if before.is_none() {
            return found;
        }
    }
}
