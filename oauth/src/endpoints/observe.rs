//! What surrounds every request: a time limit, one log line, and metrics. The line has the route's
//! template, never the path, the query, a header field or the body.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use super::reply::Refused;
use crate::{
    app::App,
    audit::{Entry, Event, Origin, Outcome},
    error::{Error, Fault},
    telemetry::{self, TRACES},
};

/// Longest path and query together, in bytes.
const LONGEST_URI: usize = 16 * 1024;
/// Longest request id that is carried into the log.
const LONGEST_REQUEST_ID: usize = 64;

/// What gives somebody access: nothing of it while it could not be recorded and has to be.
const GRANTING: [&str; 4] = ["/authorize", "/authorize/poll", "/token", ib_contract::RENEW_PATH];

/// Ends a request that takes too long, a slow body included.
pub(super) async fn limit_time(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let limit = app.settings.server.request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::Timeout.into_response(),
    }
}

/// Logs and counts a request.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let stage = &app.settings.issuer.path;
    let endpoint = request.extensions().get::<MatchedPath>().map_or_else(
        || "unmatched".to_owned(),
        |path| path.as_str().strip_prefix(stage.as_str()).unwrap_or(path.as_str()).to_owned(),
    );
    let method = method_name(request.method());
    let request_id = request_id(request.headers()).unwrap_or_default().to_owned();
    let traced = tracing::info_span!(
        target: TRACES,
        "request",
        otel.name = format_args!("{method} {endpoint}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = endpoint,
        http.response.status_code = tracing::field::Empty,
        request_id,
    );
    telemetry::carry_on(&traced, request.headers());
    let trace_id = trace_id(request.headers()).map(str::to_owned);
    let span = traced.in_scope(|| {
        tracing::info_span!("request", request_id, trace_id = trace_id.as_deref(), endpoint)
    });
    let begun = app.clock.monotonic();
    let named = Some(request_id.as_str()).filter(|id| !id.is_empty());
    let origin = Origin::new(&app.audit, named, trace_id.as_deref());
    let response =
        if let Err(error) = check_size(&request, app.settings.server.maximum_header_bytes) {
            error.into_response()
        } else if GRANTING.contains(&endpoint.as_str()) && app.audit.forbids_grants() {
            Error::AuditUnavailable.into_response()
        } else {
            let work = next.run(request).instrument(span.clone()).instrument(traced.clone());
            origin.around(work).await
        };
    if let Some(Refused(error)) = response.extensions().get() {
        app.metrics.error(&endpoint, error);
        record_refusal(&origin, &endpoint, error);
    }
    let duration = app.clock.monotonic().saturating_sub(begun);
    let status = response.status().as_u16();
    traced.record("http.response.status_code", status);
    app.metrics.request(&endpoint, status, duration);
    let milliseconds = duration.as_secs_f64() * 1_000.0;
    span.in_scope(|| match endpoint.as_str() {
        "/healthz" | "/readyz" | "/metrics" | ib_contract::REVOCATIONS_PATH => {
            tracing::debug!(method, status, milliseconds, "request");
        }
        _ => tracing::info!(method, status, milliseconds, "request"),
    });
    response
}

/// Puts refusals into the audit log that are no domain's event.
fn record_refusal(origin: &Origin, endpoint: &str, error: &Error) {
    let event = match error {
        Error::InvalidGatewayCredential => Event::GatewayRefused,
        Error::InvalidAdminCredential => Event::OperatorRefused,
        Error::InvalidClient(_) => Event::ClientRefused,
        _ if endpoint == "/token" && error.fault() == Fault::Client => Event::TokenRefused,
        _ => return,
    };
    let client = origin.claimed_client();
    let mut entry = Entry::new(event, Outcome::Denied).reason(error.code());
    if let Some(client) = &client {
        entry = entry.client(client);
    }
    origin.record(&entry);
}

/// The trace that Envoy carries on (W3C Trace Context section 3.2).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let is_hexadecimal =
        |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_sane = version.len() == 2
        && is_hexadecimal(version)
        && trace.len() == 32
        && is_hexadecimal(trace)
        && trace.bytes().any(|byte| byte != b'0');
    is_sane.then_some(trace)
}

/// Refuses what is too long by itself. The HTTP library has bounds of its own, which are about what it
/// keeps in memory: it may have read more than they say, and knows no JSON.
fn check_size(request: &Request, maximum_header_bytes: usize) -> Result<(), Error> {
    let length = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if length > LONGEST_URI {
        return Err(Error::UriTooLong);
    }
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    if length.saturating_add(fields.sum()) > maximum_header_bytes {
        return Err(Error::HeadersTooLarge);
    }
    Ok(())
}

/// A method is whatever a client writes: only known ones are repeated.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The id that Envoy gave the request, if it can stand in a log.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let sane = (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        // A token pasted into the header is not carried on.
        && !id.starts_with("ibg_");
    sane.then_some(id)
}
