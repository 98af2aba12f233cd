//! Logs: structured, on stderr, without secrets.

use crate::config::Log;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log. Picket's own crates at the level that is asked for; of others,
/// warnings: what they tell below may hold statements and headers. A second call in a
/// process changes nothing.
pub fn init(log: Log) {
    let targets = Targets::new()
        .with_default(tracing::Level::WARN.min(log.level))
        .with_target("picket", log.level)
        .with_target("picket_server", log.level)
        .with_target("picket_store", log.level);
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(true);
    let registry = tracing_subscriber::registry().with(targets);
    // Somebody was first: their choice stands.
    let _ = if log.json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines).try_init()
    };
}
