//! The commands that watch nothing themselves, one a module: on files alone, or for
//! a sensor that runs.

pub mod completion;
pub mod config_check;
pub mod control;
pub mod explain;
mod in_kernel;
pub mod man;
pub mod match_events;
pub mod remote;
pub mod rules_check;
pub mod rules_convert;
pub mod rules_test;
pub mod server;

/// How an answer about rules is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
