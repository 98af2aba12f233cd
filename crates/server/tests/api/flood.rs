//! A rule that goes mad.

use crate::lab::Lab;
use crate::world::{NOW, alarming, digested, store};

/// In all, and in a delivery.
const FINDINGS: i64 = 100_000;
const DELIVERY: i64 = 1000;

#[test]
fn a_hundred_thousand_findings_are_one_issue() {
    let lab = Lab::with(|_| {});
    let delivery = |from: i64| {
        let one = |n: i64| alarming(&format!("f{n}"), NOW + n, "a", &[]);
        (from..from + DELIVERY).map(one).collect()
    };
    for from in (0..FINDINGS - DELIVERY).step_by(DELIVERY as usize) {
        store(&lab, delivery(from));
    }
    let issues = digested(&lab, delivery(FINDINGS - DELIVERY), FINDINGS);
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0]["reopened"], 0);
    lab.stop();
}
