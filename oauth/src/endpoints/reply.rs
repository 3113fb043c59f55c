//! How answers look over HTTP: the one place where an error becomes a status, headers and a body.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Fault};

/// Seconds after which a caller may try again when the service is out of order.
const RETRY_AFTER: &str = "2";

/// The challenge for clients (RFC 7617 section 2, which requires the realm).
const BASIC: &str = r#"Basic realm="ib-gateway", charset="UTF-8""#;

/// Every error's body (RFC 6749 section 5.2).
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody<'e> {
    error: &'e str,
    /// For developers.
    error_description: &'e str,
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::InvalidRequest(_)
        | Error::InvalidRedirectUri(_)
        | Error::InvalidClientMetadata(_)
        | Error::InvalidGrant(_)
        | Error::UnsupportedGrantType
        | Error::UnsupportedResponseType
        | Error::UnauthorizedClient
        | Error::InvalidScope
        | Error::AmbiguousScope
        | Error::InvalidTarget
        | Error::AccessDenied(_)
        | Error::ExpiredToken => StatusCode::BAD_REQUEST,
        Error::InvalidClient(_)
        | Error::InvalidGatewayCredential
        | Error::InvalidAdminCredential
        | Error::MissingToken
        | Error::InvalidToken(_) => StatusCode::UNAUTHORIZED,
        Error::InsufficientScope(_) => StatusCode::FORBIDDEN,
        Error::AuthorizationPending | Error::NotFound => StatusCode::NOT_FOUND,
        Error::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Error::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UriTooLong => StatusCode::URI_TOO_LONG,
        Error::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Error::SlowBody => StatusCode::REQUEST_TIMEOUT,
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Platform(_) => StatusCode::BAD_GATEWAY,
        Error::Timeout
        | Error::StoreUnavailable
        | Error::AuditUnavailable
        | Error::Stopping
        | Error::RenewalUnavailable
        | Error::CredentialUnavailable { .. }
        | Error::ClientUnavailable(_)
        | Error::RegistrationsExhausted { .. }
        | Error::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = status(&self);
        let body = ErrorBody { error: self.code(), error_description: self.description() };
        let mut response = (status, no_store(Json(&body))).into_response();
        refused(&mut response, &self);
        let headers = response.headers_mut();
        match self {
            Self::InvalidClient(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            }
            Self::InvalidGatewayCredential | Self::InvalidAdminCredential => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::RegistrationsExhausted { seconds } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::RateLimited { retry_after } | Self::CredentialUnavailable { retry_after } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
            }
            // What is left of the body would be taken for the next request.
            Self::SlowBody => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            _ => {}
        }
        response
    }
}

/// Tells what surrounds the handlers which error an answer stands for.
#[derive(Clone)]
pub(super) struct Refused(pub(super) Error);

/// Marks an answer as one for this error, whatever it looks like.
pub(super) fn refused(response: &mut Response, error: &Error) {
    response.extensions_mut().insert(Refused(error.clone()));
}

/// The JSON face of `/authorize`: every error that is not this service's own is 400, but for a limit
/// that is reached, which is 429.
pub(super) fn authorize_error(error: Error) -> Response {
    let own = error.fault() == Fault::Service || matches!(error, Error::RateLimited { .. });
    let mut response = error.into_response();
    if !own {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        // A challenge belongs to a 401, and nobody authenticates here.
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
    }
    response
}

/// An error of a protected resource: with a challenge that leads to the resource's metadata
/// (RFC 6750 section 3, RFC 9728 section 5.1).
pub(super) fn resource_error(error: Error, metadata_url: &str) -> Response {
    let details = match &error {
        // Without a token there is no error code in the challenge (RFC 6750 section 3.1).
        Error::MissingToken => Some(String::new()),
        Error::InvalidToken(description) => {
            Some(format!("error=\"invalid_token\", error_description=\"{description}\", "))
        }
        Error::InsufficientScope(scope) => {
            Some(format!("error=\"insufficient_scope\", scope=\"{scope}\", "))
        }
        Error::InvalidRequest(_) => Some("error=\"invalid_request\", ".to_owned()),
        _ => None,
    };
    let mut response = error.into_response();
    let challenge = details.and_then(|details| {
        let text = format!("Bearer {details}resource_metadata=\"{metadata_url}\"");
        HeaderValue::from_str(&text).ok()
    });
    if let Some(challenge) = challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// JSON that no cache may keep (RFC 6749 section 5.1).
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_value(value) {
        Ok(value) => no_store(Json(value)).into_response(),
        Err(_) => Error::Internal.into_response(),
    }
}

/// JSON that anyone may keep for some minutes.
pub(super) fn cacheable_json(value: &impl Serialize) -> Response {
    json_for(value, 300)
}

/// JSON that anyone may keep for some seconds.
pub(super) fn json_for(value: &impl Serialize, seconds: u64) -> Response {
    let mut response = json(value);
    let headers = response.headers_mut();
    if let Ok(control) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        headers.insert(header::CACHE_CONTROL, control);
    }
    headers.remove(header::PRAGMA);
    response
}

/// 200 without a body, which no cache may keep.
pub(super) fn done() -> Response {
    no_store(()).into_response()
}

/// Sends the browser elsewhere, by GET whatever it sent (RFC 9700 section 4.12).
pub(super) fn see_other(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else { return Error::Internal.into_response() };
    let headers = [
        (header::LOCATION, location),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers, no_store(())).into_response()
}

fn no_store(body: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}

/// Whether a request asks for JSON rather than a page.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = |wanted: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim().eq_ignore_ascii_case(wanted))
    };
    accepted("application/json") && !accepted("text/html")
}
