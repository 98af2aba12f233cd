//! How long a page of findings takes.

use crate::sample;
use anyhow::Result;
use picket_model::severity::Severity;
use picket_store::{FindingCursor, FindingFilter, PageSize, Store, Uuid};
use std::time::{Duration, Instant};

/// Times that each page is read, each from another place.
const TIMES: usize = 100;
const ROWS: u32 = 50;

pub async fn measure(store: &dyn Store, findings: usize) -> Result<()> {
    let one = |text: String| vec![text];
    let all = FindingFilter::default;
    #[rustfmt::skip]
    let filters = [
        ("all", all()),
        ("a frequent rule", FindingFilter { rules: one(sample::rule(0)), ..all() }),
        ("a rare host", FindingFilter { hosts: one(sample::host(sample::HOSTS * 9 / 10)), ..all() }),
        ("critical", FindingFilter { severities: vec![Severity::Critical], ..all() }),
        ("high or critical", FindingFilter { severities: vec![Severity::High, Severity::Critical], ..all() }),
        ("host and rule", FindingFilter { hosts: one(sample::host(3)), rules: one(sample::rule(2)), ..all() }),
        ("nobody's user", FindingFilter { users: one("nobody".to_owned()), ..all() }),
        ("a small project", FindingFilter { projects: Some(vec![sample::SMALL_PROJECT]), ..all() }),
        ("two projects", FindingFilter {
            projects: Some(vec![sample::SMALL_PROJECT, sample::LARGE_PROJECT]), ..all()
        }),
    ];
    println!("\n| a page of {ROWS}, {TIMES} times | median, ms | 99th, ms |\n|---|---|---|");
    for (name, filter) in filters {
        let mut took = Vec::with_capacity(TIMES);
        for time in 0..TIMES {
            // From the newest, then from ever further back.
            let back = (findings * time / TIMES) as i64 * 1000;
            let before = FindingCursor {
                time: sample::NOW + findings as i64 * 1000 + 1_000_000 - back,
                id: Uuid::max(),
            };
            let begun = Instant::now();
            store
                .findings(&filter, Some(before), PageSize::new(ROWS)?)
                .await?;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, worst) = (ms(took[TIMES / 2]), ms(took[TIMES * 99 / 100]));
        println!("| {name} | {median:.2} | {worst:.2} |");
    }
    Ok(())
}
