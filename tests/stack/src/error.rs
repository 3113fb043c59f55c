//! What can go wrong with a stack: each message says what happened and what to do or where to look.

use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use crate::Part;

/// Why a stack could not be started, or a command to it failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StackError {
    /// A program or file that the build prepares is missing.
    #[error("{what} is missing ({hint})")]
    NotPrepared {
        /// What is missing.
        what: String,
        /// How to get it.
        hint: &'static str,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A configuration file, a patch or an option cannot be used.
    #[error("{what}: {reason}")]
    Configuration {
        /// The file, or what else is wrong.
        what: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// An address is taken by another program.
    #[error("the address {address} of the {what} is not free: {source}")]
    AddressTaken {
        /// Whose address it would be.
        what: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A part ended before it was ready.
    #[error("{part} ended ({status}); the end of {}:\n{tail}", log.display())]
    Exited {
        /// The part.
        part: Part,
        /// How it ended.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A part runs but did not become ready in time.
    #[error(
        "{part} was not ready after {seconds} s: {last}; the end of {}:\n{tail}", log.display()
    )]
    NotReady {
        /// The part.
        part: Part,
        /// How long it was waited for.
        seconds: u64,
        /// What the last look at it gave.
        last: String,
        /// Its log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A part is not in the state that a command needs.
    #[error("{part} is {state}")]
    WrongState {
        /// The part.
        part: Part,
        /// "running already" or "not running".
        state: &'static str,
    },
    /// A stack runs in this run directory already.
    #[error("a stack is up already in {} (`make down` ends it)", run_directory.display())]
    AlreadyUp {
        /// Its run directory.
        run_directory: PathBuf,
    },
    /// An HTTP exchange with the running stack did not go as it must.
    #[error("{step}: {reason}")]
    Exchange {
        /// What was tried.
        step: String,
        /// What came instead.
        reason: String,
    },
    /// The supervisor answered with an error.
    #[error("{0}")]
    Supervisor(String),
    /// The supervisor is gone, or said something that is not an answer.
    #[error("the supervisor: {0}")]
    Protocol(String),
}

impl StackError {
    /// For `map_err`: wraps an input or output error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// A configuration that cannot be used, and why.
    pub(crate) fn configuration(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Configuration { what: what.into(), reason: reason.to_string() }
    }

    /// An exchange that did not go as it must.
    pub(crate) fn exchange(step: impl Into<String>, reason: impl ToString) -> Self {
        Self::Exchange { step: step.into(), reason: reason.to_string() }
    }
}
