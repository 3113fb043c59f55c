//! Logs as JSON lines, and where they may come from.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt as _,
};

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

/// A subscriber that writes JSON lines to `writer`.
///
/// Whatever `filter` says, other crates are heard from `info` upwards only: HTTP libraries print
/// header fields and URLs at their verbose levels, and those hold tokens.
pub(crate) fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(filter_fn(is_safe));
    tracing_subscriber::registry().with(filter).with(lines)
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(OWN_TARGET)
}

/// Sends the log of this process to standard error, panics included: a panic is told by its place,
/// since its message may hold anything.
///
/// # Errors
///
/// A sentence, when the filter is malformed or a log is already set up.
pub fn start(filter: &str) -> Result<(), String> {
    let subscriber = subscriber(parse_filter(filter)?, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|cause| cause.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic");
    }));
    Ok(())
}
