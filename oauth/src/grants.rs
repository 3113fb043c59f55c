//! Grants: what a person allowed a client, and the codes, access tokens and refresh tokens that come
//! of it. Removing a grant ends all of them at once.

use std::sync::Arc;

use ib_contract::InactiveReason;

use crate::{
    audit::{self, Entry, Event},
    clients::{Client, narrow},
    clock::Clock,
    error::Error,
    feed::Feed,
    metrics::{Metrics, SessionEvent},
    pkce,
    records::{Records, Versioned},
    sessions::Session,
    settings::{Settings, TokenSettings},
    store::Applied,
    tokens::{AccessToken, Code, RefreshToken, random_id},
};

mod administration;
mod index;
mod issue;
mod look_up;
mod machine;
mod record;
mod reuse;
mod revocation;
mod seed;
mod successor;

pub(crate) use administration::{GrantPage, MOST_GRANTS, Revocation};
pub(crate) use index::Selector;
pub(crate) use look_up::{GoodToken, Holder, Looked};
pub(crate) use machine::MachineIssued;
pub(crate) use record::{AccessRecord, CodeRecord};
use record::{ActiveCode, Grant, RefreshRecord, RefreshState, SpentCode};
pub(crate) use revocation::LogOut;
pub(crate) use seed::{MOST_IN_ONE_STEP, Seed, Seeded};
use successor::Successor;

const UNKNOWN_CODE: Error = Error::InvalidGrant("The code is not known, has expired, or was used");
const UNKNOWN_REFRESH: Error =
    Error::InvalidGrant("The refresh token is not known, has expired, or was used");
/// Clients match these words to decide for a new login.
pub(crate) const fn session_over(reason: InactiveReason) -> &'static str {
    match reason {
        InactiveReason::RefreshLimitExceeded => "Session refresh limit exceeded",
        InactiveReason::SessionExpired | InactiveReason::InvalidToken => "Session has expired",
    }
}

/// A code that a client presents, with what must agree with it.
pub(crate) struct Exchange<'r> {
    pub(crate) code: &'r str,
    pub(crate) redirect_uri: &'r str,
    pub(crate) code_verifier: Option<&'r str>,
    /// The audience for the `resource` parameter, when there is one.
    pub(crate) audience: Option<&'r str>,
}

/// A refresh token that a client presents, with what it asks for.
pub(crate) struct Refresh<'r> {
    pub(crate) refresh_token: &'r str,
    pub(crate) scope: Option<&'r str>,
    /// The audience for the `resource` parameter, when there is one.
    pub(crate) audience: Option<&'r str>,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: AccessToken,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) expires_in: u64,
    pub(crate) scope: String,
    pub(crate) session: Session,
}

/// Issues, refreshes, looks up and revokes.
pub(crate) struct Grants {
    records: Arc<Records>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    feed: Arc<Feed>,
}

impl Grants {
    pub(crate) fn new(
        records: Arc<Records>,
        feed: Arc<Feed>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { records, clock, settings, metrics, feed }
    }

    fn lifetimes(&self) -> TokenSettings {
        self.settings.tokens
    }

    /// Trades a code for the first tokens of a new grant (RFC 6749 section 4.1.3). A code works once:
    /// a second use by its client revokes what the first one issued (section 4.1.2).
    pub(crate) async fn exchange(
        &self,
        client: &Client,
        exchange: &Exchange<'_>,
    ) -> Result<Issued, Error> {
        let code = Code::parse(exchange.code).ok_or(UNKNOWN_CODE)?;
        // A second round sees what whoever came first has made of the code.
        for _ in 0..2 {
            let now = self.clock.unix_seconds();
            let found = self.records.get::<CodeRecord>(&code.id(), now).await?;
            let Versioned { record, version } = found.ok_or(UNKNOWN_CODE)?;
            let active = match record {
                CodeRecord::Active(active) => active,
                CodeRecord::Spent(spent) => {
                    self.code_again(client, exchange, &spent).await?;
                    return Err(UNKNOWN_CODE);
                }
            };
            check_exchange(&active, client, exchange)?;
            if active.session.is_over(now) {
                return Err(self.over(&active.session));
            }
            if let Some(issued) = self.issue_first(&code, version, *active, now).await? {
                self.metrics.issued("authorization_code");
                return Ok(issued);
            }
        }
        Err(UNKNOWN_CODE)
    }

