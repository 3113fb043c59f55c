//! Renewals: reading a session again from IntelligenceBank, once for all who ask.
//!
//! Two things keep it to once: in this process a flight that everybody joins, and over all instances
//! a lease in the session's record, which is taken by compare-and-swap and ends by itself, or with the
//! process where the store is one process's own. The rules of when to ask are in `sessions::renewal`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ib_contract::{RenewalCause, RenewalRequest, Revoked};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    audit::{self, Entry, Event, Outcome},
    clock::Clock,
    error::Error,
    feed::Feed,
    grants::{GoodToken, Grants, Holder, Looked},
    machine_credentials::MachineCredentials,
    metrics::{RenewalResult, SessionEvent},
    records::{Records, Versioned},
    sessions::{Leases, Question, Reading, Session},
    settings::Settings,
    store::Applied,
    upstreams::LoginUpstream,
};

/// Most sessions that are asked about at the same time. One more is refused.
const MOST_FLIGHTS: usize = 1_024;
/// What a lease has beyond the time that IntelligenceBank may take: for the store.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often somebody looks who waits for another instance.
const RECHECK: Duration = Duration::from_millis(100);

/// How a flight ended.
#[derive(Debug, Clone)]
enum Landed {
    /// The store has the result.
    Settled,
    /// IntelligenceBank is out of reach.
    Unreachable,
    /// Another instance is asking.
    Elsewhere,
    Failed(Error),
}

/// Renews sessions.
pub(crate) struct Renewals(Arc<Inner>);

struct Inner {
    records: Arc<Records>,
    feed: Arc<Feed>,
    upstream: Arc<dyn LoginUpstream>,
    machine_credentials: Arc<MachineCredentials>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    /// By session.
    flights: Mutex<HashMap<String, watch::Receiver<Option<Landed>>>>,
}

impl Renewals {
    pub(crate) fn new(
        records: Arc<Records>,
        feed: Arc<Feed>,
        upstream: Arc<dyn LoginUpstream>,
        machine_credentials: Arc<MachineCredentials>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
    ) -> Self {
        let flights = Mutex::default();
        Self(Arc::new(Inner {
            records,
            feed,
            upstream,
            machine_credentials,
            clock,
            settings,
            flights,
        }))
    }

    /// What the gateway is to know about its token after asking for a renewal. A session that is not
    /// the token's is not renewed.
    pub(crate) async fn renew(
        &self,
        grants: &Grants,
        request: &RenewalRequest<'_>,
    ) -> Result<Looked, Error> {
        let inner = &self.0;
        let mut asked = false;
        let mut waited = Duration::ZERO;
        loop {
            let looked = grants.look_up(request.token).await?;
            let question = match &looked {
                Looked::Good(good) => match &good.holder {
                    Holder::Person(session) => inner.question(good, session, request),
                    Holder::Machine => {
                        inner.renew_for_machine(good, request).await?;
                        return Ok(looked);
                    }
                },
                Looked::Refused(_) => Question::Known,
            };
            match question {
                Question::Known => {
                    if !asked {
                        let metrics = inner.records.metrics();
                        metrics.renewal(request.cause, RenewalResult::Known);
                    }
                    return Ok(looked);
                }
                Question::Paused => return Err(Error::RenewalUnavailable),
                Question::Ask | Question::Leased | Question::Over => {}
            }
            asked = true;
            match inner.join(request).await? {
                Landed::Settled => {}
                Landed::Unreachable if request.cause == RenewalCause::Rejected => {
                    return Err(Error::RenewalUnavailable);
                }
                // The session goes on; the answer says when to ask again.
                Landed::Unreachable => return grants.look_up(request.token).await,
                Landed::Elsewhere if waited > inner.longest_lease() => {
                    return Err(Error::RenewalUnavailable);
                }
                Landed::Elsewhere => {
                    tokio::time::sleep(RECHECK).await;
                    waited = waited.saturating_add(RECHECK);
                }
                Landed::Failed(cause) => return Err(cause),
            }
        }
    }
}

impl Inner {
    fn leases(&self) -> Leases {
        let longest = self.longest_lease().as_secs();
        Leases { longest, opening: self.records.store().opening() }
    }

    fn longest_lease(&self) -> Duration {
        self.settings.intelligencebank.request_timeout.saturating_add(LEASE_MARGIN)
    }

    /// The same for a token of a client that acts for itself.
    async fn renew_for_machine(
        &self,
        good: &GoodToken,
        request: &RenewalRequest<'_>,
    ) -> Result<(), Error> {
        if good.token.audience == self.settings.resources.default {
            self.machine_credentials.renew(&good.token.scope, request).await?;
        }
        Ok(())
    }

    fn question(
        &self,
        good: &GoodToken,
        session: &Session,
        request: &RenewalRequest<'_>,
    ) -> Question {
        let token = &good.token;
        if token.grant != request.session || token.audience != self.settings.resources.default {
            return Question::Known;
        }
        self.ask_for(session, request.generation, request.cause, self.clock.unix_seconds())
    }

    fn ask_for(
        &self,
        session: &Session,
        generation: u64,
        cause: RenewalCause,
        now: u64,
    ) -> Question {
        session.question(generation, cause, self.settings.sessions, self.leases(), now)
    }

