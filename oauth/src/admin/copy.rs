//! Backing up, restoring, moving to another engine, and giving space back. Records are copied as they
//! are, sealed: whoever has the copy and not the keys has nothing.

use std::path::Path;

use super::{
    AdminError,
    archive::{Reader, Writer},
};
use crate::{
    clock::{Clock as _, SystemClock},
    records::proves_keys,
    settings::{EngineSettings, Settings},
    store::{self, Import, Key, Named, Store, redb::RedbStore},
};

/// Records that are read, written or compared at once.
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

/// Writes everything in the store to a file. With the embedded engine no service may have it open.
///
/// # Errors
///
/// [`AdminError`]; the file then has not its name.
pub fn backup(
    settings: &Settings,
    output: &Path,
    progress: impl FnMut(Progress),
) -> Result<u64, AdminError> {
    super::block_on(async {
        let store = store::open(&settings.store).await?;
        let mut told = Told::new("read", progress);
        let mut writer = Writer::new(output, SystemClock::new().unix_seconds())?;
        let mut cursor = None;
        loop {
            let page = store.export(cursor.as_deref(), PAGE).await?;
            page.records.iter().try_for_each(|record| writer.add(record))?;
            told.more(page.records.len());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return writer.finish(),
            }
        }
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
) -> Result<u64, AdminError> {
    let records = verify_backup(settings, input, &mut progress)?;
    super::block_on(async {
        let store = store::open_for_filling(&settings.store).await?;
        let now = SystemClock::new().unix_seconds();
        let mut told = Told::new("written", &mut progress);
        let mut reader = Reader::open(input)?;
        let mut step = Import::Begin;
        while let Some(page) = next_page(&mut reader)? {
            told.more(page.len());
            store.import(page, step, now).await?;
            step = Import::GoOn;
        }
        let mut told = Told::new("verified", &mut progress);
        let mut reader = Reader::open(input)?;
        while let Some(page) = next_page(&mut reader)? {
            compare(&*store, &page, now).await?;
            told.more(page.len());
        }
        Ok(records)
    })
}

/// Reads a backup to its end, and proves that it is whole and that the settings have its sealing keys.
/// Says how many records it holds.
///
/// # Errors
///
/// [`AdminError`] with what is wrong with it.
pub fn verify_backup(
    settings: &Settings,
    input: &Path,
    progress: impl FnMut(Progress),
) -> Result<u64, AdminError> {
    let mut reader = Reader::open(input)?;
    let mut told = Told::new("read", progress);
    let mut proven = false;
    while let Some(record) = reader.next()? {
        if let Some(proof) = proves_keys(&settings.sealer, &record) {
            proof.map_err(|cause| AdminError::Keys(cause.to_string()))?;
            proven = true;
        }
        told.more(1);
    }
    if proven { Ok(told.records) } else { Err(AdminError::NoStore) }
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
) -> Result<u64, AdminError> {
    super::block_on(async {
        let now = SystemClock::new().unix_seconds();
        let source = store::open(&from.store).await?;
        let canary = crate::records::canary_key();
        let stored = source.get(&canary, now).await?.ok_or(AdminError::NoStore)?;
        let canary = Named { key: canary, stored };
        if let Some(proof) = proves_keys(&to.sealer, &canary) {
            proof.map_err(|cause| AdminError::Keys(cause.to_string()))?;
        }
        let target = store::open_for_filling(&to.store).await?;
        let mut step = Import::Begin;
        let mut told = Told::new("written", &mut progress);
        let mut cursor = None;
        loop {
            let page = source.export(cursor.as_deref(), PAGE).await?;
            told.more(page.records.len());
            if !page.records.is_empty() {
                target.import(page.records, step, now).await?;
                step = Import::GoOn;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let mut told = Told::new("verified", &mut progress);
        let mut cursor = None;
        loop {
            let page = source.export(cursor.as_deref(), PAGE).await?;
            compare(&*target, &page.records, now).await?;
            told.more(page.records.len());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(told.records),
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

/// Refuses a store that does not hold these records as they are. Those that have expired may be gone.
async fn compare(store: &dyn Store, records: &[Named], now: u64) -> Result<(), AdminError> {
    let live: Vec<_> = records.iter().filter(|record| record.stored.expires_at > now).collect();
    let keys: Vec<Key> = live.iter().map(|record| record.key.clone()).collect();
    let found = store.get_many(&keys, now).await?;
    for (record, found) in live.iter().zip(found) {
        if found.as_ref() != Some(&record.stored) {
            return Err(AdminError::Differs(record.key.table.name()));
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
