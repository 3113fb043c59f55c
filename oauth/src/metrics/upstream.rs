//! Questions to IntelligenceBank and to other upstreams.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};

const REQUESTS: &str = "oauth_upstream_requests_total";
const DURATIONS: &str = "oauth_upstream_request_duration_seconds";

/// What IntelligenceBank is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UpstreamRequest {
    /// For a login URL.
    Begin,
    /// For the session of a login.
    Read,
    /// To end a session.
    End,
    /// For a token of a machine credential, at its own upstream.
    Acquire,
}

impl UpstreamRequest {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Read => "read",
            Self::End => "end",
            Self::Acquire => "acquire",
        }
    }
}

impl Metrics {
    /// `outcome` is a word of the service's own.
    pub(crate) fn upstream(&self, request: UpstreamRequest, outcome: &'static str, took: Duration) {
        let request = request.label();
        self.count(REQUESTS, &[("request", request), ("outcome", outcome)], 1);
        let key = Key::from_parts(DURATIONS, vec![Label::from_static_parts("request", request)]);
        self.recorder.register_histogram(&key, &METADATA).record(took.as_secs_f64());
    }

    pub(super) fn describe_upstream(&self) {
        let help = SharedString::from("Questions to upstreams, by request and outcome.");
        self.recorder.describe_counter(KeyName::from(REQUESTS), Some(Unit::Count), help);
        let help = SharedString::from("Time until an upstream answered or did not.");
        self.recorder.describe_histogram(KeyName::from(DURATIONS), Some(Unit::Seconds), help);
        for request in [UpstreamRequest::Begin, UpstreamRequest::Read, UpstreamRequest::End] {
            for outcome in ["unreachable", "limited"] {
                self.count(REQUESTS, &[("request", request.label()), ("outcome", outcome)], 0);
            }
        }
    }
}
