//! Whether records are those of a store of this service, and whether sealing keys open them.

use super::{AdminError, Copied};
use crate::{
    records::{canary_key, must_open},
    sealing::Sealer,
    store::{Key, Named, Table},
};

/// What the records so far have shown.
pub(super) struct Proof<'s> {
    /// `None`: no keys are asked for.
    sealer: Option<&'s Sealer>,
    canary: Key,
    must_open: Vec<Key>,
    has_canary: bool,
    of_unknown_keys: u64,
}

impl<'s> Proof<'s> {
    /// That the records are of this service, and what of them these keys open.
    pub(super) fn of(sealer: &'s Sealer) -> Self {
        Self::new(Some(sealer))
    }

    /// That the records are of this service, whatever they were sealed with.
    pub(super) fn of_any_keys() -> Self {
        Self::new(None)
    }

    fn new(sealer: Option<&'s Sealer>) -> Self {
        Self {
            sealer,
            canary: canary_key(),
            must_open: must_open(),
            has_canary: false,
            of_unknown_keys: 0,
        }
    }

    /// Refuses a record without which no service would start, where the keys do not open it. `now` is in
    /// Unix seconds.
    pub(super) fn look_at(&mut self, record: &Named, now: u64) -> Result<(), AdminError> {
        self.has_canary |= record.key == self.canary;
        let Some(sealer) = self.sealer else { return Ok(()) };
        let Named { key, stored } = record;
        if self.must_open.contains(key) {
            let opened = sealer.open(key.to_string().as_bytes(), &stored.value);
            return opened.map(|_| ()).map_err(|cause| AdminError::Keys(cause.to_string()));
        }
        // The head of the feed is a number that is not sealed.
        let is_sealed = key.table != Table::RevocationHead;
        if is_sealed && stored.expires_at > now && !sealer.knows(&stored.value) {
            self.of_unknown_keys = self.of_unknown_keys.saturating_add(1);
        }
        Ok(())
    }

    /// Refuses what has no proof of a store of this service so far.
    pub(super) fn is_store(&self) -> Result<(), AdminError> {
        if self.has_canary { Ok(()) } else { Err(AdminError::NoStore) }
    }

    /// The same after so many records.
    pub(super) fn end(self, records: u64) -> Result<Copied, AdminError> {
        self.is_store()?;
        Ok(Copied { records, of_unknown_keys: self.of_unknown_keys })
    }
}
