//! What the store knows of grants and their tokens. Tokens are known by their hash alone.

use serde::{Deserialize, Serialize};

use crate::{
    authorization::AuthorizationRequest, records::Record, sessions::Session,
    settings::TokenSettings, store::Table,
};

/// An authorization code, before and after its use.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum CodeRecord {
    /// It can be exchanged.
    Active(Box<ActiveCode>),
    /// It has been. What it issued ends when its client presents it again.
    Spent(SpentCode),
}

/// What is remembered of a code after its use.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpentCode {
    /// The grant that it issued.
    pub(super) grant: String,
    /// Whose code it was. Empty in records of before this was remembered.
    #[serde(default)]
    pub(super) client_id: String,
    /// What the verifier of whoever presents it again must fit.
    #[serde(default)]
    pub(super) code_challenge: Option<String>,
}

/// What a code stands for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActiveCode {
    pub(super) request: AuthorizationRequest,
    pub(super) session: Session,
}

impl CodeRecord {
    /// Whom an unused code speaks for.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Self::Active(active) => Some(&active.session.person.uuid),
            Self::Spent(_) => None,
        }
    }

    pub(crate) fn active(request: AuthorizationRequest, session: Session) -> Self {
        Self::Active(Box::new(ActiveCode { request, session }))
    }
}

impl Record for CodeRecord {
    const TABLE: Table = Table::Code;
}

/// A grant. Its session, where it has one, has the same id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) audience: String,
    pub(super) sub: String,
    /// Where the person logged in. Empty in records of before this was kept.
    #[serde(default)]
    pub(super) platform_host: String,
    /// Seconds since the Unix epoch. 0 in records of before this was kept.
    #[serde(default)]
    pub(super) issued_at: u64,
    /// Seconds since the Unix epoch. No rotation moves it. A grant without refresh tokens ends then.
    pub(super) refresh_until: u64,
    /// Of a grant to a client that acts for itself: the name of its one access token in the store. It
    /// has no session and no refresh tokens.
    #[serde(default)]
    pub(super) machine_token: Option<String>,
}

impl Record for Grant {
    const TABLE: Table = Table::Grant;
}

/// An access token. It is good while it has not expired and its grant stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccessRecord {
    /// The id of its grant and session.
    pub(crate) grant: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) audience: String,
    pub(crate) sub: String,
    /// Seconds since the Unix epoch.
    pub(crate) issued_at: u64,
    /// Seconds since the Unix epoch.
    pub(crate) expires_at: u64,
}

impl AccessRecord {
    pub(super) fn new(
        id: &str,
        grant: &Grant,
        scope: String,
        now: u64,
        lifetimes: TokenSettings,
    ) -> Self {
        Self {
            grant: id.to_owned(),
            client_id: grant.client_id.clone(),
            scope,
            audience: grant.audience.clone(),
            sub: grant.sub.clone(),
            issued_at: now,
            expires_at: now.saturating_add(lifetimes.access_token_seconds),
        }
    }
}

impl Record for AccessRecord {
    const TABLE: Table = Table::AccessToken;
}

/// A refresh token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RefreshRecord {
    pub(super) grant: String,
    pub(super) state: RefreshState,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum RefreshState {
    Live,
    Spent {
        /// Seconds since the Unix epoch.
        at: u64,
        /// What it was traded for, sealed under the token itself.
        successor: String,
    },
}

impl Record for RefreshRecord {
    const TABLE: Table = Table::RefreshToken;
}
