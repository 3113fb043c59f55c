//! The store's section as it is written. Which fields belong to which engine is checked afterwards.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::settings) enum Engine {
    Redb,
    Redis,
    Dynamodb,
}

impl Engine {
    pub(in crate::settings) fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Redis => "redis",
            Self::Dynamodb => "dynamodb",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct Store {
    pub(in crate::settings) engine: Engine,
    pub(in crate::settings) path: Option<PathBuf>,
    pub(in crate::settings) cache_megabytes: Option<u64>,
    pub(in crate::settings) sweep_seconds: Option<u64>,
    pub(in crate::settings) address: Option<String>,
    pub(in crate::settings) database: Option<u64>,
    pub(in crate::settings) tls: Option<bool>,
    pub(in crate::settings) ca_file: Option<PathBuf>,
    pub(in crate::settings) username: Option<String>,
    pub(in crate::settings) password_file: Option<PathBuf>,
    pub(in crate::settings) region: Option<String>,
    pub(in crate::settings) endpoint: Option<String>,
    pub(in crate::settings) prefix: Option<String>,
    pub(in crate::settings) connect_timeout_milliseconds: Option<u64>,
    pub(in crate::settings) command_timeout_milliseconds: Option<u64>,
    pub(in crate::settings) maximum_in_flight: Option<u64>,
}
