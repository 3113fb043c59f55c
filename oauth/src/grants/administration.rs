//! Grants as operators see them: listed and revoked by subject, client or platform.

use serde::Serialize;

use super::{
    Grants,
    index::{Selector, grant_of},
    record::Grant,
};
use crate::{
    error::Error,
    sessions::Session,
    store::{MAXIMUM_KEYS, Table},
};

/// What operators see of a grant: nothing that opens anything, and no name of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct GrantSummary {
    /// The id of the grant and of its session.
    pub(crate) grant: String,
    pub(crate) client_id: String,
    pub(crate) sub: String,
    pub(crate) scope: String,
    pub(crate) platform: String,
    /// Unix seconds; 0 for grants of before this was kept.
    pub(crate) issued_at: u64,
    /// Unix seconds: until then its refresh tokens live.
    pub(crate) refresh_until: u64,
    /// Of its session: absent once that is gone.
    pub(crate) session: Option<SessionSummary>,
}

/// What operators see of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionSummary {
    pub(crate) generation: u64,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds.
    pub(crate) expires_at: u64,
    /// Whether IntelligenceBank may be called with it now.
    pub(crate) live: bool,
}

/// Some grants, and where to go on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct GrantPage {
    pub(crate) grants: Vec<GrantSummary>,
    /// What the next call goes on after; absent on the last page.
    pub(crate) next: Option<String>,
}

/// What came of revoking grants.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Revocation {
    pub(crate) revoked: usize,
    /// What the next call goes on after; absent when there are no more.
    pub(crate) next: Option<String>,
}

/// Most grants that one call lists, or revokes.
pub(crate) const MOST_GRANTS: usize = MAXIMUM_KEYS;

impl Grants {
    /// Lists the living grants that are selected, up to `limit` ([`MOST_GRANTS`] at most), behind `after`,
    /// which the page before has named.
    pub(crate) async fn list(
        &self,
        selector: &Selector,
        after: Option<&str>,
        limit: usize,
    ) -> Result<GrantPage, Error> {
        let now = self.clock.unix_seconds();
        let partition = selector.partition();
        let after = after.map(|grant| format!("{partition}/{grant}"));
        let limit = limit.clamp(1, MOST_GRANTS);
        let store = self.records.store();
        let page = store.list(Table::GrantIndex, &partition, after.as_deref(), limit, now).await?;
        let ids: Vec<String> = page
            .records
            .iter()
            .filter_map(|line| grant_of(&line.key.id).map(str::to_owned))
            .collect();
        let grants = self.records.get_all::<Grant>(&ids, now).await?;
        let sessions = self.records.get_all::<Session>(&ids, now).await?;
        let found = ids.into_iter().zip(grants).zip(sessions);
        let grants = found.filter_map(|((id, grant), session)| {
            // One that has been revoked since the page was read is left out.
            Some(summary(id, grant?, session, now))
        });
        Ok(GrantPage {
            grants: grants.collect(),
            next: page.next.as_deref().and_then(grant_of).map(str::to_owned),
        })
    }

    /// Revokes one grant, if it lives.
    pub(crate) async fn revoke_grant(&self, grant: &str) -> Result<Revocation, Error> {
        let now = self.clock.unix_seconds();
        let lives = self.records.get::<Grant>(grant, now).await?.is_some();
        if lives {
            self.revoke(grant).await?;
        }
        Ok(Revocation { revoked: usize::from(lives), next: None })
    }

    /// Revokes up to [`MOST_GRANTS`] of the grants that are selected, behind `after`. Each is an event of
    /// the feed.
    pub(crate) async fn revoke_some(
        &self,
        selector: &Selector,
        after: Option<&str>,
    ) -> Result<Revocation, Error> {
        let page = self.list(selector, after, MOST_GRANTS).await?;
        let revoked = page.grants.len();
        for grant in page.grants {
            self.revoke(&grant.grant).await?;
        }
        Ok(Revocation { revoked, next: page.next })
    }
}

fn summary(id: String, grant: Grant, session: Option<Session>, now: u64) -> GrantSummary {
    GrantSummary {
        grant: id,
        client_id: grant.client_id,
        sub: grant.sub,
        scope: grant.scope,
        platform: grant.platform_host,
        issued_at: grant.issued_at,
        refresh_until: grant.refresh_until,
        session: session.map(|session| SessionSummary {
            generation: session.generation,
            created_at: session.created_at,
            expires_at: session.expires_at,
            live: !session.is_over(now),
        }),
    }
}
