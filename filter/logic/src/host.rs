//! The seam: everything the logic asks of its host.

#[cfg(test)]
pub(crate) mod mock;

use std::time::Duration;

use crate::{
    Counter, Gauge, HeaderEdits, HeaderMap, HeaderReferences, Histogram, Reply, Timestamp,
};

/// What a proxy does for one worker and its HTTP streams.
///
/// At any time one stream is the *current* one: the one whose callback is running, or the one that
/// [`Host::enter`] named. Calls about a request or a response are about the current stream, and each
/// belongs to a phase of it, which its name tells; a call outside its phase is a fault of the caller.
pub trait Host {
    /// The time, by a clock that never goes back.
    fn now(&self) -> Timestamp;

    /// The time as it was a short while ago, which may cost less than [`Host::now`]: at most a tick
    /// ([`TICK`](crate::TICK)) and never before what [`Host::now`] has given. For what is counted in seconds.
    fn recent(&self) -> Timestamp {
        self.now()
    }

    /// Makes a stream the current one, until the running callback ends or another is entered. Only
    /// from [`Gateway::on_callout_answer`](crate::Gateway::on_callout_answer) and
    /// [`Gateway::on_tick`](crate::Gateway::on_tick), and only for streams that have not ended.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host does not know the stream.
    fn enter(&self, stream: StreamId) -> Result<(), HostError>;

    /// The request's headers, pseudo-headers included. In the request's header phase, and while the
    /// request is paused there. Where `memory` has room for them, they are in it.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn request_headers(&self, memory: Vec<u8>) -> Result<HeaderMap, HostError>;

    /// Changes the request's headers. In the same phase as [`Host::request_headers`].
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; some of the changes may have been made, so the request
    /// must go no further.
    fn edit_request_headers(&self, edits: &HeaderEdits<'_>) -> Result<(), HostError>;

    /// Writes a note about the stream in a place that no client can write to: the proxy's gate, its
    /// access log and its rate limits read it.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; nothing was written.
    fn set_note(&self, note: Note, value: &[u8]) -> Result<(), HostError>;

    /// Lets a paused request go on. Once a pause.
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

    /// The first `length` bytes of the piece of the request's body that has just arrived. In the
    /// request's body phase only.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn request_body(&self, length: usize) -> Result<Vec<u8>, HostError>;

    /// The response's headers. In the response's header phase, and while the response is held.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn response_headers(&self) -> Result<HeaderMap, HostError>;

    /// Shows the response's headers, in memory of the host's own. `look` must make no call to the host. In
    /// the same phase as [`Host::response_headers`].
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn look_at_response_headers<T>(
        &self,
        look: impl FnOnce(&HeaderMap) -> T,
    ) -> Result<T, HostError>;

    /// Replaces the response's headers as a whole. In the same phase as
    /// [`Host::response_headers`].
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the headers are then unchanged.
    fn set_response_headers(&self, headers: &HeaderMap) -> Result<(), HostError>;

    /// The first `length` bytes of the response's body that have arrived and were not let go. In the
    /// response's body phase, and while the body is held.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn response_body(&self, length: usize) -> Result<Vec<u8>, HostError>;

    /// Shows those bytes, in memory of the host's own. `look` must make no call to the host. In the same
    /// phase as [`Host::response_body`].
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn look_at_response_body<T>(
        &self,
        length: usize,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, HostError>;

    /// Puts `body` in the place of those bytes, all `length` of them. In the same phase as
    /// [`Host::response_body`].
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the body is then unchanged.
    fn replace_response_body(&self, length: usize, body: &[u8]) -> Result<(), HostError>;

    /// Lets a held response go on. Once a hold.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host refuses; the response then stays held.
    fn resume_response(&self) -> Result<(), HostError>;

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

    /// Sends a callout in the worker's own name, whichever stream is current: its answer comes to
    /// [`Gateway::on_callout_answer`](crate::Gateway::on_callout_answer) whatever becomes of the
    /// stream, once, and after this call has returned.
    ///
    /// # Errors
    ///
    /// [`HostError`] when nothing was sent, for instance because no endpoint is healthy. No answer
    /// will come.
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, HostError>;

    /// The headers of a callout's answer. While the answer is handed over, and only where it has any.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn callout_headers(&self) -> Result<HeaderMap, HostError>;

    /// The first `length` bytes of the body of a callout's answer. While the answer is handed over.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host has none to give.
    fn callout_body(&self, length: usize) -> Result<Vec<u8>, HostError>;

    /// Adds to a counter. A counter that cannot be reached is no reason to fail a request.
    fn count(&self, counter: Counter, by: u64);

    /// Moves this worker's share of a gauge. The proxy adds up the shares of all workers.
    fn move_gauge(&self, gauge: Gauge, by: i64);

    /// Adds a value to a histogram, in the histogram's unit.
    fn observe(&self, histogram: Histogram, value: u64);
}

/// The host's name for an HTTP stream. No two streams of a worker have the same at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// The host's name for a callout that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutId(pub u32);

/// A note about a stream. Envoy has it as the filter state `wasm.<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// What was decided: `approved` and for whom, or `refused` and why.
    Decision,
    /// How the token was found, where that was not simply in the cache.
    Cache,
}

impl Note {
    /// The name of the property.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decision => "ib_gateway",
            Self::Cache => "ib_gateway_cache",
        }
    }
}

/// A request to another cluster.
pub struct Callout<'a> {
    /// The proxy's name for the cluster.
    pub cluster: &'a str,
    /// Headers, pseudo-headers included.
    pub headers: HeaderReferences<'a>,
    /// The body. It may hold a token.
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

/// The host did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host refused `{call}`")]
pub struct HostError {
    /// The call, by its name in [`Host`].
    pub call: &'static str,
}
