//! Tokens for clients that act for themselves (RFC 6749 section 4.4): no person, no session, no refresh
//! token. Each token is a grant of its own, which operators list and revoke as any other.

use super::{AccessRecord, Grants, record::Grant};
use crate::{
    audit::{self, Entry, Event},
    clients::{CLIENT_CREDENTIALS, Client},
    error::Error,
    store::Applied,
    tokens::{AccessToken, random_id},
};

/// What a client that acts for itself gets.
#[derive(Debug)]
pub(crate) struct MachineIssued {
    pub(crate) access_token: AccessToken,
    pub(crate) expires_in: u64,
    pub(crate) scope: String,
}

impl Grants {
    /// Issues an access token to `client`, which has proved who it is, for `scope` or all of its own.
    /// `sub` is the client itself (RFC 9068 section 2.2).
    pub(crate) async fn issue_to_machine(
        &self,
        client: &Client,
        scope: Option<&str>,
        audience: Option<&str>,
    ) -> Result<MachineIssued, Error> {
        let scope = client.grantable_scope(scope).ok_or(Error::InvalidScope)?;
        let credentials = &self.settings.machine_credentials;
        credentials.chosen_by(&scope).map_err(|_| Error::AmbiguousScope)?;
        let now = self.clock.unix_seconds();
        let id = random_id()?;
        let mut grant = Grant {
            client_id: client.id.clone(),
            scope,
            audience: audience.unwrap_or(&self.settings.resources.default).to_owned(),
            sub: client.id.clone(),
            platform_host: String::new(),
            issued_at: now,
            refresh_until: now,
            machine_token: None,
        };
        let access = AccessRecord::new(&id, &grant, grant.scope.clone(), now, self.lifetimes());
        let access_token = self.access_token(&access)?;
        grant.refresh_until = access.expires_at;
        grant.machine_token = Some(access_token.id());
        let changes = self.records.changes().insert(&id, &grant, access.expires_at).insert(
            &access_token.id(),
            &access,
            access.expires_at,
        );
        if grant.index(&id, changes, access.expires_at).apply(now).await? == Applied::Conflict {
            // Random ids do not meet.
            return Err(Error::Internal);
        }
        self.metrics.issued(CLIENT_CREDENTIALS);
        let entry = Entry::success(Event::TokenIssued).reason(CLIENT_CREDENTIALS);
        audit::record(&entry.client(&client.id).subject(&grant.sub).grant(&id));
        Ok(MachineIssued {
            access_token,
            expires_in: access.expires_at.saturating_sub(now),
            scope: access.scope,
        })
    }
}
