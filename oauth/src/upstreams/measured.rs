//! An upstream whose answers are counted and timed.

use std::sync::Arc;

use ib_contract::Secret;
use tracing::Instrument as _;

use super::{
    Acquired, Answer, BegunLogin, Ended, LoginProgress, LoginUpstream, TokenUpstream, UpstreamError,
};
use crate::{
    clock::Clock,
    metrics::{Metrics, UpstreamRequest},
    settings::MachineCredential,
    telemetry::TRACES,
};

/// `U` is one of the traits of upstreams.
pub(crate) struct Measured<U: ?Sized> {
    upstream: Arc<U>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl<U: ?Sized> Measured<U> {
    pub(crate) fn new(upstream: Arc<U>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { upstream, clock, metrics }
    }

    async fn measure<T>(
        &self,
        request: UpstreamRequest,
        host: &str,
        answer: Answer<'_, T>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, UpstreamError> {
        let begun = self.clock.monotonic();
        let label = request.label();
        let span = tracing::info_span!(
            target: TRACES,
            "upstream",
            otel.name = format_args!("upstream {label}"),
            otel.kind = "client",
            server.address = host,
        );
        let answer = answer.instrument(span).await;
        let took = self.clock.monotonic().saturating_sub(begun);
        let outcome = match &answer {
            Ok(answer) => outcome(answer),
            Err(UpstreamError::Unreachable(_)) => "unreachable",
            Err(UpstreamError::NotAPlatform { .. }) => "not_a_platform",
            Err(UpstreamError::Limited { .. }) => "limited",
            Err(UpstreamError::TooLong | UpstreamError::Unusable(_)) => "unusable",
        };
        self.metrics.upstream(request, outcome, took);
        answer
    }
}

impl TokenUpstream for Measured<dyn TokenUpstream> {
    fn acquire<'a>(&'a self, credential: &'a MachineCredential) -> Answer<'a, Acquired> {
        let (answer, host) = (self.upstream.acquire(credential), &credential.host);
        Box::pin(self.measure(UpstreamRequest::Acquire, host, answer, |acquired| match acquired {
            Acquired::Token { .. } => "acquired",
            Acquired::Refused { .. } => "refused",
        }))
    }
}

impl LoginUpstream for Measured<dyn LoginUpstream> {
    fn begin<'a>(&'a self, host: &'a str) -> Answer<'a, BegunLogin> {
        let answer = self.upstream.begin(host);
        Box::pin(self.measure(UpstreamRequest::Begin, host, answer, |_| "begun"))
    }

    fn progress<'a>(&'a self, host: &'a str, login: &'a Secret) -> Answer<'a, LoginProgress> {
        let answer = self.upstream.progress(host, login);
        Box::pin(self.measure(UpstreamRequest::Read, host, answer, |progress| match progress {
            LoginProgress::Pending => "pending",
            LoginProgress::Unclear { .. } => "unclear",
            LoginProgress::Expired => "expired",
            LoginProgress::Complete(_) => "complete",
        }))
    }

    fn end<'a>(&'a self, host: &'a str, sid: &'a Secret) -> Answer<'a, Ended> {
        let answer = self.upstream.end(host, sid);
        Box::pin(self.measure(UpstreamRequest::End, host, answer, |ended| match ended {
            Ended::NoWay => "no_way",
            Ended::Yes => "ended",
            Ended::Refused { .. } => "refused",
        }))
    }
}
