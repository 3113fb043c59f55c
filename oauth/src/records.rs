//! Typed records over the store: serialised, and sealed before the engine sees them.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    metrics::Metrics,
    sealing::{Sealer, SealingError},
    store::{Applied, Change, Condition, Key, Operation, Store, Stored, Submitted, Table},
};

mod canary;
#[cfg(test)]
mod tests;

pub(crate) use canary::{KeysError, canary_key, must_open};

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
        let stored = self.store.get(&key, now).await?;
        self.open(&key, stored)
    }

    /// The records called `ids`, in their order, as they were at one moment.
    pub(crate) async fn get_all<R: Record>(
        &self,
        ids: &[String],
        now: u64,
    ) -> Result<Vec<Option<R>>, Error> {
        let keys: Vec<_> = ids.iter().map(|id| Key::new(R::TABLE, id)).collect();
        let found = self.store.get_many(&keys, now).await?;
        let opened = keys.iter().zip(found).map(|(key, stored)| self.open(key, stored));
        opened.map(|found| Ok(found?.map(|found| found.record))).collect()
    }

    /// Two records of the same id, as they were at one moment.
    pub(crate) async fn get_both<A: Record, B: Record>(
        &self,
        id: &str,
        now: u64,
    ) -> Result<(Option<A>, Option<B>), Error> {
        let keys = [Key::new(A::TABLE, id), Key::new(B::TABLE, id)];
        let mut found = self.store.get_many(&keys, now).await?.into_iter();
        let [first, second] = &keys;
        let a = self.open(first, found.next().flatten())?.map(|found| found.record);
        let b = self.open(second, found.next().flatten())?.map(|found| found.record);
        Ok((a, b))
    }

    /// Opens what the store holds under `key`.
    pub(crate) fn open<R: Record>(
        &self,
        key: &Key,
        stored: Option<Stored>,
    ) -> Result<Option<Versioned<R>>, Error> {
        let Some(stored) = stored else { return Ok(None) };
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

    /// Whether what is stored was sealed under the first key.
    pub(crate) fn is_under_first(&self, stored: &Stored) -> bool {
        self.sealer.is_under_first(&stored.value)
    }

    /// A new, empty list of changes.
    pub(crate) fn changes(&self) -> Changes<'_> {
        Changes { records: self, operations: Vec::new(), failure: None }
    }
}

/// Changes that happen together or not at all.
#[derive(Clone)]
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

    /// Removes a record that must exist.
    pub(crate) fn take<R: Record>(self, id: &str) -> Self {
        self.with::<R>(id, Condition::Present, Change::Delete)
    }

    /// Writes a value that is no secret and is not sealed.
    pub(crate) fn put_plain(mut self, key: Key, condition: Condition, value: Vec<u8>) -> Self {
        // It is kept for good.
        let change = Change::Put { value, expires_at: u64::MAX };
        self.operations.push(Operation { key, condition, change });
        self
    }

    /// Does it, at `now` (Unix seconds). What was done is durable when this returns.
    pub(crate) async fn apply(self, now: u64) -> Result<Applied, Error> {
        Ok(self.submit(now).await?.await?)
    }

    /// Has the store do it after all that it has taken before.
    pub(crate) async fn submit(self, now: u64) -> Result<Submitted, Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.records.store.submit(self.operations, now).await?),
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
