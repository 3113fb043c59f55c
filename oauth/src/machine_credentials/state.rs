//! The token of one machine credential over its life: when it is used, when the next one is asked for,
//! and what comes of it. No store and no network: the module above has those.

use std::collections::BTreeMap;

use ib_contract::{Secret, Upstream};
use serde::{Deserialize, Serialize};

use super::pause::{self, LONGEST_PAUSE};
use crate::{
    error::Error,
    records::Record,
    sessions::Leases,
    settings::{MachineCredential, MachineCredentialSettings},
    store::Table,
};

/// How long a record outlives its token, in seconds: so long an operator can see what became of it.
const KEPT: u64 = 30 * 24 * 3_600;

/// What is kept of a credential. Times are in seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CredentialRecord {
    /// A random name, new with each record: a gateway may remember a higher generation of one that was
    /// lost.
    series: String,
    /// Rises by one with every token; 0 before the first.
    pub(super) generation: u64,
    pub(super) token: Option<HeldToken>,
    /// What came before the last token.
    previous: Option<Secret>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The endpoint is not asked before.
    pub(super) not_before: u64,
    pub(super) last_failure: Option<LastFailure>,
    /// When the present token was acquired because its upstream had rejected the one before.
    replaced_at: Option<u64>,
    /// Somebody is asking until then at the latest. 0: nobody is.
    leased_until: u64,
    /// The opening of the store that they ask in.
    leased_in: Option<u64>,
}

/// A token, and when it does what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldToken {
    token: Secret,
    pub(super) acquired_at: u64,
    /// From then on the next one is asked for in the background.
    pub(super) refresh_at: u64,
    /// From that second on it is not used.
    pub(super) expires_at: u64,
    /// The buffer of the settings was longer than the token lives, and was cut.
    pub(super) is_buffer_cut: bool,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastFailure {
    pub(super) at: u64,
    /// A word of this service's own.
    pub(super) reason: String,
}

impl Record for CredentialRecord {
    const TABLE: Table = Table::MachineCredential;
}

/// Why somebody wants a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// To call the upstream.
    Use,
    /// The present one is due.
    Refresh,
    /// The upstream has rejected the one of this generation.
    Replace { generation: u64 },
    /// An operator wants another one than that of this generation, whatever there is.
    Force { generation: u64 },
}

impl Want {
    /// As metrics and the audit log have it.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Use => "first_use",
            Self::Refresh => "near_expiry",
            Self::Replace { .. } => "rejected",
            Self::Force { .. } => "operator",
        }
    }
}

/// What is to be done for somebody who wants a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: what the store holds is the answer.
    Known,
    /// The endpoint is to be asked.
    Ask,
    /// Somebody is asking it now.
    Leased,
    /// It failed just now, or has just given a token that was rejected: it is not asked yet.
    Paused {
        /// Seconds until it may be.
        seconds: u64,
    },
}

impl CredentialRecord {
    /// A record of a credential for which there has been no token. `series` is random.
    pub(super) fn new(series: String) -> Self {
        Self {
            series,
            generation: 0,
            token: None,
            previous: None,
            failures: 0,
            not_before: 0,
            last_failure: None,
            replaced_at: None,
            leased_until: 0,
            leased_in: None,
        }
    }

    /// The token, if it may be used at `now`.
    pub(super) fn usable(&self, now: u64) -> Option<&HeldToken> {
        self.token.as_ref().filter(|token| now < token.expires_at)
    }

    /// Whether both hold the same token.
    pub(super) fn has_token_of(&self, other: &Self) -> bool {
        let mut held = self.token.iter().zip(&other.token);
        held.any(|(one, another)| one.token == another.token)
    }

    /// From when on the next token is asked for in the background.
    fn due_at(&self, token: &HeldToken) -> u64 {
        token.refresh_at.max(self.not_before).min(token.expires_at)
    }

