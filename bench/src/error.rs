//! What can go wrong: a message that says what was tried, and why it failed.

use std::path::Path;

/// Why the benchmark ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    Failed(String),
}

/// A result of this program.
pub(crate) type Result<T> = std::result::Result<T, BenchError>;

impl BenchError {
    /// For `map_err`: wraps an input or output error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: the same with a file's name.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::io(path.display().to_string())
    }
}

/// A failure with its reason.
pub(crate) fn failed<T>(reason: impl Into<String>) -> Result<T> {
    Err(BenchError::Failed(reason.into()))
}

/// For `map_err`: any other error, with what was tried.
pub(crate) fn because<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> BenchError {
    let what = what.to_owned();
    move |cause| BenchError::Failed(format!("{what}: {cause}"))
}
