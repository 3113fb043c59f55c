//! Making the tables that an engine needs before a service can start on it.

use std::io;

use crate::{
    settings::{EngineSettings, Settings},
    store::{StoreError, dynamodb::DynamodbStore},
};

/// Why there are no tables, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CreateTablesError {
    /// The engine makes what it needs by itself.
    #[error("store.engine: only dynamodb has tables to be made beforehand")]
    NoTables,
    /// The runtime could not be made.
    #[error("the runtime failed: {0}")]
    Runtime(#[from] io::Error),
    /// DynamoDB refused, or cannot be reached.
    #[error("the tables cannot be made: {0}")]
    Store(String),
}

impl From<StoreError> for CreateTablesError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.to_string())
    }
}

/// Makes the tables of the settings' store, unless they are there, and tells each step to `progress`.
///
/// # Errors
///
/// [`CreateTablesError`]. What was made before it stays; the command may be given again.
pub fn create_tables(
    settings: &Settings,
    progress: impl FnMut(&str),
) -> Result<(), CreateTablesError> {
    let EngineSettings::Dynamodb(dynamodb) = &settings.store.engine else {
        return Err(CreateTablesError::NoTables);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = DynamodbStore::new(dynamodb, None).await;
        Ok(store.create_tables(progress).await?)
    })
}
