//! Sessions at IntelligenceBank: one record shared by all tokens of a grant. It holds the secret that
//! proves the session and the times that IntelligenceBank gave it, which no token refresh changes.

use std::collections::BTreeMap;

use ib_contract::{Secret, Upstream};
use serde::{Deserialize, Serialize};

use crate::{
    hosts::{HostList, api_host},
    records::Record,
    settings::SessionSettings,
    store::Table,
    upstreams::{Person, UpstreamSession},
};

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
    pub(crate) person: Person,
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
    /// Takes over a session that began on `platform_host`, at `now` (Unix seconds).
    pub(crate) fn begin(
        platform_host: &str,
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
            person: upstream.person,
        };
        if session.is_over(now) { Err(SessionRefused::AlreadyOver) } else { Ok(session) }
    }

    /// Whether the session is over at `now` (Unix seconds).
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.expires_at
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
            generation: self.generation,
            refresh_in: expires_in.saturating_sub(settings.refresh_window_seconds),
            expires_in,
            refresh_limit_exceeded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use ib_contract::Secret;

    use super::{Session, SessionRefused};
    use crate::{
        hosts::{HostList, HostPattern},
        settings::SessionSettings,
        upstreams::{Person, UpstreamSession},
    };

    const SETTINGS: SessionSettings =
        SessionSettings { refresh_window_seconds: 300, default_period_hours: 24 };
    const NOW: u64 = 1_800_000_000;

    fn upstream() -> UpstreamSession {
        UpstreamSession {
            sid: Secret::new("0123456789abcdef"),
            login_time: Some(NOW - 10),
            period_hours: Some(2),
            api_url: Some("https://apiv3.intelligencebank.com".to_owned()),
            ib_client_id: None,
            person: Person {
                uuid: "user".to_owned(),
                given_name: None,
                family_name: None,
                email: None,
            },
        }
    }

    fn begin(upstream: UpstreamSession) -> Result<Session, SessionRefused> {
        let hosts = HostList::new(vec![HostPattern::parse("*.intelligencebank.com").unwrap()]);
        Session::begin("company.intelligencebank.com", upstream, &hosts, SETTINGS, NOW)
    }

    #[test]
    fn defect_22_a_session_lives_for_the_period_that_intelligencebank_gives_within_its_bounds() {
        for (given, hours) in
            [(Some(2), 2), (Some(0), 1), (Some(-5), 1), (Some(121), 120), (None, 24)]
        {
            let session = begin(UpstreamSession { period_hours: given, ..upstream() }).unwrap();
            assert_eq!(session.period_hours, hours);
            assert_eq!(session.expires_at, NOW - 10 + hours * 3_600);
        }
    }

    #[test]
    fn a_session_is_over_in_the_very_second_of_its_end() {
        let session = begin(upstream()).unwrap();
        assert!(!session.is_over(session.expires_at - 1));
        assert!(session.is_over(session.expires_at));
        assert_eq!(session.expires_in(session.expires_at + 5), 0);
    }

    #[test]
    fn a_login_time_in_the_future_or_none_does_not_make_a_session_longer() {
        for login_time in [Some(NOW + 1_000_000), Some(u64::MAX), Some(0), None] {
            let session = begin(UpstreamSession { login_time, ..upstream() }).unwrap();
            assert_eq!(session.expires_at, NOW + 2 * 3_600);
        }
    }

    #[test]
    fn a_session_whose_period_has_passed_is_not_taken_over() {
        let begin_at =
            |login_time| begin(UpstreamSession { login_time: Some(login_time), ..upstream() });
        assert_eq!(begin_at(NOW - 7_199).unwrap().expires_in(NOW), 1);
        assert_eq!(begin_at(NOW - 7_200).unwrap_err(), SessionRefused::AlreadyOver);
        assert_eq!(begin_at(1).unwrap_err(), SessionRefused::AlreadyOver);
    }

    #[test]
    fn defect_2_the_session_id_is_for_the_platform_and_its_api_host_alone() {
        let hosts = begin(upstream()).unwrap().hosts();
        assert_eq!(hosts, ["company.intelligencebank.com", "apiv3.intelligencebank.com"]);
        let own = Some("https://company.intelligencebank.com/".to_owned());
        let hosts = begin(UpstreamSession { api_url: own, ..upstream() }).unwrap().hosts();
        assert_eq!(hosts, ["company.intelligencebank.com"]);
        let hosts = begin(UpstreamSession { api_url: None, ..upstream() }).unwrap().hosts();
        assert_eq!(hosts, ["company.intelligencebank.com"]);
        let evil = Some("https://evil.example".to_owned());
        let refused = begin(UpstreamSession { api_url: evil, ..upstream() });
        assert_eq!(refused.unwrap_err(), SessionRefused::ApiHostNotAllowed);
    }

    #[test]
    fn the_gateway_is_told_when_to_renew_before_the_end_and_never_a_negative_time() {
        let session = begin(upstream()).unwrap();
        let told = session.upstream("id", SETTINGS, NOW);
        assert_eq!((told.refresh_in, told.expires_in), (7_190 - 300, 7_190));
        let told = session.upstream("id", SETTINGS, session.expires_at - 100);
        assert_eq!((told.refresh_in, told.expires_in), (0, 100));
    }
}
