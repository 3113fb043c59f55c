//! Backing up, restoring, moving to another engine, and giving space back. Records are copied as they
//! are, sealed: whoever has the copy and not the keys has nothing.

use std::{collections::HashSet, path::Path};

use super::{
    AdminError,
    archive::{Reader, Writer},
};
use crate::{
    clock::{Clock, SystemClock},
    records::must_open,
    settings::{EngineSettings, Settings},
    store::{self, Key, Named, Store, redb::RedbStore},
};

mod filling;
mod proof;

use filling::Filling;
use proof::Proof;

/// Records that are read or compared at once.
const PAGE: usize = 50;
/// How often the progress is told, in records.
const PROGRESS: u64 = 10_000;

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done: `read`, `written` or `verified`.
    pub step: &'static str,
    /// Records so far.
    pub records: u64,
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// All records.
    pub records: u64,
    /// Those that have not expired and were sealed under a key that is not in the settings. The service
    /// takes them for gone.
    pub of_unknown_keys: u64,
}

/// Writes everything in the store to a file. With the embedded engine no service may have it open.
///
/// # Errors
///
/// [`AdminError`], also where the store is none of this service; the file then has not its name, and one
/// that had it before is left.
pub fn backup(
    settings: &Settings,
    output: &Path,
    progress: impl FnMut(Progress),
) -> Result<u64, AdminError> {
    super::block_on(async {
        let now = SystemClock::new().unix_seconds();
        let store = store::open_existing(&settings.store).await?;
        let mut told = Told::new("read", progress);
        let mut writer = Writer::new(output, now)?;
        let mut proof = Proof::of_any_keys();
        let mut cursor = None;
        loop {
            let page = store.export(cursor.as_deref(), PAGE).await?;
            for record in &page.records {
                proof.look_at(record, now)?;
                writer.add(record)?;
            }
            told.more(page.records.len());
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        proof.end(told.records)?;
        writer.finish()
    })
}

/// Writes what a backup holds into an empty store, then reads it again and compares. The file is read
/// to its end before anything is written, and the sealing keys must be those of the backup.
///
/// # Errors
///
/// [`AdminError`]. After one while writing, the store must be emptied before another try.
pub fn restore(
    settings: &Settings,
    input: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, AdminError> {
    let copied = verify_backup(settings, input, &mut progress)?;
    super::block_on(async {
        let clock = SystemClock::new();
        let store = store::open_for_filling(&settings.store).await?;
        let mut told = Told::new("written", &mut progress);
        let mut reader = Reader::open(input)?;
        let mut filling = Filling::new(&*store, &clock);
        while let Some(record) = reader.next()? {
            filling.add(record).await?;
            told.more(1);
        }
        filling.end().await?;
        let mut told = Told::new("verified", &mut progress);
        let mut reader = Reader::open(input)?;
        while let Some(page) = next_page(&mut reader)? {
            compare(&*store, &page, &clock).await?;
            told.more(page.len());
        }
        Ok(copied)
    })
}

/// Reads a backup to its end, and proves that it is whole and that the settings have its sealing keys.
///
/// # Errors
///
/// [`AdminError`] with what is wrong with it.
pub fn verify_backup(
    settings: &Settings,
    input: &Path,
    progress: impl FnMut(Progress),
) -> Result<Copied, AdminError> {
    let now = SystemClock::new().unix_seconds();
    let mut reader = Reader::open(input)?;
    let mut told = Told::new("read", progress);
    let mut proof = Proof::of(&settings.sealer);
    while let Some(record) = reader.next()? {
        proof.look_at(&record, now)?;
        told.more(1);
    }
    proof.end(told.records)
}

/// Copies everything from the store of one settings file to the empty store of another, then compares
/// the two. No service may run on either.
///
/// # Errors
///
/// [`AdminError`]. After one while writing, the target must be emptied before another try.
pub fn migrate(
    from: &Settings,
    to: &Settings,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, AdminError> {
    super::block_on(async {
        let clock = SystemClock::new();
        let now = clock.unix_seconds();
        let source = store::open_existing(&from.store).await?;
        // Before anything is written.
        let mut proof = Proof::of(&to.sealer);
        let keys = must_open();
        let found = source.get_many(&keys, now).await?;
        for (key, stored) in keys.into_iter().zip(found) {
            stored.map_or(Ok(()), |stored| proof.look_at(&Named { key, stored }, now))?;
        }
        proof.is_store()?;
        let target = store::open_for_filling(&to.store).await?;
        let mut filling = Filling::new(&*target, &clock);
        let mut told = Told::new("written", &mut progress);
        let mut cursor = None;
        loop {
            let page = source.export(cursor.as_deref(), PAGE).await?;
            told.more(page.records.len());
            for record in page.records {
                proof.look_at(&record, now)?;
                filling.add(record).await?;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        filling.end().await?;
        let mut told = Told::new("verified", &mut progress);
        let mut cursor = None;
        loop {
            let page = source.export(cursor.as_deref(), PAGE).await?;
            compare(&*target, &page.records, &clock).await?;
            told.more(page.records.len());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return proof.end(told.records),
            }
        }
    })
}

/// Gives the space of removed records back to the file system. Only the embedded engine needs that, and
/// no service may have it open. Says how long the file was and is, in bytes.
///
/// # Errors
///
/// [`AdminError`].
pub fn compact(settings: &Settings) -> Result<(u64, u64), AdminError> {
    match &settings.store.engine {
        EngineSettings::Redb(redb) => Ok(RedbStore::compact(&redb.path, redb.cache_bytes)?),
        EngineSettings::Redis(_) | EngineSettings::Dynamodb(_) => Err(AdminError::NoFile),
    }
}

fn next_page(reader: &mut Reader) -> Result<Option<Vec<Named>>, AdminError> {
    let mut page = Vec::new();
    while page.len() < PAGE {
        match reader.next()? {
            Some(record) => page.push(record),
            None => break,
        }
    }
    Ok((!page.is_empty()).then_some(page))
}

/// Refuses a store that does not hold these records as they are. Those that have expired, by the clock
/// when the store has answered, may be gone.
async fn compare(
    store: &dyn Store,
    records: &[Named],
    clock: &dyn Clock,
) -> Result<(), AdminError> {
    // Redis may give more at once than it was asked for, and one twice.
    let mut seen = HashSet::new();
    let records: Vec<_> = records.iter().filter(|record| seen.insert(&record.key)).collect();
    for some in records.chunks(PAGE) {
        let keys: Vec<Key> = some.iter().map(|record| record.key.clone()).collect();
        // At 0 no record has expired: the engine leaves out what it does not have, and nothing else.
        let found = store.get_many(&keys, 0).await?;
        let now = clock.unix_seconds();
        for (record, found) in some.iter().zip(found) {
            if record.stored.expires_at > now && found.as_ref() != Some(&record.stored) {
                return Err(AdminError::Differs(record.key.table.name()));
            }
        }
    }
    Ok(())
}

/// Tells the progress every now and then.
struct Told<P> {
    step: &'static str,
    records: u64,
    progress: P,
}

impl<P: FnMut(Progress)> Told<P> {
    fn new(step: &'static str, progress: P) -> Self {
        Self { step, records: 0, progress }
    }

    fn more(&mut self, records: usize) {
        let before = self.records / PROGRESS;
        self.records = self.records.saturating_add(records as u64);
        if before != self.records / PROGRESS {
            (self.progress)(Progress { step: self.step, records: self.records });
        }
    }
}

#[cfg(test)]
mod tests;
