//! The service on each engine, and two instances of it over one server.

use std::sync::Arc;

use super::{Kit, NOW, scripted::Scripted, settings_text};
use crate::{
    clock::ManualClock,
    settings::Settings,
    store::{
        Store,
        dynamodb::{DynamodbStore, tests::credentials},
        redis::RedisStore,
        servers::Server,
    },
};

mod outage;
mod raw;
mod together;

/// A server that several instances share.
enum Shared {
    Redis(Server),
    Dynamodb(Server),
}

impl Shared {
    /// A store of an instance of its own.
    async fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Redis(server) => {
                Arc::new(RedisStore::new(&server.redis_settings("main")).unwrap())
            }
            Self::Dynamodb(server) => {
                let settings = server.dynamodb_settings("main-");
                let store = DynamodbStore::new(&settings, credentials()).await;
                store.create_tables(|_| ()).await.unwrap();
                Arc::new(store)
            }
        }
    }
}

/// A service over this store, with a clock and an upstream that others may share.
async fn instance(
    store: Arc<dyn Store>,
    clock: &Arc<ManualClock>,
    upstream: &Arc<Scripted>,
) -> Arc<Kit> {
    instance_with(store, clock, upstream, "").await
}

/// The same with more settings.
async fn instance_with(
    store: Arc<dyn Store>,
    clock: &Arc<ManualClock>,
    upstream: &Arc<Scripted>,
    more: &str,
) -> Arc<Kit> {
    let folder = tempfile::tempdir().unwrap();
    let text = settings_text(&folder, more);
    let settings = Settings::parse(&text, &[]).unwrap();
    let kit = Kit::over(store, settings, folder, text, clock.clone(), upstream.clone());
    kit.app.records.prove_keys(NOW).await.unwrap();
    kit.app.feed.resume(NOW).await.unwrap();
    Arc::new(kit)
}

/// Two instances over one server.
async fn two(shared: &Shared) -> [Arc<Kit>; 2] {
    two_with(shared, "").await
}

/// The same with more settings.
async fn two_with(shared: &Shared, more: &str) -> [Arc<Kit>; 2] {
    let (clock, upstream) = (Arc::new(ManualClock::at(NOW)), Arc::new(Scripted::default()));
    // They start at the same time, on an empty store.
    let (first, second) = (shared.store().await, shared.store().await);
    let (first, second) = tokio::join!(
        instance_with(first, &clock, &upstream, more),
        instance_with(second, &clock, &upstream, more)
    );
    [first, second]
}
