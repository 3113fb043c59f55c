//! What a refresh token was traded for, kept so that a lost answer can be given again. It is sealed
//! under the spent token: only who presents that one can have it.

use ib_contract::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AccessRecord, Issued};
use crate::{
    error::Error,
    sealing::{SealingError, open_under, seal_under},
    sessions::Session,
    tokens::{AccessToken, RefreshToken},
};

/// The next pair of tokens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Successor {
    access_token: Secret,
    refresh_token: Secret,
    scope: String,
    /// Of the access token, in seconds since the Unix epoch.
    expires_at: u64,
}

impl Successor {
    /// A new pair with this access token, whose record is to be written.
    pub(super) fn generate(access: &AccessRecord, token: &AccessToken) -> Result<Self, Error> {
        Ok(Self {
            access_token: Secret::new(token.expose()),
            refresh_token: Secret::new(RefreshToken::generate()?.expose()),
            scope: access.scope.clone(),
            expires_at: access.expires_at,
        })
    }

    pub(super) fn tokens(&self) -> Result<(AccessToken, RefreshToken), Error> {
        let access = AccessToken::restored(&self.access_token);
        let refresh = RefreshToken::parse(self.refresh_token.expose()).ok_or(Error::Internal)?;
        Ok((access, refresh))
    }

    /// The scope of the access token.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// What the client gets at `now` (Unix seconds).
    pub(super) fn issued(self, session: Session, now: u64) -> Result<Issued, Error> {
        let (access_token, refresh_token) = self.tokens()?;
        Ok(Issued {
            access_token,
            refresh_token,
            expires_in: self.expires_at.saturating_sub(now),
            scope: self.scope,
            session,
        })
    }

    pub(super) fn seal(&self, predecessor: &RefreshToken) -> Result<String, Error> {
        let plain = serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| Error::Internal)?;
        seal_under(predecessor, &plain).map_err(failed)
    }

    pub(super) fn open(predecessor: &RefreshToken, sealed: &str) -> Result<Self, Error> {
        let plain = open_under(predecessor, sealed).map_err(failed)?;
        serde_json::from_slice(&plain).map_err(|_| Error::Internal)
    }
}

fn failed(cause: SealingError) -> Error {
    tracing::error!(%cause, "a successor cannot be sealed or opened");
    Error::Internal
}
