//! Checking the `telemetry` section.

use url::Url;

use super::Problems;
use crate::settings::{TelemetrySettings, file::Telemetry};

pub(super) fn check(file: Telemetry, found: &mut Problems) -> TelemetrySettings {
    if let Some(endpoint) = &file.otlp_endpoint {
        let is_usable = Url::parse(endpoint).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !is_usable {
            let reason = "must be an http or https URL without user, query and fragment";
            found.add("telemetry.otlp_endpoint", reason);
        }
    }
    if !(0.0..=1.0).contains(&file.sample) {
        found.add("telemetry.sample", "must be between 0 and 1");
    }
    let otlp_endpoint =
        file.otlp_endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
    TelemetrySettings { otlp_endpoint, sample: file.sample }
}