    /// Whether the present token is good, and the next one is to be asked for.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.usable(now).is_some_and(|token| self.due_at(token) <= now)
    }

    /// Seconds until the endpoint may be asked again after a failure.
    fn paused_for(&self, now: u64) -> Option<u64> {
        let seconds = self.not_before.saturating_sub(now);
        // A longer one was written by a clock that has been set back.
        (self.failures > 0 && (1..=LONGEST_PAUSE).contains(&seconds)).then_some(seconds)
    }

    /// Seconds for which a rejection is believed to be none of the token's fault: the upstream has
    /// rejected the one before as well.
    fn is_replaced_for(&self, settings: &MachineCredentialSettings, now: u64) -> Option<u64> {
        let at = self.replaced_at.filter(|at| *at <= now)?;
        let seconds = at.saturating_add(settings.rejection_pause_seconds).saturating_sub(now);
        (seconds > 0).then_some(seconds)
    }

    /// What to do for `want` at `now`.
    pub(super) fn step(
        &self,
        want: Want,
        settings: &MachineCredentialSettings,
        leases: Leases,
        now: u64,
    ) -> Step {
        let usable = self.usable(now);
        let is_known = match want {
            Want::Use => usable.is_some(),
            Want::Refresh => usable.is_some() && !self.is_due(now),
            Want::Replace { generation } | Want::Force { generation } => {
                generation < self.generation && usable.is_some()
            }
        };
        if is_known {
            return Step::Known;
        }
        let pause = match want {
            Want::Force { .. } => None,
            Want::Replace { .. } => {
                self.paused_for(now).or_else(|| self.is_replaced_for(settings, now))
            }
            Want::Use | Want::Refresh => self.paused_for(now),
        };
        if let Some(seconds) = pause {
            return Step::Paused { seconds };
        }
        let is_leased = leases.hold(self.leased_until, self.leased_in, now);
        if is_leased { Step::Leased } else { Step::Ask }
    }

    /// The record while somebody asks, from `now` on.
    pub(super) fn leased(&self, leases: Leases, now: u64) -> Self {
        Self {
            leased_until: now.saturating_add(leases.longest),
            leased_in: leases.opening,
            ..self.clone()
        }
    }

    /// The record with the next token, which was asked for at `asked_at` and lives from then.
    pub(super) fn with_token(
        &self,
        want: Want,
        token: Secret,
        expires_in: u64,
        settings: &MachineCredentialSettings,
        asked_at: u64,
        now: u64,
    ) -> Self {
        let expires_at = asked_at.saturating_add(expires_in);
        let is_cut = settings.refresh_buffer_seconds >= expires_in;
        // Half of its life: a buffer as long as the life would have each token followed by the next one
        // at once.
        let buffer = if is_cut { expires_in.div_ceil(2) } else { settings.refresh_buffer_seconds };
        let held = self.token.as_ref();
        let same = held.filter(|held| held.token == token);
        // The rest of a life that was told of before says nothing of how long tokens live.
        let is_buffer_cut = same.map_or(is_cut, |same| same.is_buffer_cut);
        let previous = match same {
            Some(_) => self.previous.clone(),
            None => held.map(|held| held.token.clone()),
        };
        let refresh_at = expires_at.saturating_sub(buffer);
        Self {
            series: self.series.clone(),
            generation: self.generation.saturating_add(1),
            token: Some(HeldToken {
                token,
                acquired_at: now,
                refresh_at,
                expires_at,
                is_buffer_cut,
            }),
            previous,
            failures: 0,
            not_before: 0,
            last_failure: self.last_failure.clone(),
            replaced_at: matches!(want, Want::Replace { .. }).then_some(now),
            leased_until: 0,
            leased_in: None,
        }
    }

    /// The record after a failure. `random` spreads those who wait; `retry_after` is what the endpoint
    /// asked for, in seconds.
    pub(super) fn with_failure(
        &self,
        reason: &str,
        is_refusal: bool,
        retry_after: Option<u64>,
        random: u64,
        now: u64,
    ) -> Self {
        let pause = pause::after(self.failures, is_refusal, retry_after, random);
        Self {
            failures: self.failures.saturating_add(1),
            not_before: now.saturating_add(pause),
            last_failure: Some(LastFailure { at: now, reason: reason.to_owned() }),
            leased_until: 0,
            leased_in: None,
            ..self.clone()
        }
    }

    /// Until when the store keeps the record.
    pub(super) fn kept_until(&self, now: u64) -> u64 {
        let end = self.token.as_ref().map_or(now, |token| token.expires_at);
        end.max(now).saturating_add(KEPT)
    }

    /// What gateways call it. It opens nothing.
    pub(super) fn session_id(&self, credential: &MachineCredential) -> String {
        format!("{}.{}", credential.name, self.series)
    }

    /// What a gateway learns, while there is a token to use.
    pub(super) fn upstream(&self, credential: &MachineCredential, now: u64) -> Option<Upstream> {
        let token = self.usable(now)?;
        let header = |token: &Secret| {
            ("authorization".to_owned(), Secret::new(format!("bearer {}", token.expose())))
        };
        let expires_in = token.expires_at.saturating_sub(now);
        Some(Upstream {
            session: self.session_id(credential),
            hosts: vec![credential.host.clone()],
            headers: BTreeMap::from([header(&token.token)]),
            previous_headers: self.previous.iter().map(header).collect(),
            generation: self.generation,
            refresh_in: self.due_at(token).saturating_sub(now).min(expires_in),
            expires_in,
            refresh_limit_exceeded: false,
        })
    }

    /// The same for a token of the client's, which must reach its host.
    ///
    /// # Errors
    ///
    /// [`Error::CredentialUnavailable`] where the token has run out since it was looked up: without a host
    /// the gateway would keep an answer that opens nothing.
    pub(super) fn told(&self, credential: &MachineCredential, now: u64) -> Result<Upstream, Error> {
        self.upstream(credential, now).ok_or(Error::CredentialUnavailable { retry_after: 1 })
    }
}

#[cfg(test)]
mod tests;
