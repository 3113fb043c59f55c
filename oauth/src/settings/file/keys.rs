//! Where keys come from, as it is written.

use std::path::PathBuf;

use serde::Deserialize;

/// Keys that only files can hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct Keys {
    pub(in crate::settings) keys: Vec<KeyFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct KeyFile {
    pub(in crate::settings) id: String,
    pub(in crate::settings) file: PathBuf,
}

/// Keys in files, or in the store.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct KeySource {
    pub(in crate::settings) source: Option<Source>,
    pub(in crate::settings) keys: Option<Vec<KeyFile>>,
    pub(in crate::settings) publish_seconds: Option<u64>,
    pub(in crate::settings) rotate_days: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::settings) enum Source {
    Files,
    Store,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct Gateway {
    pub(in crate::settings) credentials: Vec<SecretFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct SecretFile {
    pub(in crate::settings) file: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Admin {
    pub(in crate::settings) credentials: Vec<SecretFile>,
}
