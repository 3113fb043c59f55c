//! Configurations, good and bad.

use serde_json::{Value, json};

use super::read;
use crate::host::mock::configuration;

/// The message about the configuration with one field replaced; the path is dotted.
fn refusal(path: &str, value: Value) -> String {
    let mut configuration = configuration();
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let object = match parent {
        "" => &mut configuration,
        parent => &mut configuration[parent],
    };
    object[name] = value;
    match read(configuration.to_string().as_bytes()) {
        Ok(_) => panic!("{path} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_smallest_configuration_gets_the_documented_defaults() {
    let policy = read(configuration().to_string().as_bytes()).unwrap();
    assert_eq!(policy.allowed_ports, [443]);
    assert_eq!(policy.token_service.timeout.as_millis(), 2_000);
    assert_eq!(policy.token_service.maximum_waiting, 1_024);
    assert_eq!(policy.cache.maximum_entries, 10_000);
    assert_eq!(policy.cache.maximum_seconds, 60);
    assert_eq!(policy.cache.maximum_refused_entries, 2_000);
    assert_eq!(policy.cache.refused_seconds, 5);
}

#[test]
fn hosts_are_compared_in_lower_case_whatever_the_operator_typed() {
    let mut configuration = configuration();
    configuration["allowed_hosts"] = json!(["Company.Example.", "*.IntelligenceBank.com"]);
    let policy = read(configuration.to_string().as_bytes()).unwrap();
    assert!(policy.allows_host("company.example"));
    assert!(policy.allows_host("a.intelligencebank.com"));
}

#[test]
fn a_value_out_of_its_bounds_is_refused_by_its_name() {
    let long = "x".repeat(3_000);
    for (path, value) in [
        ("prefixes", json!([])),
        ("prefixes", json!(vec!["/a/"; 65])),
        ("allowed_hosts", json!([])),
        ("allowed_ports", json!([])),
        ("allowed_ports", json!([0])),
        ("resource_metadata", json!("")),
        ("resource_metadata", json!("/relative")),
        ("resource_metadata", json!("ftp://gateway.example/")),
        ("resource_metadata", json!("https://gateway.example/\"x")),
        ("resource_metadata", json!(format!("https://gateway.example/{long}"))),
        ("resource", json!("https://gateway.example/#fragment")),
        ("resource", json!("https://")),
        ("token_service.cluster", json!("")),
        ("token_service.cluster", json!("with space")),
        ("token_service.authority", json!("")),
        ("token_service.authority", json!("a b")),
        ("token_service.authority", json!("host:port")),
        ("token_service.timeout_milliseconds", json!(0)),
        ("token_service.timeout_milliseconds", json!(60_001)),
        ("token_service.maximum_waiting", json!(0)),
        ("cache.maximum_entries", json!(0)),
        ("cache.maximum_bytes", json!(1)),
        ("cache.maximum_seconds", json!(0)),
        ("cache.maximum_seconds", json!(3_601)),
        ("cache.maximum_refused_entries", json!(0)),
        ("cache.maximum_refused_bytes", json!(1)),
        ("cache.refused_seconds", json!(0)),
        ("cache.refused_seconds", json!(61)),
    ] {
        let message = refusal(path, value.clone());
        assert!(message.contains(&format!("`{path}`")), "{path} {value}: {message}");
    }
}

#[test]
fn an_entry_of_a_list_is_refused_by_its_place() {
    for prefix in ["proxy/", "/proxy", "/", "//", "//a/", "/a//b/", "/a/../", "/a%2f/", "/a?/"] {
        let message = refusal("prefixes", json!(["/good/", prefix]));
        assert!(message.contains("`prefixes[1]`"), "{prefix}: {message}");
    }
    for host in ["", "*", "*.", "*.com", "*.*.example", "a.*.example", "127.0.0.1", "a b", "a:443"]
    {
        let message = refusal("allowed_hosts", json!(["good.example", host]));
        assert!(message.contains("`allowed_hosts[1]`"), "{host}: {message}");
    }
}

#[test]
fn a_misspelt_field_is_refused_by_its_path() {
    for path in ["prefix", "token_service.timeout", "cache.ttl"] {
        let message = refusal(path, json!(1));
        assert!(message.contains(path) && message.contains("unknown field"), "{message}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_its_path() {
    for (path, value) in
        [("allowed_ports[0]", json!(["443"])), ("allowed_ports[0]", json!([65_536]))]
    {
        assert!(refusal("allowed_ports", value).contains(path));
    }
    assert!(refusal("cache.maximum_seconds", json!(-1)).contains("cache.maximum_seconds"));
}

#[test]
fn what_is_not_one_json_object_is_refused_and_no_crash() {
    let too_long = " ".repeat((1 << 20) + 1);
    let twice = format!("{0}{0}", configuration());
    for text in ["", "{}", "null", "[]", "\u{0}", "{\"prefixes\":", &twice, &too_long] {
        assert!(read(text.as_bytes()).is_err(), "{text:.40}");
    }
    assert!(read(b"\xff").is_err());
}
