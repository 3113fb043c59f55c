//! Typed records over the store: serialised, and sealed before the engine sees them.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    metrics::Metrics,
    sealing::{Sealer, SealingError},
    store::{Applied, Change, Condition, Key, Operation, Store, Table},
};

mod canary;
#[cfg(test)]
mod tests;

pub(crate) use canary::KeysError;

/// A type that is kept in one table of the store.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const TABLE: Table;
}

/// A record and the version that a change of it must name.
#[derive(Debug)]
pub(crate) struct Versioned<R> {
    pub(crate) record: R,
    pub(crate) version: u64,
}

/// Reads and changes records.
pub(crate) struct Records {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    metrics: Arc<Metrics>,
}

impl Records {
    pub(crate) fn new(store: Arc<dyn Store>, sealer: Arc<Sealer>, metrics: Arc<Metrics>) -> Self {
        Self { store, sealer, metrics }
    }

    /// The store itself, for readiness and sweeping.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What is counted, here and in the rest of the service.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The record called `id`, if there is one that has not expired at `now` (Unix seconds). One that
    /// was sealed under a key that is no longer configured is gone, as when it had expired.
    pub(crate) async fn get<R: Record>(
        &self,
        id: &str,
        now: u64,
    ) -> Result<Option<Versioned<R>>, Error> {
        let key = Key::new(R::TABLE, id);
        let Some(stored) = self.store.get(&key, now).await? else { return Ok(None) };
        let name = key.to_string();
        let plain = match self.sealer.open(name.as_bytes(), &stored.value) {
            Ok(plain) => plain,
            Err(cause @ SealingError::UnknownKey) => {
                tracing::warn!(table = key.table.name(), %cause, "a stored record is out of use");
                self.metrics.unknown_sealing_key();
                return Ok(None);
            }
            Err(cause) => {
                tracing::error!(table = key.table.name(), %cause, "a stored record cannot be opened");
                return Err(Error::Internal);
            }
        };
        // The parser's message may quote what it read.
        let record = serde_json::from_slice(&plain).map_err(|_| {
            tracing::error!(table = key.table.name(), "a stored record cannot be read");
            Error::Internal
        })?;
        Ok(Some(Versioned { record, version: stored.version }))
    }

    /// A new, empty list of changes.
    pub(crate) fn changes(&self) -> Changes<'_> {
        Changes { records: self, operations: Vec::new(), failure: None }
    }
}

/// Changes that happen together or not at all.
#[must_use = "nothing happens before `apply`"]
pub(crate) struct Changes<'r> {
    records: &'r Records,
    operations: Vec<Operation>,
    failure: Option<Error>,
}

impl Changes<'_> {
    /// Writes a record that must not exist yet.
    pub(crate) fn insert<R: Record>(self, id: &str, record: &R, expires_at: u64) -> Self {
        self.put(id, Condition::Absent, record, expires_at)
    }

    /// Writes over the record of this version.
    pub(crate) fn replace<R: Record>(
        self,
        id: &str,
        version: u64,
        record: &R,
        expires_at: u64,
    ) -> Self {
        self.put(id, Condition::Version(version), record, expires_at)
    }

    /// Nothing happens unless this record exists.
    pub(crate) fn require<R: Record>(self, id: &str) -> Self {
        self.with::<R>(id, Condition::Present, Change::Keep)
    }

    /// Removes a record, whether or not it exists.
    pub(crate) fn remove<R: Record>(self, id: &str) -> Self {
        self.with::<R>(id, Condition::Any, Change::Delete)
    }

    /// Does it, at `now` (Unix seconds). What was done is durable when this returns.
    pub(crate) async fn apply(self, now: u64) -> Result<Applied, Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.records.store.apply(self.operations, now).await?),
        }
    }

    fn put<R: Record>(
        mut self,
        id: &str,
        condition: Condition,
        record: &R,
        expires_at: u64,
    ) -> Self {
        let name = Key::new(R::TABLE, id).to_string();
        let sealed = serde_json::to_vec(record)
            .map(Zeroizing::new)
            .ok()
            .and_then(|plain| self.records.sealer.seal(name.as_bytes(), &plain).ok());
        match sealed {
            Some(value) => self.with::<R>(id, condition, Change::Put { value, expires_at }),
            None => {
                tracing::error!(table = R::TABLE.name(), "a record cannot be sealed");
                self.failure = Some(Error::Internal);
                self
            }
        }
    }

    fn with<R: Record>(mut self, id: &str, condition: Condition, change: Change) -> Self {
        self.operations.push(Operation { key: Key::new(R::TABLE, id), condition, change });
        self
    }
}
