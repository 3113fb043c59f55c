//! Listing a partition by a query, and going through both tables for a backup. Only the latter scans.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::task::JoinSet;

use super::{
    super::{Import, Named, Page, StoreError, Table},
    Inner, engine,
    failing::{Failure, MOST_TRIES, failed, other, pause},
    items::{
        EXPIRES, Item, RECORD, REST, VERSION, encode, is_aside, named, number, partition, primary,
        rest, text,
    },
};

/// Records that are written at the same time.
const IMPORTED_AT_ONCE: usize = 16;

pub(super) async fn list(
    inner: &Inner,
    table: Table,
    own: &str,
    after: Option<&str>,
    limit: usize,
    now: u64,
) -> Result<Page, StoreError> {
    let prefix = format!("{own}/");
    let after = after.and_then(|id| id.strip_prefix(&prefix)).unwrap_or_default();
    let found = inner
        .client
        .query()
        .table_name(inner.tables.of(table))
        .consistent_read(true)
        .key_condition_expression("#r = :r AND #s > :s")
        .filter_expression("#e > :now")
        .expression_attribute_names("#r", RECORD)
        .expression_attribute_names("#s", REST)
        .expression_attribute_names("#e", EXPIRES)
        .expression_attribute_values(":r", text(partition(table, own)))
        .expression_attribute_values(":s", text(rest(after)))
        .expression_attribute_values(":now", number(now))
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(|cause| failed(&cause))?;
    let records = found.items().iter().map(named).collect::<Result<Vec<_>, _>>()?;
    let next = match found.last_evaluated_key() {
        None => None,
        Some(last) => {
            let (_, last) = parts(last).ok_or_else(|| engine("a page ends nowhere"))?;
            Some(format!("{own}{last}"))
        }
    };
    Ok(Page { records, next })
}

pub(super) async fn export(
    inner: &Inner,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, StoreError> {
    let (number, from) = match cursor {
        None => (0, None),
        Some(cursor) => read_cursor(cursor).ok_or_else(|| engine("the cursor is none of it"))?,
    };
    let [first, second] = inner.tables.all();
    let table = if number == 0 { first } else { second };
    let found = inner
        .client
        .scan()
        .table_name(table)
        .consistent_read(true)
        .set_exclusive_start_key(from)
        .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(|cause| failed(&cause))?;
    let items = found.items().iter().filter(|item| !is_aside(item));
    let records = items.map(named).collect::<Result<Vec<_>, _>>()?;
    let next = match found.last_evaluated_key().and_then(parts) {
        Some((record, rest)) => Some(write_cursor(number, Some((record, rest)))),
        None if number == 0 => Some(write_cursor(1, None)),
        None => None,
    };
    Ok(Page { records, next })
}

fn parts(key: &Item) -> Option<(&str, &str)> {
    match (key.get(RECORD)?, key.get(REST)?) {
        (AttributeValue::S(record), AttributeValue::S(rest)) => Some((record, rest)),
        _ => None,
    }
}

/// The number of the table and the last key, as a JSON array.
fn write_cursor(table: u64, last: Option<(&str, &str)>) -> String {
    serde_json::json!([table, last]).to_string()
}

fn read_cursor(text: &str) -> Option<(u64, Option<Item>)> {
    let (table, last): (u64, Option<(String, String)>) = serde_json::from_str(text).ok()?;
    Some((table, last.map(|(record, rest)| primary(record, rest))))
}

pub(super) async fn import(
    inner: &Arc<Inner>,
    records: Vec<Named>,
    step: Import,
    now: u64,
) -> Result<(), StoreError> {
    if step == Import::Begin && !is_empty(inner).await? {
        return Err(StoreError::NotEmpty);
    }
    let mut writes = JoinSet::new();
    for record in records {
        if record.stored.expires_at <= now {
            continue;
        }
        if writes.len() >= IMPORTED_AT_ONCE
            && let Some(done) = writes.join_next().await
        {
            done.map_err(|_| StoreError::Closed)??;
        }
        let inner = Arc::clone(inner);
        writes.spawn(async move { write(&inner, &record).await });
    }
    while let Some(done) = writes.join_next().await {
        done.map_err(|_| StoreError::Closed)??;
    }
    Ok(())
}

/// Writes one record, unless there is the same or a higher version.
async fn write(inner: &Inner, Named { key, stored }: &Named) -> Result<(), StoreError> {
    let item = encode(key, stored.version, stored.expires_at, &stored.value);
    for tries in 0..MOST_TRIES {
        let request = inner
            .client
            .put_item()
            .table_name(inner.tables.of(key.table))
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(#v) OR #v < :v")
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_values(":v", number(stored.version));
        // The time is that of one try: a table that was just made takes few writes a second at first, so
        // that an import meets throttling for long.
        match inner.run(async { Ok(request.send().await) }).await? {
            Ok(_) => return Ok(()),
            Err(cause)
                if cause
                    .as_service_error()
                    .is_some_and(|cause| cause.is_conditional_check_failed_exception()) =>
            {
                return Ok(());
            }
            Err(cause) => match other(&cause) {
                Failure::Failed(cause) => return Err(cause),
                Failure::Condition | Failure::Again => pause(tries).await,
            },
        }
    }
    Err(engine("the table takes too few writes a second"))
}

async fn is_empty(inner: &Inner) -> Result<bool, StoreError> {
    for table in inner.tables.all() {
        // The item of readiness may be one of two.
        let found = inner.client.scan().table_name(table).limit(2).consistent_read(true);
        let found = inner.run(async { found.send().await.map_err(|cause| failed(&cause)) }).await?;
        if found.items().iter().any(|item| !is_aside(item)) {
            return Ok(false);
        }
    }
    Ok(true)
}
