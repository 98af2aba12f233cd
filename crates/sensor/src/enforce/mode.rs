//! How a match is answered on this host: what its hooks can do, and how far the
//! kernel decides the rule.

use picket_engine::kernel::{Reach, Why};
use picket_model::policy::Effects;
use picket_model::{ClassSet, EventClass};
use std::fmt;

/// What can be done on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Powers {
    /// Hooks of connections, sends, UDP sockets and DNS questions can end the
    /// process that is in them.
    pub kills_in_cgroups: bool,
    /// Security hooks (BPF LSM) refuse executions, file operations and listening.
    pub lsm: bool,
    /// The sensor can kill without mistaking another process for the one meant.
    pub pidfd: bool,
    /// Classes of which not every event is seen.
    pub unseen: ClassSet,
}

/// What is done about a match, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A hook refuses the operation; where the policy kills too, the process ends.
    DeniedInKernel,
    /// A hook ends the process.
    KilledInKernel,
    /// The sensor ends the process, after the event.
    KilledFromUserSpace,
    /// Nothing: the match is only told.
    CannotBeEnforced,
}

impl Step {
    /// The word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Step::DeniedInKernel => "denied_in_kernel",
            Step::KilledInKernel => "killed_in_kernel",
            Step::KilledFromUserSpace => "killed_from_user_space",
            Step::CannotBeEnforced => "cannot_be_enforced",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::DeniedInKernel => "denied in kernel",
            Step::KilledInKernel => "killed in kernel",
            Step::KilledFromUserSpace => "killed from user space",
            Step::CannotBeEnforced => "cannot be enforced",
        })
    }
}

/// Why less is done than the policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The kernel cannot decide the rule.
    Rule(Why),
    /// Its tables have no room for the rule.
    NoRoom,
    /// Only a security hook could refuse such an operation.
    NoLsm,
    /// Only a security hook could refuse that a TCP socket listens; a UDP socket's
    /// bind is refused without.
    NoLsmForTcp,
    /// Its cgroup hooks cannot end a process.
    NoKillInCgroups,
    /// The same, of a process whose operation was refused.
    KilledLater,
    /// There is no pidfd.
    NoPidfd,
    /// Not every event of the class is seen.
    Unseen,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Rule(why) => write!(f, "{why}"),
            Cause::NoRoom => f.write_str("the kernel's tables have no room for the rule"),
            Cause::NoLsm => f.write_str("no security hook (BPF LSM) refuses it here"),
            Cause::NoLsmForTcp => f.write_str(
                "a UDP bind is refused, but no security hook (BPF LSM) here refuses that a TCP socket listens",
            ),
            Cause::NoKillInCgroups => {
                f.write_str("this kernel's cgroup hooks cannot end a process")
            }
            Cause::KilledLater => f.write_str(
                "the process itself is killed from user space, since this kernel's cgroup hooks cannot end it",
            ),
            Cause::NoPidfd => f.write_str("this kernel has no pidfd"),
            Cause::Unseen => f.write_str("not every event of this class is seen here"),
        }
    }
}

/// A step, and why it is not a stronger one (or not all of what is asked).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is done.
    pub step: Step,
    /// What keeps it from being more; empty where nothing does.
    pub why: Vec<Cause>,
}

/// How matches of a rule are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// In most events.
    pub usual: Answer,
    /// In the others, where there are any.
    pub otherwise: Option<Answer>,
}

impl Mode {
    fn always(step: Step, why: Vec<Cause>) -> Mode {
        Mode {
            usual: Answer { step, why },
            otherwise: None,
        }
    }

    /// Whether less is done than the policy asks for, always or at times.
    pub fn falls_short(&self) -> bool {
        !self.usual.why.is_empty() || self.otherwise.is_some()
    }

