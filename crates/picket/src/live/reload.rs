//! Reload: the old set serves until the new one is whole.

use super::setup::{HostContext, RulePaths, Standings, summary};
use crate::console;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use picket_model::Event;
use picket_sensor::live::Control;
use picket_sensor::loader;
use picket_sensor::watch::RuleWatch;
use std::time::{Duration, Instant};

/// A save is several file operations: wait for this much silence.
const QUIET: Duration = Duration::from_millis(200);

/// A file that is written for longer is read as it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the signals ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGHUP.
    Reload,
    /// SIGTERM, SIGINT, or the time is over.
    Stop,
}

/// Watches the rule files. Begin before they are first read: what changes
/// between the two is then taken in too.
pub fn watch(rules: &RulePaths) -> Result<Option<RuleWatch>, String> {
    let paths = rules.watched();
    if paths.is_empty() {
        return Ok(None);
    }
    RuleWatch::new(&paths).map(Some).map_err(|error| {
        format!("cannot watch the rule files ({error}): send SIGHUP after a change")
    })
}

/// Serves reload requests until a stop. Blocks.
pub fn serve(
    rules: &RulePaths,
    host: &HostContext,
    watch: Option<&RuleWatch>,
    requests: &Receiver<Request>,
    control: &Sender<Control>,
) {
    let never = crossbeam_channel::never();
    let changes = watch.map_or(&never, RuleWatch::changes);
    loop {
        select! {
            recv(requests) -> request => match request {
                Ok(Request::Reload) => reload(rules, host, control),
                Ok(Request::Stop) | Err(_) => {
                    let _ = control.send(Control::Stop);
                    return;
                }
            },
            recv(changes) -> _ => {
                while changes.recv_timeout(QUIET).is_ok() {}
                reload(rules, host, control);
            }
        }
    }
}

/// Waits until no rule file was written for a moment: a file that is being
/// written begins by being empty, and an empty file has no mistakes.
fn settle(rules: &RulePaths) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let age = loader::last_written(&rules.watched()).and_then(|at| at.elapsed().ok());
        match age.and_then(|age| QUIET.checked_sub(age)) {
            Some(rest) => std::thread::sleep(rest),
            None => return,
        }
    }
}

/// A few of the events that went by; none where the sensor has no time for it.
fn sample(control: &Sender<Control>) -> Vec<Event> {
    let (answer, answered) = bounded(1);
    let asked = control.send(Control::Sample(answer));
    asked
        .ok()
        .and_then(|()| answered.recv_timeout(PATIENCE).ok())
        .unwrap_or_default()
}

fn reload(rules: &RulePaths, host: &HostContext, control: &Sender<Control>) {
    settle(rules);
    let set = match rules.load(Some(host), &sample(control)) {
        Ok(set) => set,
        Err(error) => {
            console::error(&format!(
                "reload refused, the rules in force stay: {error:#}"
            ));
            return;
        }
    };
    if set.program.rules().is_empty() {
        console::warning("the rule files hold no rule any more: nothing is detected");
    }
    let told = summary(&set);
    let standings = Standings::of(&set);
    let (answer, answered) = bounded(1);
    if control
        .send(Control::Replace(Box::new(set), answer))
        .is_err()
    {
        return;
    }
    match answered.recv() {
        Ok(Ok(replaced)) => {
            for missing in &replaced.unavailable {
                console::warning(&missing.to_string());
            }
            standings.tell_shortfalls(&replaced.powers);
            console::line(&format!("reloaded {told}"));
        }
        Ok(Err(error)) => console::error(&format!("reload refused by the kernel: {error}")),
        Err(_) => {}
    }
}
