//! Answers that several operations have in common. What an error means is in docs/errors.md.
#![expect(dead_code, reason = "the types describe answers; none is ever made")]

use utoipa::IntoResponses;

use super::super::reply::ErrorBody;

/// What any operation may answer when the service itself fails.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum Failures {
    /// `server_error`: the service failed; the cause is in its log.
    #[response(status = 500)]
    Failed(ErrorBody<'static>),
    /// `temporarily_unavailable`: the store or the platform is out of reach, or the service is busy.
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds.")))]
    Unavailable(ErrorBody<'static>),
    /// The path and query are longer than the service reads.
    #[response(status = 414)]
    UriTooLong(ErrorBody<'static>),
    /// The header fields are.
    #[response(status = 431)]
    HeadersTooLarge(ErrorBody<'static>),
}

/// What an operation answers to a caller that asks more often than it may.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum Limited {
    /// `rate_limit_exceeded`.
    #[response(status = 429, headers(("Retry-After" = u64, description = "Seconds.")))]
    RateLimited(ErrorBody<'static>),
}

/// What any operation with a form may answer.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum Forms {
    /// The form, or what it asks for, is refused (RFC 6749 section 5.2).
    #[response(status = 400)]
    Refused(ErrorBody<'static>),
    /// The body is longer than `server.maximum_body_bytes`.
    #[response(status = 413)]
    TooLarge(ErrorBody<'static>),
    /// The body came too slowly.
    #[response(status = 408)]
    TooSlow(ErrorBody<'static>),
}

/// What an operation answers to a client that did not prove who it is.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum ClientRefused {
    /// `invalid_client`: the client is not known, or did not prove who it is.
    #[response(
        status = 401,
        headers(("WWW-Authenticate" = String, description = "RFC 7617 section 2."))
    )]
    Unknown(ErrorBody<'static>),
}

/// What an operation of the internal port answers to others than the gateway.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum GatewayRefused {
    /// `invalid_client`: the credential is missing or wrong.
    #[response(
        status = 401,
        headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3."))
    )]
    Unknown(ErrorBody<'static>),
}

/// What an operation for operators answers to others.
#[derive(IntoResponses)]
pub(in crate::endpoints) enum OperatorRefused {
    /// `invalid_client`: the credential is missing or wrong.
    #[response(
        status = 401,
        headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3."))
    )]
    Unknown(ErrorBody<'static>),
}
