//! The binary from outside: every message and exit code of the offline commands.

mod explain;
mod matching;
mod rules;
mod support;
mod usage;
