//! Grants without a login, many at once, for benchmarks.

use ib_contract::Secret;

use super::{AccessRecord, Grants, record::Grant};
use crate::{
    error::Error,
    sessions::Session,
    store::Applied,
    tokens::{AccessToken, random_bytes, random_id},
    upstreams::{Person, UpstreamSession},
};

/// Most grants in one step: three records each, and a step holds sixteen.
pub(crate) const MOST_IN_ONE_STEP: usize = 5;

/// What seeded grants have in common.
pub(crate) struct Seed {
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) platform_host: String,
    pub(crate) api_url: Option<String>,
}

impl Grants {
    /// Writes `count` grants, at most [`MOST_IN_ONE_STEP`], each with a session of an invented id and
    /// one access token, and gives the tokens. The sessions cannot be renewed.
    pub(crate) async fn seed(&self, seed: &Seed, count: usize) -> Result<Vec<AccessToken>, Error> {
        let now = self.clock.unix_seconds();
        let lifetimes = self.lifetimes();
        let refresh_until = now.saturating_add(lifetimes.refresh_token_seconds);
        let mut changes = self.records.changes();
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let id = random_id()?;
            let session = self.seeded_session(seed, now)?;
            let grant = Grant {
                client_id: seed.client_id.clone(),
                scope: seed.scope.clone(),
                audience: self.settings.resources.default.clone(),
                sub: session.person.uuid.clone(),
                refresh_until,
            };
            let token = AccessToken::generate(&self.settings.token_tags)?;
            let access = AccessRecord::new(&id, &grant, grant.scope.clone(), now, lifetimes);
            let grant_until = refresh_until.saturating_add(lifetimes.access_token_seconds);
            changes = changes
                .insert(&id, &session, session.kept_until(lifetimes.access_token_seconds))
                .insert(&id, &grant, grant_until)
                .insert(&token.id(), &access, access.expires_at);
            tokens.push(token);
        }
        match changes.apply(now).await? {
            Applied::Yes => Ok(tokens),
            Applied::Conflict => Err(Error::Internal),
        }
    }

    fn seeded_session(&self, seed: &Seed, now: u64) -> Result<Session, Error> {
        let sid: String = random_bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let upstream = UpstreamSession {
            sid: Secret::new(sid),
            login_time: Some(now),
            period_hours: None,
            api_url: seed.api_url.clone(),
            ib_client_id: None,
            person: Person {
                uuid: format!("seeded-{}", random_id()?),
                given_name: None,
                family_name: None,
                email: None,
            },
        };
        let hosts = &self.settings.intelligencebank.api_hosts;
        let settings = self.settings.sessions;
        Session::begin(&seed.platform_host, None, upstream, hosts, settings, now)
            .map_err(|_| Error::invalid_request("The API's address is not one that is allowed"))
    }
}
