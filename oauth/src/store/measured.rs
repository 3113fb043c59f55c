//! A store whose operations are counted and timed.

use std::{pin::Pin, sync::Arc};

use tracing::{Instrument as _, Span};

use super::{
    Applied, Import, Key, Named, Operation, Page, Pending, Store, StoreError, Stored, Submitted,
    Table,
};
use crate::{clock::Clock, metrics::Metrics, telemetry::TRACES};

pub(crate) struct Measured {
    store: Arc<dyn Store>,
    watch: Watch,
}

/// What measuring needs.
#[derive(Clone)]
struct Watch {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Watch {
    async fn measure<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, StoreError> {
        let begun = self.clock.monotonic();
        let result = work.instrument(span(operation)).await;
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.store(operation, result.as_ref().map_or("failed", outcome), took);
        result
    }
}

impl Measured {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { store, watch: Watch { clock, metrics } }
    }
}

fn span(operation: &'static str) -> Span {
    tracing::info_span!(
        target: TRACES,
        "store",
        otel.name = format_args!("store {operation}"),
        otel.kind = "client",
        db.operation.name = operation,
    )
}

fn done<T>(_: &T) -> &'static str {
    "done"
}

impl Store for Measured {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        Box::pin(self.watch.measure("get", self.store.get(key, now), done))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        Box::pin(self.watch.measure("get_many", self.store.get_many(keys, now), done))
    }

    /// Measured from here until the list is done, the wait in the store's queue included.
    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        let watch = self.watch.clone();
        Box::pin(async move {
            let begun = watch.clock.monotonic();
            let finish = move |outcome: &'static str| {
                let took = watch.clock.monotonic().saturating_sub(begun);
                watch.metrics.store("apply", outcome, took);
            };
            let span = span("apply");
            match self.store.submit(operations, now).instrument(span.clone()).await {
                Ok(submitted) => {
                    let measured = async move {
                        let result = submitted.await;
                        finish(match &result {
                            Ok(Applied::Yes) => "done",
                            Ok(Applied::Conflict) => "conflict",
                            Err(_) => "failed",
                        });
                        result
                    };
                    let measured: Submitted = Box::pin(measured.instrument(span));
                    Ok(measured)
                }
                Err(cause) => {
                    finish("failed");
                    Err(cause)
                }
            }
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
        let page = self.store.list(table, partition, after, limit, now);
        Box::pin(self.watch.measure("list", page, done))
    }

    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page> {
        Box::pin(self.watch.measure("export", self.store.export(cursor, limit), done))
    }

    fn import(&self, records: Vec<Named>, step: Import, now: u64) -> Pending<'_, ()> {
        Box::pin(self.watch.measure("import", self.store.import(records, step, now), done))
    }

    fn purge(&self, now: u64, limit: usize) -> Pending<'_, usize> {
        Box::pin(self.watch.measure("purge", self.store.purge(now, limit), done))
    }

    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(self.watch.measure("ready", self.store.ready(), done))
    }

    fn opening(&self) -> Option<u64> {
        self.store.opening()
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.store.ended()
    }
}
