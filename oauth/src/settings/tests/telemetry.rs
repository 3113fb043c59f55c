use super::{example, refused};
use crate::settings::Settings;

#[test]
fn a_collector_that_cannot_be_one_is_refused_with_its_field() {
    let with = |text: &str, telemetry: &str| {
        text.replacen("\ntelemetry:\n", &format!("\ntelemetry: {telemetry}\n"), 1)
    };
    for endpoint in ["collector:4318", "ftp://collector", "http://user@collector", "http://c/?a"] {
        let telemetry = format!("{{ otlp_endpoint: {endpoint:?} }}");
        refused("telemetry.otlp_endpoint", |_, text| with(&text, &telemetry));
    }
    refused("telemetry.sample", |_, text| with(&text, "{ sample: 1.5 }"));
    refused("telemetry.sample", |_, text| with(&text, "{ sample: -0.1 }"));
    refused("intelligencebank.propagate_trace", |_, text| {
        text.replace("  # propagate_trace: false", "  propagate_trace: true")
    });
    let folder = tempfile::tempdir().unwrap();
    let text =
        with(&example(&folder), "{ otlp_endpoint: \"http://collector:4318/\", sample: 0.5 }");
    let telemetry = Settings::parse(&text, &[]).unwrap().telemetry;
    assert_eq!(telemetry.otlp_endpoint.as_deref(), Some("http://collector:4318"));
}
