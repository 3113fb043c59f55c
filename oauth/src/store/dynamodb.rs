//! The engine for several instances over DynamoDB: each list of operations is one transaction.
//!
//! A record has its expiry in itself, which decides, by the service's clock; DynamoDB removes it by its
//! time to live, up to days later. Serving never scans.

mod connecting;
mod failing;
mod items;
mod paging;
mod reading;
pub(crate) mod tables;
mod writing;

use std::{fmt, future, pin::Pin, sync::Arc, time::Duration};

#[cfg(test)]
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{
    Client, config::SharedCredentialsProvider, error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
};
use tokio::sync::Semaphore;

use self::{
    failing::{Failure, MOST_TRIES, cancelled, failed, other, pause},
    items::TableNames,
};
use super::{
    Applied, Import, Key, MAXIMUM_KEYS, Named, Operation, Page, Pending, Store, StoreError, Stored,
    Submitted, Table, check_bounds, check_listing,
};
use crate::settings::DynamodbSettings;

const ENGINE: &str = "dynamodb";

/// A store in two tables of DynamoDB.
pub(crate) struct DynamodbStore(Arc<Inner>);

struct Inner {
    client: Client,
    tables: TableNames,
    timeout: Duration,
    places: Semaphore,
}

impl DynamodbStore {
    /// A store that connects when it is first used. `credentials` take the place of the SDK's chain.
    pub(crate) async fn new(
        settings: &DynamodbSettings,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Self {
        Self(Arc::new(Inner {
            client: connecting::client(settings, credentials).await,
            tables: TableNames::new(&settings.prefix),
            timeout: settings.bounds.command_timeout,
            places: Semaphore::new(settings.bounds.maximum_in_flight),
        }))
    }
}

#[cfg(test)]
impl DynamodbStore {
    /// Everything that DynamoDB keeps, as bytes one behind the other.
    pub(crate) async fn raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        for table in self.0.tables.all() {
            let mut pages = self.0.client.scan().table_name(table).into_paginator().send();
            while let Some(page) = pages.next().await {
                for (name, value) in page.unwrap().items().iter().flatten() {
                    raw.extend_from_slice(name.as_bytes());
                    match value {
                        AttributeValue::S(text) | AttributeValue::N(text) => {
                            raw.extend_from_slice(text.as_bytes());
                        }
                        AttributeValue::B(bytes) => raw.extend_from_slice(bytes.as_ref()),
                        other => panic!("an attribute of another kind: {other:?}"),
                    }
                    raw.push(0);
                }
            }
        }
        raw
    }
}

impl Inner {
    /// Does something within the time that the settings allow.
    async fn run<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let done = async {
            let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
            work.await
        };
        let timed_out = Err(engine("no answer in time"));
        tokio::time::timeout(self.timeout, done).await.unwrap_or(timed_out)
    }

    async fn read(&self, keys: &[Key], now: u64) -> Result<Vec<Option<Stored>>, StoreError> {
        let found = self.run(reading::several(self, keys)).await?;
        // DynamoDB removes what has expired much later.
        let live = |stored: Option<Stored>| stored.filter(|stored| stored.expires_at > now);
        Ok(found.into_iter().map(live).collect())
    }

    async fn apply(&self, operations: Vec<Operation>, now: u64) -> Result<Applied, StoreError> {
        let items = writing::items(&self.tables, operations, now)?;
        if items.is_empty() {
            return Ok(Applied::Yes);
        }
        // One for all tries: where the answer to a try was lost, DynamoDB knows the next one for the same
        // and does not take what that one wrote for somebody else's.
        let token = request_token()?;
        for tries in 0..MOST_TRIES {
            let request = self.client.transact_write_items().client_request_token(&token);
            match request.set_transact_items(Some(items.clone())).send().await {
                Ok(_) => return Ok(Applied::Yes),
                Err(cause) => match judge(&cause) {
                    Failure::Condition => return Ok(Applied::Conflict),
                    Failure::Again => pause(tries).await,
                    Failure::Failed(cause) => return Err(cause),
                },
            }
        }
        Err(engine("others write the same records all the time"))
    }

    /// Writes into a table what is no record.
    async fn probe(&self, table: &str) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(table).set_item(Some(items::probe()));
        request.send().await.map_err(|cause| failed(&cause))?;
        let request = self.client.get_item().table_name(table).set_key(Some(items::probe()));
        request.consistent_read(true).send().await.map_err(|cause| failed(&cause))?;
        Ok(())
    }
}

impl Store for DynamodbStore {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        Box::pin(async move {
            let found = self.0.read(std::slice::from_ref(key), now).await?;
            Ok(found.into_iter().next().flatten())
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            if keys.len() > MAXIMUM_KEYS {
                return Err(StoreError::Unacceptable);
            }
            self.0.read(keys, now).await
        })
    }

    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        Box::pin(async move {
            check_bounds(&operations)?;
            let inner = Arc::clone(&self.0);
            let done = tokio::spawn(async move { inner.run(inner.apply(operations, now)).await });
            let submitted: Submitted =
                Box::pin(async move { done.await.unwrap_or(Err(StoreError::Closed)) });
            Ok(submitted)
        })
    }

    fn list<'a>(
        &'a self,
        table: Table,
        partition: &'a str,
        after: Option<&'a str>,
        limit: usize,
        now: u64,
    ) -> Pending<'a, Page> {
        Box::pin(async move {
            check_listing(partition, limit)?;
            self.0.run(paging::list(&self.0, table, partition, after, limit, now)).await
        })
    }

    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page> {
        Box::pin(async move { self.0.run(paging::export(&self.0, cursor, limit)).await })
    }

    fn import(&self, records: Vec<Named>, step: Import, now: u64) -> Pending<'_, ()> {
        Box::pin(async move { paging::import(&self.0, records, step, now).await })
    }

    fn purge(&self, _: u64, _: usize) -> Pending<'_, usize> {
        Box::pin(future::ready(Ok(0)))
    }

    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let [first, second] = self.0.tables.all();
            let both = async { tokio::try_join!(self.0.probe(first), self.0.probe(second)) };
            self.0.run(both).await.map(|_| ())
        })
    }

    fn opening(&self) -> Option<u64> {
        None
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(future::pending())
    }
}

fn judge<R: fmt::Debug>(cause: &SdkError<TransactWriteItemsError, R>) -> Failure {
    match cause.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cause)) => {
            cancelled(cause.cancellation_reasons())
        }
        _ => other(cause),
    }
}

/// Names one transaction: 32 of the 36 characters that there may be.
fn request_token() -> Result<String, StoreError> {
    let (first, second) = (getrandom::u64().map_err(engine)?, getrandom::u64().map_err(engine)?);
    Ok(format!("{first:016x}{second:016x}"))
}

fn engine(reason: impl fmt::Display) -> StoreError {
    StoreError::Engine { engine: ENGINE, reason: reason.to_string() }
}

#[cfg(test)]
pub(crate) mod tests;
