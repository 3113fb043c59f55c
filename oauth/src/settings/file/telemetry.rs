//! The `telemetry` section as it is written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct Telemetry {
    pub(in crate::settings) otlp_endpoint: Option<String>,
    pub(in crate::settings) sample: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample: 1.0 }
    }
}
