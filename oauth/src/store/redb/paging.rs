//! Listing and exporting: ranges of the one table, which is in the order of its names.

use std::ops::Bound;

use ::redb::{Database, ReadableDatabase as _};

use super::{
    super::{Key, Named, Page, StoreError, Stored, Table},
    ENGINE, RECORDS, engine,
};

pub(super) fn list(
    database: &Database,
    table: Table,
    partition: &str,
    after: Option<&str>,
    limit: usize,
    now: u64,
) -> Result<Page, StoreError> {
    let prefix = Key::new(table, format!("{partition}/")).to_string();
    let after = after.map_or_else(|| prefix.clone(), |id| Key::new(table, id).to_string());
    let mut page = range(database, &after, limit, |name| name.starts_with(&prefix))?;
    page.next = page.next.and_then(|name| name.split_once('/').map(|(_, id)| id.to_owned()));
    page.records.retain(|record| record.stored.expires_at > now);
    Ok(page)
}

pub(super) fn export(
    database: &Database,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, StoreError> {
    range(database, cursor.unwrap_or_default(), limit, |_| true)
}

/// The records behind the name `after`, as long as their names `belong`.
fn range(
    database: &Database,
    after: &str,
    limit: usize,
    belongs: impl Fn(&str) -> bool,
) -> Result<Page, StoreError> {
    let transaction = database.begin_read().map_err(engine)?;
    let table = transaction.open_table(RECORDS).map_err(engine)?;
    let mut records = Vec::new();
    let range = (Bound::Excluded(after), Bound::Unbounded);
    for entry in table.range::<&str>(range).map_err(engine)? {
        let (name, record) = entry.map_err(engine)?;
        if !belongs(name.value()) {
            break;
        }
        let key = Key::from_name(name.value()).ok_or(StoreError::Damaged { engine: ENGINE })?;
        let (version, expires_at, value) = record.value();
        let stored = Stored { value: value.to_vec(), version, expires_at };
        records.push(Named { key, stored });
        if records.len() >= limit {
            let next = Some(name.value().to_owned());
            return Ok(Page { records, next });
        }
    }
    Ok(Page { records, next: None })
}
