//! Asking for tokens. Two things keep it to one question at a time: in this process a flight that
//! everybody joins, and over all instances a lease in the record, as with renewals of sessions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tracing::Instrument as _;

use super::{
    announced::Announced,
    state::{CredentialRecord, Step, Want},
};
use crate::{
    audit::{self, Entry, Event, Outcome},
    clock::Clock,
    error::Error,
    feed::Feed,
    metrics::CredentialState,
    records::{Records, Versioned},
    sessions::Leases,
    settings::{MachineCredential, Settings},
    store::Applied,
    tokens::{random_bytes, random_id},
    upstreams::{Acquired, TokenUpstream, UpstreamError},
};

/// What a lease has beyond the time that the endpoint may take: for the store.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often somebody looks who waits for another instance.
const RECHECK: Duration = Duration::from_millis(100);
/// How often somebody looks again after a flight before they give up: each sees what it has given.
const MOST_FLIGHTS: usize = 4;
/// Seconds after which a caller may try again where nothing better is known.
const SOON: u64 = 2;

/// How a flight ended.
#[derive(Debug, Clone)]
enum Landed {
    /// The store has the result.
    Settled,
    /// The endpoint gave no token; the store has when it is asked again.
    Failed,
    /// Another instance is asking.
    Elsewhere,
    /// This service failed.
    Broken(Error),
}

/// What all of it shares.
pub(super) struct Inner {
    pub(super) records: Arc<Records>,
    pub(super) feed: Arc<Feed>,
    upstream: Arc<dyn TokenUpstream>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<Settings>,
    /// Sessions of other keys that the feed has told of.
    pub(super) announced: Announced,
    /// By the name of the record; no more than there are credentials.
    flights: Mutex<HashMap<String, watch::Receiver<Option<Landed>>>>,
}

