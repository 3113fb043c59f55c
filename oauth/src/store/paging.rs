//! Pages of records, for administration: nothing that serves a request needs them.

use super::{Key, MAXIMUM_KEYS, StoreError, Stored};

/// A record with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: Key,
    pub(crate) stored: Stored,
}

/// Some records, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// May be fewer than asked for, even none, before the last page.
    pub(crate) records: Vec<Named>,
    /// What the next call goes on after. `None`: this was the last page.
    pub(crate) next: Option<String>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Import {
    /// These are its first records: the store must be empty.
    Begin,
    /// More of the same.
    GoOn,
}

/// The partition that a record can be listed by, and the rest of its id: what stands before the first
/// `/` of the id and behind it. Ids without one are in no partition.
pub(crate) fn partition_of(id: &str) -> Option<(&str, &str)> {
    id.split_once('/').filter(|(partition, rest)| !partition.is_empty() && !rest.is_empty())
}

/// Refuses a listing that some engine could not do.
pub(crate) fn check_listing(partition: &str, limit: usize) -> Result<(), StoreError> {
    if partition.is_empty() || partition.contains('/') || !(1..=MAXIMUM_KEYS).contains(&limit) {
        return Err(StoreError::Unacceptable);
    }
    Ok(())
}
