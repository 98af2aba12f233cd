//! The commands that run the pipeline: live on the kernel, or on a recording.

mod embedded;
mod feeds;
mod fleet;
mod footing;
mod metrics;
mod output;
mod outputs;
mod reload;
mod setup;

pub mod doctor;
pub mod record;
pub mod replay;
pub mod sensor;
pub mod up;

pub use setup::PASSWD;

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCSF Detection Findings, one JSON object a line.
    Json,
    /// For people, with the process tree.
    Text,
}
