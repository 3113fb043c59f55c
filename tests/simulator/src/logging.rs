//! JSON log lines on standard error, in which no session id, token or query can appear.

use std::str::FromStr as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogFilterError {
    /// The filter does not follow the syntax of tracing's `EnvFilter`.
    #[error("--log: {0}")]
    Syntax(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a logger already.
    #[error("logging was started twice: {0}")]
    Started(#[from] TryInitError),
}

/// Starts logging with `filter`, in the syntax of tracing's `EnvFilter` (`info`,
/// `ib_simulator=trace`).
///
/// Below `info`, libraries print header frames and whole requests, hence session ids. Whatever the
/// filter says, only this program's own lines are printed below that level.
///
/// # Errors
///
/// When `filter` is malformed, or logging has been started before.
pub fn start_logging(filter: &str) -> Result<(), LogFilterError> {
    let wanted = EnvFilter::from_str(filter)?;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_filter(wanted.and(filter_fn(may_be_printed)));
    tracing_subscriber::registry().with(lines).try_init()?;
    Ok(())
}

fn may_be_printed(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with("ib_simulator")
}
