//! The error table: every refusal's status, error code, description and challenge, declared together.
//!
//! Bodies have the form of RFC 6749 section 5.2, challenges that of RFC 6750 section 3 with
//! `resource_metadata` (RFC 9728 section 5.1).

use std::borrow::Cow;

use ib_contract::InactiveReason;

use crate::{Counter, bearer::BearerError, policy::Policy, target::TargetError};

/// The methods that go upstream. TRACE does not: its echo would show the session id.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The value of `Allow`: the same methods.
const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Seconds after which a client may try again when the token service gave no answer.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    MissingToken,
    SeveralCredentials,
    InvalidToken,
    SessionExpired,
    RefreshLimitExceeded,
    /// The host is not on the allow-list, or is no host of the token's sessions.
    HostNotAllowed {
        host: String,
    },
    Target(TargetError),
    MethodNotAllowed,
    /// An upgrade of the connection, or gRPC.
    KindNotSupported,
    /// The token lacks some of the scope that the request needs.
    InsufficientScope {
        /// All that it needs (RFC 6749 section 3.3).
        scope: String,
    },
    /// The upstream's answer has an encoding in which no session id can be found.
    UnreadableAnswer {
        host: String,
    },
    /// The upstream's answer is a part of a JSON document: a session id may be cut at its edge.
    PartOfJson,
    Unavailable,
}

/// One row of the table.
struct Row {
    status: u16,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Challenge,
    counter: Counter,
}

/// What `WWW-Authenticate` says.
enum Challenge {
    /// There is none.
    None,
    /// The scheme and where to learn more, without an error code: there was no token to be wrong.
    Bare,
    /// With the error code and the description.
    WithError,
}

impl Refusal {
    fn row(&self) -> Row {
        let row = |status, error, description: &'static str, challenge, counter| Row {
            status,
            error,
            description: Cow::Borrowed(description),
            challenge,
            counter,
        };
        match self {
            Self::MissingToken => row(
                401,
                "invalid_request",
                "Missing or invalid Authorization header",
                Challenge::Bare,
                Counter::RequestMissingToken,
            ),
            Self::SeveralCredentials => row(
                400,
                "invalid_request",
                "More than one Authorization header",
                Challenge::WithError,
                Counter::RequestInvalid,
            ),
            Self::InvalidToken => row(
                401,
                "invalid_token",
                "Invalid or expired access token",
                Challenge::WithError,
                Counter::RequestInvalidToken,
            ),
            Self::SessionExpired => row(
                401,
                "invalid_token",
                "Session has expired",
                Challenge::WithError,
                Counter::RequestSessionExpired,
            ),
            Self::RefreshLimitExceeded => row(
                401,
                "invalid_token",
                "Session refresh limit exceeded",
                Challenge::WithError,
                Counter::RequestRefreshLimitExceeded,
            ),
            Self::HostNotAllowed { host } => Row {
                status: 403,
                error: "access_denied",
                description: Cow::Owned(format!("Access to the host {host} is not allowed")),
                challenge: Challenge::None,
                counter: Counter::RequestAccessDenied,
            },
            Self::Target(error) => Row {
                status: 400,
                error: "invalid_request",
                description: Cow::Owned(error.to_string()),
                challenge: Challenge::None,
                counter: Counter::RequestInvalid,
            },
            Self::MethodNotAllowed => row(
                405,
                "invalid_request",
                "The method is not allowed",
                Challenge::None,
                Counter::RequestMethodNotAllowed,
            ),
            Self::KindNotSupported => row(
                400,
                "invalid_request",
                "Upgrades and gRPC are not supported",
                Challenge::None,
                Counter::RequestInvalid,
            ),
            Self::InsufficientScope { .. } => row(
                403,
                "insufficient_scope",
                "The access token lacks a scope that the request needs",
                Challenge::WithError,
                Counter::RequestInsufficientScope,
            ),
            Self::UnreadableAnswer { host } => Row {
                status: 502,
                error: "bad_gateway",
                description: Cow::Owned(format!(
                    "The answer of {host} is encoded and cannot be checked for session ids"
                )),
                challenge: Challenge::None,
                counter: Counter::RequestUnreadableAnswer,
            },
            Self::PartOfJson => row(
                416,
                "invalid_request",
                "Ranges of JSON documents are not served: ask for the whole document",
                Challenge::None,
                Counter::RequestRangeNotServed,
            ),
            Self::Unavailable => row(
                503,
                "temporarily_unavailable",
                "The authorization service is temporarily unavailable",
                Challenge::None,
                Counter::RequestTemporarilyUnavailable,
            ),
        }
    }

    /// The counter of requests refused for this reason.
    pub(crate) fn counter(&self) -> Counter {
        self.row().counter
    }

    /// The reason in one word, as it stands in the name of its counter.
    pub(crate) fn outcome(&self) -> &'static str {
        let name = self.counter().name();
        name.rsplit_once('.').map_or(name, |(_, outcome)| outcome)
    }

    /// The answer to the client.
    pub(crate) fn reply(&self, policy: &Policy) -> Reply {
        let Row { status, error, description, challenge, .. } = self.row();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("pragma", "no-cache".to_owned()),
        ];
        let metadata = &policy.resource_metadata;
        match challenge {
            Challenge::None => {}
            Challenge::Bare => headers
                .push(("www-authenticate", format!("Bearer resource_metadata=\"{metadata}\""))),
            Challenge::WithError => {
                let scope = self.scope().map(|scope| format!("scope=\"{scope}\", "));
                let scope = scope.unwrap_or_default();
                headers.push((
                    "www-authenticate",
                    format!(
                        "Bearer error=\"{error}\", error_description=\"{description}\", \
                         {scope}resource_metadata=\"{metadata}\""
                    ),
                ));
            }
        }
        match self {
            Self::MethodNotAllowed => headers.push(("allow", ALLOW.to_owned())),
            Self::Unavailable => headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned())),
            _ => {}
        }
        let mut body = serde_json::json!({ "error": error, "error_description": description });
        if let (Some(scope), Some(body)) = (self.scope(), body.as_object_mut()) {
            body.insert("scope".to_owned(), scope.into());
        }
        let headers = headers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value));
        Reply { status, headers: headers.collect(), body: body.to_string().into_bytes() }
    }

    /// The scope that the request needs, where that is what is missing.
    fn scope(&self) -> Option<&str> {
        match self {
            Self::InsufficientScope { scope } => Some(scope),
            _ => None,
        }
    }
}

impl From<TargetError> for Refusal {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<BearerError> for Refusal {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::MissingToken,
            BearerError::Several => Self::SeveralCredentials,
            BearerError::TooLong => Self::InvalidToken,
        }
    }
}

impl From<InactiveReason> for Refusal {
    fn from(reason: InactiveReason) -> Self {
        match reason {
            InactiveReason::InvalidToken => Self::InvalidToken,
            InactiveReason::SessionExpired => Self::SessionExpired,
            InactiveReason::RefreshLimitExceeded => Self::RefreshLimitExceeded,
        }
    }
}

/// An answer that the gateway gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests;
