//! What the keys are called, and what a record looks like under one.
//!
//! `{prefix}:table/id` holds a record; `{prefix}:#ids/table/partition` and `{prefix}:#ends/...` are the
//! sorted sets of a partition. The braces are a hash tag: all keys of a stage lie in one slot.

use super::super::{Key, StoreError, Stored, Table};
use super::ENGINE;

/// How much longer a record stays than it lives, in seconds: the service's clock decides when it is over,
/// and must not find it gone before.
pub(super) const MARGIN: u64 = 300;
/// Lifetimes beyond this many seconds are for good.
const LONGEST: u64 = 10_000_000_000;

/// The names of one stage's keys.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{{{prefix}}}:") }
    }

    /// Where a record is.
    pub(super) fn record(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The record that is there. `None`: none of ours, or none that this version knows.
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        Key::from_name(name.strip_prefix(&self.prefix)?)
    }

    /// The rests of a partition's ids.
    pub(super) fn ids(&self, table: Table, partition: &str) -> String {
        format!("{}#ids/{}/{partition}", self.prefix, table.name())
    }

    /// The same by their expiry.
    pub(super) fn ends(&self, table: Table, partition: &str) -> String {
        format!("{}#ends/{}/{partition}", self.prefix, table.name())
    }

    /// Where readiness is tried.
    pub(super) fn probe(&self) -> String {
        format!("{}#ready", self.prefix)
    }

    /// Whether a key is one of those that are no records.
    pub(super) fn is_aside(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('#'))
    }

    /// A glob that every key of this stage fits.
    pub(super) fn all(&self) -> String {
        format!("{}*", self.prefix)
    }
}

/// How long Redis keeps a record, in seconds. `None`: for good.
pub(super) fn lifetime(expires_at: u64, now: u64) -> Option<u64> {
    match expires_at.saturating_sub(now) {
        0 => Some(0),
        left if left > LONGEST => None,
        left => Some(left.saturating_add(MARGIN)),
    }
}

/// Reads `version expiry value`.
pub(super) fn decode(text: &[u8]) -> Result<Stored, StoreError> {
    let mut parts = text.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (version, expires_at) = (number(), number());
    match (version, expires_at, parts.next()) {
        (Some(version), Some(expires_at), Some(value)) => {
            Ok(Stored { value: value.to_vec(), version, expires_at })
        }
        _ => Err(StoreError::Damaged { engine: ENGINE }),
    }
}
