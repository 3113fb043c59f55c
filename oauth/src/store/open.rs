//! The engine that the settings name.

use std::sync::Arc;

use super::{Store, StoreError, dynamodb::DynamodbStore, redb::RedbStore, redis::RedisStore};
use crate::settings::{EngineSettings, StoreSettings};

/// Opens the store for serving.
///
/// # Errors
///
/// [`StoreError`] when it cannot be opened, or is not fit to keep what a service promises.
pub(crate) async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match &settings.engine {
        EngineSettings::Redb(redb) => Arc::new(RedbStore::open(&redb.path, redb.cache_bytes)?),
        EngineSettings::Redis(redis) => {
            let store = RedisStore::new(redis)?;
            store.check_server().await?;
            Arc::new(store)
        }
        EngineSettings::Dynamodb(dynamodb) => Arc::new(DynamodbStore::new(dynamodb, None).await),
    })
}

/// The same for one who expects to find something: where the embedded engine finds no file, it makes none.
///
/// # Errors
///
/// As [`open`].
pub(crate) async fn open_existing(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    match &settings.engine {
        EngineSettings::Redb(redb) => {
            Ok(Arc::new(RedbStore::open_existing(&redb.path, redb.cache_bytes)?))
        }
        EngineSettings::Redis(_) | EngineSettings::Dynamodb(_) => open(settings).await,
    }
}

/// The same for one who writes very much and waits for all of it.
///
/// # Errors
///
/// As [`open`].
pub(crate) async fn open_for_filling(
    settings: &StoreSettings,
) -> Result<Arc<dyn Store>, StoreError> {
    match &settings.engine {
        EngineSettings::Redb(redb) => {
            Ok(Arc::new(RedbStore::open_for_filling(&redb.path, redb.cache_bytes)?))
        }
        EngineSettings::Redis(_) | EngineSettings::Dynamodb(_) => open(settings).await,
    }
}
