//! What response policies made of a match, in plain words.

use super::Escaped;
use crate::datum::Datum;
use crate::event::Status;
use crate::finding::{Decision, Mechanism, Outcome, Withheld};

/// `stop-web-shells: would have killed process 4711 (simulated)`.
pub(super) fn line(decision: &Decision) -> String {
    let told = match &decision.outcome {
        Outcome::Simulated => format!("would have {} (simulated)", deed(decision)),
        Outcome::Acted {
            latency_ns,
            operation_completed,
        } => {
            let after = match latency_ns {
                Datum::Known(ns) | Datum::Truncated(ns) => format!(" after {}", duration(*ns)),
                Datum::Unknown | Datum::Absent => String::new(),
            };
            let operation = match operation_completed {
                Datum::Known(true) => "; the operation had been carried out by then",
                Datum::Known(false) => "; the operation was not carried out",
                Datum::Unknown => "; whether the operation was carried out is not known",
                Datum::Truncated(_) | Datum::Absent => "",
            };
            format!("{}{after}{operation}", deed(decision))
        }
        Outcome::Withheld(why) => format!("held back: {}", reason(why, decision.pid)),
        Outcome::Failed { errno } => {
            let error = Status(*errno);
            let attempt = infinitive(decision);
            format!("failed to {attempt}: {}", error.text())
        }
    };
    format!("{}: {told}", Escaped(&decision.policy))
}

fn deed(decision: &Decision) -> String {
    let pid = decision.pid;
    let deeds = decision.mechanisms.iter().map(|mechanism| match mechanism {
        Mechanism::KernelDeny => "denied the operation".to_owned(),
        Mechanism::KernelKill => format!("killed process {pid} in the kernel"),
        Mechanism::PidfdKill => format!("killed process {pid}"),
    });
    joined(deeds)
}

fn infinitive(decision: &Decision) -> String {
    let pid = decision.pid;
    let deeds = decision.mechanisms.iter().map(|mechanism| match mechanism {
        Mechanism::KernelDeny => "deny the operation".to_owned(),
        Mechanism::KernelKill | Mechanism::PidfdKill => format!("kill process {pid}"),
    });
    joined(deeds)
}

fn joined(deeds: impl Iterator<Item = String>) -> String {
    let deeds: Vec<String> = deeds.collect();
    match deeds.is_empty() {
        true => "act".to_owned(),
        false => deeds.join(" and "),
    }
}

fn reason(why: &Withheld, pid: u32) -> String {
    match why {
        Withheld::Protected { entry } => {
            format!("process {pid} is protected ({})", Escaped(entry))
        }
        Withheld::OutOfScope => format!("process {pid} is outside the enforcement scope"),
        Withheld::BudgetExceeded => "its budget is used up, it simulates from here on".to_owned(),
        Withheld::Disarmed => "every block was lifted by hand, it simulates".to_owned(),
        Withheld::CannotEnforce => "nothing on this host can do what it asks".to_owned(),
        Withheld::ProcessGone => format!("process {pid} had already ended"),
        Withheld::Replay => "the event comes from a recording".to_owned(),
    }
}

fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}
