//! What can go wrong between the loader and the kernel.

use picket_model::EventClass;
use std::fmt;

/// The kernel programs could not be loaded, attached or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// This kernel, or this user's rights on it, lack something the programs need.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// What is missing.
        what: String,
        /// What the reader can do about it.
        remedy: String,
    },
    /// The kernel refused the programs; `log` is the verifier's last words.
    #[error("the kernel refused the eBPF programs: {source}{}", log_suffix(.log))]
    Load {
        /// The refusal.
        source: libbpf_rs::Error,
        /// The end of libbpf's and the verifier's log; may be empty.
        log: String,
    },
    /// The kernel took the programs but for this one.
    #[error("the eBPF program {program} does not run here: {reason}")]
    Refused {
        /// The program's name in the object.
        program: String,
        /// Why.
        reason: String,
    },
    /// A program that is always needed could not be attached.
    #[error("cannot attach {program}: {source}")]
    Attach {
        /// The program's name in the object.
        program: String,
        /// The refusal.
        source: libbpf_rs::Error,
    },
    /// The enforcement scope is not a cgroup2 directory.
    #[error("cannot use {path} as the scope: {reason}")]
    Scope {
        /// The directory asked for.
        path: std::path::PathBuf,
        /// Why it does not serve.
        reason: String,
    },
    /// More than the kernel's tables hold.
    #[error("{what}: more than {limit} bytes")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// Reading the ring buffer, a map or the task iterator failed.
    #[error("cannot read {what}: {source}")]
    Read {
        /// What was read.
        what: &'static str,
        /// The refusal.
        source: libbpf_rs::Error,
    },
}

fn log_suffix(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("\n{log}")
    }
}

/// Something that was asked for and is not seen on this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The class that is not seen, or not in full.
    pub class: EventClass,
    /// The program that could not be attached.
    pub program: &'static str,
    /// Why, and what to do about it.
    pub reason: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} is not attached: {}",
            self.class, self.program, self.reason
        )
    }
}
