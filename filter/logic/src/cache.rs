//! One worker's memory of decisions: bounded, keyed by the whole token, and never prolonged by use.
//!
//! Approvals and refusals have bounds of their own, so that a flood of bad tokens cannot push good
//! ones out. An entry lives from the moment it was put in; a hit does not restart it. Whatever seems
//! to come from the future (`kept_at` after now) counts as expired, so no clock can prolong a life.

use std::{hash::RandomState, rc::Rc};

use ib_contract::InactiveReason;
use lru::LruCache;

use crate::{Timestamp, policy::CacheLimits, session::Grant};

/// Memory of an entry besides its token and its decision, in bytes, estimated.
const ENTRY_OVERHEAD: usize = 160;

/// What is known about a token.
#[derive(Clone)]
pub(crate) enum Decision {
    /// The token is good, and this is what it grants.
    Granted(Rc<Grant>),
    /// The token is refused.
    Refused(InactiveReason),
}

/// Decisions by token.
pub(crate) struct DecisionCache {
    granted: Entries<Rc<Grant>>,
    refused: Entries<InactiveReason>,
}

impl DecisionCache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self {
            granted: Entries::new(limits.maximum_entries, limits.maximum_bytes),
            refused: Entries::new(limits.maximum_refused_entries, limits.maximum_refused_bytes),
        }
    }

    /// What is known about a token, if it is known still.
    pub(crate) fn get(&mut self, token: &str, now: Timestamp) -> Option<Decision> {
        if let Some(grant) = self.granted.get(token, now) {
            return Some(Decision::Granted(Rc::clone(grant)));
        }
        self.refused.get(token, now).map(|reason| Decision::Refused(*reason))
    }

    /// Keeps a decision for `seconds` from `now`, in place of what was known before.
    pub(crate) fn keep(&mut self, token: &str, decision: Decision, now: Timestamp, seconds: u64) {
        self.granted.remove(token);
        self.refused.remove(token);
        if seconds == 0 {
            return;
        }
        let until = now.plus_seconds(seconds);
        match decision {
            Decision::Granted(grant) => {
                let size = grant.size();
                self.granted.put(token, grant, size, now, until);
            }
            Decision::Refused(reason) => self.refused.put(token, reason, 0, now, until),
        }
    }
}

/// Entries within a bound of count and one of bytes; past either, the least recently used goes.
struct Entries<V> {
    // SipHash with random keys: tokens are chosen by strangers.
    entries: LruCache<Box<str>, Entry<V>, RandomState>,
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

impl<V> Entries<V> {
    fn new(maximum_entries: usize, maximum_bytes: usize) -> Self {
        let entries = LruCache::unbounded_with_hasher(RandomState::new());
        Self { entries, bytes: 0, maximum_entries, maximum_bytes }
    }

    fn get(&mut self, token: &str, now: Timestamp) -> Option<&V> {
        let entry = self.entries.peek(token)?;
        if now < entry.kept_at || now >= entry.until {
            self.remove(token);
            return None;
        }
        self.entries.get(token).map(|entry| &entry.value)
    }

    fn put(&mut self, token: &str, value: V, size: usize, kept_at: Timestamp, until: Timestamp) {
        let size = size.saturating_add(token.len()).saturating_add(ENTRY_OVERHEAD);
        if size > self.maximum_bytes {
            return;
        }
        self.remove(token);
        while self.entries.len() >= self.maximum_entries
            || self.bytes.saturating_add(size) > self.maximum_bytes
        {
            let Some((_, evicted)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(evicted.size);
        }
        self.bytes = self.bytes.saturating_add(size);
        self.entries.put(token.into(), Entry { value, size, kept_at, until });
    }

    fn remove(&mut self, token: &str) {
        if let Some(entry) = self.entries.pop(token) {
            self.bytes = self.bytes.saturating_sub(entry.size);
        }
    }
}

#[cfg(test)]
mod tests;
