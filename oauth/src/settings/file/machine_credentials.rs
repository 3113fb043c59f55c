//! The section about credentials for upstreams that want a token obtained with keys, as it is written.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct MachineCredentials {
    /// The variable `TOKEN_REFRESH_BUFFER_MINUTES` stands before it.
    pub(in crate::settings) refresh_buffer_minutes: u64,
    pub(in crate::settings) rejection_pause_seconds: u64,
    pub(in crate::settings) credentials: Vec<MachineCredential>,
}

impl Default for MachineCredentials {
    fn default() -> Self {
        Self { refresh_buffer_minutes: 30, rejection_pause_seconds: 30, credentials: Vec::new() }
    }
}

/// One credential. Each value comes from the file's field, or from the variable of its brand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct MachineCredential {
    pub(in crate::settings) name: String,
    /// What the variables begin with; the name in capitals, if left out.
    pub(in crate::settings) environment_prefix: Option<String>,
    pub(in crate::settings) api_url: Option<String>,
    pub(in crate::settings) api_key_file: Option<PathBuf>,
    pub(in crate::settings) integrator_id_file: Option<PathBuf>,
    pub(in crate::settings) secret_key_file: Option<PathBuf>,
}
