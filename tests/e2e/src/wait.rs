//! Waiting with a deadline.

use anyhow::{Result, bail};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. Generous: the
/// machine may be busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that cannot be waited for in the kernel.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` finds something.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, what, look)
}

/// The same, for what may take longer.
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
    until(&format!("the end of {what}"), || Ok(child.try_wait()?))
}
