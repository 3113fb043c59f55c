//! The seam: everything the logic asks of its host.

#[cfg(test)]
pub(crate) mod mock;

use std::time::Duration;

use crate::{Counter, HeaderMap, HeaderReferences, Reply, Timestamp};

/// What a proxy does for one HTTP stream.
///
/// Each call belongs to a phase of the stream, which its name tells; a call outside its phase is a
/// fault of the caller.
pub trait Host {
    /// The time, by a clock that never goes back.
    fn now(&self) -> Timestamp;

    /// The request's headers, pseudo-headers included. In the request phase only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn request_headers(&self) -> Result<HeaderMap, HostError>;

    /// Replaces the request's headers as a whole. In the request phase only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the headers are then unchanged.
    fn set_request_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError>;

    /// Marks the stream as approved, in a place that no client can write to. The proxy's own gate
    /// lets only marked streams go to an upstream.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the stream is then not approved.
    fn mark_approved(&self) -> Result<(), HostError>;

    /// Lets a paused request go on. Once a stream.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the request then stays paused.
    fn resume_request(&self) -> Result<(), HostError>;

    /// Answers the client and ends the request. Once a stream.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; nothing was answered.
    fn reply(&self, reply: &Reply) -> Result<(), HostError>;

    /// Sends a callout, whose answer comes back to this stream if the stream is still there.
    ///
    /// # Errors
    ///
    /// [`HostError`] when nothing was sent, for instance because no endpoint is healthy. No answer
    /// will come.
    fn dispatch(&self, callout: &Callout<'_>) -> Result<(), HostError>;

    /// The callout's answer. In the answer's phase only, and only where it has headers.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn callout_answer(&self, size: AnswerSize) -> Result<Answer, HostError>;

    /// The response's headers. In the response phase only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn response_headers(&self) -> Result<HeaderMap, HostError>;

    /// Replaces the response's headers as a whole. In the response phase only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the headers are then unchanged.
    fn set_response_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError>;

    /// Empties the request's trailers. In the phase of the request's trailers only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the trailers are then unchanged.
    fn drop_request_trailers(&self) -> Result<(), HostError>;

    /// Empties the response's trailers. In the phase of the response's trailers only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the trailers are then unchanged.
    fn drop_response_trailers(&self) -> Result<(), HostError>;

    /// Adds one to a counter. A counter that cannot be reached is no reason to fail a request.
    fn count(&self, counter: Counter);
}

/// A request to the token service.
pub struct Callout<'a> {
    /// The proxy's name for the service's cluster.
    pub cluster: &'a str,
    /// Headers, pseudo-headers included.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body. It holds the token.
    pub body: &'a [u8],
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

/// How much there is of an answer, known before any of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerSize {
    /// Number of headers. None at all means that there was no answer: a timeout or a reset.
    pub headers: usize,
    /// Bytes of the body.
    pub body: usize,
}

/// The answer to a callout.
pub struct Answer {
    /// The value of `:status`.
    pub status: Vec<u8>,
    /// The body. It may hold a session id.
    pub body: Vec<u8>,
}

/// The host did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host refused `{call}`")]
pub struct HostError {
    /// The call, by its name in [`Host`].
    pub call: &'static str,
}
