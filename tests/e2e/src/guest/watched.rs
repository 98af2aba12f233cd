//! A sensor in a guest, a script under its eyes, and what it found.

use super::kernel::Series;
use super::{Guest, Outcome, obtain};
use crate::binary::{self, CAUSE};
use crate::finding::{Finding, Part};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Starts the sensor and waits until it is armed, with shell builtins alone:
/// whatever the script executes from here on, the sensor sees (and may kill).
/// Descriptor 4 is a stdin that never ends.
const START: &str = r#"
mkfifo /messages /hold
picket sensor ARGS >/findings 2>/messages &
sensor=$!
exec 3</messages 4<>/hold
while read -r line <&3; do
    [ "$line" = ready ] && break
    echo "message: $line"
done
[ "$line" = ready ] || return 3
"#;

/// Stops it and shows what it found and said.
const STOP: &str = r#"
kill -TERM $sensor
wait $sensor
echo "sensor: $?"
while read -r line <&3; do echo "message: $line"; done
cat /findings
"#;

/// A guest with `picket` and `picket-cause` in `/bin`, or why there is none.
pub fn guest(series: Series) -> Result<Result<Guest, String>> {
    let mut guest = match obtain(series) {
        Ok(guest) => guest,
        Err(why) => return Ok(Err(why)),
    };
    guest.add_program(binary::picket()?, "/bin/picket")?;
    guest.add(Path::new(CAUSE), "/bin/picket-cause")?;
    guest.script_is_init();
    Ok(Ok(guest))
}

/// What was found.
#[derive(Debug)]
pub struct Seen {
    /// What the guest printed.
    pub outcome: Outcome,
    /// Its sensor's findings.
    pub findings: Vec<Finding>,
}

impl Seen {
    /// Runs the script as process 1 under a sensor with these arguments, which
    /// must end well.
    pub fn of(guest: &Guest, args: &str, script: &str) -> Result<Seen> {
        let start = START.replace("ARGS", args);
        let outcome = guest.run(&format!("{start}{script}{STOP}"))?;
        let findings = outcome
            .lines
            .iter()
            .filter(|line| line.starts_with('{') && line.contains("\"class_uid\":2004"))
            .map(|line| Finding::parse(line))
            .collect::<Result<_>>()?;
        let seen = Seen { outcome, findings };
        ensure!(seen.says("sensor: 0"), "{}", seen.transcript());
        Ok(seen)
    }

    /// True when the guest printed that line.
    pub fn says(&self, line: &str) -> bool {
        self.outcome.lines.iter().any(|said| said == line)
    }

    /// True when the guest printed a line that starts so.
    pub fn says_something_like(&self, start: &str) -> bool {
        self.outcome
            .lines
            .iter()
            .any(|said| said.starts_with(start))
    }

    /// Everything the guest printed, for messages.
    pub fn transcript(&self) -> String {
        let brief = |line: &String| Finding::brief(line);
        self.outcome
            .lines
            .iter()
            .map(brief)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A finding of that rule whose event is as wanted.
    pub fn finding(&self, rule: &str, is: impl Fn(Part<'_>) -> bool) -> Result<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.rule() == rule && is(finding.event()))
            .with_context(|| format!("no such finding of {rule} in\n{}", self.transcript()))
    }
}
