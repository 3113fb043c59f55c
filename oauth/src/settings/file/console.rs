//! The `console` section as it is written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Console {
    pub(in crate::settings) enabled: bool,
    pub(in crate::settings) scopes: Vec<String>,
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: false, scopes: vec!["profile".to_owned()] }
    }
}
