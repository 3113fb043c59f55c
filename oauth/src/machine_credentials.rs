//! Machine credentials: a client calls an upstream with its own token, and the gateway puts another one
//! in, which this service has obtained with keys that no client holds.
//!
//! A credential has one token at a time, for all clients that may use it and all instances. It is
//! acquired when it is first needed, and the next one in the background, when the present one is due or
//! its upstream rejects it. `state` has the rules of when to ask, `acquiring` asks.

use std::sync::Arc;

use ib_contract::{RenewalCause, RenewalRequest, Revoked, Upstream};

use crate::{
    audit::{self, Entry, Event, Outcome},
    clock::Clock,
    error::Error,
    feed::Feed,
    records::Records,
    settings::Settings,
    upstreams::TokenUpstream,
};

mod acquiring;
mod announced;
mod overview;
mod pause;
mod state;

use acquiring::Inner;
pub(crate) use overview::CredentialOverview;
use state::{CredentialRecord, Want};

/// Longest id of a session that is told of, in bytes: a name, a dot, and a random series.
const LONGEST_SESSION_ID: usize = 128;

/// Keeps the tokens of all credentials.
pub(crate) struct MachineCredentials(Arc<Inner>);

impl MachineCredentials {
    pub(crate) fn new(
        records: Arc<Records>,
        feed: Arc<Feed>,
        upstream: Arc<dyn TokenUpstream>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
    ) -> Self {
        let metrics = records.metrics();
        for credential in &settings.machine_credentials.credentials {
            metrics.credential_exists(&credential.name);
        }
        Self(Arc::new(Inner::new(records, feed, upstream, clock, settings)))
    }

    /// What a token of this scope may reach: a token of each credential that the scope chooses, acquired
    /// where there is none. `None`: since it was issued, its scope has become one that chooses two for
    /// one host.
    pub(crate) async fn upstreams(&self, scope: &str) -> Result<Option<Vec<Upstream>>, Error> {
        let Ok(chosen) = self.0.settings.machine_credentials.chosen_by(scope) else {
            tracing::warn!("a token is refused: its scope chooses two credentials for one host");
            return Ok(None);
        };
        let mut upstreams = Vec::with_capacity(chosen.len());
        for credential in chosen {
            let record = self.0.obtain(credential, Want::Use).await?;
            let now = self.0.clock.unix_seconds();
            upstreams.push(record.told(credential, now)?);
            if record.is_due(now) {
                self.0.refresh_behind(credential);
            }
        }
        Ok(Some(upstreams))
    }

    /// Sees to a newer token than the one that `request` knows, if it is one that `scope` chooses. What
    /// came of it the gateway learns as by an introspection.
    pub(crate) async fn renew(
        &self,
        scope: &str,
        request: &RenewalRequest<'_>,
    ) -> Result<(), Error> {
        let inner = &self.0;
        let chosen = inner.settings.machine_credentials.chosen_by(scope).unwrap_or_default();
        for credential in chosen {
            // No name holds a dot, so that this is about one credential.
            let name = request.session.split_once('.').map(|(name, _)| name);
            if name != Some(credential.name.as_str()) || request.session.len() > LONGEST_SESSION_ID
            {
                continue;
            }
            let id = &credential.record;
            let found = inner.records.get::<CredentialRecord>(id, inner.now()).await?;
            let is_present =
                found.is_some_and(|found| found.record.session_id(credential) == request.session);
            if !is_present {
                // One of other keys, before a restart: whoever sees its token rejected asks anew.
                if request.cause == RenewalCause::Rejected {
                    self.forget_elsewhere(request.session).await?;
                }
                continue;
            }
            let want = match request.cause {
                RenewalCause::NearExpiry => Want::Refresh,
                RenewalCause::Rejected => Want::Replace { generation: request.generation },
            };
            inner.obtain(credential, want).await?;
        }
        Ok(())
    }

    /// Has gateways forget a session of keys that are not these, once in a while however many calls see its
    /// token rejected.
    async fn forget_elsewhere(&self, session: &str) -> Result<(), Error> {
        let (inner, now) = (&self.0, self.0.now());
        if !inner.announced.begin(session, now) {
            return Ok(());
        }
        let event = Revoked::Session(session.to_owned());
        let published = inner.feed.publish(event, inner.records.changes(), now).await;
        if published.is_err() {
            inner.announced.forget(session);
        }
        published.map(|_| ())
    }

    /// Acquires another token for the credential called `name`, whatever there is, which gateways take up
    /// as soon as they hear of it. `None`: there is no such credential.
    pub(crate) async fn force(&self, name: &str) -> Result<Option<CredentialOverview>, Error> {
        let inner = &self.0;
        let Some(credential) = inner.settings.machine_credentials.named(name) else {
            return Ok(None);
        };
        let found = inner.records.get::<CredentialRecord>(&credential.record, inner.now()).await?;
        let generation = found.map_or(0, |found| found.record.generation);
        let forced = inner.obtain(credential, Want::Force { generation }).await;
        let entry = match &forced {
            Ok(_) => Entry::success(Event::AdminAction),
            Err(_) => Entry::new(Event::AdminAction, Outcome::Failure),
        };
        audit::record(&entry.reason("credential_refreshed").credential(name));
        let record = forced?;
        // Gateways that know the token before ask again: the operator may have a reason.
        let session = Revoked::Session(record.session_id(credential));
        inner.feed.publish(session, inner.records.changes(), inner.now()).await?;
        Ok(Some(CredentialOverview::of(credential, Some(&record), inner.now())))
    }

    /// All credentials, in the order of the settings.
    pub(crate) async fn overviews(&self) -> Result<Vec<CredentialOverview>, Error> {
        let inner = &self.0;
        let credentials = &inner.settings.machine_credentials.credentials;
        let ids: Vec<_> = credentials.iter().map(|one| one.record.clone()).collect();
        let now = inner.now();
        let records = inner.records.get_all::<CredentialRecord>(&ids, now).await?;
        let pairs = credentials.iter().zip(records);
        Ok(pairs
            .map(|(credential, record)| CredentialOverview::of(credential, record.as_ref(), now))
            .collect())
    }

    /// Brings the gauges up to date, also with what other instances have done.
    pub(crate) async fn measure(&self) {
        let inner = &self.0;
        let credentials = &inner.settings.machine_credentials.credentials;
        if credentials.is_empty() {
            return;
        }
        let ids: Vec<_> = credentials.iter().map(|one| one.record.clone()).collect();
        // That the store fails is told elsewhere.
        let Ok(records) = inner.records.get_all::<CredentialRecord>(&ids, inner.now()).await else {
            return;
        };
        for (credential, record) in credentials.iter().zip(records) {
            if let Some(record) = record {
                inner.gauge(credential, &record);
            }
        }
    }
}
