//! Logs and traces, without secrets.
//!
//! ```text
//! spans and events ─┬─► lines on stderr, text or JSON
//!                   └─► OTLP over gRPC, if [traces] says where
//! ```

mod traces;

pub use traces::TracesError;

use crate::config::{Log, Traces};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Begins to log. Picket's own crates at the level that is asked for; of others,
/// warnings: what they tell below may hold statements and headers. A second call in a
/// process changes nothing.
pub fn init(log: Log) {
    // Somebody was first: their choice stands.
    let _ = tracing_subscriber::registry().with(lines(log)).try_init();
}

/// Begins to log and to trace. Call it in a runtime that lasts as long as the server.
pub fn init_traced(log: Log, traces: Option<&Traces>) -> Result<Telemetry, TracesError> {
    let Some(traces) = traces else {
        init(log);
        return Ok(Telemetry(None));
    };
    let provider = traces::provider(traces)?;
    let registry = tracing_subscriber::registry()
        .with(lines(log))
        .with(traces::layer(&provider));
    let _ = registry.try_init();
    Ok(Telemetry(Some(provider)))
}

/// What sends spans; the last are sent when it is stopped.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sends what is left. Waits for the collector, but not for long.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(why)) = stopped {
            tracing::warn!(%why, "the last spans were not sent");
        }
    }
}

fn lines(log: Log) -> Box<dyn Layer<Registry> + Send + Sync> {
    let targets = Targets::new()
        .with_default(tracing::Level::WARN.min(log.level))
        .with_target("picket", log.level)
        .with_target("picket_server", log.level)
        .with_target("picket_store", log.level);
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(true);
    if log.json {
        Box::new(lines.json().flatten_event(true).with_filter(targets))
    } else {
        Box::new(lines.with_filter(targets))
    }
}
