//! Listing a partition by its sorted set, and going through all keys for a backup.

use ::redis::{aio::ConnectionManager, cmd};

use super::{
    super::{Import, Key, Named, Page, StoreError, Table},
    ENGINE, Inner, engine,
    names::decode,
};

/// Records in one script.
const IMPORTED_AT_ONCE: usize = 64;

pub(super) async fn list(
    inner: &Inner,
    table: Table,
    partition: &str,
    after: Option<&str>,
    limit: usize,
    now: u64,
) -> Result<Page, StoreError> {
    let prefix = format!("{partition}/");
    let from = after.and_then(|id| id.strip_prefix(&prefix));
    let from = from.map_or_else(|| "-".to_owned(), |rest| format!("({rest}"));
    let set = inner.names.ids(table, partition);
    let rests: Vec<String> = inner
        .run(|mut connection| async move {
            let mut command = cmd("ZRANGEBYLEX");
            command.arg(set).arg(from).arg("+").arg("LIMIT").arg(0).arg(limit);
            command.query_async(&mut connection).await
        })
        .await?;
    let keys: Vec<_> =
        rests.iter().map(|rest| Key::new(table, format!("{prefix}{rest}"))).collect();
    let found = inner.read(&keys, now).await?;
    let next = if keys.len() < limit { None } else { keys.last().map(|key| key.id.clone()) };
    // Of those that Redis has removed by itself the name may still be there.
    let records = keys.into_iter().zip(found);
    let records =
        records.filter_map(|(key, stored)| Some(Named { key, stored: stored? })).collect();
    Ok(Page { records, next })
}

pub(super) async fn export(
    inner: &Inner,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, StoreError> {
    let (next, names) = scan(inner, cursor.unwrap_or("0").to_owned(), limit).await?;
    let mut keys = Vec::with_capacity(names.len());
    for name in &names {
        keys.push(inner.names.key(name).ok_or(StoreError::Damaged { engine: ENGINE })?);
    }
    let texts: Vec<Option<Vec<u8>>> = if names.is_empty() {
        Vec::new()
    } else {
        let read = |mut connection: ConnectionManager| async move {
            cmd("MGET").arg(names).query_async(&mut connection).await
        };
        inner.run(read).await?
    };
    let mut records = Vec::with_capacity(keys.len());
    for (key, text) in keys.into_iter().zip(texts) {
        // One that is missing has gone in between.
        if let Some(text) = text {
            records.push(Named { key, stored: decode(&text)? });
        }
    }
    Ok(Page { records, next })
}

pub(super) async fn import(
    inner: &Inner,
    records: &[Named],
    step: Import,
    now: u64,
) -> Result<(), StoreError> {
    if step == Import::Begin && !is_empty(inner).await? {
        return Err(StoreError::NotEmpty);
    }
    for some in records.chunks(IMPORTED_AT_ONCE) {
        let invocation = inner.scripts.import(&inner.names, some, now);
        let invocation = &invocation;
        inner
            .run(|mut connection| async move {
                invocation.invoke_async::<()>(&mut connection).await
            })
            .await?;
    }
    Ok(())
}

async fn is_empty(inner: &Inner) -> Result<bool, StoreError> {
    let mut cursor = "0".to_owned();
    loop {
        let (next, names) = scan(inner, cursor, 1_000).await?;
        match next {
            _ if !names.is_empty() => return Ok(false),
            Some(next) => cursor = next,
            None => return Ok(true),
        }
    }
}

/// The names of some records, and where to go on.
async fn scan(
    inner: &Inner,
    cursor: String,
    count: usize,
) -> Result<(Option<String>, Vec<String>), StoreError> {
    if cursor.parse::<u64>().is_err() {
        return Err(engine("the cursor is none of a Redis store"));
    }
    let all = inner.names.all();
    let (next, mut names): (String, Vec<String>) = inner
        .run(|mut connection| async move {
            let mut command = cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(all).arg("COUNT").arg(count);
            command.query_async(&mut connection).await
        })
        .await?;
    names.retain(|name| !inner.names.is_aside(name));
    Ok(((next != "0").then_some(next), names))
}
