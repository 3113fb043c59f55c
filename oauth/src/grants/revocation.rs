//! Ending grants and access tokens, each together with its event in the revocation feed.

use std::sync::Arc;

use ib_contract::Revoked;
use tracing::Instrument as _;

use super::{
    AccessRecord, Grants,
    record::{Grant, RefreshRecord},
};
use crate::{
    clients::Client,
    error::Error,
    sessions::Session,
    tokens::{AccessToken, RefreshToken},
};

impl Grants {
    /// Revokes a token that `client` presents (RFC 7009 section 2.1): an access token alone, a
    /// refresh token with its whole grant, also when it has been spent. Nothing happens to what is
    /// not known or another client's.
    pub(crate) async fn revoke_token(&self, client: &Client, token: &str) -> Result<(), Error> {
        if let Some(token) = AccessToken::parse(&self.settings.token_tags, token) {
            return self.revoke_access_token(client, &token.id()).await;
        }
        let Some(token) = RefreshToken::parse(token) else { return Ok(()) };
        let now = self.clock.unix_seconds();
        let Some(found) = self.records.get::<RefreshRecord>(&token.id(), now).await? else {
            return Ok(());
        };
        let id = found.record.grant;
        match self.records.get::<Grant>(&id, now).await? {
            Some(grant) if grant.record.client_id == client.id => self.revoke(&id).await,
            _ => Ok(()),
        }
    }

    async fn revoke_access_token(&self, client: &Client, id: &str) -> Result<(), Error> {
        let now = self.clock.unix_seconds();
        match self.records.get::<AccessRecord>(id, now).await? {
            Some(access) if access.record.client_id == client.id => {
                let (records, feed) = (Arc::clone(&self.records), Arc::clone(&self.feed));
                let id = id.to_owned();
                to_its_end(async move {
                    let changes = records.changes().take::<AccessRecord>(&id);
                    // A conflict: it has ended, or been revoked, in the meantime.
                    feed.publish(Revoked::TokenSha256(id), changes, now).await.map(|_| ())
                })
                .await
            }
            _ => Ok(()),
        }
    }

    /// Ends a grant, its tokens and its session. One that has ended is left as it is, so that many
    /// who find the same misuse make one event.
    pub(super) async fn revoke(&self, grant: &str) -> Result<(), Error> {
        let now = self.clock.unix_seconds();
        let (records, feed) = (Arc::clone(&self.records), Arc::clone(&self.feed));
        let grant = grant.to_owned();
        // Whoever finds nothing to end needs no place in the feed's line, in which one waits for another.
        if records.get::<Grant>(&grant, now).await?.is_none() {
            return Ok(());
        }
        to_its_end(async move {
            let changes = records.changes().take::<Grant>(&grant).remove::<Session>(&grant);
            feed.publish(Revoked::Session(grant), changes, now).await.map(|_| ())
        })
        .await
    }
}

/// Works on when whoever asked for it goes away: what was to end has to end.
async fn to_its_end(
    work: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Result<(), Error> {
    tokio::spawn(work.in_current_span()).await.unwrap_or(Err(Error::Internal))
}