    /// Spends the code and writes everything that comes of it, in one step. `None`: someone else was
    /// first.
    async fn issue_first(
        &self,
        code: &Code,
        version: u64,
        active: ActiveCode,
        now: u64,
    ) -> Result<Option<Issued>, Error> {
        let lifetimes = self.lifetimes();
        let refresh_token = RefreshToken::generate()?;
        let id = random_id()?;
        let refresh_until = now.saturating_add(lifetimes.refresh_token_seconds);
        let grant = Grant {
            client_id: active.request.client_id,
            scope: active.request.scope,
            audience: active.request.audience,
            sub: active.session.person.uuid.clone(),
            platform_host: active.session.platform_host.clone(),
            issued_at: now,
            refresh_until,
            machine_token: None,
        };
        let access = AccessRecord::new(&id, &grant, grant.scope.clone(), now, lifetimes);
        let access_token = self.access_token(&access)?;
        let spent = CodeRecord::Spent(SpentCode {
            grant: id.clone(),
            client_id: grant.client_id.clone(),
            code_challenge: active.request.code_challenge,
        });
        // Long enough for a replay to be noticed while anything of this grant lives.
        let spent_until = refresh_until.max(access.expires_at);
        let session = active.session;
        let session_until = session.kept_until(lifetimes.access_token_seconds);
        let refresh = RefreshRecord { grant: id.clone(), state: RefreshState::Live };
        let grant_until = refresh_until.saturating_add(lifetimes.access_token_seconds);
        let changes = self
            .records
            .changes()
            .replace(&code.id(), version, &spent, spent_until)
            .insert(&id, &session, session_until)
            .insert(&id, &grant, grant_until)
            .insert(&access_token.id(), &access, access.expires_at)
            .insert(&refresh_token.id(), &refresh, refresh_until);
        let applied = grant.index(&id, changes, grant_until).apply(now).await?;
        if applied == Applied::Yes {
            self.metrics.session(SessionEvent::Begun);
            for event in [Event::CodeExchanged, Event::TokenIssued] {
                audit::record(&about(event, &grant, &id, &session));
            }
        }
        Ok((applied == Applied::Yes).then(|| Issued {
            access_token,
            refresh_token,
            expires_in: access.expires_at.saturating_sub(now),
            scope: access.scope,
            session,
        }))
    }

    /// Trades a refresh token for the next pair (RFC 6749 section 6). A token works once; when a
    /// spent one returns, the grant is revoked (RFC 9700 section 4.14.2), unless it is the immediate
    /// predecessor within the grace: then it gets the same successor, since its answer may have been
    /// lost.
    pub(crate) async fn refresh(
        &self,
        client: &Client,
        refresh: &Refresh<'_>,
    ) -> Result<Issued, Error> {
        let token = RefreshToken::parse(refresh.refresh_token).ok_or(UNKNOWN_REFRESH)?;
        for _ in 0..2 {
            let now = self.clock.unix_seconds();
            let found = self.records.get::<RefreshRecord>(&token.id(), now).await?;
            let Versioned { record, version } = found.ok_or(UNKNOWN_REFRESH)?;
            let found = self.records.get_both::<Grant, Session>(&record.grant, now).await?;
            let (grant, session) = found;
            let grant = grant.ok_or(UNKNOWN_REFRESH)?;
            if grant.client_id != client.id || grant.refresh_until <= now {
                return Err(UNKNOWN_REFRESH);
            }
            let session = match session {
                Some(session) if !session.is_over(now) => Ok(session),
                Some(session) => Err(self.over(&session)),
                None => Err(Error::InvalidGrant(session_over(InactiveReason::SessionExpired))),
            };
            let scope = check_refresh(&grant, client, refresh);
            match &record.state {
                RefreshState::Spent { at, successor } => {
                    let successor = self.within_grace(&token, *at, successor, now).await?;
                    let Some(successor) = successor else {
                        self.refresh_token_again(client, &record.grant).await?;
                        return Err(UNKNOWN_REFRESH);
                    };
                    let session = session?;
                    // Who lost an answer asks again for the same.
                    if scope? != successor.scope() {
                        return Err(Error::InvalidScope);
                    }
                    let about = about(Event::TokenRefreshed, &grant, &record.grant, &session);
                    audit::record(&about.reason("given_again"));
                    return successor.issued(session, now);
                }
                RefreshState::Live => {
                    let (session, scope) = (session?, scope?);
                    let next = self.rotate(&token, version, &record.grant, &grant, scope, now);
                    if let Some(successor) = next.await? {
                        self.metrics.issued("refresh_token");
                        let about = about(Event::TokenRefreshed, &grant, &record.grant, &session);
                        audit::record(&about);
                        return successor.issued(session, now);
                    }
                }
            }
        }
        Err(UNKNOWN_REFRESH)
    }

