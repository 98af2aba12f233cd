//! The same on other kernels, with security hooks (BPF LSM) that refuse what the
//! host's kernel can only kill.

use anyhow::{Result, ensure};
use picket_e2e::binary::{FIRST_CREAT, FIRST_WRITE};
use picket_e2e::guest::kernel::{self, Series};
use picket_e2e::guest::suite;
use picket_e2e::{report, skipped};
use std::path::Path;
use std::time::Duration;

/// One test of each kind: starting a sensor takes seconds there.
const TESTS: [&str; 7] = [
    "storms::no_creat",
    "shapes::every_way",
    "shapes::a_fork_bomb",
    "outage::a_full_ring",
    "takeover::",
    "reload::",
    "budget::not_one_more",
];
/// An emulated machine on one that has much to do.
const LIFE: Duration = Duration::from_secs(560);

fn nothing_escapes(series: Series) -> Result<()> {
    let outcome = suite::run(series, LIFE, &TESTS, |guest| {
        for program in [FIRST_WRITE, FIRST_CREAT] {
            guest.add(Path::new(program), program)?;
        }
        Ok(())
    })?;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    let said = outcome.lines.join("\n");
    ensure!(outcome.status == 0, "{said}\n{}", outcome.console);
    // A filter that fits nothing tests nothing.
    let passed = said.matches("... ").count();
    ensure!(passed >= TESTS.len(), "{said}");
    let is_skipped = |line: &&String| line.starts_with("skipped");
    ensure!(
        !outcome.lines.iter().any(|line| is_skipped(&line)),
        "{said}"
    );
    for line in &outcome.lines {
        if line.starts_with("storm:") || line.starts_with("test ") {
            report(&format!("{}: {line}", series.0));
        }
    }
    Ok(())
}

#[test]
fn kernel_6_1_lets_nothing_escape() -> Result<()> {
    nothing_escapes(kernel::V6_1)
}

#[test]
fn kernel_6_12_lets_nothing_escape() -> Result<()> {
    nothing_escapes(kernel::V6_12)
}
