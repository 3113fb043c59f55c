//! Answers that say what was received.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::reply;
use crate::request_log::{BodyFacts, Head};

#[derive(Serialize)]
struct Echo<'a> {
    #[serde(flatten)]
    head: &'a Head,
    #[serde(flatten)]
    body: &'a BodyFacts,
}

/// The request as JSON, its session id in the clear, as IntelligenceBank's own bodies have it.
pub(crate) fn answer(head: &Head, body: &BodyFacts) -> Response {
    reply::json(StatusCode::OK, &Echo { head, body })
}

/// The answer to TRACE (RFC 9110, section 9.3.8): the head of the request, credentials and all,
/// which is why a gateway must not let TRACE through.
pub(crate) fn trace(head: &Head) -> Response {
    let mut text = format!("{} {} {}\r\n", head.method, head.raw_target, head.http_version);
    for (name, value) in &head.headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    reply::with_type(StatusCode::OK, "message/http", text)
}
