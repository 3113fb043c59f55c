//! Logins: begun by a client's authorization request, gone through by a person at IntelligenceBank,
//! and asked after with a poll token until a code comes of them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ib_contract::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{self, Entry, Event, Outcome},
    authorization::AuthorizationRequest,
    clock::Clock,
    error::Error,
    grants::CodeRecord,
    limits::{Endpoint, Limit},
    metrics::{LoginEvent, Metrics},
    records::{Record, Records, Versioned},
    sealing::{open_under, seal_under},
    sessions::{Session, SessionRefused},
    settings::Settings,
    store::{Applied, Table},
    tokens::{BrowserSecret, Code, PollToken},
    upstreams::{LoginProgress, LoginUpstream, UpstreamError, UpstreamSession},
};

mod checks;
mod pending;

use checks::Checks;
use pending::{Full, Pending};

/// A login as the store knows it. It expires with its deadline.
#[derive(Debug, Serialize, Deserialize)]
struct Login {
    request: AuthorizationRequest,
    platform_host: String,
    /// The hash of the secret in the browser that began the login on the page.
    browser: Option<String>,
    state: State,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Pending {
        login_url: Secret,
        login: Secret,
    },
    /// The redirect with the code, sealed under the poll token. It is kept for the code's lifetime,
    /// so that an answer that got lost on its way does not lose the login.
    Complete {
        redirect_url: String,
    },
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Failure {
    Expired,
    ApiHostNotAllowed,
    SessionOver,
    UnusableAnswer,
}

impl Failure {
    fn error(self) -> Error {
        match self {
            Self::Expired => Error::ExpiredToken,
            Self::ApiHostNotAllowed => Error::AccessDenied(
                "The platform named an API address that this service does not allow",
            ),
            Self::SessionOver => Error::AccessDenied("The session at the platform is already over"),
            Self::UnusableAnswer => {
                Error::AccessDenied("The platform answered in a way that this service cannot use")
            }
        }
    }
}

impl Failure {
    /// The word for the audit log.
    fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::ApiHostNotAllowed => "api_host_not_allowed",
            Self::SessionOver => "session_over",
            Self::UnusableAnswer => "unusable_answer",
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::ApiHostNotAllowed => Outcome::Denied,
            Self::Expired | Self::SessionOver | Self::UnusableAnswer => Outcome::Failure,
        }
    }
}

impl From<SessionRefused> for Failure {
    fn from(cause: SessionRefused) -> Self {
        match cause {
            SessionRefused::ApiHostNotAllowed => Self::ApiHostNotAllowed,
            SessionRefused::AlreadyOver => Self::SessionOver,
        }
    }
}

impl Record for Login {
    const TABLE: Table = Table::Login;
}

/// A login that has just begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where the person logs in.
    pub(crate) login_url: Secret,
    /// What to ask with whether they have.
    pub(crate) poll_token: PollToken,
}

/// How far a login is.
#[derive(Debug)]
pub(crate) enum Poll {
    /// Not yet: what the waiting page shows.
    Pending(Box<PendingLogin>),
    /// Done: where the browser goes, with the code.
    Complete(Secret),
    /// It ended without a code.
    Failed(Error, AuthorizationRequest),
}

/// A login that waits for its person.
#[derive(Debug)]
pub(crate) struct PendingLogin {
    pub(crate) request: AuthorizationRequest,
    pub(crate) platform_host: String,
    pub(crate) login_url: Secret,
}

/// Begins logins and asks after them.
pub(crate) struct Logins {
    records: Arc<Records>,
    upstream: Arc<dyn LoginUpstream>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    checks: Checks,
    pending: Pending,
}

impl Logins {
    pub(crate) fn new(
        records: Arc<Records>,
        upstream: Arc<dyn LoginUpstream>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let checks = Checks::new(settings.intelligencebank.poll_interval);
        let lifetime = Duration::from_secs(settings.intelligencebank.login_deadline_seconds);
        let pending = Pending::new(settings.limits.pending_logins, lifetime);
        Self { records, upstream, clock, settings, metrics, checks, pending }
    }

