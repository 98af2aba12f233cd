//! The pipeline on the kernel's records: one thread from ring buffer to verdict.

mod control;
mod switch;

pub use control::{Control, Measured, Replaced, Status};
pub use switch::Switch;

use crate::enforce::{self, Powers};
use crate::indicators;
use crate::loader::RuleSet;
use crate::pipeline::{Emitted, Pipeline, Sink};
use crate::process::ProcessTable;
use crate::stats::Stats;
use crate::takeover::Takeover;
use crossbeam_channel::{Receiver, TryRecvError};
use picket_lang::ir::Rule;
use picket_model::field::EventAttr;
use picket_model::{ClassSet, EventClass, Field};
use picket_probe::{ProbeError, Probes, decode};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How long to wait for records before looking at the policy lane.
const POLL: Duration = Duration::from_millis(200);
/// The same while findings wait for their outcome.
const POLL_HOLDING: Duration = Duration::from_millis(10);
/// How often losses are looked at and the wall clock is followed.
const HOUSEKEEPING_NS: u64 = 1_000_000_000;

/// A recorder's tap: sees every raw record before it is decoded.
pub type Tap = Box<dyn FnMut(&[u8]) + Send>;

/// A running sensor.
pub struct Live<S> {
    /// The kernel side.
    pub probes: Probes,
    /// The stages.
    pub pipeline: Pipeline<S>,
    /// The policy lane.
    pub control: Receiver<Control>,
    /// A recorder.
    pub tap: Option<Tap>,
    /// Classes watched whatever the rules need (a recording of everything).
    pub always: ClassSet,
    /// Follows whether blocks were lifted by hand.
    pub switch: Switch,
    /// What is taken over from the run before, and left to the next.
    pub takeover: Takeover,
    /// When losses were looked at.
    pub looked: Looked,
}

/// When losses were last looked at, and whether there were some.
#[derive(Debug, Clone, Copy)]
pub struct Looked {
    boot_ns: u64,
    losing: bool,
}

impl Default for Looked {
    fn default() -> Looked {
        Looked {
            boot_ns: boot_ns(),
            losing: false,
        }
    }
}

impl Looked {
    /// Counts the time since the last look as blind, if something was lost in it.
    fn again(&mut self, now_ns: u64, losing: bool, stats: &mut Stats) {
        if losing {
            stats.blind_intervals += u64::from(!self.losing);
            stats.blind_ns += now_ns.saturating_sub(self.boot_ns);
        }
        *self = Looked {
            boot_ns: now_ns,
            losing,
        };
    }
}

impl<S: Sink> Live<S> {
    /// Fills the process table from what already runs. Call it once, before [`Live::run`].
    ///
    /// The iterator gives processes by pid, and pids wrap; by their start every
    /// process comes after the one it descends from.
    /// What programs of a run before have told comes after that: the processes that
    /// it speaks of are known then, and those that live are followed through what
    /// they did meanwhile.
    /// Then the rules under policies are put in force in the kernel, disarmed if
    /// somebody lifted every block before, and programs of a run before, which told
    /// what happened until then, leave it.
    pub fn prime(&mut self) -> Result<(), ProbeError> {
        if let Some(told) = self.switch.begin(&self.probes)? {
            self.pipeline.sink().emit(Emitted::Notice(told));
        }
        let Live {
            probes,
            pipeline,
            tap,
            always,
            takeover,
            ..
        } = self;
        take_running(probes, pipeline, tap)?;
        takeover.drain(&mut |bytes| take(bytes, pipeline, tap));
        if takeover.has_lost()? {
            // What a process runs may have changed without a word.
            take_running(probes, pipeline, tap)?;
        }
        if let Some(set) = pipeline.rules().kernel.clone() {
            probes.set_security(set.classes());
            probes.set_classes(needed(pipeline.rules()).union(*always))?;
            let policies = pipeline.rules().policies.clone();
            let slots = pipeline.responder().slots(&policies);
            let protected = pipeline.responder().protected().clone();
            enforce::arm(
                probes,
                &set,
                &slots,
                &protected,
                &mut Taking {
                    pipeline,
                    tap,
                    takeover,
                },
            )?;
        }
        let notices = takeover.complete(probes, boot_ns(), &mut |bytes, cut| {
            take_if(bytes, pipeline, tap, |boot_ns| boot_ns < cut);
        })?;
        for notice in notices {
            pipeline.sink().emit(Emitted::Notice(notice));
        }
        Ok(())
    }

