//! The section `limits` as it is written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Limits {
    pub(in crate::settings) login: LoginRates,
    pub(in crate::settings) poll: AddressRate,
    pub(in crate::settings) token: CallerRates,
    pub(in crate::settings) introspect: CallerRates,
    pub(in crate::settings) revoke: CallerRates,
    pub(in crate::settings) register: RegisterRate,
    pub(in crate::settings) failed_authentication: FailureRate,
    pub(in crate::settings) pending_logins: PendingLogins,
    pub(in crate::settings) maximum_keys: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login: LoginRates::default(),
            poll: AddressRate::default(),
            token: CallerRates::default(),
            introspect: CallerRates::default(),
            revoke: CallerRates::default(),
            register: RegisterRate::default(),
            failed_authentication: FailureRate::default(),
            pending_logins: PendingLogins::default(),
            maximum_keys: 65_536,
        }
    }
}

/// So many a minute, and so many at once. 0 a minute is no limit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct Rate {
    pub(in crate::settings) per_minute: u64,
    pub(in crate::settings) burst: Option<u64>,
}

const fn rate(per_minute: u64, burst: u64) -> Rate {
    Rate { per_minute, burst: Some(burst) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct LoginRates {
    pub(in crate::settings) address: Rate,
    pub(in crate::settings) client: Rate,
    pub(in crate::settings) platform: Rate,
}

impl Default for LoginRates {
    fn default() -> Self {
        Self { address: rate(60, 30), client: rate(1_200, 300), platform: rate(1_200, 300) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct AddressRate {
    pub(in crate::settings) address: Rate,
}

impl Default for AddressRate {
    /// Polls come each second for each login.
    fn default() -> Self {
        Self { address: rate(3_000, 300) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct CallerRates {
    pub(in crate::settings) address: Rate,
    pub(in crate::settings) client: Rate,
}

impl Default for CallerRates {
    fn default() -> Self {
        Self { address: rate(600, 200), client: rate(6_000, 1_000) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct FailureRate {
    pub(in crate::settings) address: Rate,
}

impl Default for FailureRate {
    fn default() -> Self {
        Self { address: rate(20, 20) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct RegisterRate {
    pub(in crate::settings) address: Rate,
}

impl Default for RegisterRate {
    fn default() -> Self {
        Self { address: rate(5, 10) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct PendingLogins {
    pub(in crate::settings) total: u64,
    pub(in crate::settings) address: u64,
    pub(in crate::settings) platform: u64,
}

impl Default for PendingLogins {
    fn default() -> Self {
        Self { total: 10_000, address: 100, platform: 2_000 }
    }
}