    /// Begins a login on `platform_host`, which the caller has checked, for somebody at `address`.
    /// With a `browser`, only that browser may ask after it.
    pub(crate) async fn begin(
        &self,
        address: IpAddr,
        request: AuthorizationRequest,
        platform_host: String,
        browser: Option<&BrowserSecret>,
    ) -> Result<Begun, Error> {
        let place = self.pending.take(address, &platform_host, self.clock.monotonic());
        let place = place.map_err(|full| {
            let limit = Limit::PendingLogins.label();
            self.metrics.limited(limit, Endpoint::Login.label());
            audit::record(&Entry::new(Event::Limited, Outcome::Denied).reason(limit));
            match full {
                Full::Everywhere => Error::Busy,
                Full::Here { retry_after } => Error::RateLimited { retry_after },
            }
        })?;
        let begun = self.upstream.begin(&platform_host).await.map_err(|cause| {
            tracing::warn!(%cause, "a login cannot begin");
            let entry = Entry::new(Event::LoginFailed, Outcome::Failure).reason("platform");
            audit::record(&entry.client(&request.client_id).platform(&platform_host));
            refused(&cause)
        })?;
        let now = self.clock.unix_seconds();
        let deadline = now.saturating_add(self.settings.intelligencebank.login_deadline_seconds);
        let poll_token = PollToken::generate()?;
        let login = Login {
            request,
            platform_host,
            browser: browser.map(BrowserSecret::id),
            state: State::Pending { login_url: begun.url.clone(), login: begun.login },
        };
        self.records.changes().insert(&poll_token.id(), &login, deadline).apply(now).await?;
        place.keep_for(poll_token.id());
        self.metrics.login(LoginEvent::Begun);
        let entry = Entry::success(Event::LoginBegun).client(&login.request.client_id);
        audit::record(&entry.platform(&login.platform_host));
        Ok(Begun { login_url: begun.url, poll_token })
    }

    /// Asks after a login. When the person has logged in, one code is minted, whoever asks and
    /// however many do.
    pub(crate) async fn poll(
        &self,
        token: &PollToken,
        browser: Option<&BrowserSecret>,
    ) -> Result<Poll, Error> {
        let now = self.clock.unix_seconds();
        let Versioned { record, version } = self.find(token, browser, now).await?;
        let State::Pending { login_url, login } = &record.state else {
            return settled(token, record);
        };
        let pending = || {
            Poll::Pending(Box::new(PendingLogin {
                request: record.request.clone(),
                platform_host: record.platform_host.clone(),
                login_url: login_url.clone(),
            }))
        };
        let Some(_check) = self.checks.begin(token.id(), self.clock.monotonic()) else {
            return Ok(pending());
        };
        let next = match self.upstream.progress(&record.platform_host, login).await {
            Ok(LoginProgress::Pending | LoginProgress::Unclear { .. }) => return Ok(pending()),
            Ok(LoginProgress::Expired) => Err(Failure::Expired),
            Ok(LoginProgress::Complete(session)) => Ok(*session),
            Err(cause @ (UpstreamError::Unusable(_) | UpstreamError::TooLong)) => {
                tracing::warn!(%cause, "a login is refused");
                Err(Failure::UnusableAnswer)
            }
            Err(
                cause @ (UpstreamError::Unreachable(_)
                | UpstreamError::Limited { .. }
                | UpstreamError::NotAPlatform { .. }),
            ) => {
                // An outage ends no login: its deadline does.
                tracing::warn!(%cause, "a login cannot be asked after");
                return Ok(pending());
            }
        };
        self.settle(token, &record, version, next).await?;
        self.pending.settled(&token.id());
        // Another poll may have settled it first: what the store holds now is the answer for all.
        let now = self.clock.unix_seconds();
        let Versioned { record, .. } = self.find(token, browser, now).await?;
        settled(token, record)
    }

    async fn find(
        &self,
        token: &PollToken,
        browser: Option<&BrowserSecret>,
        now: u64,
    ) -> Result<Versioned<Login>, Error> {
        let found = self.records.get::<Login>(&token.id(), now).await?;
        let found = found.ok_or(Error::ExpiredToken)?;
        match &found.record.browser {
            Some(bound) if Some(bound) != browser.map(BrowserSecret::id).as_ref() => {
                Err(Error::AccessDenied(
                    "This login was begun in another browser, or your browser keeps no cookies; \
                     begin again from the application",
                ))
            }
            _ => Ok(found),
        }
    }

