//! Filling an empty store, many records at a time: the embedded engine flushes once for each time, the
//! others divide them as they need.

use super::AdminError;
use crate::{
    clock::Clock,
    store::{Import, Named, Store},
};

/// Most records that are handed over at once.
const MOST_RECORDS: usize = 5_000;
/// Most bytes of values that are held before they are handed over, and one value more.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Collects records and hands them over.
pub(super) struct Filling<'s> {
    store: &'s dyn Store,
    clock: &'s dyn Clock,
    collected: Vec<Named>,
    bytes: usize,
    step: Import,
}

impl<'s> Filling<'s> {
    /// The store must be empty.
    pub(super) fn new(store: &'s dyn Store, clock: &'s dyn Clock) -> Self {
        Self { store, clock, collected: Vec::new(), bytes: 0, step: Import::Begin }
    }

    pub(super) async fn add(&mut self, record: Named) -> Result<(), AdminError> {
        self.bytes = self.bytes.saturating_add(record.stored.value.len());
        self.collected.push(record);
        if self.collected.len() >= MOST_RECORDS || self.bytes >= MOST_BYTES {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Hands over the last records.
    pub(super) async fn end(mut self) -> Result<(), AdminError> {
        self.hand_over().await
    }

    async fn hand_over(&mut self) -> Result<(), AdminError> {
        let records = std::mem::take(&mut self.collected);
        self.bytes = 0;
        if !records.is_empty() {
            self.store.import(records, self.step, self.clock.unix_seconds()).await?;
            self.step = Import::GoOn;
        }
        Ok(())
    }
}
