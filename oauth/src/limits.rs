//! How often a client, an address and a platform may ask. Each limit is a bucket a key (GCRA, by the
//! `governor` crate) that belongs to this process: with several instances each has its own.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    audit::{self, Entry, Event, Outcome},
    clock::Clock,
    error::Error,
    metrics::Metrics,
    settings::{LimitSettings, Quotas},
};

pub(crate) mod address;
mod rate;

use rate::Rate;

/// How often the audit log says that a limit refuses requests.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What is asked for, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// `/authorize` where it begins a login.
    Login,
    /// `/authorize/poll`, and the Continue button of the page.
    Poll,
    Token,
    /// `/introspect` for ordinary callers.
    Introspect,
    /// And `/logout`, which ends what a revocation ends.
    Revoke,
    Register,
}

impl Endpoint {
    /// Its label in the metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Poll => "poll",
            Self::Token => "token",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
            Self::Register => "register",
        }
    }
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    Address,
    Client,
    Platform,
    /// Failed client authentications of one address.
    FailedAuthentication,
    /// Logins that wait for their person.
    PendingLogins,
}

impl Limit {
    /// Its label in the metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Client => "client",
            Self::Platform => "platform",
            Self::FailedAuthentication => "failed_authentication",
            Self::PendingLogins => "pending_logins",
        }
    }
}

/// The limits of one endpoint. `None` is no limit.
struct Group {
    address: Option<Rate<IpAddr>>,
    client: Option<Rate<String>>,
    platform: Option<Rate<String>>,
}

/// All buckets of this process.
pub(crate) struct Limits {
    login: Group,
    poll: Group,
    token: Group,
    introspect: Group,
    revoke: Group,
    register: Group,
    failed_authentication: Option<Rate<IpAddr>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// When the audit log last said so of an endpoint and a limit.
    told: Mutex<HashMap<(Endpoint, Limit), Option<Duration>>>,
}

impl Limits {
    pub(crate) fn new(
        settings: &LimitSettings,
        clock: &Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let most = settings.maximum_keys;
        let group = |quotas: Quotas| Group {
            address: quotas.address.map(|quota| Rate::new(quota, most, clock)),
            client: quotas.client.map(|quota| Rate::new(quota, most, clock)),
            platform: quotas.platform.map(|quota| Rate::new(quota, most, clock)),
        };
        Self {
            login: group(settings.login),
            poll: group(settings.poll),
            token: group(settings.token),
            introspect: group(settings.introspect),
            revoke: group(settings.revoke),
            register: group(settings.register),
            failed_authentication: settings
                .failed_authentication
                .map(|quota| Rate::new(quota, most, clock)),
            metrics,
            clock: Arc::clone(clock),
            told: Mutex::default(),
        }
    }

    /// Counts a request of an address.
    pub(crate) fn address(&self, endpoint: Endpoint, address: IpAddr) -> Result<(), Error> {
        let rate = self.group(endpoint).address.as_ref();
        self.judge(endpoint, Limit::Address, rate.map(|rate| rate.spend(address)))
    }

    /// Counts a request of a client that has proved who it is, or has nothing to prove it with.
    pub(crate) fn client(&self, endpoint: Endpoint, client_id: &str) -> Result<(), Error> {
        let rate = self.group(endpoint).client.as_ref();
        self.judge(endpoint, Limit::Client, rate.map(|rate| rate.spend(client_id.to_owned())))
    }

    /// Counts a login on a platform.
    pub(crate) fn platform(&self, host: &str) -> Result<(), Error> {
        let rate = self.login.platform.as_ref();
        self.judge(Endpoint::Login, Limit::Platform, rate.map(|rate| rate.spend(host.to_owned())))
    }

    /// Whether an address may still try to authenticate a client.
    pub(crate) fn may_authenticate(
        &self,
        endpoint: Endpoint,
        address: IpAddr,
    ) -> Result<(), Error> {
        let rate = self.failed_authentication.as_ref();
        self.judge(endpoint, Limit::FailedAuthentication, rate.map(|rate| rate.look(address)))
    }

    /// Counts a client authentication of an address that failed.
    pub(crate) fn authentication_failed(&self, address: IpAddr) {
        if let Some(rate) = &self.failed_authentication {
            // Whether there was room for it is asked before the next one.
            rate.spend(address).ok();
        }
    }

    /// A request was refused at a bound.
    pub(crate) fn refused(&self, endpoint: Endpoint, limit: Limit) {
        self.metrics.limited(limit.label(), endpoint.label());
        // The metric counts all of them. In the log one in a while says what is going on: strangers could
        // fill the disk otherwise.
        let now = self.clock.monotonic();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.entry((endpoint, limit)).or_insert(None);
        if last.is_none_or(|last| now >= last.saturating_add(TOLD_EVERY)) {
            *last = Some(now);
            audit::record(&Entry::new(Event::Limited, Outcome::Denied).reason(limit.label()));
        }
    }

    /// Forgets the buckets that are full again.
    pub(crate) fn sweep(&self) {
        for group in
            [&self.login, &self.poll, &self.token, &self.introspect, &self.revoke, &self.register]
        {
            group.address.iter().for_each(Rate::sweep);
            group.client.iter().chain(&group.platform).for_each(Rate::sweep);
        }
        self.failed_authentication.iter().for_each(Rate::sweep);
    }

    const fn group(&self, endpoint: Endpoint) -> &Group {
        match endpoint {
            Endpoint::Login => &self.login,
            Endpoint::Poll => &self.poll,
            Endpoint::Token => &self.token,
            Endpoint::Introspect => &self.introspect,
            Endpoint::Revoke => &self.revoke,
            Endpoint::Register => &self.register,
        }
    }

    fn judge(
        &self,
        endpoint: Endpoint,
        limit: Limit,
        outcome: Option<Result<(), u64>>,
    ) -> Result<(), Error> {
        match outcome {
            None | Some(Ok(())) => Ok(()),
            Some(Err(retry_after)) => {
                self.refused(endpoint, limit);
                Err(Error::RateLimited { retry_after })
            }
        }
    }
}