    /// Runs until told to stop; gives the final counters.
    pub fn run(mut self) -> Result<Stats, ProbeError> {
        let mut next_housekeeping = 0;
        loop {
            let stop = self.control()?;
            let Live {
                probes,
                pipeline,
                tap,
                takeover,
                ..
            } = &mut self;
            let wait = if pipeline.is_holding() {
                POLL_HOLDING
            } else {
                POLL
            };
            probes.poll(wait, &mut |bytes| {
                take_if(bytes, pipeline, tap, |boot_ns| takeover.is_ours(boot_ns));
            })?;
            let now = boot_ns();
            self.pipeline.tick(now);
            if now >= next_housekeeping || stop {
                next_housekeeping = now + HOUSEKEEPING_NS;
                self.housekeeping()?;
            }
            if stop {
                self.pipeline.finish();
                self.takeover.end(self.pipeline.responder().has_acted());
                return Ok(self.pipeline.stats);
            }
        }
    }

    /// Takes what came by the policy lane; true when it is time to stop.
    fn control(&mut self) -> Result<bool, ProbeError> {
        loop {
            match self.control.try_recv() {
                Ok(Control::Replace(rules, answer)) => {
                    let _ = answer.send(self.replace(*rules));
                }
                Ok(Control::Sample(answer)) => {
                    let _ = answer.send(self.pipeline.sample());
                }
                Ok(Control::Descendants(of, answer)) => {
                    let table = self.pipeline.assembler().table();
                    let _ = answer.send(table.descendants(of));
                }
                Ok(Control::Measure(answer)) => {
                    let _ = answer.send(self.measure());
                }
                Ok(Control::Status(answer)) => {
                    let _ = answer.send(self.status());
                }
                Ok(Control::ResetBudgets(mut policies, answer)) => {
                    policies.retain(|policy| self.pipeline.responder().reset_budget(policy));
                    let _ = answer.send(policies);
                }
                Ok(Control::Stop) | Err(TryRecvError::Disconnected) => return Ok(true),
                Err(TryRecvError::Empty) => return Ok(false),
            }
        }
    }

    /// New hooks are attached before the new rules serve and old ones detached
    /// after: at no moment does a rule in force lack its events, nor a block its
    /// hook.
    fn replace(&mut self, rules: RuleSet) -> Result<Replaced, ProbeError> {
        let before = self.needed(self.pipeline.rules());
        let after = self.needed(&rules);
        let decided = |rules: &RuleSet| rules.kernel.as_ref().map(|set| set.classes());
        let kept = decided(self.pipeline.rules()).unwrap_or_default();
        let coming = decided(&rules).unwrap_or_default();
        self.probes.set_security(kept.union(coming));
        self.probes
            .set_connect_status(needs_connect_status(&rules))?;
        let unavailable = self.probes.set_classes(before.union(after))?;
        let urgent = urgent(&rules);
        self.probes.set_urgent(urgent)?;
        self.enforce(&rules)?;
        self.pipeline.replace(rules);
        self.probes.set_security(coming);
        if before.union(after) != after || kept.union(coming) != coming {
            self.probes.set_classes(after)?;
        }
        Ok(Replaced {
            unavailable,
            powers: self.powers(),
        })
    }

    /// What can be done here about matches.
    pub fn powers(&self) -> Powers {
        let unavailable = self.probes.unavailable().iter();
        Powers {
            kills_in_cgroups: self.probes.kills_in_cgroups(),
            refuses: self.probes.refuses(),
            pidfd: pidfd_open(getpid(), PidfdFlags::empty()).is_ok(),
            unseen: unavailable.map(|lost| lost.class).collect(),
        }
    }

