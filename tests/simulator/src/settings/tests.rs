//! What the settings accept, refuse and count.

use super::{Renewal, Settings, SettingsPatch};

fn put(settings: &mut Settings, patch: &str) -> Result<(), String> {
    let patch: SettingsPatch = serde_json::from_str(patch).map_err(|error| error.to_string())?;
    patch.apply(settings).map_err(|invalid| invalid.to_string())
}

#[test]
fn a_patch_changes_the_fields_it_names_and_no_other() {
    let mut settings = Settings::default();
    put(&mut settings, r#"{"renewal":"extends","rate_limit_per_minute":7}"#).unwrap();
    put(&mut settings, r#"{"login_timeout_hours":null}"#).unwrap();
    assert_eq!(settings.renewal, Renewal::Extends);
    assert_eq!(settings.rate_limit_per_minute, 7);
    assert_eq!(settings.login_timeout_hours, None);
    assert_eq!(settings.login_time_offset_seconds, 0);
}

#[test]
fn a_test_that_misspells_a_setting_is_told_so_and_nothing_changes() {
    let cases = [
        (r#"{"renewl":"same"}"#, "renewl"),
        (r#"{"renewal":"never"}"#, "never"),
        (r#"{"rate_limit_per_minute":-1}"#, "-1"),
        (r#"{"login_timeout_hours":100001}"#, "login_timeout_hours: is over"),
        (r#"{"login_time_offset_seconds":999999999999}"#, "login_time_offset_seconds: is more"),
        (r#"{"faults":[{"path_prefix":"x","status":500}]}"#, "faults[0].path_prefix: "),
        (r#"{"faults":[{"host":"example.org","status":500}]}"#, "faults[0].host: "),
        (r#"{"faults":[{"status":500,"count":0}]}"#, "faults[0].count: "),
        (r#"{"faults":[{"status":99}]}"#, "faults[0].status: "),
        (r#"{"faults":[{"status":500,"reset":true}]}"#, "faults[0].reset: "),
        (r#"{"faults":[{"delay_ms":600001}]}"#, "faults[0].delay_ms: "),
        (r#"{"faults":[{}]}"#, "faults[0].status: is missing"),
        (r#"{"faults":[{"status":500,"times":2}]}"#, "times"),
        (r#"{"answers":[{"headers":[["Content-Length","3"]]}]}"#, "answers[0].headers: "),
        (r#"{"answers":[{"headers":[["a b","3"]]}]}"#, "answers[0].headers: "),
        (r#"{"answers":[{"headers":[["x","a\nb"]]}]}"#, "answers[0].headers: "),
        (r#"{"answers":[{"status":700}]}"#, "answers[0].status: "),
        (r#"{"answers":[{"piece_bytes":0}]}"#, "answers[0].piece_bytes: "),
        (r#"{"answers":[{"pause_ms":1001}]}"#, "answers[0].pause_ms: "),
    ];
    for (patch, reason) in cases {
        let mut settings = Settings::default();
        let with_more = patch.replacen('{', r#"{"login_timeout_hours":5,"#, 1);
        let refused = put(&mut settings, patch).unwrap_err();
        assert!(refused.contains(reason), "{patch} was refused with: {refused}");
        assert!(put(&mut settings, &with_more).is_err());
        assert_eq!(settings.login_timeout_hours, Some(24), "{patch} was applied in part");
    }
}

#[test]
fn a_fault_hits_as_many_matching_requests_as_it_counts() {
    let mut settings = Settings::default();
    let faults = r#"{"faults":[{"host":"apiv3.intelligencebank.com","path_prefix":"/api/",
        "count":2,"status":500},{"path_prefix":"/always","status":503}]}"#;
    put(&mut settings, faults).unwrap();
    let api = "apiv3.intelligencebank.com";
    assert!(settings.take_fault("company.intelligencebank.com", "/api/x").is_none());
    assert!(settings.take_fault(api, "/other").is_none());
    for _ in 0..2 {
        assert_eq!(settings.take_fault(api, "/api/x").and_then(|fault| fault.status), Some(500));
    }
    assert!(settings.take_fault(api, "/api/x").is_none());
    for _ in 0..10 {
        assert!(settings.take_fault(api, "/always/x").is_some());
    }
}
