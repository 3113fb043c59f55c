//! The `audit` section as it is written.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::settings) enum AuditTo {
    #[default]
    Off,
    Stderr,
    File,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Audit {
    pub(in crate::settings) to: AuditTo,
    pub(in crate::settings) file: Option<PathBuf>,
    pub(in crate::settings) required: bool,
    pub(in crate::settings) queue: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { to: AuditTo::Off, file: None, required: false, queue: 8_192 }
    }
}
