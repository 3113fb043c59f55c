//! What can have happened, as the labels of metrics say it. Each has few values, which no client chooses.

use ib_contract::{InactiveReason, Revoked};

/// Who asked for an introspection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    Gateway,
    Client,
}

impl Caller {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Client => "client",
        }
    }
}

/// How an introspection ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IntrospectionResult {
    Active,
    Inactive(InactiveReason),
    /// The caller did not prove who it is.
    Unauthorized,
    /// The request was malformed, or the service failed.
    Error,
}

impl IntrospectionResult {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive(InactiveReason::InvalidToken) => "invalid_token",
            Self::Inactive(InactiveReason::SessionExpired) => "session_expired",
            Self::Inactive(InactiveReason::RefreshLimitExceeded) => "refresh_limit_exceeded",
            Self::Unauthorized => "unauthorized",
            Self::Error => "error",
        }
    }
}

/// What happened to a login.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoginEvent {
    Begun,
    Completed,
    Failed,
}

impl LoginEvent {
    pub(super) const ALL: [Self; 3] = [Self::Begun, Self::Completed, Self::Failed];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// What came of a request for a renewal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RenewalResult {
    /// IntelligenceBank was asked and gave a newer session.
    Renewed,
    /// It was asked and gave nothing newer.
    NothingNewer,
    /// It could not be asked.
    Unreachable,
    /// It was not asked: the answer was known.
    Known,
    /// It was not asked, and the session is over: it was rejected and may not be asked about any more.
    Over,
}

impl RenewalResult {
    pub(super) const ALL: [Self; 5] =
        [Self::Renewed, Self::NothingNewer, Self::Unreachable, Self::Known, Self::Over];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::NothingNewer => "nothing_newer",
            Self::Unreachable => "unreachable",
            Self::Known => "known",
            Self::Over => "over",
        }
    }
}

/// What was presented a second time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Replayed {
    Code,
    RefreshToken,
    ClientAssertion,
}

impl Replayed {
    pub(super) const ALL: [Self; 3] = [Self::Code, Self::RefreshToken, Self::ClientAssertion];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::RefreshToken => "refresh_token",
            Self::ClientAssertion => "client_assertion",
        }
    }
}

/// What became of a session at IntelligenceBank after its logout.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AtTheUpstream {
    Ended,
    Refused,
    Unreachable,
    /// No way to end one is configured.
    NoWay,
    /// Too many are being ended already.
    NotAsked,
}

impl AtTheUpstream {
    pub(super) const ALL: [Self; 5] =
        [Self::Ended, Self::Refused, Self::Unreachable, Self::NoWay, Self::NotAsked];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NoWay => "no_way",
            Self::NotAsked => "not_asked",
        }
    }
}

/// What an event of the revocation feed ended.
pub(super) fn revoked(revoked: &Revoked) -> &'static str {
    match revoked {
        Revoked::Session(_) => "session",
        Revoked::TokenSha256(_) => "access_token",
        Revoked::Subject(_) => "subject",
        Revoked::Client(_) => "client",
        Revoked::Unknown => "unknown",
    }
}
