//! Asks the token service about a token, and reads what it answers (RFC 7662).

use std::rc::Rc;

use form_urlencoded::Serializer;
use ib_contract::{ActiveToken, INTROSPECT_PATH, InactiveReason, Introspection};

use crate::{
    AnswerSize, Callout, Counter, HeaderMap, Host, HostError, Timestamp,
    cache::Decision,
    headers::{first, is_visible_ascii},
    policy::Policy,
    session::Grant,
};

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The longest request id or trace context that is passed on, in bytes.
const LONGEST_PASSED_ON: usize = 256;
/// Headers of the request that callouts carry too, so that one request can be followed.
const PASSED_ON: [&str; 2] = ["x-request-id", "traceparent"];

/// Asks about `token`. The answer comes back to the stream later.
pub(crate) fn ask<H: Host>(
    host: &H,
    policy: &Policy,
    token: &str,
    request: &HeaderMap,
) -> Result<(), HostError> {
    let service = &policy.token_service;
    // Never by concatenation: a token with `&` in it would add parameters of its own.
    let body = Serializer::new(String::new()).append_pair("token", token).finish();
    let mut headers = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", service.authority.as_str()),
        (":path", INTROSPECT_PATH),
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ];
    for name in PASSED_ON {
        let value = first(request, name)
            .filter(|value| value.len() <= LONGEST_PASSED_ON && is_visible_ascii(value))
            .and_then(|value| std::str::from_utf8(value).ok());
        headers.extend(value.map(|value| (name, value)));
    }
    host.dispatch(&Callout {
        cluster: &service.cluster,
        headers,
        body: body.as_bytes(),
        timeout: service.timeout,
    })
}

/// Reads the answer about a token. Whatever is not an answer is an outage, never a refusal.
pub(crate) fn read_answer<H: Host>(
    host: &H,
    policy: &Policy,
    size: AnswerSize,
    now: Timestamp,
) -> Result<Verdict, NoAnswer> {
    if size.headers == 0 {
        return Err(NoAnswer::Failed);
    }
    if size.body > LONGEST_ANSWER {
        return Err(NoAnswer::Malformed);
    }
    let answer = host.callout_answer(size).map_err(|_| NoAnswer::Failed)?;
    if answer.status != b"200" {
        // 401 and 403 too: they speak of the gateway's own credential.
        return Err(NoAnswer::Failed);
    }
    match Introspection::from_json(&answer.body).map_err(|_| NoAnswer::Malformed)? {
        Introspection::Active(token) => Verdict::of_active(*token, policy, now),
        Introspection::Inactive(reason) => Ok(Verdict::refused(reason, policy)),
    }
}

/// A decision, and how long it may be kept.
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    /// Seconds from the answer.
    pub(crate) seconds: u64,
}

impl Verdict {
    fn of_active(token: ActiveToken, policy: &Policy, now: Timestamp) -> Result<Self, NoAnswer> {
        if token.expires_in == 0 || !policy.accepts_audience(&token.aud) {
            return Ok(Self::refused(InactiveReason::InvalidToken, policy));
        }
        // A session that is over is refused by this decision, and a refusal is kept no longer than
        // refusals are: the session may have been renewed meanwhile.
        let sessions = token.upstreams.iter().map(|upstream| match upstream.expires_in {
            0 => policy.cache.refused_seconds,
            seconds => seconds,
        });
        let seconds = sessions.fold(token.expires_in.min(policy.cache.maximum_seconds), u64::min);
        let grant = Grant::from_answer(token, now).map_err(|_| NoAnswer::Malformed)?;
        Ok(Self { decision: Decision::Granted(Rc::new(grant)), seconds })
    }

    fn refused(reason: InactiveReason, policy: &Policy) -> Self {
        Self { decision: Decision::Refused(reason), seconds: policy.cache.refused_seconds }
    }

    /// The counter of such an answer.
    pub(crate) fn counter(&self) -> Counter {
        match self.decision {
            Decision::Granted(_) => Counter::IntrospectionActive,
            Decision::Refused(_) => Counter::IntrospectionInactive,
        }
    }
}

/// The service gave no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// A timeout, a reset, or a status other than 200.
    Failed,
    /// Not an answer of the contract.
    Malformed,
}

impl NoAnswer {
    /// The counter of such a failure.
    pub(crate) fn counter(self) -> Counter {
        match self {
            Self::Failed => Counter::IntrospectionFailed,
            Self::Malformed => Counter::IntrospectionMalformed,
        }
    }
}

#[cfg(test)]
mod tests;
