//! The section `internal_tls` as it is written.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct InternalTls {
    pub(in crate::settings) certificate_file: PathBuf,
    pub(in crate::settings) key_file: PathBuf,
    pub(in crate::settings) client_ca_file: PathBuf,
    #[serde(default)]
    pub(in crate::settings) client_names: Vec<String>,
}
