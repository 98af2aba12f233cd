//! A suite of tests, in a guest: the very program that runs on the host is run there.

use super::kernel::Series;
use super::{Guest, Outcome, obtain};
use crate::binary::{self, CAUSE};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// In a guest's environment: the series of its kernel.
const INSIDE: &str = "PICKET_GUEST";

/// The series of the guest that this runs in; none on a host.
pub fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

/// Runs the tests of this program whose names contain one of `filters` in a guest,
/// one after another. What a test prints comes back in [`Outcome::lines`]; its
/// status is 0 when all passed. Or why there is no guest.
pub fn run(
    series: Series,
    life: Duration,
    filters: &[&str],
    prepare: impl FnOnce(&mut Guest) -> Result<()>,
) -> Result<Result<Outcome, String>> {
    let mut guest = match obtain(series) {
        Ok(guest) => guest,
        Err(why) => return Ok(Err(why)),
    };
    let suite = std::env::current_exe().context("this program has no path")?;
    guest.add_program(&suite, "/bin/suite")?;
    guest.add_program(binary::picket()?, "/bin/picket")?;
    guest.add(Path::new(CAUSE), CAUSE)?;
    guest.memory(2_048);
    guest.life(life);
    prepare(&mut guest)?;
    let filters = filters.join(" ");
    let series = series.0;
    guest
        .run(&format!(
            "export PICKET_BIN=/bin/picket {INSIDE}={series} RUST_BACKTRACE=0\n\
             suite --test-threads 1 --nocapture {filters}\n"
        ))
        .map(Ok)
}
