//! The binary from outside: every message and exit code of the offline commands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod actions;
mod control;
mod exceptions;
mod explain;
mod golden;
mod issues;
mod matching;
mod playbooks;
mod promote;
mod reference;
mod rules;
mod server;
mod support;
mod units;
mod usage;