    /// Spends the refresh token and writes its successors, in one step, if the grant still stands.
    /// `None`: someone else was first.
    async fn rotate(
        &self,
        token: &RefreshToken,
        version: u64,
        id: &str,
        grant: &Grant,
        scope: String,
        now: u64,
    ) -> Result<Option<Successor>, Error> {
        let access = AccessRecord::new(id, grant, scope, now, self.lifetimes());
        let successor = Successor::generate(&access, &self.access_token(&access)?)?;
        let (access_token, refresh_token) = successor.tokens()?;
        let state = RefreshState::Spent { at: now, successor: successor.seal(token)? };
        let spent = RefreshRecord { grant: id.to_owned(), state };
        let next = RefreshRecord { grant: id.to_owned(), state: RefreshState::Live };
        let applied = self
            .records
            .changes()
            .replace(&token.id(), version, &spent, grant.refresh_until)
            .require::<Grant>(id)
            .insert(&access_token.id(), &access, access.expires_at)
            .insert(&refresh_token.id(), &next, grant.refresh_until)
            .apply(now)
            .await?;
        Ok((applied == Applied::Yes).then_some(successor))
    }

    /// The successor of a spent token, if the grace lasts and nobody has used the successor.
    async fn within_grace(
        &self,
        token: &RefreshToken,
        spent_at: u64,
        sealed: &str,
        now: u64,
    ) -> Result<Option<Successor>, Error> {
        if now >= spent_at.saturating_add(self.lifetimes().refresh_grace_seconds) {
            return Ok(None);
        }
        let successor = Successor::open(token, sealed)?;
        let (_, next) = successor.tokens()?;
        let next = self.records.get::<RefreshRecord>(&next.id(), now).await?;
        let unused = next.is_some_and(|next| matches!(next.record.state, RefreshState::Live));
        Ok(unused.then_some(successor))
    }
}

impl Grants {
    /// The refusal of a grant whose session is over.
    fn over(&self, session: &Session) -> Error {
        Error::InvalidGrant(session_over(session.reason_when_over(self.settings.sessions)))
    }
}

/// An event of a grant, for the audit log.
fn about<'g>(event: Event, grant: &'g Grant, id: &'g str, session: &'g Session) -> Entry<'g> {
    let entry = Entry::success(event).client(&grant.client_id).subject(&grant.sub);
    entry.platform(&session.platform_host).grant(id)
}

fn check_exchange(
    active: &ActiveCode,
    client: &Client,
    exchange: &Exchange<'_>,
) -> Result<(), Error> {
    let request = &active.request;
    if request.client_id != client.id {
        return Err(UNKNOWN_CODE);
    }
    if request.way_back.redirect_uri != exchange.redirect_uri {
        return Err(Error::InvalidGrant("The redirect_uri is not the one of the authorization"));
    }
    match (&request.code_challenge, exchange.code_verifier) {
        (None, None) => {}
        (Some(challenge), Some(verifier)) if pkce::verifies(verifier, challenge) => {}
        (Some(_), None) => return Err(Error::invalid_request("Missing code_verifier parameter")),
        (Some(_), Some(_)) => {
            return Err(Error::InvalidGrant("The code_verifier does not fit the code_challenge"));
        }
        (None, Some(_)) => {
            return Err(Error::InvalidGrant("There was no code_challenge for this code_verifier"));
        }
    }
    check_audience(&request.audience, exchange.audience)
}

/// The scope of the next access token: what was granted and the client may still have, or less
/// (RFC 6749 section 6).
fn check_refresh(grant: &Grant, client: &Client, refresh: &Refresh<'_>) -> Result<String, Error> {
    check_audience(&grant.audience, refresh.audience)?;
    let granted = client.still_granted(&grant.scope).ok_or(UNKNOWN_REFRESH)?;
    match refresh.scope {
        None => Ok(granted),
        Some(asked) => narrow(asked, |scope| granted.split(' ').any(|own| own == scope))
            .ok_or(Error::InvalidScope),
    }
}

fn check_audience(granted: &str, asked: Option<&str>) -> Result<(), Error> {
    match asked {
        Some(asked) if asked != granted => Err(Error::InvalidTarget),
        _ => Ok(()),
    }
}