impl Inner {
    pub(super) fn new(
        records: Arc<Records>,
        feed: Arc<Feed>,
        upstream: Arc<dyn TokenUpstream>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
    ) -> Self {
        let (announced, flights) = (Announced::default(), Mutex::default());
        Self { records, feed, upstream, clock, settings, announced, flights }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    fn longest_lease(&self) -> Duration {
        self.settings.intelligencebank.request_timeout.saturating_add(LEASE_MARGIN)
    }

    fn leases(&self) -> Leases {
        let longest = self.longest_lease().as_secs();
        Leases { longest, opening: self.records.store().opening() }
    }

    fn step(&self, record: Option<&CredentialRecord>, want: Want, now: u64) -> Step {
        let settings = &self.settings.machine_credentials;
        record.map_or(Step::Ask, |record| record.step(want, settings, self.leases(), now))
    }

    /// The record with what `want` asks for. Whoever only wants it soon gets what there is when nothing
    /// newer comes.
    pub(super) async fn obtain(
        self: &Arc<Self>,
        credential: &MachineCredential,
        want: Want,
    ) -> Result<CredentialRecord, Error> {
        let (mut waited, mut flights) = (Duration::ZERO, 0_usize);
        loop {
            let now = self.now();
            let found = self.records.get::<CredentialRecord>(&credential.record, now).await?;
            let record = found.map(|found| found.record);
            let usable = record.as_ref().filter(|record| record.usable(now).is_some());
            let is_patient = matches!(want, Want::Use | Want::Refresh);
            let mut retry_after = SOON;
            match (self.step(record.as_ref(), want, now), usable) {
                (Step::Known, Some(record)) => return Ok(record.clone()),
                (Step::Paused { .. }, Some(record)) if is_patient => return Ok(record.clone()),
                (Step::Paused { seconds }, _) => retry_after = seconds,
                (Step::Known | Step::Ask | Step::Leased, _) if flights < MOST_FLIGHTS => {
                    match self.join(credential, want).await {
                        Landed::Settled => flights = flights.saturating_add(1),
                        // The pause that it has begun is the answer of the next round; an operator
                        // waits for none.
                        Landed::Failed if !matches!(want, Want::Force { .. }) => {
                            flights = flights.saturating_add(1);
                        }
                        Landed::Failed => return Err(Error::CredentialUnavailable { retry_after }),
                        Landed::Elsewhere if waited > self.longest_lease() => {
                            return Err(Error::CredentialUnavailable { retry_after });
                        }
                        Landed::Elsewhere => {
                            tokio::time::sleep(RECHECK).await;
                            waited = waited.saturating_add(RECHECK);
                        }
                        Landed::Broken(cause) => return Err(cause),
                    }
                    continue;
                }
                (Step::Known | Step::Ask | Step::Leased, _) => {}
            }
            return Err(Error::CredentialUnavailable { retry_after });
        }
    }

    /// Has the next token asked for, which goes on by itself.
    pub(super) fn refresh_behind(self: &Arc<Self>, credential: &MachineCredential) {
        drop(self.flight(credential, Want::Refresh));
    }

    async fn join(self: &Arc<Self>, credential: &MachineCredential, want: Want) -> Landed {
        let mut flight = self.flight(credential, want);
        let landed = flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
        landed.unwrap_or(Landed::Broken(Error::Internal))
    }

    /// The flight of a credential, which begins unless one is under way. It goes on when whoever began
    /// it goes away.
    fn flight(
        self: &Arc<Self>,
        credential: &MachineCredential,
        want: Want,
    ) -> watch::Receiver<Option<Landed>> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&credential.record) {
            return flight.clone();
        }
        let (landing, flight) = watch::channel(None);
        flights.insert(credential.record.clone(), flight.clone());
        let own = Flight { inner: Arc::clone(self), credential: credential.clone() };
        tokio::spawn(
            audit::carried(async move {
                let landed = own.inner.fly(&own.credential, want).await;
                // Who comes from here on begins another flight, and finds the result.
                drop(own);
                landing.send_replace(Some(landed.unwrap_or_else(Landed::Broken)));
            })
            .in_current_span(),
        );
        flight
    }

    /// Asks the endpoint, if that is still to be done, and records what comes of it.
    async fn fly(&self, credential: &MachineCredential, want: Want) -> Result<Landed, Error> {
        let now = self.now();
        let found = self.records.get::<CredentialRecord>(&credential.record, now).await?;
        match self.step(found.as_ref().map(|found| &found.record), want, now) {
            Step::Known => return Ok(Landed::Settled),
            Step::Paused { .. } => return Ok(Landed::Failed),
            Step::Leased => return Ok(Landed::Elsewhere),
            Step::Ask => {}
        }
        let (record, version) = match found {
            Some(Versioned { record, version }) => (record, Some(version)),
            None => (CredentialRecord::new(random_id()?), None),
        };
        let leased = record.leased(self.leases(), now);
        if self.put(credential, version, &leased, now).await? == Applied::Conflict {
            return Ok(Landed::Elsewhere);
        }
        // The version that the lease has by the contract of every store.
        let version = version.unwrap_or_default().saturating_add(1);
        let answer = self.upstream.acquire(credential).await;
        let asked_at = now;
        let now = self.now();
        let (next, landed, result) = self.read(&record, credential, want, answer, asked_at, now)?;
        // On a conflict another instance asked after the lease: what it wrote counts.
        if self.put(credential, Some(version), &next, now).await? == Applied::Yes {
            self.records.metrics().credential_acquired(&credential.name, want.cause(), result);
            self.gauge(credential, &next);
            let (event, outcome) = match landed {
                Landed::Settled => (Event::CredentialAcquired, Outcome::Success),
                _ => (Event::CredentialRefused, Outcome::Failure),
            };
            let reason = if outcome == Outcome::Success { want.cause() } else { result };
            let entry = Entry::new(event, outcome).reason(reason).platform(&credential.host);
            audit::record(&entry.credential(&credential.name));
        }
        Ok(landed)
    }

    /// What the record becomes by an answer, how the flight lands by it, and a word for it.
    fn read(
        &self,
        record: &CredentialRecord,
        credential: &MachineCredential,
        want: Want,
        answer: Result<Acquired, UpstreamError>,
        asked_at: u64,
        now: u64,
    ) -> Result<(CredentialRecord, Landed, &'static str), Error> {
        let settings = &self.settings.machine_credentials;
        let name = &credential.name;
        let (result, is_refusal, retry_after) = match answer {
            Ok(Acquired::Token { token, expires_in }) => {
                let next = record.with_token(want, token, expires_in, settings, asked_at, now);
                if let Some(token) = next.usable(now) {
                    if token.is_buffer_cut && !record.has_token_of(&next) {
                        tracing::warn!(
                            credential = name,
                            setting = settings.refresh_buffer_field,
                            buffer_seconds = settings.refresh_buffer_seconds,
                            lives_seconds = expires_in,
                            "the buffer is longer than a token lives, and is cut to half of that"
                        );
                    }
                    return Ok((next, Landed::Settled, "acquired"));
                }
                tracing::warn!(
                    credential = name,
                    lives_seconds = expires_in,
                    "a token is over when it arrives"
                );
                ("unusable", false, None)
            }
            Ok(Acquired::Refused { reason }) => {
                tracing::error!(credential = name, reason, "the token endpoint refuses the keys");
                (reason, true, None)
            }
            Err(cause) => {
                tracing::warn!(credential = name, %cause, "a token cannot be acquired now");
                let retry_after = match &cause {
                    UpstreamError::Limited { retry_after } => *retry_after,
                    _ => None,
                };
                (word(&cause), false, retry_after)
            }
        };
        let random = u64::from_be_bytes(random_bytes()?);
        let next = record.with_failure(result, is_refusal, retry_after, random, now);
        Ok((next, Landed::Failed, result))
    }

    async fn put(
        &self,
        credential: &MachineCredential,
        version: Option<u64>,
        record: &CredentialRecord,
        now: u64,
    ) -> Result<Applied, Error> {
        let (id, until) = (&credential.record, record.kept_until(now));
        let changes = self.records.changes();
        let changes = match version {
            Some(version) => changes.replace(id, version, record, until),
            None => changes.insert(id, record, until),
        };
        changes.apply(now).await
    }

    pub(super) fn gauge(&self, credential: &MachineCredential, record: &CredentialRecord) {
        let token = record.token.as_ref();
        self.records.metrics().credential(
            &credential.name,
            CredentialState {
                failures: record.failures,
                acquired_at: token.map(|token| token.acquired_at),
                refresh_at: token.map(|token| token.refresh_at),
                expires_at: token.map(|token| token.expires_at),
            },
        );
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Landed>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A word for metrics and operators.
const fn word(cause: &UpstreamError) -> &'static str {
    match cause {
        UpstreamError::Unreachable(_) => "unreachable",
        UpstreamError::Limited { .. } => "limited",
        UpstreamError::NotAPlatform { .. } => "not_a_token_endpoint",
        UpstreamError::TooLong | UpstreamError::Unusable(_) => "unusable",
    }
}

/// A flight under way. It is forgotten when this is dropped, also by a panic.
struct Flight {
    inner: Arc<Inner>,
    credential: MachineCredential,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.inner.flights().remove(&self.credential.record);
    }
}
