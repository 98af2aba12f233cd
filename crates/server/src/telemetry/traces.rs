//! Spans to a collector: OTLP over gRPC.

use crate::config::Traces;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::time::Duration;
use tonic::transport::ClientTlsConfig;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// One delivery to the collector.
const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "picket-server";

/// Traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {endpoint}: {why}")]
pub struct TracesError {
    endpoint: String,
    why: String,
}

/// The collector is connected to when there is something for it: the server starts
/// without it. Headers that it wants stand in `OTEL_EXPORTER_OTLP_HEADERS`, where no
/// configuration file shows them.
pub(super) fn provider(traces: &Traces) -> Result<SdkTracerProvider, TracesError> {
    let builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&traces.endpoint)
        .with_timeout(PATIENCE);
    let builder = match traces.endpoint.starts_with("https://") {
        true => builder.with_tls_config(ClientTlsConfig::new().with_native_roots()),
        false => builder,
    };
    let exporter = builder.build().map_err(|why| TracesError {
        endpoint: traces.endpoint.clone(),
        why: why.to_string(),
    })?;
    let resource = Resource::builder_empty()
        .with_service_name(NAME)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let share = Sampler::TraceIdRatioBased(traces.share);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource)
        .build())
}

/// The server's own spans: others' may hold statements.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let targets = Targets::new().with_target("picket_server", tracing::Level::INFO);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(NAME))
        .with_location(false)
        .with_threads(false)
        .with_filter(targets)
}
