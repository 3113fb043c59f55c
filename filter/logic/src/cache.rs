//! One worker's memory of decisions: bounded, keyed by the whole token, and never prolonged by use.
//!
//! Approvals and refusals have bounds of their own, so that a flood of bad tokens cannot push good
//! ones out. An entry lives from the moment it was put in; a hit does not restart it. Whatever seems
//! to come from the future (`kept_at` after now) counts as expired, so no clock can prolong a life.

use std::{collections::HashMap, hash::RandomState, rc::Rc};

use ib_contract::InactiveReason;
use lru::LruCache;

use crate::{Timestamp, grant::Grant, policy::CacheLimits};

/// Memory of an entry besides its token and its decision, in bytes, estimated.
const ENTRY_OVERHEAD: usize = 240;

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
    granted: Entries<Rc<Grant>>,
    refused: Entries<InactiveReason>,
    /// The tokens of approvals by their names in the revocation feed.
    by_name: HashMap<Box<str>, Rc<str>>,
}

impl DecisionCache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self {
            granted: Entries::new(limits.maximum_entries, limits.maximum_bytes),
            refused: Entries::new(limits.maximum_refused_entries, limits.maximum_refused_bytes),
            by_name: HashMap::new(),
        }
    }

    /// What is known about a token, if it is known still.
    pub(crate) fn get(&mut self, token: &str, now: Timestamp) -> Option<Known> {
        match self.granted.get(token, now) {
            Found::Fresh(grant, kept_at) => {
                return Some(Known { decision: Decision::Granted(Rc::clone(grant)), kept_at });
            }
            Found::Expired => self.forget(token),
            Found::Nothing => {}
        }
        match self.refused.get(token, now) {
            Found::Fresh(reason, kept_at) => {
                Some(Known { decision: Decision::Refused(*reason), kept_at })
            }
            Found::Expired => {
                self.refused.remove(token);
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
        self.refused.remove(token);
        if seconds == 0 {
            return 0;
        }
        let token: Rc<str> = token.into();
        let until = now.plus_seconds(seconds);
        match decision {
            Decision::Refused(reason) => {
                let entry = Entry { value: reason, size: 0, kept_at: now, until };
                self.refused.put(token, entry, |_| {})
            }
            Decision::Granted(grant) => {
                let size = grant.size();
                let name: Box<str> = grant.token_sha256().into();
                let by_name = &mut self.by_name;
                by_name.insert(name, Rc::clone(&token));
                let entry = Entry { value: grant, size, kept_at: now, until };
                self.granted.put(token, entry, |evicted| {
                    by_name.remove(evicted.token_sha256());
                })
            }
        }
    }

    /// Forgets an approval.
    pub(crate) fn forget(&mut self, token: &str) {
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
        let granted = self.granted.entries.iter();
        let tokens = granted.filter(|(_, entry)| condition(&entry.value));
        let tokens: Vec<Rc<str>> = tokens.map(|(token, _)| Rc::clone(token)).collect();
        tokens.iter().for_each(|token| self.forget(token));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.granted.clear();
        self.refused.clear();
        self.by_name.clear();
    }

    /// How many approvals and refusals there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.granted.entries.len(), self.refused.entries.len())
    }
}

/// Entries within a bound of count and one of bytes; past either, the least recently used goes.
struct Entries<V> {
    // SipHash with random keys: tokens are chosen by strangers.
    entries: LruCache<Rc<str>, Entry<V>, RandomState>,
    bytes: usize,
    maximum_entries: usize,
    maximum_bytes: usize,
}

struct Entry<V> {
    value: V,
    size: usize,
    kept_at: Timestamp,
    until: Timestamp,
}

/// What a look-up found.
enum Found<'a, V> {
    Fresh(&'a V, Timestamp),
    Expired,
    Nothing,
}

impl<V> Entries<V> {
    fn new(maximum_entries: usize, maximum_bytes: usize) -> Self {
        let entries = LruCache::unbounded_with_hasher(RandomState::new());
        Self { entries, bytes: 0, maximum_entries, maximum_bytes }
    }

    fn get(&mut self, token: &str, now: Timestamp) -> Found<'_, V> {
        match self.entries.get(token) {
            None => Found::Nothing,
            Some(entry) if now < entry.kept_at || now >= entry.until => Found::Expired,
            Some(entry) => Found::Fresh(&entry.value, entry.kept_at),
        }
    }

    /// Puts an entry in, and tells which others made way, and how many.
    fn put(&mut self, token: Rc<str>, entry: Entry<V>, mut evicted: impl FnMut(&V)) -> u64 {
        let size = entry.size.saturating_add(token.len()).saturating_add(ENTRY_OVERHEAD);
        if size > self.maximum_bytes {
            evicted(&entry.value);
            return 1;
        }
        let mut count = 0_u64;
        while self.entries.len() >= self.maximum_entries
            || self.bytes.saturating_add(size) > self.maximum_bytes
        {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.size);
            evicted(&oldest.value);
            count = count.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(size);
        self.entries.put(token, Entry { size, ..entry });
        count
    }

    fn remove(&mut self, token: &str) -> Option<V> {
        let entry = self.entries.pop(token)?;
        self.bytes = self.bytes.saturating_sub(entry.size);
        Some(entry.value)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests;
