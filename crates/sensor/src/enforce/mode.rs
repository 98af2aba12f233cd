//! How a match is answered on this host: what its hooks can do, and how far the
//! kernel decides the rule.

use picket_engine::kernel::{Reach, Why};
use picket_model::field::{EventAttr, Field, ProcessAttr, Subject};
use picket_model::policy::Effects;
use picket_model::{ClassSet, EventClass};
use std::fmt;

/// What can be done on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Powers {
    /// Hooks of connections, sends, UDP sockets and DNS questions can end the
    /// process that is in them.
    pub kills_in_cgroups: bool,
    /// Classes whose operations security hooks (BPF LSM) refuse.
    pub refuses: ClassSet,
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
    /// A value is known only once the operation is over.
    After(Field),
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
            Cause::After(field) => {
                write!(f, "{field} is known only when the operation is over")
            }
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

/// How a rule is decided, in events of one class.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'r> {
    /// How far the kernel decides it.
    pub reach: &'r Reach,
    /// A value that it asks for and that is not known before the operation is over.
    pub after: Option<Field>,
}

impl Decision<'_> {
    /// In the kernel, by what is known there from the start.
    pub const WHOLE: Decision<'static> = Decision {
        reach: &Reach::Kernel,
        after: None,
    };

    /// The first of these fields that is not known before the operation is over.
    pub fn after(class: EventClass, mut fields: impl Iterator<Item = Field>) -> Option<Field> {
        use ProcessAttr::{Args, Capabilities, CmdLine, Euid};
        fields.find(|field| match (class, field) {
            (EventClass::ProcessExec, Field::Process(Subject::Process, attr)) => {
                matches!(attr, Args | CmdLine | Capabilities | Euid)
            }
            (EventClass::NetworkConnect, Field::Event(EventAttr::Status)) => true,
            (class, Field::Event(EventAttr::Status)) => class.is_file(),
            _ => false,
        })
    }
}

/// How a policy with these effects answers a match of a rule on an event of the
/// class, if the rule is decided so.
pub fn enforcement(
    class: EventClass,
    effects: Effects,
    decision: Decision<'_>,
    powers: &Powers,
) -> Mode {
    let Decision { reach, after } = decision;
    if powers.unseen.contains(class) {
        return Mode::always(Step::CannotBeEnforced, vec![Cause::Unseen]);
    }
    let rules = |why: &[Why]| why.iter().copied().map(Cause::Rule).collect();
    match reach {
        Reach::Kernel => by_hook(class, effects, after, powers),
        Reach::Partly(why) => by_hook(class, effects, after, powers).but_sometimes(by_sensor(
            effects,
            rules(why),
            powers,
        )),
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
    No(Cause),
}

fn refusal(class: EventClass, after: Option<Field>, powers: &Powers) -> Refusal {
    match (class, after) {
        (EventClass::NetworkConnect | EventClass::DnsQuery, _) => Refusal::Yes,
        _ if !powers.refuses.contains(class) => match class {
            EventClass::NetworkListen => Refusal::Udp,
            _ => Refusal::No(Cause::NoLsm),
        },
        (_, Some(field)) => Refusal::No(Cause::After(field)),
        (_, None) => Refusal::Yes,
    }
}

/// The answer of the hooks, which have decided.
fn by_hook(class: EventClass, effects: Effects, after: Option<Field>, powers: &Powers) -> Mode {
    // The outcome of a connection is seen long after its hook.
    if let (EventClass::NetworkConnect, Some(field)) = (class, after) {
        return Mode {
            usual: by_sensor(effects, vec![Cause::After(field)], powers),
            otherwise: None,
        };
    }
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
    match (effects.deny, effects.kill, refusal(class, after, powers)) {
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
        (true, true, Refusal::No(cause)) => {
            // It ends before its first instruction: as good as refused.
            let ends_in_time = class == EventClass::ProcessExec;
            let why = if ends_in_time { vec![] } else { vec![cause] };
            Mode::always(Step::KilledInKernel, why)
        }
        (true, false, Refusal::No(cause)) => Mode::always(Step::CannotBeEnforced, vec![cause]),
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