    /// The same, but in some events only what `less` says.
    fn but_sometimes(mut self, less: Answer) -> Mode {
        self.otherwise = Some(match self.otherwise.take() {
            None => less,
            Some(own) => {
                let mut why = own.why;
                why.extend(less.why);
                Answer {
                    step: own.step.max(less.step),
                    why,
                }
            }
        });
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        for (at, cause) in self.why.iter().enumerate() {
            let before = if at == 0 { ": " } else { "; " };
            write!(f, "{before}{cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.usual)?;
        match &self.otherwise {
            Some(otherwise) => write!(f, "; in some events {otherwise}"),
            None => Ok(()),
        }
    }
}

/// How a policy with these effects answers a match of a rule on an event of the
/// class, if the kernel decides the rule so far.
pub fn enforcement(class: EventClass, effects: Effects, reach: &Reach, powers: &Powers) -> Mode {
    if powers.unseen.contains(class) {
        return Mode::always(Step::CannotBeEnforced, vec![Cause::Unseen]);
    }
    let rules = |why: &[Why]| why.iter().copied().map(Cause::Rule).collect();
    match reach {
        Reach::Kernel => by_hook(class, effects, powers),
        Reach::Partly(why) => {
            by_hook(class, effects, powers).but_sometimes(by_sensor(effects, rules(why), powers))
        }
        Reach::User(why) => Mode {
            usual: by_sensor(effects, rules(why), powers),
            otherwise: None,
        },
        Reach::NoRoom => Mode {
            usual: by_sensor(effects, vec![Cause::NoRoom], powers),
            otherwise: None,
        },
    }
}

/// The sensor's own answer, where the kernel's is ruled out by `why`.
fn by_sensor(effects: Effects, mut why: Vec<Cause>, powers: &Powers) -> Answer {
    let kills = effects.kill && powers.pidfd;
    if effects.kill && !powers.pidfd {
        why.push(Cause::NoPidfd);
    }
    Answer {
        step: if kills {
            Step::KilledFromUserSpace
        } else {
            Step::CannotBeEnforced
        },
        why,
    }
}

/// Whether the hooks of a class refuse the operation.
enum Refusal {
    Yes,
    /// Of UDP sockets only.
    Udp,
    No,
}

fn refusal(class: EventClass, powers: &Powers) -> Refusal {
    match class {
        EventClass::NetworkConnect | EventClass::DnsQuery => Refusal::Yes,
        _ if powers.lsm => Refusal::Yes,
        EventClass::NetworkListen => Refusal::Udp,
        _ => Refusal::No,
    }
}

/// The answer of the hooks, which have decided.
fn by_hook(class: EventClass, effects: Effects, powers: &Powers) -> Mode {
    let in_cgroups = match class {
        EventClass::NetworkConnect | EventClass::NetworkListen | EventClass::DnsQuery => true,
        EventClass::ProcessExec
        | EventClass::FileOpen
        | EventClass::FileCreate
        | EventClass::FileRename
        | EventClass::FileDelete
        | EventClass::FileChmod => false,
    };
    let kills = !in_cgroups || powers.kills_in_cgroups;
    let late = || by_sensor(effects, vec![Cause::NoKillInCgroups], powers);
    let denied = || {
        let why = match (effects.kill && !kills, powers.pidfd) {
            (false, _) => vec![],
            (true, true) => vec![Cause::KilledLater],
            (true, false) => vec![Cause::NoKillInCgroups, Cause::NoPidfd],
        };
        Mode::always(Step::DeniedInKernel, why)
    };
    match (effects.deny, effects.kill, refusal(class, powers)) {
        (true, _, Refusal::Yes) => denied(),
        (true, kill, Refusal::Udp) => {
            // TCP enters LISTEN outside of the cgroup hooks.
            denied().but_sometimes(Answer {
                step: if kill {
                    Step::KilledInKernel
                } else {
                    Step::CannotBeEnforced
                },
                why: vec![Cause::NoLsmForTcp],
            })
        }
        (true, true, Refusal::No) => {
            // It ends before its first instruction: as good as refused.
            let ends_in_time = class == EventClass::ProcessExec;
            let why = if ends_in_time {
                vec![]
            } else {
                vec![Cause::NoLsm]
            };
            Mode::always(Step::KilledInKernel, why)
        }
        (true, false, Refusal::No) => Mode::always(Step::CannotBeEnforced, vec![Cause::NoLsm]),
        (false, true, _) if kills => Mode::always(Step::KilledInKernel, Vec::new()),
        (false, true, Refusal::Udp) => {
            Mode::always(Step::KilledInKernel, Vec::new()).but_sometimes(late())
        }
        (false, true, _) => Mode {
            usual: late(),
            otherwise: None,
        },
        // No policy is without effects.
        (false, false, _) => Mode::always(Step::CannotBeEnforced, Vec::new()),
    }
}

#[cfg(test)]
mod tests;
