//! Grants without a login, many at once, for benchmarks.

use ib_contract::Secret;

use super::{
    AccessRecord, CodeRecord, Grants,
    record::{Grant, RefreshRecord, RefreshState},
};
use crate::{
    authorization::{AuthorizationRequest, WayBack},
    error::Error,
    sessions::Session,
    store::Applied,
    tokens::{AccessToken, Code, RefreshToken, random_bytes, random_id},
    upstreams::{Person, UpstreamSession},
};

/// Most grants in one step: seven records each and perhaps a code, and a step holds sixteen.
pub(crate) const MOST_IN_ONE_STEP: usize = 2;
/// Where the seeded codes were asked for, and with what: the challenge of the verifier in RFC 7636,
/// appendix B.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What seeded grants have in common.
pub(crate) struct Seed {
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) platform_host: String,
    pub(crate) api_url: Option<String>,
}

/// What was written for one grant.
pub(crate) struct Seeded {
    pub(crate) access_token: AccessToken,
    pub(crate) refresh_token: RefreshToken,
    /// A code of another session, which nobody has exchanged yet.
    pub(crate) code: Option<Code>,
}

impl Grants {
    /// Writes `count` grants, at most [`MOST_IN_ONE_STEP`], each with a session of an invented id, one
    /// access token and one refresh token, and beside each a code if `with_codes`. The sessions cannot
    /// be renewed. The codes live as long as the grants, so that there is time to use them.
    pub(crate) async fn seed(
        &self,
        seed: &Seed,
        count: usize,
        with_codes: bool,
    ) -> Result<Vec<Seeded>, Error> {
        let now = self.clock.unix_seconds();
        let lifetimes = self.lifetimes();
        let refresh_until = now.saturating_add(lifetimes.refresh_token_seconds);
        let mut changes = self.records.changes();
        let mut seeded = Vec::with_capacity(count);
        for _ in 0..count {
            let id = random_id()?;
            let session = self.seeded_session(seed, now)?;
            let grant = Grant {
                client_id: seed.client_id.clone(),
                scope: seed.scope.clone(),
                audience: self.settings.resources.default.clone(),
                sub: session.person.uuid.clone(),
                platform_host: session.platform_host.clone(),
                issued_at: now,
                refresh_until,
                machine_token: None,
            };
            let access = AccessRecord::new(&id, &grant, grant.scope.clone(), now, lifetimes);
            let refresh_token = RefreshToken::generate()?;
            let refresh = RefreshRecord { grant: id.clone(), state: RefreshState::Live };
            let token = self.access_token(&access)?;
            let grant_until = refresh_until.saturating_add(lifetimes.access_token_seconds);
            changes = changes
                .insert(&id, &session, session.kept_until(lifetimes.access_token_seconds))
                .insert(&id, &grant, grant_until)
                .insert(&token.id(), &access, access.expires_at)
                .insert(&refresh_token.id(), &refresh, refresh_until);
            changes = grant.index(&id, changes, grant_until);
            let mut code = None;
            if with_codes {
                let fresh = Code::generate()?;
                let record = CodeRecord::active(request(&grant), self.seeded_session(seed, now)?);
                changes = changes.insert(&fresh.id(), &record, refresh_until);
                code = Some(fresh);
            }
            seeded.push(Seeded { access_token: token, refresh_token, code });
        }
        match changes.apply(now).await? {
            Applied::Yes => Ok(seeded),
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

/// The authorization request that a seeded code is said to be of.
fn request(grant: &Grant) -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: grant.client_id.clone(),
        way_back: WayBack { redirect_uri: REDIRECT_URI.to_owned(), state: None },
        scope: grant.scope.clone(),
        audience: grant.audience.clone(),
        code_challenge: Some(CODE_CHALLENGE.to_owned()),
    }
}
