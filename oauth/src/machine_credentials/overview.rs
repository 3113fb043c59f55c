//! A credential as operators see it: ages and errors, and nothing that opens anything.

use serde::Serialize;

use super::state::CredentialRecord;
use crate::settings::MachineCredential;

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct CredentialOverview {
    pub(crate) name: String,
    /// The one host that gets its token.
    pub(crate) host: String,
    /// The scope that chooses it.
    pub(crate) scope: String,
    pub(crate) state: CredentialStanding,
    /// Rises by one with every token; 0 before the first.
    pub(crate) generation: u64,
    /// Seconds since the present token was acquired.
    pub(crate) age_seconds: Option<u64>,
    /// Seconds until the next one is asked for while there are calls; 0: with the next call.
    pub(crate) refresh_in_seconds: Option<u64>,
    /// Seconds until the present one is not used any more.
    pub(crate) expires_in_seconds: Option<u64>,
    /// Whether the buffer of the settings is longer than a token lives, and was cut.
    pub(crate) refresh_buffer_cut: bool,
    /// In a row, up to now.
    pub(crate) failures: u32,
    /// Seconds until the endpoint is asked again after a failure.
    pub(crate) paused_seconds: Option<u64>,
    /// The last one, also of before the present token.
    pub(crate) last_error: Option<CredentialError>,
}

/// How a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialStanding {
    /// Nobody has needed it yet.
    Unused,
    /// Its token is good.
    Valid,
    /// Its token is good, and the next one is to be asked for.
    Due,
    /// Its token is good, and the last question for another one failed.
    Failing,
    /// It has no token that is good: the next call acquires one.
    Expired,
    /// It has none, and the last question for one failed.
    Unavailable,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct CredentialError {
    /// Such as `unreachable` or `unauthorized_client`.
    pub(crate) reason: String,
    pub(crate) seconds_ago: u64,
}

impl CredentialOverview {
    /// At `now`, in seconds since the Unix epoch.
    pub(super) fn of(
        credential: &MachineCredential,
        record: Option<&CredentialRecord>,
        now: u64,
    ) -> Self {
        let usable = record.and_then(|record| record.usable(now));
        let failures = record.map_or(0, |record| record.failures);
        let is_due = record.is_some_and(|record| record.is_due(now));
        let has_had_one = record.is_some_and(|record| record.generation > 0);
        let state = match (usable.is_some(), failures > 0) {
            (true, true) => CredentialStanding::Failing,
            (true, false) if is_due => CredentialStanding::Due,
            (true, false) => CredentialStanding::Valid,
            (false, true) => CredentialStanding::Unavailable,
            (false, false) if has_had_one => CredentialStanding::Expired,
            (false, false) => CredentialStanding::Unused,
        };
        let upstream = record.and_then(|record| record.upstream(credential, now));
        let pause = record.map_or(0, |record| record.not_before.saturating_sub(now));
        let last_error = record.and_then(|record| record.last_failure.as_ref());
        Self {
            name: credential.name.clone(),
            host: credential.host.clone(),
            scope: credential.scope.clone(),
            state,
            generation: record.map_or(0, |record| record.generation),
            age_seconds: usable.map(|token| now.saturating_sub(token.acquired_at)),
            refresh_in_seconds: upstream.as_ref().map(|upstream| upstream.refresh_in),
            expires_in_seconds: upstream.as_ref().map(|upstream| upstream.expires_in),
            refresh_buffer_cut: usable.is_some_and(|token| token.is_buffer_cut),
            failures,
            paused_seconds: (failures > 0 && pause > 0).then_some(pause),
            last_error: last_error.map(|failure| CredentialError {
                reason: failure.reason.clone(),
                seconds_ago: now.saturating_sub(failure.at),
            }),
        }
    }
}
