//! Reload: the old set serves until the new one is whole.

use super::setup::{self, HostContext, PASSWD, RulePaths, Standings, summary};
use crate::console;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use picket_model::field::EventAttr;
use picket_model::{Event, Field};
use picket_sensor::fleet::BundleRules;
use picket_sensor::live::{self, Control};
use picket_sensor::loader;
use picket_sensor::watch::{FileWatch, RuleWatch};
use std::time::{Duration, Instant};

/// A save is several file operations: wait for this much silence.
const QUIET: Duration = Duration::from_millis(200);

/// A file that is written for longer is read as it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the wall clock is looked at while an exception has an end.
const CLOCK: Duration = Duration::from_secs(10);

/// After a reload that time asked for and that was refused, it is tried again.
const AGAIN_NS: i64 = 60_000_000_000;

/// What signals and the server ask for.
#[derive(Debug)]
pub enum Request {
    /// SIGHUP.
    Reload,
    /// Rules of a bundle, in place of those of the one before; the answer says
    /// whether they are in force.
    Bundle(BundleRules, Sender<Result<(), String>>),
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

/// When a set has to be made anew although nobody changed it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upkeep {
    /// The kernel's tables hold an exception that ends then, nanoseconds since the
    /// epoch.
    expires_ns: Option<i64>,
    /// They hold users by their number, and users' names may be given anew.
    users: bool,
}

impl Upkeep {
    /// Of that set.
    pub fn of(set: &loader::RuleSet) -> Upkeep {
        let Some(kernel) = &set.kernel else {
            return Upkeep::default();
        };
        Upkeep {
            expires_ns: kernel.compiled.expires_ns,
            users: set.program.uses(Field::Event(EventAttr::UserName)),
        }
    }

    fn is_due(&self) -> bool {
        self.expires_ns.is_some_and(|at| live::epoch_ns() >= at)
    }

    /// Rings when it may be due. The wall clock may be set meanwhile, so that it
    /// rings now and then before that.
    fn timer(&self) -> Receiver<Instant> {
        let Some(at) = self.expires_ns else {
            return crossbeam_channel::never();
        };
        let left = at.saturating_sub(live::epoch_ns());
        let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
        crossbeam_channel::after(left.min(CLOCK))
    }
}

/// Serves reload requests until a stop. Blocks. Who waits for an answer then gets
/// none: the requests go with it.
pub fn serve(
    mut rules: RulePaths,
    host: &HostContext,
    watch: Option<&RuleWatch>,
    mut upkeep: Upkeep,
    requests: Receiver<Request>,
    control: &Sender<Control>,
) {
    let never = crossbeam_channel::never();
    let changes = watch.map_or(&never, RuleWatch::changes);
    let (renamed, users) = bounded(1);
    let _users = FileWatch::new(&[PASSWD.into()], renamed.clone()).ok();
    let anew = |rules: &RulePaths, upkeep: &mut Upkeep| match reload(rules, host, control) {
        Ok(next) => *upkeep = next,
        Err(why) => console::error(&format!(
            "reload refused, the rules in force stay: {}",
            why.brief
        )),
    };
    loop {
        select! {
            recv(requests) -> request => match request {
                Ok(Request::Reload) => anew(&rules, &mut upkeep),
                Ok(Request::Bundle(bundle, answer)) => {
                    let before = rules.bundle.replace(bundle);
                    let answered = match reload(&rules, host, control) {
                        Ok(next) => {
                            upkeep = next;
                            Ok(())
                        }
                        Err(why) => {
                            rules.bundle = before;
                            Err(why.whole)
                        }
                    };
                    let _ = answer.send(answered);
                }
                Ok(Request::Stop) | Err(_) => {
                    let _ = control.send(Control::Stop);
                    return;
                }
            },
            recv(changes) -> _ => {
                while changes.recv_timeout(QUIET).is_ok() {}
                anew(&rules, &mut upkeep);
            }
            recv(users) -> _ => {
                while users.recv_timeout(QUIET).is_ok() {}
                if upkeep.users {
                    anew(&rules, &mut upkeep);
                }
            }
            recv(upkeep.timer()) -> _ => {
                if upkeep.is_due() {
                    upkeep.expires_ns = Some(live::epoch_ns().saturating_add(AGAIN_NS));
                    anew(&rules, &mut upkeep);
                }
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

/// Why rules were not put in force.
struct Refused {
    /// Where diagnostics were printed already.
    brief: String,
    /// With them, for one who did not see them.
    whole: String,
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused {
            brief: why.clone(),
            whole: why,
        }
    }
}

fn reload(
    rules: &RulePaths,
    host: &HostContext,
    control: &Sender<Control>,
) -> Result<Upkeep, Refused> {
    settle(rules);
    let set = rules
        .load(Some(host), &sample(control))
        .map_err(|error| Refused {
            brief: format!("{error:#}"),
            whole: setup::diagnosed(&error),
        })?;
    if set.program.rules().is_empty() {
        console::warning("the rule files hold no rule any more: nothing is detected");
    }
    let told = summary(&set);
    let standings = Standings::of(&set);
    let upkeep = Upkeep::of(&set);
    let (answer, answered) = bounded(1);
    let stopping = || "the sensor is stopping".to_owned();
    control
        .send(Control::Replace(Box::new(set), answer))
        .map_err(|_| stopping())?;
    let replaced = answered
        .recv()
        .map_err(|_| stopping())?
        .map_err(|error| format!("the kernel does not take them: {error}"))?;
    for missing in &replaced.unavailable {
        console::warning(&missing.to_string());
    }
    standings.tell_shortfalls(&replaced.powers);
    console::line(&format!("reloaded {told}"));
    Ok(upkeep)
}
