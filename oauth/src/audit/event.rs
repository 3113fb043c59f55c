//! What is recorded, and how a line looks.

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Origin;

/// Characters of a subject's hash, as in the gateway's notes about its streams.
const SUBJECT_CHARACTERS: usize = 16;

/// What happened. The names are part of the log's format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    LoginBegun,
    LoginFinished,
    LoginFailed,
    CodeIssued,
    CodeExchanged,
    /// A spent code came again, from its own client; its grant is revoked.
    CodeReplayed,
    TokenIssued,
    TokenRefreshed,
    /// A spent refresh token came again, too late for the grace; its grant is revoked.
    RefreshTokenReused,
    /// `/token` refused a request.
    TokenRefused,
    /// A client revoked an access token.
    TokenRevoked,
    /// A client revoked a grant, with its tokens and its session.
    GrantRevoked,
    SessionRenewed,
    SessionRenewalRefused,
    SessionEnded,
    /// An upstream gave a token for a machine credential; `reason` says why it was asked.
    CredentialAcquired,
    /// It gave none; `reason` says why.
    CredentialRefused,
    ClientRefused,
    GatewayRefused,
    /// Somebody without an operator's credential asked for what is an operator's.
    OperatorRefused,
    /// A rate limit refused a request.
    Limited,
    /// An operator listed, revoked, or changed something; `reason` says which.
    AdminAction,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Success,
    /// Somebody asked for what they may not have.
    Denied,
    /// Something did not work.
    Failure,
}

/// One event, without when and for which request it happened.
#[derive(Debug)]
pub(crate) struct Entry<'e> {
    event: Event,
    outcome: Outcome,
    reason: Option<&'static str>,
    client_id: Option<&'e str>,
    subject: Option<String>,
    platform: Option<&'e str>,
    grant: Option<&'e str>,
    credential: Option<&'e str>,
}

impl<'e> Entry<'e> {
    pub(crate) fn new(event: Event, outcome: Outcome) -> Self {
        let (reason, client_id, subject) = (None, None, None);
        Self {
            event,
            outcome,
            reason,
            client_id,
            subject,
            platform: None,
            grant: None,
            credential: None,
        }
    }

    pub(crate) fn success(event: Event) -> Self {
        Self::new(event, Outcome::Success)
    }

    /// Why, as a word of the service's own.
    pub(crate) fn reason(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// A registered client; never what somebody merely claims.
    pub(crate) fn client(self, client_id: &'e str) -> Self {
        Self { client_id: Some(client_id), ..self }
    }

    /// The person, of whom a hash is recorded.
    pub(crate) fn subject(self, sub: &str) -> Self {
        let hash = ib_contract::token_sha256(sub);
        Self { subject: Some(hash.chars().take(SUBJECT_CHARACTERS).collect()), ..self }
    }

    /// The host of the platform.
    pub(crate) fn platform(self, host: &'e str) -> Self {
        Self { platform: Some(host), ..self }
    }

    /// The opaque id of the grant and its session.
    pub(crate) fn grant(self, id: &'e str) -> Self {
        Self { grant: Some(id), ..self }
    }

    /// The name of the machine credential.
    pub(crate) fn credential(self, name: &'e str) -> Self {
        Self { credential: Some(name), ..self }
    }

    /// The line, with its end.
    pub(super) fn line(&self, unix_milliseconds: u64, origin: &Origin) -> String {
        let line = Line {
            time: rfc_3339(unix_milliseconds),
            event: self.event,
            outcome: self.outcome,
            reason: self.reason,
            client_id: self.client_id,
            subject: self.subject.as_deref(),
            platform: self.platform,
            grant: self.grant,
            credential: self.credential,
            request_id: origin.request_id(),
            trace_id: origin.trace_id(),
        };
        // Strings and names alone: it cannot fail.
        serde_json::to_string(&line).map(|line| line + "\n").unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Line<'e> {
    time: String,
    event: Event,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'e str>,
}

fn rfc_3339(unix_milliseconds: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(
        i128::from(unix_milliseconds).saturating_mul(1_000_000),
    )
    .ok()
    .and_then(|time| time.format(&Rfc3339).ok())
    .unwrap_or_default()
}