    /// Writes the end of a pending login: a code, or a failure.
    async fn settle(
        &self,
        token: &PollToken,
        login: &Login,
        version: u64,
        next: Result<UpstreamSession, Failure>,
    ) -> Result<(), Error> {
        let now = self.clock.unix_seconds();
        let expires_at = now.saturating_add(self.settings.tokens.code_seconds);
        let next = next.and_then(|session| {
            let hosts = &self.settings.intelligencebank.api_hosts;
            let secret = match &login.state {
                State::Pending { login, .. } => Some(login.clone()),
                State::Complete { .. } | State::Failed(_) => None,
            };
            let (host, sessions) = (&login.platform_host, self.settings.sessions);
            Session::begin(host, secret, session, hosts, sessions, now).map_err(|cause| {
                tracing::warn!(%cause, "a login is refused");
                cause.into()
            })
        });
        let (state, code, event) = match next {
            Ok(session) => {
                let code = Code::generate()?;
                let issuer = &self.settings.issuer.url;
                let url = login.request.way_back.url(issuer, &[("code", code.expose())]);
                let redirect_url = seal_under(token, url.as_bytes()).map_err(|cause| {
                    tracing::error!(%cause);
                    Error::Internal
                })?;
                let record = CodeRecord::active(login.request.clone(), session);
                (State::Complete { redirect_url }, Some((code, record)), LoginEvent::Completed)
            }
            Err(failure) => (State::Failed(failure), None, LoginEvent::Failed),
        };
        let settled = Login {
            request: login.request.clone(),
            platform_host: login.platform_host.clone(),
            browser: login.browser.clone(),
            state,
        };
        let mut changes =
            self.records.changes().replace(&token.id(), version, &settled, expires_at);
        if let Some((code, record)) = &code {
            changes = changes.insert(&code.id(), record, expires_at);
        }
        if changes.apply(now).await? == Applied::Yes {
            self.metrics.login(event);
            record_end(&settled, code.as_ref().map(|(_, record)| record));
        }
        Ok(())
    }
}

/// Puts the end of a login into the audit log.
fn record_end(login: &Login, code: Option<&CodeRecord>) {
    let about = |entry: Entry<'_>, subject: Option<&str>| {
        let entry = entry.client(&login.request.client_id).platform(&login.platform_host);
        audit::record(&match subject {
            Some(subject) => entry.subject(subject),
            None => entry,
        });
    };
    match (&login.state, code) {
        (State::Failed(failure), _) => {
            let entry = Entry::new(Event::LoginFailed, failure.outcome());
            about(entry.reason(failure.reason()), None);
        }
        (_, Some(code)) => {
            about(Entry::success(Event::LoginFinished), code.subject());
            about(Entry::success(Event::CodeIssued), code.subject());
        }
        (State::Pending { .. } | State::Complete { .. }, None) => {}
    }
}

fn settled(token: &PollToken, login: Login) -> Result<Poll, Error> {
    match login.state {
        State::Complete { redirect_url } => {
            let url = open_under(token, &redirect_url)
                .ok()
                .and_then(|url| String::from_utf8(url.to_vec()).ok())
                .ok_or(Error::Internal)?;
            Ok(Poll::Complete(Secret::new(url)))
        }
        State::Failed(failure) => Ok(Poll::Failed(failure.error(), login.request)),
        State::Pending { login_url, .. } => Ok(Poll::Pending(Box::new(PendingLogin {
            request: login.request,
            platform_host: login.platform_host,
            login_url,
        }))),
    }
}

fn refused(cause: &UpstreamError) -> Error {
    Error::Platform(match cause {
        UpstreamError::Unreachable(_) | UpstreamError::Limited { .. } => {
            "The platform cannot be reached"
        }
        UpstreamError::NotAPlatform { .. }
        | UpstreamError::TooLong
        | UpstreamError::Unusable(_) => "This address does not answer as a platform does",
    })
}