    /// Waits for the flight of a session, which begins unless it is under way. It goes on when
    /// whoever began it goes away.
    async fn join(self: &Arc<Self>, request: &RenewalRequest<'_>) -> Result<Landed, Error> {
        let mut flight = {
            let mut flights = self.flights();
            match flights.get(request.session) {
                Some(flight) => flight.clone(),
                None if flights.len() >= MOST_FLIGHTS => return Err(Error::Busy),
                None => {
                    let (landing, flight) = watch::channel(None);
                    flights.insert(request.session.to_owned(), flight.clone());
                    let own =
                        Flight { inner: Arc::clone(self), session: request.session.to_owned() };
                    let (generation, cause) = (request.generation, request.cause);
                    tokio::spawn(
                        audit::carried(async move {
                            let landed = own.inner.fly(&own.session, generation, cause).await;
                            // Who comes from here on begins another flight, and finds the result.
                            drop(own);
                            landing.send_replace(Some(landed.unwrap_or_else(Landed::Failed)));
                        })
                        .in_current_span(),
                    );
                    flight
                }
            }
        };
        let landed = flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
        Ok(landed.unwrap_or(Landed::Failed(Error::Internal)))
    }

    /// Asks IntelligenceBank, if that is still to be done, and records what comes of it.
    async fn fly(&self, id: &str, generation: u64, cause: RenewalCause) -> Result<Landed, Error> {
        let now = self.clock.unix_seconds();
        let Some(found) = self.records.get::<Session>(id, now).await? else {
            return Ok(Landed::Settled);
        };
        let Versioned { record: session, version } = found;
        let login = match self.ask_for(&session, generation, cause, now) {
            Question::Known => return Ok(Landed::Settled),
            Question::Paused => return Ok(Landed::Unreachable),
            Question::Leased => return Ok(Landed::Elsewhere),
            Question::Over => {
                self.records.metrics().renewal(cause, RenewalResult::Over);
                self.end(id, version, &session.after_rejection(), now).await?;
                return Ok(Landed::Settled);
            }
            // Without a login the question is another one.
            Question::Ask => session.login().ok_or(Error::Internal)?,
        };
        let leased = session.leased(self.leases(), now);
        if self.put(id, version, &leased, now).await? == Applied::Conflict {
            return Ok(Landed::Elsewhere);
        }
        // The version that the lease has by the contract of every store.
        let version = version.saturating_add(1);
        let answer = self.upstream.progress(&session.platform_host, login).await;
        let now = self.clock.unix_seconds();
        let (hosts, settings) = (&self.settings.intelligencebank.api_hosts, self.settings.sessions);
        let reading = session.read_again(cause, answer, hosts, settings, now);
        self.records.metrics().renewal(
            cause,
            match &reading {
                Reading::Newer(_) => RenewalResult::Renewed,
                Reading::NothingNewer => RenewalResult::NothingNewer,
                Reading::Unreachable => RenewalResult::Unreachable,
            },
        );
        let entry = entry(id, &session, cause, &reading);
        // On a conflict the grant was revoked meanwhile, or another instance asked after the lease:
        // what they wrote counts.
        let applied = match reading {
            Reading::Newer(newer) => {
                let applied = self.put(id, version, &newer, now).await?;
                if applied == Applied::Yes {
                    self.records.metrics().session(SessionEvent::Renewed);
                }
                applied
            }
            Reading::NothingNewer => {
                let next = session.after_nothing_newer(cause, settings, now);
                if cause == RenewalCause::Rejected {
                    self.end(id, version, &next, now).await?
                } else {
                    self.put(id, version, &next, now).await?
                }
            }
            Reading::Unreachable => {
                self.put(id, version, &session.after_outage(now), now).await?;
                audit::record(&entry);
                return Ok(Landed::Unreachable);
            }
        };
        if applied == Applied::Yes {
            audit::record(&entry);
        }
        Ok(Landed::Settled)
    }

    async fn put(
        &self,
        id: &str,
        version: u64,
        session: &Session,
        now: u64,
    ) -> Result<Applied, Error> {
        let kept_until = session.kept_until(self.settings.tokens.access_token_seconds);
        self.records.changes().replace(id, version, session, kept_until).apply(now).await
    }

    /// Records that a session is over, and tells the gateways.
    async fn end(
        &self,
        id: &str,
        version: u64,
        over: &Session,
        now: u64,
    ) -> Result<Applied, Error> {
        let kept_until = over.kept_until(self.settings.tokens.access_token_seconds);
        let changes = self.records.changes().replace(id, version, over, kept_until);
        let applied = self.feed.publish(Revoked::Session(id.to_owned()), changes, now).await?;
        if applied == Applied::Yes {
            self.records.metrics().session(SessionEvent::Rejected);
            let entry = Entry::success(Event::SessionEnded).reason("rejected");
            let entry = entry.subject(&over.person.uuid).platform(&over.platform_host);
            audit::record(&entry.grant(id));
        }
        Ok(applied)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Landed>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of asking IntelligenceBank, for the audit log.
fn entry<'s>(
    id: &'s str,
    session: &'s Session,
    cause: RenewalCause,
    reading: &Reading,
) -> Entry<'s> {
    let entry = match reading {
        Reading::Newer(_) => Entry::success(Event::SessionRenewed).reason(cause.as_str()),
        Reading::NothingNewer => {
            Entry::new(Event::SessionRenewalRefused, Outcome::Denied).reason("nothing_newer")
        }
        Reading::Unreachable => {
            Entry::new(Event::SessionRenewalRefused, Outcome::Failure).reason("unreachable")
        }
    };
    entry.subject(&session.person.uuid).platform(&session.platform_host).grant(id)
}

/// A flight under way. It is forgotten when this is dropped, also by a panic.
struct Flight {
    inner: Arc<Inner>,
    session: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.inner.flights().remove(&self.session);
    }
}
