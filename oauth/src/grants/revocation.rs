//! Ending grants and access tokens, each together with its event in the revocation feed.

use std::sync::Arc;

use ib_contract::Revoked;
use tracing::Instrument as _;

use super::{
    AccessRecord, Grants,
    record::{Grant, RefreshRecord},
};
use crate::{
    audit::{self, Entry, Event},
    clients::Client,
    error::Error,
    metrics::SessionEvent,
    sessions::Session,
    store::Applied,
    tokens::RefreshToken,
};

/// Who logs out, and by which token.
pub(crate) enum LogOut {
    /// Whoever holds this access token.
    Bearer(String),
    /// A client that has proved who it is, by an access token or a refresh token of its own.
    Client { client: Arc<Client>, token: String },
}

impl Grants {
    /// Revokes a token that `client` presents (RFC 7009 section 2.1): an access token alone, a
    /// refresh token with its whole grant, also when it has been spent. Nothing happens to what is
    /// not known or another client's.
    pub(crate) async fn revoke_token(&self, client: &Client, token: &str) -> Result<(), Error> {
        if let Some(token) = self.presented(token) {
            return self.revoke_access_token(client, &token.id()).await;
        }
        let Some(token) = RefreshToken::parse(token) else { return Ok(()) };
        let now = self.clock.unix_seconds();
        let Some(found) = self.records.get::<RefreshRecord>(&token.id(), now).await? else {
            return Ok(());
        };
        let id = found.record.grant;
        match self.records.get::<Grant>(&id, now).await? {
            Some(grant) if grant.record.client_id == client.id => {
                // Before it is done: who hangs up meanwhile is in the log all the same.
                let entry = Entry::success(Event::GrantRevoked).client(&client.id);
                audit::record(&entry.subject(&grant.record.sub).grant(&id));
                self.revoke(&id).await
            }
            _ => Ok(()),
        }
    }

    /// Ends the whole grant that `by` names, and gives the session that it had. `None`: there is nothing
    /// to end, or it is another client's.
    pub(crate) async fn log_out(&self, by: &LogOut) -> Result<Option<Session>, Error> {
        let Some(id) = self.grant_of(by).await? else { return Ok(None) };
        let session = self.records.get::<Session>(&id, self.clock.unix_seconds()).await?;
        self.revoke(&id).await?;
        let entry = Entry::success(Event::GrantRevoked).reason("logout").grant(&id);
        audit::record(&match by {
            LogOut::Client { client, .. } => entry.client(&client.id),
            LogOut::Bearer(_) => entry,
        });
        Ok(session.map(|found| found.record))
    }

    /// The grant behind a token that is to be logged out.
    async fn grant_of(&self, by: &LogOut) -> Result<Option<String>, Error> {
        let now = self.clock.unix_seconds();
        let (LogOut::Bearer(token) | LogOut::Client { token, .. }) = by;
        let (grant, client_id) = if let Some(token) = self.presented(token) {
            let Some(found) = self.records.get::<AccessRecord>(&token.id(), now).await? else {
                return Ok(None);
            };
            let access = found.record;
            // Whom such a token was given to may not end what it has no part in.
            if matches!(by, LogOut::Bearer(_)) && access.audience != self.settings.resources.default
            {
                return Err(Error::InvalidToken("The access token is for another resource"));
            }
            (access.grant, access.client_id)
        } else if let (LogOut::Client { .. }, Some(token)) = (by, RefreshToken::parse(token)) {
            let Some(found) = self.records.get::<RefreshRecord>(&token.id(), now).await? else {
                return Ok(None);
            };
            let id = found.record.grant;
            let Some(grant) = self.records.get::<Grant>(&id, now).await? else {
                return Ok(None);
            };
            (id, grant.record.client_id)
        } else {
            return Ok(None);
        };
        Ok(match by {
            LogOut::Client { client, .. } if client.id != client_id => None,
            LogOut::Client { .. } | LogOut::Bearer(_) => Some(grant),
        })
    }

    async fn revoke_access_token(&self, client: &Client, id: &str) -> Result<(), Error> {
        let now = self.clock.unix_seconds();
        match self.records.get::<AccessRecord>(id, now).await? {
            Some(access) if access.record.client_id == client.id => {
                let (records, feed) = (Arc::clone(&self.records), Arc::clone(&self.feed));
                let (id, access) = (id.to_owned(), access.record);
                let grant = self.records.get::<Grant>(&access.grant, now).await?;
                if grant.is_some_and(|grant| grant.record.machine_token.is_some()) {
                    let entry = Entry::success(Event::TokenRevoked).client(&access.client_id);
                    audit::record(&entry.subject(&access.sub).grant(&access.grant));
                    return self.revoke(&access.grant).await;
                }
                to_its_end(async move {
                    let changes = records.changes().take::<AccessRecord>(&id);
                    // A conflict: it has ended, or been revoked, in the meantime.
                    let applied = feed.publish(Revoked::TokenSha256(id), changes, now).await?;
                    if applied == Applied::Yes {
                        let entry = Entry::success(Event::TokenRevoked).client(&access.client_id);
                        audit::record(&entry.subject(&access.sub).grant(&access.grant));
                    }
                    Ok(())
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
        let Some(found) = records.get::<Grant>(&grant, now).await? else { return Ok(()) };
        to_its_end(async move {
            let changes = records.changes().take::<Grant>(&grant);
            let changes = found.record.unindex(&grant, changes);
            // Where there is no session, gateways know the token alone.
            if let Some(token) = &found.record.machine_token {
                let changes = changes.remove::<AccessRecord>(token);
                feed.publish(Revoked::TokenSha256(token.clone()), changes, now).await?;
                return Ok(());
            }
            let changes = changes.remove::<Session>(&grant);
            let applied = feed.publish(Revoked::Session(grant.clone()), changes, now).await?;
            if applied == Applied::Yes {
                records.metrics().session(SessionEvent::Revoked);
                let ended = found.record;
                let entry = Entry::success(Event::SessionEnded).reason("revoked").grant(&grant);
                let entry = entry.client(&ended.client_id).subject(&ended.sub);
                audit::record(&entry.platform(&ended.platform_host));
            }
            Ok(())
        })
        .await
    }
}

/// Works on when whoever asked for it goes away: what was to end has to end.
async fn to_its_end(
    work: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Result<(), Error> {
    tokio::spawn(audit::carried(work).in_current_span()).await.unwrap_or(Err(Error::Internal))
}
