//! What one request does to the tables, within a write transaction.

use ::redb::{ReadableTable as _, Table};

use super::{
    super::{Applied, Change, Condition, Import, Named, Operation, StoreError},
    Outcome, Request, engine,
};

/// The two tables inside one write transaction.
pub(super) struct Tables<'t> {
    pub(super) records: Table<'t, &'static str, (u64, u64, &'static [u8])>,
    pub(super) expiries: Table<'t, (u64, &'static str), ()>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

impl Tables<'_> {
    /// Does one request.
    pub(super) fn run(&mut self, request: Request) -> Result<Outcome, StoreError> {
        match request {
            Request::Apply { operations, now } => self.apply(operations, now).map(Outcome::Applied),
            Request::Purge { now, limit } => self.purge(now, limit).map(Outcome::Purged),
            Request::Import { records, step } => self.import(records, step).map(Outcome::Imported),
            Request::Nothing => Ok(Outcome::Nothing),
            #[cfg(test)]
            Request::Die => panic!("the writer was told to die"),
        }
    }

    fn apply(&mut self, operations: Vec<Operation>, now: u64) -> Result<Applied, StoreError> {
        let mut versions = Vec::with_capacity(operations.len());
        for operation in &operations {
            let live = self
                .state(&operation.key.to_string())?
                .and_then(|(version, expires_at)| (expires_at > now).then_some(version));
            let holds = match operation.condition {
                Condition::Any => true,
                Condition::Absent => live.is_none(),
                Condition::Present => live.is_some(),
                Condition::Version(expected) => live == Some(expected),
            };
            if !holds {
                return Ok(Applied::Conflict);
            }
            versions.push(live.unwrap_or_default());
        }
        for (operation, version) in operations.into_iter().zip(versions) {
            let name = operation.key.to_string();
            match operation.change {
                Change::Keep => {}
                Change::Delete => self.remove(&name)?,
                Change::Put { value, expires_at } => {
                    self.put(&name, version.saturating_add(1), expires_at, &value)?;
                }
            }
        }
        Ok(Applied::Yes)
    }

    fn put(
        &mut self,
        name: &str,
        version: u64,
        expires_at: u64,
        value: &[u8],
    ) -> Result<(), StoreError> {
        self.remove(name)?;
        self.records.insert(name, (version, expires_at, value)).map_err(engine)?;
        self.expiries.insert((expires_at, name), ()).map_err(engine)?;
        self.changed = true;
        Ok(())
    }

    /// `false`, and nothing happened: the store is not empty.
    fn import(&mut self, records: Vec<Named>, step: Import) -> Result<bool, StoreError> {
        if step == Import::Begin && self.records.first().map_err(engine)?.is_some() {
            return Ok(false);
        }
        for Named { key, stored } in records {
            let name = key.to_string();
            if self.state(&name)?.is_none_or(|(version, _)| version < stored.version) {
                self.put(&name, stored.version, stored.expires_at, &stored.value)?;
            }
        }
        Ok(true)
    }

    fn purge(&mut self, now: u64, limit: usize) -> Result<usize, StoreError> {
        let mut names = Vec::new();
        for entry in self.expiries.range(..(now.saturating_add(1), "")).map_err(engine)?.take(limit)
        {
            let (key, ()) = entry.map(|(key, value)| (key, value.value())).map_err(engine)?;
            names.push(key.value().1.to_owned());
        }
        for name in &names {
            self.remove(name)?;
        }
        Ok(names.len())
    }

    /// Version and expiry of a record, whether or not it has expired.
    fn state(&self, name: &str) -> Result<Option<(u64, u64)>, StoreError> {
        let found = self.records.get(name).map_err(engine)?;
        Ok(found.map(|found| (found.value().0, found.value().1)))
    }

    fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        if let Some((_, expires_at)) = self.state(name)? {
            self.records.remove(name).map_err(engine)?;
            self.expiries.remove((expires_at, name)).map_err(engine)?;
            self.changed = true;
        }
        Ok(())
    }
}
