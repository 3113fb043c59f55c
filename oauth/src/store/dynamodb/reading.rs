//! Reading: one record by a consistent read, several by one transaction.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_get_items::TransactGetItemsError,
    types::{Get, TransactGetItem},
};

use super::{
    super::{Key, StoreError, Stored},
    Inner, engine,
    failing::{Failure, MOST_TRIES, cancelled, failed, other, pause},
    items::{place, stored},
};

pub(super) async fn one(inner: &Inner, key: &Key) -> Result<Option<Stored>, StoreError> {
    let request = inner.client.get_item().table_name(inner.tables.of(key.table));
    let request = request.set_key(Some(place(key))).consistent_read(true);
    let found = request.send().await.map_err(|cause| failed(&cause))?;
    found.item.as_ref().map(stored).transpose()
}

/// Records as they are at one moment. A transaction may name each once.
pub(super) async fn several(
    inner: &Inner,
    keys: &[Key],
) -> Result<Vec<Option<Stored>>, StoreError> {
    let mut distinct: Vec<&Key> = Vec::with_capacity(keys.len());
    for key in keys {
        if !distinct.contains(&key) {
            distinct.push(key);
        }
    }
    let found = match distinct.as_slice() {
        [] => Vec::new(),
        [only] => vec![one(inner, only).await?],
        _ => transaction(inner, &distinct).await?,
    };
    let of = |key: &Key| {
        let position = distinct.iter().position(|own| *own == key);
        position.and_then(|position| found.get(position)).cloned().flatten()
    };
    Ok(keys.iter().map(of).collect())
}

async fn transaction(inner: &Inner, keys: &[&Key]) -> Result<Vec<Option<Stored>>, StoreError> {
    let mut items = Vec::with_capacity(keys.len());
    for key in keys {
        let get = Get::builder().table_name(inner.tables.of(key.table)).set_key(Some(place(key)));
        items.push(TransactGetItem::builder().get(get.build().map_err(engine)?).build());
    }
    for tries in 0..MOST_TRIES {
        let request = inner.client.transact_get_items().set_transact_items(Some(items.clone()));
        match request.send().await {
            Ok(found) => {
                let responses = found.responses.unwrap_or_default();
                if responses.len() != keys.len() {
                    return Err(engine("an answer that is not complete"));
                }
                let responses = responses.iter().map(|own| own.item.as_ref());
                return responses
                    .map(|item| item.filter(|item| !item.is_empty()).map(stored).transpose())
                    .collect();
            }
            Err(cause) => match judge(&cause) {
                Failure::Again => pause(tries).await,
                Failure::Condition => return Err(engine("a read has a condition")),
                Failure::Failed(cause) => return Err(cause),
            },
        }
    }
    Err(engine("others write the same records all the time"))
}

fn judge<R: std::fmt::Debug>(cause: &SdkError<TransactGetItemsError, R>) -> Failure {
    match cause.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cause)) => {
            cancelled(cause.cancellation_reasons())
        }
        _ => other(cause),
    }
}
