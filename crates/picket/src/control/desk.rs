//! Requests to the running sensor, and its answers in the words of the wire.

use super::wire::{
    Answer, Budget, Bundle, ClassMode, Counted, Enforcement, Fleet, Policy, Refusal, Reply,
    Request, RuleCost, Sensor, Status,
};
use crossbeam_channel::{Sender, bounded};
use picket_model::text::Escaped;
use picket_sensor::disarm::Marker;
use picket_sensor::enforce::{self, Powers, Standing};
use picket_sensor::fleet::LineState;
use picket_sensor::live::{self, Control, Measured};
use picket_sensor::response::PolicyState;
use picket_sensor::{costs, live::Status as Force};
use std::path::PathBuf;

/// Answers for one sensor.
pub struct Desk {
    sensor: Sensor,
    control: Sender<Control>,
    /// The folder of the marker of lifted blocks.
    state: Option<PathBuf>,
    line: Line,
}

/// How the line to the server stands now.
pub type Line = Box<dyn Fn() -> Option<LineState> + Send + Sync>;

impl Desk {
    /// For this process, which is a sensor that listens to `control`.
    pub fn new(control: Sender<Control>, state: Option<PathBuf>, line: Line) -> Desk {
        Desk {
            sensor: Sensor {
                pid: std::process::id(),
                since_ns: live::epoch_ns(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            control,
            state,
            line,
        }
    }

    /// Answers one request.
    pub fn answer(&self, request: Request) -> Reply {
        let answered = match request {
            Request::Status => self.status(),
            Request::Stats => self.stats(),
            Request::ResetBudgets { policies } => {
                let pid = self.sensor.pid;
                self.ask(|answer| Control::ResetBudgets(policies, answer))
                    .map(|policies| Reply::BudgetsReset { pid, policies })
            }
        };
        answered.unwrap_or_else(|refused| refused)
    }

    fn status(&self) -> Result<Reply, Reply> {
        let force = failing(self.ask(Control::Status)?)?;
        let state = self.state.as_ref().filter(|_| force.disarmed);
        let lifted = state.and_then(|state| Marker::read(state).ok().flatten());
        Ok(Reply::Status(Box::new(Status {
            sensor: self.sensor.clone(),
            rules: force.rules,
            policies: force.policies.iter().map(policy).collect(),
            enforcement: enforcement(&force),
            disarmed: force.disarmed,
            lifted,
            fleet: (self.line)().map(fleet),
        })))
    }

    fn stats(&self) -> Result<Reply, Reply> {
        let Measured {
            stats,
            rules,
            budget_ns,
        } = failing(self.ask(Control::Measure)?)?;
        let force = failing(self.ask(Control::Status)?)?;
        Ok(Reply::Stats(Box::new(Counted {
            sensor: self.sensor.clone(),
            counters: stats,
            rule_budget_ns: budget_ns,
            rules: rules.iter().map(cost).collect(),
            enforcement: enforcement(&force),
        })))
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Control) -> Result<T, Reply> {
        let (answer, answered) = bounded(1);
        let busy = || {
            refused(
                Refusal::Busy,
                "the sensor does not get round to it, or is stopping",
            )
        };
        self.control.send(request(answer)).map_err(|_| busy())?;
        answered.recv_timeout(super::PATIENCE).map_err(|_| busy())
    }
}

fn fleet(line: LineState) -> Fleet {
    Fleet {
        server: line.server,
        connected: line.connected,
        bundle: line.applied.map(|applied| Bundle {
            scope: applied.scope,
            version: applied.version,
            expires_us: applied.expires_us,
        }),
        waiting: line.spool.findings,
        dropped: line.spool.dropped.values().sum(),
    }
}

/// A refusal in words.
pub fn refused(code: Refusal, message: impl Into<String>) -> Reply {
    Reply::Refused {
        code,
        message: message.into(),
    }
}

fn failing<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, Reply> {
    result.map_err(|error| refused(Refusal::Failed, error.to_string()))
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn policy(state: &PolicyState) -> Policy {
    let PolicyState { policy, usage } = state;
    let effects = policy.action.effects();
    Policy {
        id: policy.id.clone(),
        action: action(policy.blocks()),
        kill: effects.kill,
        deny: effects.deny,
        budget: policy.budget.map(|budget| Budget {
            actions: budget.kills,
            per_ms: milliseconds(budget.per),
            used: usage.map(|usage| usage.used),
            tripped: usage.is_some_and(|usage| usage.tripped_ms.is_some()),
            resume_after_ms: budget.resume_after.map(milliseconds),
        }),
    }
}

/// The word for what a policy does.
pub fn action(blocks: bool) -> String {
    if blocks { "block" } else { "simulate" }.to_owned()
}

fn enforcement(force: &Force) -> Vec<Enforcement> {
    let standings = force.kernel.iter().flat_map(|set| &set.standings);
    standings
        .map(|standing| enforced(standing, &force.powers))
        .collect()
}

fn enforced(standing: &Standing, powers: &Powers) -> Enforcement {
    let classes = standing.modes(powers).map(|(class, mode)| ClassMode {
        class: class.name().to_owned(),
        usual: step(&mode.usual),
        otherwise: mode.otherwise.as_ref().map(step),
        summary: mode.to_string(),
    });
    Enforcement {
        rule: standing.rule.id.clone(),
        policies: standing.policies.iter().map(|id| id.to_string()).collect(),
        blocks: standing.blocks,
        classes: classes.collect(),
    }
}

fn step(answer: &enforce::Answer) -> Answer {
    Answer {
        mode: answer.step.name().to_owned(),
        why: answer.why.iter().map(|cause| cause.to_string()).collect(),
    }
}

fn cost(cost: &costs::RuleCost) -> RuleCost {
    let stats = cost.stats;
    RuleCost {
        rule: cost.rule.id.clone(),
        events: stats.evaluations,
        candidates: stats.candidates,
        matches: stats.matches,
        undecided: stats.undecided,
        timed: stats.timed,
        timed_ns: stats.timed_ns,
        ns_per_event: stats.ns_per_event(),
        over_budget: cost.over_budget,
    }
}

/// One line on each rule under a blocking policy, and class, that is enforced less
/// than the policy asks for.
pub fn shortfalls<'s>(
    standings: impl Iterator<Item = &'s Standing>,
    powers: &Powers,
) -> Vec<String> {
    standings
        .filter(|standing| standing.blocks)
        .flat_map(|standing| {
            let modes = standing.modes(powers);
            modes
                .filter(|(_, mode)| mode.falls_short())
                .map(|(class, mode)| {
                    format!("rule {} on {class}: {mode}", Escaped(&standing.rule.id))
                })
        })
        .collect()
}
