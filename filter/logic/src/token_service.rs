//! What the token service is asked, and how its answers are read (RFC 7662).

use form_urlencoded::Serializer;
use ib_contract::{
    INTROSPECT_PATH, Introspection, RENEW_PATH, REVOCATIONS_PATH, RenewalRequest, Revocations,
    renewal_field,
};

use crate::{
    AnswerSize, Callout, CalloutId, HeaderMap, HeaderReferences, Host, HostError,
    headers::is_visible_ascii, policy::Policy,
};

/// The longest answer about a token or a session that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The longest answer of the revocation feed that is read, in bytes.
const LONGEST_FEED_ANSWER: usize = 1 << 20;
/// The longest request id or trace context that is passed on, in bytes.
const LONGEST_PASSED_ON: usize = 512;
/// Headers of the request that callouts carry too, so that one request can be followed.
const PASSED_ON: [&[u8]; 6] =
    [b"x-request-id", b"traceparent", b"tracestate", b"b3", b"x-b3-traceid", b"x-b3-spanid"];
/// Longer than the service lets a poll wait by so many seconds, a poll is given up.
const POLL_GRACE_SECONDS: u64 = 5;

/// Asks what `token` is worth.
pub(crate) fn introspect<H: Host>(
    host: &H,
    policy: &Policy,
    token: &str,
    request: &HeaderMap,
) -> Result<CalloutId, HostError> {
    // Never by concatenation: a token with `&` in it would add parameters of its own.
    let body = Serializer::new(String::new()).append_pair("token", token).finish();
    post(host, policy, INTROSPECT_PATH, &body, request)
}

/// Asks for a newer session.
pub(crate) fn renew<H: Host>(
    host: &H,
    policy: &Policy,
    renewal: &RenewalRequest<'_>,
    request: &HeaderMap,
) -> Result<CalloutId, HostError> {
    let body = Serializer::new(String::new())
        .append_pair(renewal_field::TOKEN, renewal.token)
        .append_pair(renewal_field::SESSION, renewal.session)
        .append_pair(renewal_field::GENERATION, &renewal.generation.to_string())
        .append_pair(renewal_field::CAUSE, renewal.cause.as_str())
        .finish();
    post(host, policy, RENEW_PATH, &body, request)
}

/// Asks what has ended.
pub(crate) fn poll<H: Host>(
    host: &H,
    policy: &Policy,
    query: &str,
    wait_seconds: u64,
) -> Result<CalloutId, HostError> {
    let path = format!("{REVOCATIONS_PATH}{query}");
    host.dispatch(&Callout {
        cluster: &policy.token_service.cluster,
        headers: vec![
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", policy.token_service.authority.as_bytes()),
            (b":path", path.as_bytes()),
            (b"accept", b"application/json"),
        ],
        body: b"",
        timeout: std::time::Duration::from_secs(wait_seconds.saturating_add(POLL_GRACE_SECONDS)),
    })
}

fn post<H: Host>(
    host: &H,
    policy: &Policy,
    path: &str,
    body: &str,
    request: &HeaderMap,
) -> Result<CalloutId, HostError> {
    let service = &policy.token_service;
    let mut headers: HeaderReferences<'_> = vec![
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", service.authority.as_bytes()),
        (b":path", path.as_bytes()),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"accept", b"application/json"),
    ];
    headers.extend(request.iter().filter(|(name, value)| {
        PASSED_ON.contains(name) && value.len() <= LONGEST_PASSED_ON && is_visible_ascii(value)
    }));
    host.dispatch(&Callout {
        cluster: &service.cluster,
        headers,
        body: body.as_bytes(),
        timeout: service.timeout,
    })
}

/// Reads the answer about a token or a session. Whatever is not an answer is an outage, never a
/// refusal.
pub(crate) fn read_introspection<H: Host>(
    host: &H,
    size: AnswerSize,
) -> Result<Introspection, NoAnswer> {
    let body = read_body(host, size, LONGEST_ANSWER)?;
    Introspection::from_json(&body).map_err(|_| NoAnswer::Malformed)
}

/// Reads an answer of the revocation feed.
pub(crate) fn read_revocations<H: Host>(
    host: &H,
    size: AnswerSize,
) -> Result<Revocations, NoAnswer> {
    let body = read_body(host, size, LONGEST_FEED_ANSWER)?;
    Revocations::from_json(&body).map_err(|_| NoAnswer::Malformed)
}

fn read_body<H: Host>(host: &H, size: AnswerSize, longest: usize) -> Result<Vec<u8>, NoAnswer> {
    if size.headers == 0 {
        return Err(NoAnswer::Failed);
    }
    let headers = host.callout_headers().map_err(|_| NoAnswer::Failed)?;
    if headers.first(b":status") != Some(b"200") {
        // 401 and 403 too: they speak of the gateway's own credential.
        return Err(NoAnswer::Failed);
    }
    if size.body > longest {
        return Err(NoAnswer::Malformed);
    }
    host.callout_body(size.body).map_err(|_| NoAnswer::Failed)
}

/// The service gave no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// A timeout, a reset, or a status other than 200.
    Failed,
    /// Not an answer of the contract.
    Malformed,
}

#[cfg(test)]
mod tests;
