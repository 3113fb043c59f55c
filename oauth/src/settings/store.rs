//! Where records are kept: one engine, with its own fields.

use std::{path::PathBuf, time::Duration};

use ib_contract::Secret;

/// Where records are kept.
#[derive(Debug)]
pub(crate) struct StoreSettings {
    pub(crate) engine: EngineSettings,
    /// How often expired records are removed, where the engine does not do it by itself.
    pub(crate) sweep: Duration,
}

/// The engine that was chosen.
#[derive(Debug)]
pub(crate) enum EngineSettings {
    Redb(RedbSettings),
    Redis(RedisSettings),
    Dynamodb(DynamodbSettings),
}

impl StoreSettings {
    /// Where the records are, for people: the field that says it, and what it says.
    pub(crate) fn place(&self) -> (&'static str, String) {
        match &self.engine {
            EngineSettings::Redb(redb) => ("store.path", redb.path.display().to_string()),
            EngineSettings::Redis(redis) => {
                ("store.address", format!("{}:{}", redis.host, redis.port))
            }
            EngineSettings::Dynamodb(own) => {
                ("store.prefix", format!("{} in {}", own.prefix, own.region))
            }
        }
    }
}

/// One file, for one instance of the service.
#[derive(Debug)]
pub(crate) struct RedbSettings {
    pub(crate) path: PathBuf,
    pub(crate) cache_bytes: usize,
}

/// A Redis server, for any number of instances.
#[derive(Debug, Clone)]
pub(crate) struct RedisSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: i64,
    pub(crate) tls: bool,
    /// PEM certificates that are trusted in place of the system's.
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    /// What every key begins with.
    pub(crate) prefix: String,
    pub(crate) bounds: NetworkBounds,
}

/// Two tables of DynamoDB, for any number of instances. Credentials come by the SDK's own chain.
#[derive(Debug, Clone)]
pub(crate) struct DynamodbSettings {
    pub(crate) region: String,
    /// In place of the region's own.
    pub(crate) endpoint: Option<String>,
    /// What the tables' names begin with.
    pub(crate) prefix: String,
    pub(crate) bounds: NetworkBounds,
}

/// Bounds of an engine that is reached over a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NetworkBounds {
    pub(crate) connect_timeout: Duration,
    /// For one operation of the store, with the wait for a place and all that is tried again.
    pub(crate) command_timeout: Duration,
    /// Operations at the same time. More wait for a place.
    pub(crate) maximum_in_flight: usize,
}

#[cfg(test)]
impl StoreSettings {
    /// The settings of the embedded engine, which most tests use.
    pub(crate) fn redb(&self) -> &RedbSettings {
        match &self.engine {
            EngineSettings::Redb(settings) => settings,
            other => panic!("not redb: {other:?}"),
        }
    }
}