    fn measure(&mut self) -> Result<Measured, ProbeError> {
        self.count()?;
        let (rules, budget_ns) = self.pipeline.costs().unwrap_or_default();
        Ok(Measured {
            stats: self.pipeline.stats.clone(),
            rules,
            budget_ns,
        })
    }

    fn status(&mut self) -> Result<Status, ProbeError> {
        let rules = self.pipeline.rules();
        let powers = self.powers();
        Ok(Status {
            states: enforce::states(rules.program.rules(), rules.kernel.as_deref(), &powers),
            rules: rules.program.rules().len(),
            policies: self.pipeline.responder().policies(boot_ns() / 1_000_000),
            kernel: rules.kernel.clone(),
            powers,
            disarmed: self.probes.is_disarmed()?,
        })
    }

    /// Puts the rules under policies in force in the kernel.
    fn enforce(&mut self, rules: &RuleSet) -> Result<(), ProbeError> {
        let Some(set) = &rules.kernel else {
            return self.probes.disengage();
        };
        let slots = self.pipeline.responder().slots(&rules.policies);
        let protected = self.pipeline.responder().protected().clone();
        let mut records = Taking {
            pipeline: &mut self.pipeline,
            tap: &mut self.tap,
            takeover: &mut self.takeover,
        };
        enforce::arm(&mut self.probes, set, &slots, &protected, &mut records)?;
        Ok(())
    }

    fn needed(&self, rules: &RuleSet) -> ClassSet {
        needed(rules).union(self.always)
    }

    fn housekeeping(&mut self) -> Result<(), ProbeError> {
        self.pipeline
            .assembler()
            .set_epoch_offset(epoch_offset_ns());
        if let Some(told) = self.switch.look(&self.probes)? {
            self.pipeline.sink().emit(Emitted::Notice(told));
        }
        self.pipeline.look_at_costs();
        self.pipeline.look_at_budgets(boot_ns());
        self.count()
    }

    /// Takes in what the kernel counted.
    fn count(&mut self) -> Result<(), ProbeError> {
        let drops = self.probes.drops()?;
        let lost_before = Stats::total(&self.pipeline.stats.lost);
        let losing = drops.total() > lost_before;
        let stats = &mut self.pipeline.stats;
        self.looked.again(boot_ns(), losing, stats);
        if losing {
            let text = format!(
                "the kernel had no room for {} records ({drops}): what they said was not judged",
                drops.total() - lost_before
            );
            self.pipeline.sink().emit(Emitted::Notice(text));
        }
        let counts = |counts: &[picket_probe::Count]| {
            counts
                .iter()
                .map(|count| (count.name.to_owned(), count.count))
                .collect()
        };
        self.pipeline.stats.lost = counts(&drops.0);
        self.pipeline.stats.read_errors = counts(&self.probes.errors()?.0);
        Ok(())
    }
}

/// The classes a set of rules needs; those without a cost of their own are
/// always watched, since process and name tables need them.
pub fn needed(rules: &RuleSet) -> ClassSet {
    let file = ClassSet::from_iter(EventClass::FILE);
    let always: ClassSet = EventClass::ALL
        .into_iter()
        .filter(|class| !class.is_file())
        .collect();
    always.union(rules.program.classes().intersection(file))
}

/// Whether a rule on connections asks for their outcome: those that fail at
/// once (no route, say) can only be seen at the end of the system call.
pub fn needs_connect_status(rules: &RuleSet) -> bool {
    let mut found = false;
    let connects = |rule: &&Rule| rule.classes.contains(&EventClass::NetworkConnect);
    for rule in rules.program.rules().iter().filter(connects) {
        let exceptions = rule.exceptions.iter().map(|exception| &exception.condition);
        for condition in exceptions.chain([&rule.condition]) {
            condition.predicates(&mut |predicate| {
                found |= predicate.field == Field::Event(EventAttr::Status);
            });
        }
    }
    found
}

