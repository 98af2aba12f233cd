//! The commands that work on files alone, one a module.

pub mod completion;
pub mod explain;
pub mod man;
pub mod match_events;
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
