//! The store: one small trait that every engine implements, and the contract that all must keep
//! (`contract.rs`).
//!
//! The unit of change is a list of conditional operations that happen together or not at all. An
//! embedded database does them in one write transaction, Redis in one script, DynamoDB in one
//! `TransactWriteItems`; the bounds below are chosen so that each of them can.

use std::{fmt, pin::Pin};

#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod dynamodb;
pub(crate) mod measured;
mod open;
mod paging;
pub(crate) mod redb;
pub(crate) mod redis;
#[cfg(test)]
pub(crate) mod servers;
mod table;

pub(crate) use open::{open, open_existing, open_for_filling};
pub(crate) use paging::{Import, Named, Page, check_listing, partition_of};
pub(crate) use table::Table;

/// Most operations in one [`Store::apply`].
pub(crate) const MAXIMUM_OPERATIONS: usize = 16;
/// Most keys in one [`Store::get_many`].
pub(crate) const MAXIMUM_KEYS: usize = 100;
/// Most bytes in one value.
pub(crate) const MAXIMUM_VALUE_BYTES: usize = 64 * 1024;

/// The name of a record. `id` is a hash or an opaque id, never a token or code itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) table: Table,
    pub(crate) id: String,
}

impl Key {
    pub(crate) fn new(table: Table, id: impl Into<String>) -> Self {
        Self { table, id: id.into() }
    }
}

impl Key {
    /// Reads what [`fmt::Display`] has written. `None`: there is no such table.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (table, id) = name.split_once('/')?;
        Some(Self::new(Table::from_name(table)?, id))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.table.name(), self.id)
    }
}

/// A record as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Opaque to the engine.
    pub(crate) value: Vec<u8>,
    /// 1 for a record that was just inserted, and one more with every change. Where [`Condition::Any`]
    /// finds an expired record that is still there, an engine may go on counting.
    pub(crate) version: u64,
    /// Seconds since the Unix epoch. From that second on the record does not exist.
    pub(crate) expires_at: u64,
}

/// What must hold for an operation's key. An expired record counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing needs to hold.
    Any,
    /// There is no such record.
    Absent,
    /// There is one, of whatever version.
    Present,
    /// There is one, of exactly this version.
    Version(u64),
}

/// What happens to an operation's key when every condition of the list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: the operation is there for its condition.
    Keep,
    /// The record becomes this.
    Put {
        /// At most [`MAXIMUM_VALUE_BYTES`].
        value: Vec<u8>,
        /// Seconds since the Unix epoch.
        expires_at: u64,
    },
    /// The record is removed.
    Delete,
}

/// One line of a list for [`Store::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) key: Key,
    pub(crate) condition: Condition,
    pub(crate) change: Change,
}

/// How a list of operations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Every condition held; every change is durable.
    Yes,
    /// A condition did not hold; nothing was changed.
    Conflict,
}

/// Why a store could not do what it was asked. Never a consequence of what a client sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// The engine failed.
    #[error("{engine}: {reason}")]
    Engine {
        /// The engine's name.
        engine: &'static str,
        /// Its own words. Engines must not put values here.
        reason: String,
    },
    /// What the store keeps cannot be what the engine wrote.
    #[error("{engine}: what it keeps is damaged")]
    Damaged {
        /// The engine's name.
        engine: &'static str,
    },
    /// The store has been closed, or its writer has died.
    #[error("the store is closed")]
    Closed,
    /// A list that no engine may accept: too long, too large, or one key changed twice.
    #[error("the list breaks the store's bounds")]
    Unacceptable,
    /// Records are to be imported into a store that holds some.
    #[error("the store is not empty")]
    NotEmpty,
}

/// What a store's methods return. Engines may be used through `dyn Store`.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What comes of a list that a store has taken. The list is done whether or not anybody waits for this.
pub(crate) type Submitted =
    Pin<Box<dyn Future<Output = Result<Applied, StoreError>> + Send + 'static>>;

/// Records with an expiry, changed atomically.
///
/// Keys are never used again after their record is deleted, so that a version names one state.
pub(crate) trait Store: Send + Sync + 'static {
    /// Reads one record. `now` is in seconds since the Unix epoch.
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>>;

    /// Reads up to [`MAXIMUM_KEYS`] records, all as they were at one moment, in the order of `keys`.
    /// Together they may have up to 4 MB, which is what DynamoDB reads at once.
    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>>;

    /// Takes a list that makes all changes if all conditions hold, else none. It is done whether or not
    /// anybody waits for what comes of it, which is known when what it did is as durable as the engine
    /// makes it (docs/stores.md): on redb it survives a crash of the process and of the machine.
    ///
    /// Where [`Store::opening`] names one, lists are done in the order in which they are taken, so that
    /// one may build on another before that is done. Elsewhere others write in between anyway, and the
    /// order is not promised.
    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted>;

    /// The same for one who waits for it. After an error of a network the list may have been done.
    fn apply(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Applied> {
        Box::pin(async move { self.submit(operations, now).await?.await })
    }

    /// Lists the live records of `table` whose ids begin with `partition` and `/`, in the order of their
    /// ids, without looking at any others. `after` is where the page before has ended. A page looks at up
    /// to `limit` records ([`MAXIMUM_KEYS`] at most); some of them may have expired.
    fn list<'a>(
        &'a self,
        table: Table,
        partition: &'a str,
        after: Option<&'a str>,
        limit: usize,
        now: u64,
    ) -> Pending<'a, Page>;

    /// Goes through everything in the store, for backups and migrations: about `limit` records from
    /// `cursor`, which the page before has given, expired ones perhaps among them. It is a picture of
    /// one moment only while nobody writes, and a record may come twice.
    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page>;

    /// Writes records as they are, version and expiry included. The first call needs an empty store. A
    /// record that is there already stays, unless it has a lower version; one that has expired at `now`
    /// may be left out.
    fn import(&self, records: Vec<Named>, step: Import, now: u64) -> Pending<'_, ()>;

    /// Removes up to `limit` expired records, and says how many: 0 where the engine's own expiry does it.
    fn purge(&self, now: u64, limit: usize) -> Pending<'_, usize>;

    /// Whether the store can read and write now.
    fn ready(&self) -> Pending<'_, ()>;

    /// Names this opening of a store that nobody else can have open at the same time: whatever was under
    /// way in another opening has ended. `None`: others may be at work in it.
    fn opening(&self) -> Option<u64>;

    /// Returns when the store has ended and will do nothing more; while it works, never. One that is
    /// reached over a network connects again and so never ends.
    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Refuses a list of operations that some engine could not do.
pub(crate) fn check_bounds(operations: &[Operation]) -> Result<(), StoreError> {
    let twice = operations.iter().enumerate().any(|(position, operation)| {
        operations.iter().skip(position + 1).any(|other| other.key == operation.key)
    });
    let too_large = operations.iter().any(|operation| {
        matches!(&operation.change, Change::Put { value, .. } if value.len() > MAXIMUM_VALUE_BYTES)
    });
    if operations.len() > MAXIMUM_OPERATIONS || twice || too_large {
        return Err(StoreError::Unacceptable);
    }
    Ok(())
}
