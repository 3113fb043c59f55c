//! An answer that takes the place of a held one: a refusal, or what the upstream said the second time.

use std::borrow::Cow;

use crate::{
    Counter, HeaderMap, Host, HostError, Reply,
    head::Request,
    policy::{BodyMode, Policy},
    redact::{BodyPlan, Redacted, Redactor, plan},
    refusal::Refusal,
    response_headers::for_client,
    stream::Approved,
};

/// The answer.
pub(crate) struct NewAnswer {
    status: u16,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// What is counted when the answer goes out.
    pub(crate) counter: Option<Counter>,
}

impl NewAnswer {
    /// A refusal, as the gateway gives it elsewhere.
    pub(crate) fn refusal(refusal: &Refusal, policy: &Policy) -> Self {
        let Reply { status, headers, body } = refusal.reply(policy);
        let headers = headers.into_iter();
        Self {
            status,
            headers: headers
                .map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()))
                .collect(),
            body,
            counter: Some(refusal.counter()),
        }
    }

    /// What the upstream said, cleaned as every answer is.
    pub(crate) fn of_upstream(
        headers: &HeaderMap,
        body: &[u8],
        approved: &Approved,
        policy: &Policy,
    ) -> Self {
        let status = headers.first(b":status").and_then(|text| std::str::from_utf8(text).ok());
        let Some(status) = status.and_then(|text| text.parse().ok()) else {
            return Self::refusal(&Refusal::Unavailable, policy);
        };
        let body = match clean(status, headers, body, approved, policy) {
            Ok(body) => body,
            Err(refusal) => return Self::refusal(&refusal, policy),
        };
        let cleaned = for_client(headers, approved, policy);
        let kept = own(cleaned.as_ref().unwrap_or(headers).iter());
        Self { status, headers: kept, body, counter: None }
    }

    /// Puts status and headers in the place of the held ones. `keeps_length`: the answer to a HEAD
    /// request has no body, and says how long it would be.
    pub(crate) fn place_headers<H: Host>(
        &self,
        host: &H,
        keeps_length: bool,
    ) -> Result<(), HostError> {
        let held = host.response_headers()?;
        let (status, length) = (self.status.to_string(), self.body.len().to_string());
        let mut headers = vec![(b":status".as_slice(), status.as_bytes())];
        headers.extend(held.iter().filter(|(name, _)| is_of_the_proxy(name)));
        let own = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        // An answer that never has a body says no length of it (RFC 9110 section 8.6), or that of another.
        let is_bodiless = matches!(self.status, 204 | 304);
        let keeps_length = keeps_length || self.status == 304;
        headers.extend(own.filter(|(name, _)| {
            (!is_of_the_proxy(name) || *name == b"vary")
                && (keeps_length || *name != b"content-length")
        }));
        if !keeps_length && !is_bodiless {
            headers.push((b"content-length", length.as_bytes()));
        }
        host.set_response_headers(&HeaderMap::from_pairs(&headers))
    }

    /// The same answer in the form in which the proxy answers itself.
    pub(crate) fn into_reply(self) -> Reply {
        let headers = self.headers.into_iter().filter_map(|(name, value)| {
            Some((Cow::Owned(String::from_utf8(name).ok()?), String::from_utf8(value).ok()?))
        });
        Reply {
            status: self.status,
            headers: headers.filter(|(name, _)| name != "content-length").collect(),
            body: self.body,
        }
    }
}

/// The body without session ids, where bodies are searched.
fn clean(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    approved: &Approved,
    policy: &Policy,
) -> Result<Vec<u8>, Refusal> {
    if policy.bodies == BodyMode::Pass || body.is_empty() {
        return Ok(body.to_vec());
    }
    let content_type = headers.joined(b"content-type");
    let content_encoding = headers.joined(b"content-encoding");
    match plan(status, content_type.as_deref(), content_encoding.as_deref()) {
        BodyPlan::Pass => Ok(body.to_vec()),
        BodyPlan::Unreadable => {
            let host = match Request::read(&approved.head, policy) {
                Ok(Some(request)) => request.target.host.into_owned(),
                _ => String::new(),
            };
            Err(Refusal::UnreadableAnswer { host })
        }
        BodyPlan::PartOfJson => Err(Refusal::PartOfJson),
        BodyPlan::Redact => {
            let mut redactor = Redactor::new(approved.credentials.needles());
            Ok(match redactor.push(body, true) {
                Redacted::Unchanged => body.to_vec(),
                Redacted::Replaced(masked) => masked,
            })
        }
    }
}

fn own<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers
        .filter(|(name, _)| goes_on(name))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// Headers that the proxy's route and its rate limits add to every answer: those of the held answer stay.
fn is_of_the_proxy(name: &[u8]) -> bool {
    matches!(
        name,
        b"vary"
            | b"x-content-type-options"
            | b"content-security-policy"
            | b"cross-origin-resource-policy"
            | b"referrer-policy"
            | b"strict-transport-security"
            | b"x-ratelimit-limit"
            | b"x-ratelimit-remaining"
            | b"x-ratelimit-reset"
    )
}

/// What the route takes off an ordinary answer, it cannot take off this one.
fn goes_on(name: &[u8]) -> bool {
    !matches!(
        name,
        b":status"
            | b"alt-svc"
            | b"clear-site-data"
            | b"connection"
            | b"keep-alive"
            | b"nel"
            | b"proxy-authenticate"
            | b"refresh"
            | b"report-to"
            | b"reporting-endpoints"
            | b"service-worker-allowed"
            | b"set-cookie"
            | b"set-cookie2"
            | b"strict-transport-security"
            | b"timing-allow-origin"
            | b"transfer-encoding"
            | b"www-authenticate"
            | b"x-accel-redirect"
            | b"x-powered-by"
            | b"x-ratelimit-limit"
            | b"x-ratelimit-remaining"
            | b"x-ratelimit-reset"
    ) && !name.starts_with(b"access-control-")
        && !name.starts_with(b"x-envoy-")
}

#[cfg(test)]
mod tests;
