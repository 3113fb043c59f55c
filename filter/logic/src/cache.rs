//! One worker's memory of decisions: bounded, keyed by the whole token, and never prolonged by use.
//!
//! Approvals and refusals have bounds of their own, so that a flood of bad tokens cannot push good
//! ones out. An entry lives from the moment it was put in; a hit does not restart it. Whatever seems
//! to come from the future (`kept_at` after now) counts as expired, so no clock can prolong a life.

mod entries;
mod hashing;

use std::{collections::HashMap, hash::RandomState, rc::Rc};

use entries::{Entries, Entry, Found};
use hashing::ByRandomEnd;
use ib_contract::InactiveReason;

use crate::{Timestamp, grant::Grant, policy::CacheLimits};

/// What is known about a token.
#[derive(Clone)]
pub(crate) enum Decision {
    /// The token is good, and this is what it grants.
    Granted(Rc<Grant>),
    /// The token is refused.
    Refused(InactiveReason),
}

/// A decision, and when it was made.
pub(crate) struct Known {
    pub(crate) decision: Decision,
    pub(crate) kept_at: Timestamp,
}

/// Decisions by token.
pub(crate) struct DecisionCache {
    // The service has chosen the tokens of approvals, strangers those of refusals.
    granted: Entries<Rc<Grant>, ByRandomEnd>,
    refused: Entries<InactiveReason, RandomState>,
    /// The tokens of approvals by their names in the revocation feed.
    by_name: HashMap<Box<str>, Rc<[u8]>>,
}

impl DecisionCache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self {
            granted: Entries::new(limits.maximum_entries, limits.maximum_bytes),
            refused: Entries::new(limits.maximum_refused_entries, limits.maximum_refused_bytes),
            by_name: HashMap::new(),
        }
    }

    /// The approval of a token, if there is one and it lives still, and when it was made.
    pub(crate) fn granted(
        &mut self,
        token: &[u8],
        now: Timestamp,
    ) -> Option<(&Rc<Grant>, Timestamp)> {
        match self.granted.get(token, now) {
            Found::Fresh(grant, kept_at) => Some((grant, kept_at)),
            Found::Expired | Found::Nothing => None,
        }
    }

    /// What is known about a token, if it is known still.
    pub(crate) fn get(&mut self, token: &str, now: Timestamp) -> Option<Known> {
        match self.granted.get(token.as_bytes(), now) {
            Found::Fresh(grant, kept_at) => {
                return Some(Known { decision: Decision::Granted(Rc::clone(grant)), kept_at });
            }
            Found::Expired => self.forget(token),
            Found::Nothing => {}
        }
        match self.refused.get(token.as_bytes(), now) {
            Found::Fresh(reason, kept_at) => {
                Some(Known { decision: Decision::Refused(*reason), kept_at })
            }
            Found::Expired => {
                self.refused.remove(token.as_bytes());
                None
            }
            Found::Nothing => None,
        }
    }

    /// Keeps a decision for `seconds` from `now`, in place of what was known before. Returns how many
    /// others made way.
    pub(crate) fn keep(
        &mut self,
        token: &str,
        decision: Decision,
        now: Timestamp,
        seconds: u64,
    ) -> u64 {
        self.forget(token);
        let token = token.as_bytes();
        self.refused.remove(token);
        if seconds == 0 {
            return 0;
        }
        let token: Rc<[u8]> = token.into();
        let until = now.plus_seconds(seconds);
        match decision {
            Decision::Refused(reason) => {
                let entry = Entry { token, value: reason, size: 0, kept_at: now, until };
                self.refused.put(entry, |_| {})
            }
            Decision::Granted(grant) => {
                let size = grant.size();
                let name: Box<str> = grant.token_sha256().into();
                let by_name = &mut self.by_name;
                by_name.insert(name, Rc::clone(&token));
                let entry = Entry { token, value: grant, size, kept_at: now, until };
                self.granted.put(entry, |evicted| {
                    by_name.remove(evicted.token_sha256());
                })
            }
        }
    }

    /// Forgets an approval.
    pub(crate) fn forget(&mut self, token: &str) {
        self.forget_granted(token.as_bytes());
    }

    fn forget_granted(&mut self, token: &[u8]) {
        if let Some(grant) = self.granted.remove(token) {
            self.by_name.remove(grant.token_sha256());
        }
    }

    /// Forgets the approval of the token that the revocation feed calls by this name.
    pub(crate) fn forget_named(&mut self, token_sha256: &str) {
        if let Some(token) = self.by_name.remove(token_sha256) {
            self.granted.remove(&token);
        }
    }

    /// Forgets the approvals that meet a condition.
    pub(crate) fn forget_where(&mut self, condition: impl Fn(&Grant) -> bool) {
        let granted = self.granted.iter().filter(|entry| condition(&entry.value));
        let tokens: Vec<Rc<[u8]>> = granted.map(|entry| Rc::clone(&entry.token)).collect();
        tokens.iter().for_each(|token| self.forget_granted(token));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.granted.clear();
        self.refused.clear();
        self.by_name.clear();
    }

    /// How many approvals and refusals there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.granted.len(), self.refused.len())
    }
}

#[cfg(test)]
mod tests;
