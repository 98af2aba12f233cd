//! Waiting with a deadline.

use crate::guest::suite;
use anyhow::{Result, bail};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. Generous: the
/// machine may be busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The same here: everything takes longer in a guest, which is emulated.
pub fn patience() -> Duration {
    match suite::inside() {
        Some(_) => 4 * PATIENCE,
        None => PATIENCE,
    }
}

/// Between two looks at something that cannot be waited for in the kernel.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` finds something.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(patience(), what, look)
}

/// The same, with another deadline.
pub fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not within {patience:?}: {what}");
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Waits for a process to end.
pub fn for_exit(child: &mut Child, what: &str) -> Result<ExitStatus> {
    for_exit_within(patience(), child, what)
}

/// The same, with another deadline.
pub fn for_exit_within(patience: Duration, child: &mut Child, what: &str) -> Result<ExitStatus> {
    until_within(patience, &format!("the end of {what}"), || {
        Ok(child.try_wait()?)
    })
}
