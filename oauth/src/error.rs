//! Everything that can go wrong while a request is served, and whose fault it is. How an error
//! looks over HTTP is decided in one place: `endpoints/reply.rs`.

use std::borrow::Cow;

use crate::store::StoreError;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller sent something wrong: trying again unchanged does not help.
    Client,
    /// This service failed.
    Service,
    /// IntelligenceBank, or another upstream, failed.
    Upstream,
}

/// One error of the service.
///
/// Descriptions are for developers: printable ASCII without `"` and `\` (RFC 6749 section 5.2), and
/// never a value that the caller sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// RFC 6749 section 5.2.
    InvalidRequest(Cow<'static, str>),
    /// RFC 6749 section 5.2.
    InvalidClient(&'static str),
    /// RFC 7591 section 3.2.2.
    InvalidRedirectUri(&'static str),
    /// RFC 7591 section 3.2.2.
    InvalidClientMetadata(&'static str),
    /// RFC 6749 section 5.2.
    InvalidGrant(&'static str),
    /// RFC 6749 section 5.2.
    UnsupportedGrantType,
    /// RFC 6749 section 4.1.2.1.
    UnsupportedResponseType,
    /// RFC 6749 section 5.2: the client may not use this grant type.
    UnauthorizedClient,
    /// RFC 6749 section 5.2.
    InvalidScope,
    /// The scope chooses two machine credentials for one host.
    AmbiguousScope,
    /// RFC 8707 section 2.
    InvalidTarget,
    /// RFC 6749 section 4.1.2.1.
    AccessDenied(&'static str),
    /// The login still runs (RFC 8628 section 3.5 has the name).
    AuthorizationPending,
    /// The login ran out of time, or nobody began it (RFC 8628 section 3.5 has the name).
    ExpiredToken,
    /// A request to a protected resource without a token (RFC 6750 section 3.1).
    MissingToken,
    /// RFC 6750 section 3.1.
    InvalidToken(&'static str),
    /// RFC 6750 section 3.1.
    InsufficientScope(&'static str),
    /// The gateway did not show its credential on the internal port.
    InvalidGatewayCredential,
    /// An operator did not show their credential on the internal port.
    InvalidAdminCredential,
    /// No such path.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is larger than the service reads.
    BodyTooLarge,
    /// The request took longer than the service allows.
    Timeout,
    /// IntelligenceBank could not be reached, or answered nonsense.
    Platform(&'static str),
    /// What a client says about itself cannot be read now; nothing has been decided.
    ClientUnavailable(&'static str),
    /// IntelligenceBank cannot be asked about a session now; nothing has been decided.
    RenewalUnavailable,
    /// The token of a machine credential cannot be had now, and there is none that is valid.
    CredentialUnavailable {
        /// Seconds until it is asked for again.
        retry_after: u64,
    },
    /// As many clients have registered today as may.
    RegistrationsExhausted {
        /// Seconds until the day ends.
        seconds: u64,
    },
    /// The caller asks more often than it may.
    RateLimited {
        /// Seconds until it may ask again.
        retry_after: u64,
    },
    /// The body came too slowly.
    SlowBody,
    /// The URI is longer than the service reads.
    UriTooLong,
    /// The header fields are.
    HeadersTooLarge,
    /// A bound of this service is reached; later there may be room.
    Busy,
    /// The service is about to stop: said to who asks whether it is ready.
    Stopping,
    /// The store is out of order; the cause has been logged.
    StoreUnavailable,
    /// What would be granted could not be recorded, and the settings want it recorded.
    AuditUnavailable,
    /// This service failed; the cause has been logged.
    Internal,
}

impl Error {
    /// An `invalid_request` with a fixed description.
    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::InvalidRequest(Cow::Borrowed(description))
    }

    /// An `invalid_request` that names the parameter at fault.
    pub(crate) fn parameter(problem: &str, name: &'static str) -> Self {
        Self::InvalidRequest(Cow::Owned(format!("{problem} {name} parameter")))
    }

    /// The `error` value of the answer.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::MissingToken | Self::BodyTooLarge => "invalid_request",
            Self::MethodNotAllowed | Self::SlowBody | Self::UriTooLong | Self::HeadersTooLarge => {
                "invalid_request"
            }
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::InvalidClient(_)
            | Self::InvalidGatewayCredential
            | Self::InvalidAdminCredential => "invalid_client",
            Self::InvalidRedirectUri(_) => "invalid_redirect_uri",
            Self::InvalidClientMetadata(_) => "invalid_client_metadata",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidScope | Self::AmbiguousScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied(_) => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken(_) => "invalid_token",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::NotFound => "not_found",
            Self::Timeout
            | Self::StoreUnavailable
            | Self::AuditUnavailable
            | Self::Stopping
            | Self::Platform(_)
            | Self::ClientUnavailable(_)
            | Self::RenewalUnavailable
            | Self::CredentialUnavailable { .. }
            | Self::RegistrationsExhausted { .. }
            | Self::Busy => "temporarily_unavailable",
            Self::Internal => "server_error",
        }
    }

    /// The `error_description` of the answer.
    pub(crate) fn description(&self) -> &str {
        match self {
            Self::InvalidRequest(description) => description,
            Self::InvalidClient(description)
            | Self::InvalidRedirectUri(description)
            | Self::InvalidClientMetadata(description)
            | Self::ClientUnavailable(description)
            | Self::InvalidGrant(description)
            | Self::AccessDenied(description)
            | Self::InvalidToken(description)
            | Self::Platform(description) => description,
            Self::UnsupportedGrantType => {
                "The grant_type must be authorization_code, refresh_token or client_credentials"
            }
            Self::UnsupportedResponseType => "The response_type must be code",
            Self::InvalidScope => "The scope is malformed, or more than this client may ask for",
            Self::UnauthorizedClient => "This client may not use this grant_type",
            Self::AmbiguousScope => {
                "The scope chooses several credentials for one host; ask for one upstream scope"
            }
            Self::InvalidTarget => "The resource is malformed, or not one of this service",
            Self::AuthorizationPending => "The authorization request is still pending",
            Self::ExpiredToken => "The login has expired or is not known; begin a new one",
            Self::MissingToken => "Missing or invalid Authorization header",
            Self::InsufficientScope(_) => "The access token does not cover what this request needs",
            Self::InvalidGatewayCredential => "The credential of the gateway is missing or wrong",
            Self::InvalidAdminCredential => "The credential of the operator is missing or wrong",
            Self::NotFound => "There is nothing at this path",
            Self::MethodNotAllowed => "This path does not know this method",
            Self::BodyTooLarge => "The request body is too large",
            Self::Timeout => "The request took too long",
            Self::RenewalUnavailable => "The platform cannot be asked about the session now",
            Self::CredentialUnavailable { .. } => "The upstream gives no token now",
            Self::RegistrationsExhausted { .. } => "No more clients can register today",
            Self::RateLimited { .. } => "Too many requests; try again later",
            Self::SlowBody => "The request body did not come in time",
            Self::UriTooLong => "The URI is too long",
            Self::HeadersTooLarge => "The header fields are too large",
            Self::Busy => "Too many such requests are under way",
            Self::Stopping => "The service is about to stop",
            Self::StoreUnavailable => "The service cannot reach its store",
            Self::AuditUnavailable => "The service cannot write its audit log",
            Self::Internal => "The service failed to answer this request",
        }
    }

    /// Whose fault it is.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Internal
            | Self::StoreUnavailable
            | Self::AuditUnavailable
            | Self::Stopping
            | Self::Timeout
            | Self::RegistrationsExhausted { .. }
            | Self::Busy => Fault::Service,
            Self::Platform(_)
            | Self::RenewalUnavailable
            | Self::CredentialUnavailable { .. }
            | Self::ClientUnavailable(_) => Fault::Upstream,
            _ => Fault::Client,
        }
    }
}

impl From<StoreError> for Error {
    fn from(cause: StoreError) -> Self {
        tracing::error!(%cause, "the store failed");
        Self::StoreUnavailable
    }
}
