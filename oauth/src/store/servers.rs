//! Real servers for the tests of the engines, and the settings that lead to them.

use std::time::Duration;

use crate::settings::{DynamodbSettings, NetworkBounds, RedisSettings};

// The tests of the program use it too, from outside of this crate.
#[path = "../../tests/servers/mod.rs"]
mod process;

pub(crate) use process::Server;

/// Generous, since many ask at the same time on a small machine.
const BOUNDS: NetworkBounds = NetworkBounds {
    connect_timeout: Duration::from_secs(5),
    command_timeout: Duration::from_secs(30),
    maximum_in_flight: 64,
};

impl Server {
    /// Settings for this Redis.
    pub(crate) fn redis_settings(&self, prefix: &str) -> RedisSettings {
        RedisSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: 0,
            tls: false,
            ca_pem: None,
            username: None,
            password: None,
            prefix: prefix.to_owned(),
            bounds: BOUNDS,
        }
    }

    /// Settings for this DynamoDB.
    pub(crate) fn dynamodb_settings(&self, prefix: &str) -> DynamodbSettings {
        DynamodbSettings {
            region: "eu-central-1".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            prefix: prefix.to_owned(),
            bounds: BOUNDS,
        }
    }
}