/// The classes whose records must wake the sensor at once: those of rules that a
/// blocking policy may answer, and that the kernel does not decide. (A record
/// that it tried and could not decide wakes the sensor by itself.) What feeds list
/// is found here, not in the kernel: under a blocking policy it is urgent too.
pub fn urgent(rules: &RuleSet) -> ClassSet {
    let kernel = rules.kernel.as_ref();
    let kernel = kernel.map_or(ClassSet::EMPTY, |kernel| kernel.urgent());
    match &rules.indicators {
        Some(listed)
            if rules
                .policies
                .iter()
                .any(|policy| listed.blocked_by(policy)) =>
        {
            kernel.union(indicators::CLASSES.into_iter().collect())
        }
        _ => kernel,
    }
}

/// Takes records in while rules are being armed.
struct Taking<'l, S> {
    pipeline: &'l mut Pipeline<S>,
    tap: &'l mut Option<Tap>,
    takeover: &'l mut Takeover,
}

impl<S: Sink> enforce::Records for Taking<'_, S> {
    fn drain(&mut self, probes: &mut Probes) -> Result<(), ProbeError> {
        let Taking {
            pipeline,
            tap,
            takeover,
        } = self;
        takeover.drain(&mut |bytes| take(bytes, pipeline, tap));
        // Programs of a run before have told it all, as long as they are in force.
        let ours = |boot_ns| !takeover.found_any() && takeover.is_ours(boot_ns);
        let mut each = |bytes: &[u8]| take_if(bytes, pipeline, tap, ours);
        // What was there when it began: a flood cannot keep it here.
        probes.poll(Duration::ZERO, &mut each)?;
        Ok(())
    }

    fn table(&mut self) -> &ProcessTable {
        self.pipeline.assembler().table()
    }
}

/// Takes in what runs now, in the order in which it was started.
fn take_running<S: Sink>(
    probes: &mut Probes,
    pipeline: &mut Pipeline<S>,
    tap: &mut Option<Tap>,
) -> Result<(), ProbeError> {
    let mut running = Vec::new();
    probes.running(&mut |bytes| {
        let key = decode(bytes)
            .map(|record| record.task.key)
            .unwrap_or_default();
        running.push((key.start_ns, key.pid, bytes.to_vec()));
    })?;
    running.sort_unstable_by_key(|(start_ns, pid, _)| (*start_ns, *pid));
    for (_, _, bytes) in &running {
        take(bytes, pipeline, tap);
    }
    Ok(())
}

fn take<S: Sink>(bytes: &[u8], pipeline: &mut Pipeline<S>, tap: &mut Option<Tap>) {
    take_if(bytes, pipeline, tap, |_| true);
}

/// The same, if the time of the record is wanted.
fn take_if<S: Sink>(
    bytes: &[u8],
    pipeline: &mut Pipeline<S>,
    tap: &mut Option<Tap>,
    wanted: impl Fn(u64) -> bool,
) {
    let record = match decode(bytes) {
        Ok(record) if !wanted(record.boot_ns) => return,
        record => record,
    };
    if let Some(tap) = tap {
        tap(bytes);
    }
    match record {
        Ok(record) => pipeline.record(record),
        Err(_) => pipeline.stats.bad_records += 1,
    }
}

/// Nanoseconds since boot, suspend included, as in the kernel's records.
pub fn boot_ns() -> u64 {
    u64::try_from(nanoseconds(ClockId::Boottime)).unwrap_or(0)
}

/// Nanoseconds since the epoch.
pub fn epoch_ns() -> i64 {
    nanoseconds(ClockId::Realtime)
}

/// What to add to boot time to get time since the epoch.
pub fn epoch_offset_ns() -> i64 {
    nanoseconds(ClockId::Realtime) - nanoseconds(ClockId::Boottime)
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
