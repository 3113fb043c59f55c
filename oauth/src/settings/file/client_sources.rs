//! The sections about clients that are not in the settings, as they are written.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Registration {
    pub(in crate::settings) enabled: bool,
    pub(in crate::settings) redirect_hosts: Vec<String>,
    pub(in crate::settings) scopes: Vec<String>,
    pub(in crate::settings) initial_access_token_file: Option<PathBuf>,
    pub(in crate::settings) confidential: bool,
    pub(in crate::settings) unused_days: u64,
    pub(in crate::settings) maximum_per_day: u64,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            enabled: false,
            redirect_hosts: Vec::new(),
            scopes: vec!["profile".to_owned()],
            initial_access_token_file: None,
            confidential: false,
            unused_days: 90,
            maximum_per_day: 1_000,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct ClientDocuments {
    pub(in crate::settings) enabled: bool,
    pub(in crate::settings) allowed_hosts: Vec<String>,
    pub(in crate::settings) scopes: Vec<String>,
    pub(in crate::settings) minimum_cache_seconds: u64,
    pub(in crate::settings) maximum_cache_seconds: u64,
}

impl Default for ClientDocuments {
    fn default() -> Self {
        Self {
            enabled: false,
            allowed_hosts: Vec::new(),
            scopes: vec!["profile".to_owned()],
            minimum_cache_seconds: 300,
            maximum_cache_seconds: 86_400,
        }
    }
}
