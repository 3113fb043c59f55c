//! Sessions at IntelligenceBank: one record shared by all tokens of a grant. It holds the secret that
//! proves the session and the times that IntelligenceBank gave it, which no token refresh changes.

use std::collections::BTreeMap;

use ib_contract::{InactiveReason, Secret, Upstream};
use serde::{Deserialize, Serialize};

use crate::{
    hosts::{HostList, api_host},
    records::Record,
    settings::SessionSettings,
    store::Table,
    upstreams::{Person, UpstreamSession},
};

mod renewal;
#[cfg(test)]
mod tests;

use renewal::Renewal;
pub(crate) use renewal::{Leases, Question, Reading};

/// Shortest and longest period that is believed, in hours.
const PERIOD_HOURS: std::ops::RangeInclusive<i64> = 1..=120;

/// A session, checked against the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Where the person logged in: lower case, no port.
    pub(crate) platform_host: String,
    /// The host of IntelligenceBank's `apiV3url`.
    pub(crate) api_host: Option<String>,
    /// IntelligenceBank's id of the customer.
    pub(crate) ib_client_id: Option<String>,
    /// `logintimeoutperiod`, within its bounds.
    pub(crate) period_hours: u64,
    /// Seconds since the Unix epoch: IntelligenceBank's `loginTime`.
    pub(crate) created_at: u64,
    /// Seconds since the Unix epoch. From that second on the session is over.
    pub(crate) expires_at: u64,
    /// Rises by one with every renewal.
    pub(crate) generation: u64,
    /// What proves the session.
    pub(crate) sid: Secret,
    /// What proved it before the last renewal.
    #[serde(default)]
    previous_sid: Option<Secret>,
    pub(crate) person: Person,
    /// What the session is read again with. Without it the session cannot be renewed.
    #[serde(default)]
    login: Option<Secret>,
    /// `loginTime` as IntelligenceBank gave it, whatever this service's clock said.
    #[serde(default)]
    login_time: Option<u64>,
    #[serde(default)]
    renewal: Renewal,
}

impl Record for Session {
    const TABLE: Table = Table::Session;
}

/// Why a session is not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionRefused {
    /// The platform names an API host that is not on the allow-list: the session must not go there.
    #[error("the platform's apiV3url is not https on an allowed host, without path and port")]
    ApiHostNotAllowed,
    /// Its period has passed. Tokens for it would be refused at their first use.
    #[error("the platform's session is already over")]
    AlreadyOver,
}

impl Session {
    /// Takes over a session that began on `platform_host` with `login`, at `now` (Unix seconds).
    pub(crate) fn begin(
        platform_host: &str,
        login: Option<Secret>,
        upstream: UpstreamSession,
        api_hosts: &HostList,
        settings: SessionSettings,
        now: u64,
    ) -> Result<Self, SessionRefused> {
        let api_host = upstream
            .api_url
            .map(|url| api_host(&url, api_hosts).ok_or(SessionRefused::ApiHostNotAllowed))
            .transpose()?;
        let period_hours = upstream.period_hours.map_or(settings.default_period_hours, |hours| {
            hours.clamp(*PERIOD_HOURS.start(), *PERIOD_HOURS.end()).unsigned_abs()
        });
        // A time of zero is none. One in the future would make the session longer than its period.
        let created_at = upstream.login_time.filter(|time| *time > 0).unwrap_or(now).min(now);
        let session = Self {
            platform_host: platform_host.to_owned(),
            api_host,
            ib_client_id: upstream.ib_client_id,
            period_hours,
            created_at,
            expires_at: created_at.saturating_add(period_hours.saturating_mul(3_600)),
            generation: 1,
            sid: upstream.sid,
            previous_sid: None,
            person: upstream.person,
            login,
            login_time: upstream.login_time,
            renewal: Renewal::default(),
        };
        if session.is_over(now) { Err(SessionRefused::AlreadyOver) } else { Ok(session) }
    }

    /// Whether the session is over at `now` (Unix seconds): its time has come, or IntelligenceBank
    /// has rejected it and gave nothing newer.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.expires_at || self.renewal.was_rejected()
    }

    /// Why a token of this session is refused once the session is over.
    pub(crate) fn reason_when_over(&self, settings: SessionSettings) -> InactiveReason {
        if self.attempts_have_run_out(settings) {
            InactiveReason::RefreshLimitExceeded
        } else {
            InactiveReason::SessionExpired
        }
    }

    /// Until when the store keeps the session (Unix seconds): as long as an access token may ask why
    /// it is refused.
    pub(crate) fn kept_until(&self, access_token_seconds: u64) -> u64 {
        self.expires_at.saturating_add(access_token_seconds)
    }

    /// Seconds left at `now` (Unix seconds).
    pub(crate) fn expires_in(&self, now: u64) -> u64 {
        self.expires_at.saturating_sub(now)
    }

    /// The hosts that may get the session id, and no others may.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.platform_host.clone()];
        hosts.extend(self.api_host.iter().filter(|host| **host != self.platform_host).cloned());
        hosts
    }

    /// What the gateway learns about this session, called `id`.
    pub(crate) fn upstream(&self, id: &str, settings: SessionSettings, now: u64) -> Upstream {
        let expires_in = self.expires_in(now);
        Upstream {
            session: id.to_owned(),
            hosts: self.hosts(),
            headers: BTreeMap::from([("sid".to_owned(), self.sid.clone())]),
            previous_headers: self
                .previous_sid
                .iter()
                .map(|sid| ("sid".to_owned(), sid.clone()))
                .collect(),
            generation: self.generation,
            refresh_in: self.due_at(settings).saturating_sub(now).min(expires_in),
            expires_in,
            refresh_limit_exceeded: self.attempts_have_run_out(settings),
        }
    }
}
