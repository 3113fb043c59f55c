//! What was spent and is presented again: somebody has a copy, so what came of it ends (RFC 6749 section
//! 4.1.2, RFC 9700 section 4.14.2). Only its own client can cause that.

use super::{Exchange, Grants, record::SpentCode};
use crate::{
    audit::{self, Entry, Event, Outcome},
    clients::Client,
    error::Error,
    metrics::Replayed,
    pkce,
};

impl Grants {
    /// A spent code was presented by `client`. Codes stand in histories and logs: whoever is not the
    /// code's client, or has not the verifier that the code alone is worth nothing without, ends
    /// nothing with it.
    pub(super) async fn code_again(
        &self,
        client: &Client,
        exchange: &Exchange<'_>,
        spent: &SpentCode,
    ) -> Result<(), Error> {
        let is_verified = match (&spent.code_challenge, exchange.code_verifier) {
            (None, _) => true,
            (Some(challenge), Some(verifier)) => pkce::verifies(verifier, challenge),
            (Some(_), None) => false,
        };
        if spent.client_id != client.id || !is_verified {
            return Ok(());
        }
        self.metrics.replay(Replayed::Code);
        let entry = Entry::new(Event::CodeReplayed, Outcome::Denied);
        audit::record(&entry.client(&client.id).grant(&spent.grant));
        tracing::warn!(client = client.id, "a code was used again; its grant is revoked");
        self.revoke(&spent.grant).await
    }

    /// A spent refresh token of `client` was presented again, too late for the grace.
    pub(super) async fn refresh_token_again(
        &self,
        client: &Client,
        grant: &str,
    ) -> Result<(), Error> {
        self.metrics.replay(Replayed::RefreshToken);
        let entry = Entry::new(Event::RefreshTokenReused, Outcome::Denied);
        audit::record(&entry.client(&client.id).grant(grant));
        tracing::warn!(client = client.id, "a refresh token was used again; its grant is revoked");
        self.revoke(grant).await
    }
}
