//! What a test and its supervisor say to each other: one JSON value a line, one answer a request.

use serde::{Deserialize, Serialize};

use crate::{Addresses, Part, StackOptions};

/// What the test asks for. The first request is `Start`, and only the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Starts the whole stack and waits until it is ready.
    Start(Box<StackOptions>),
    /// Starts a part that was killed, and waits until it is ready.
    StartPart(Part),
    /// Kills a part and waits until it is gone.
    Kill(Part),
    /// Stops a part's execution (SIGSTOP).
    Pause(Part),
    /// Lets a paused part go on (SIGCONT).
    Resume(Part),
    /// Asks for a part's process id.
    ProcessId(Part),
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// The stack is ready.
    Started(Box<Addresses>),
    /// The command was carried out.
    Done,
    /// The part's process id, if it runs.
    ProcessId(Option<u32>),
    /// The command failed, and why.
    Failed(String),
}
