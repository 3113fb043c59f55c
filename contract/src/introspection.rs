//! `POST /introspect`: is this token good, and what may it reach? (RFC 7662)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Secret;

/// The version of the contract that this code speaks.
pub const CONTRACT_VERSION: u32 = 1;

/// The service's answer about one access token.
///
/// On the wire it is one JSON object whose `active` field tells the two cases apart
/// (RFC 7662 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Introspection {
    /// The token is good.
    Active(Box<ActiveToken>),
    /// The token is refused, and why. Only the gateway learns the reason.
    Inactive(InactiveReason),
}

impl Introspection {
    /// Reads an answer from JSON bytes.
    ///
    /// # Errors
    ///
    /// [`MalformedIntrospection`] when the bytes are not JSON or not an answer of this contract. The
    /// error never quotes the bytes, which may hold a session id.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MalformedIntrospection> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            MalformedIntrospection::NotThisContract { line: error.line(), column: error.column() }
        })?;
        Self::try_from(wire)
    }
}

/// What the gateway learns about a good token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveToken {
    /// The service's position in the revocation feed when it looked the token up. An answer older
    /// than an event that concerns it is stale.
    pub as_of: u64,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The granted scope, space separated (RFC 6749 section 3.3).
    pub scope: String,
    /// The subject: who the token speaks for.
    pub sub: String,
    /// The resource that the token is bound to (RFC 8707); several when the token names several.
    pub aud: Vec<String>,
    /// The issuer.
    pub iss: String,
    /// Expiry, in seconds since the Unix epoch, by the service's clock.
    pub exp: u64,
    /// Issue time, in seconds since the Unix epoch, by the service's clock.
    pub iat: u64,
    /// Seconds until the token expires, from the moment of the answer.
    pub expires_in: u64,
    /// The sessions that the token may use. Their `hosts` are disjoint.
    pub upstreams: Vec<Upstream>,
}

/// One session at an upstream: where it may be used and what proves it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// An opaque id of the session. It is no secret: it opens nothing.
    pub session: String,
    /// Hosts that the session is valid for: lower case, without port or trailing dot.
    pub hosts: Vec<String>,
    /// Request headers (lower-case names) to inject for these hosts, and for no other.
    pub headers: BTreeMap<String, Secret>,
    /// What proved the session's previous generation, for no request: answers must not show it either.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub previous_headers: BTreeMap<String, Secret>,
    /// Rises by one with every renewal. A lower generation never replaces a higher one.
    pub generation: u64,
    /// Seconds until the gateway should ask for a renewal, from the moment of the answer.
    pub refresh_in: u64,
    /// Seconds until the session ends, from the moment of the answer.
    pub expires_in: u64,
    /// True when the attempts to renew this session have run out, so that the refusal after its end
    /// is "Session refresh limit exceeded".
    #[serde(default)]
    pub refresh_limit_exceeded: bool,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InactiveReason {
    /// The token's session is over.
    SessionExpired,
    /// The token's session is over, and its renewals had run out before.
    RefreshLimitExceeded,
    /// Unknown, expired or revoked. Also what an unknown reason of a newer service reads as.
    #[serde(other)]
    InvalidToken,
}

/// The answer is not one of this contract. The cause is the service, never the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedIntrospection {
    /// Not JSON, or a field of the wrong type.
    #[error("the answer does not fit the contract at line {line}, column {column}")]
    NotThisContract {
        /// Line of the answer, from one.
        line: usize,
        /// Column of the answer, from one.
        column: usize,
    },
    /// An active token without a field that it must have.
    #[error("an active answer lacks `{field}`")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
}

/// One value or several, as RFC 7519 section 4.1.3 has it for `aud`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The JSON object itself.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Wire {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<InactiveReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstreams: Option<Vec<Upstream>>,
}

impl TryFrom<Wire> for Introspection {
    type Error = MalformedIntrospection;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        if !wire.active {
            return Ok(Self::Inactive(wire.reason.unwrap_or(InactiveReason::InvalidToken)));
        }
        let missing = |field| MalformedIntrospection::Missing { field };
        Ok(Self::Active(Box::new(ActiveToken {
            as_of: wire.as_of.unwrap_or_default(),
            client_id: wire.client_id.ok_or_else(|| missing("client_id"))?,
            scope: wire.scope.unwrap_or_default(),
            sub: wire.sub.ok_or_else(|| missing("sub"))?,
            aud: match wire.aud {
                None => Vec::new(),
                Some(OneOrMany::One(one)) => vec![one],
                Some(OneOrMany::Many(many)) => many,
            },
            iss: wire.iss.unwrap_or_default(),
            exp: wire.exp.unwrap_or_default(),
            iat: wire.iat.unwrap_or_default(),
            expires_in: wire.expires_in.ok_or_else(|| missing("expires_in"))?,
            upstreams: wire.upstreams.ok_or_else(|| missing("upstreams"))?,
        })))
    }
}

impl From<Introspection> for Wire {
    fn from(introspection: Introspection) -> Self {
        match introspection {
            Introspection::Inactive(reason) => {
                Self { active: false, reason: Some(reason), ..Self::default() }
            }
            Introspection::Active(token) => Self {
                active: true,
                reason: None,
                version: Some(CONTRACT_VERSION),
                as_of: Some(token.as_of),
                client_id: Some(token.client_id),
                scope: Some(token.scope),
                sub: Some(token.sub),
                aud: Some(match <[String; 1]>::try_from(token.aud) {
                    Ok([one]) => OneOrMany::One(one),
                    Err(many) => OneOrMany::Many(many),
                }),
                iss: Some(token.iss),
                exp: Some(token.exp),
                iat: Some(token.iat),
                expires_in: Some(token.expires_in),
                upstreams: Some(token.upstreams),
            },
        }
    }
}

#[cfg(test)]
mod tests;
