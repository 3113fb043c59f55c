//! Logs as JSON lines, where they may come from, and traces.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
};

use crate::settings::{Settings, TelemetrySettings};

mod traces;

use traces::Exporter;
pub(crate) use traces::{TRACES, carry_on, trace_headers};

/// The crate whose debug and trace lines are known to hold no secret.
const OWN_TARGET: &str = "ib_oauth";

/// Reads the `log` setting.
///
/// # Errors
///
/// A sentence about what is wrong with it.
pub(crate) fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(text).map_err(|cause| cause.to_string())
}

/// A subscriber that writes JSON lines to `writer`, and hands spans to the collector of the settings.
///
/// Whatever `filter` says, other crates are heard from `info` upwards only: HTTP libraries print
/// header fields and URLs at their verbose levels, and those hold tokens.
pub(crate) fn build<W>(
    filter: EnvFilter,
    settings: &TelemetrySettings,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, Telemetry), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(filter.and(filter_fn(is_safe)));
    let endpoint = settings.otlp_endpoint.as_deref();
    let exporter = endpoint.map(|endpoint| Exporter::start(settings, endpoint)).transpose()?;
    let spans = exporter.as_ref().map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TRACES))
    });
    Ok((tracing_subscriber::registry().with(spans).with(lines), Telemetry(exporter)))
}

/// The log and the traces of this process.
#[must_use = "spans are lost unless it is ended"]
pub struct Telemetry(Option<Exporter>);

impl Telemetry {
    /// Sends the last spans, within some seconds.
    pub fn end(self) {
        if let Some(exporter) = self.0 {
            exporter.end();
        }
    }
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    let is_for_traces = metadata.target() == TRACES;
    !is_for_traces
        && (*metadata.level() <= Level::INFO || metadata.target().starts_with(OWN_TARGET))
}

/// Sends the log of this process to standard error, panics included: a panic is told by its place,
/// since its message may hold anything.
///
/// # Errors
///
/// A sentence, when the exporter cannot be made or a log is already set up.
pub fn start(settings: &Settings) -> Result<Telemetry, String> {
    let filter = parse_filter(&settings.log)?;
    let (subscriber, telemetry) = build(filter, &settings.telemetry, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|cause| cause.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic");
    }));
    Ok(telemetry)
}
