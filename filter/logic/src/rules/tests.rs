//! Rules: which request needs which scope, and that no spelling of a path needs less.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PathPrefix, is_scope};
use crate::{host::mock::policy_with, policy::Policy};

const HOST: &str = "company.intelligencebank.com";

fn policy(rules: Value) -> Policy {
    policy_with(json!({ "rules": rules }))
}

/// A policy that names the rules that apply: reading assets, writing them, everything under `/v1`, and
/// any request to another host.
fn four_rules() -> Policy {
    policy(json!([
        {"hosts": ["*.intelligencebank.com"], "methods": ["GET"],
         "path_prefixes": ["/api/3.0.0/", "/files"], "scope": "read"},
        {"hosts": [HOST], "methods": ["POST", "PUT"], "path_prefixes": ["/api/3.0.0"],
         "scope": "write read"},
        {"hosts": [HOST], "path_prefixes": ["/v1/"], "scope": "v1"},
        {"hosts": ["remax-cca.com"], "scope": "cca"},
    ]))
}

/// What a token without any scope is told that the request needs.
fn needed(policy: &Policy, method: &str, path: &str) -> Vec<String> {
    let scope = policy.missing_scope(HOST, method.as_bytes(), path.as_bytes(), "");
    scope.map(|scope| scope.split(' ').map(str::to_owned).collect()).unwrap_or_default()
}

#[test]
fn without_rules_no_scope_is_needed() {
    let policy = policy_with(json!({}));
    for path in ["/", "/api/json", "/api%2fjson"] {
        assert_eq!(policy.missing_scope(HOST, b"POST", path.as_bytes(), ""), None);
    }
}

#[test]
fn a_rule_is_for_its_hosts_methods_and_paths_alone() {
    let policy = four_rules();
    assert_eq!(needed(&policy, "GET", "/api/3.0.0/asset/1"), ["read"]);
    assert_eq!(needed(&policy, "GET", "/files"), ["read"]);
    assert_eq!(needed(&policy, "POST", "/api/3.0.0/asset"), ["write", "read"]);
    assert_eq!(needed(&policy, "DELETE", "/v1/x"), ["v1"]);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api/3.0"),
        ("GET", "/api/3.0.0x/asset"),
        ("GET", "/filesystem"),
        ("GET", "/x/files"),
        ("DELETE", "/api/3.0.0/asset"),
    ] {
        assert_eq!(needed(&policy, method, path), [""; 0], "{method} {path}");
    }
    let elsewhere = policy.missing_scope("remax-cca.com", b"GET", b"/files", "");
    assert_eq!(elsewhere.as_deref(), Some("cca"));
}

#[test]
fn a_rule_for_get_is_one_for_head_so_that_head_tells_nothing_more() {
    assert_eq!(needed(&four_rules(), "HEAD", "/files/1"), ["read"]);
}

#[test]
fn a_token_needs_every_scope_of_every_rule_that_applies_in_any_order() {
    let policy = policy(json!([
        {"hosts": [HOST], "scope": "profile"},
        {"hosts": [HOST], "path_prefixes": ["/a"], "scope": "assets profile"},
    ]));
    let missing = |granted| policy.missing_scope(HOST, b"GET", b"/a/b", granted);
    for granted in ["profile assets", "assets other profile", "assets profile assets"] {
        assert_eq!(missing(granted), None, "{granted}");
    }
    for granted in ["", "profile", "assets", "profile asset", "profile assets2", "PROFILE ASSETS"] {
        assert_eq!(missing(granted).as_deref(), Some("profile assets"), "{granted}");
    }
}

#[test]
fn a_path_that_tunnels_methods_needs_what_any_request_of_its_host_may_need() {
    let policy = four_rules();
    for path in [
        "/api/json",
        "/api/json/",
        "/api/json/x",
        "/API/Json",
        "//api///json",
        "/api/json;v=1",
        "/api;x=/json",
        "/%61pi/js%6fn",
        "/%2561pi/json",
        "/api%2fjson",
        "/api;%2f/json",
        "/api/json%3fx",
        "/api/json%00",
        "/api/json%20",
        "/api/%c1%aason",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            assert_eq!(needed(&policy, method, path), ["read", "write", "v1"], "{method} {path}");
        }
    }
    assert_eq!(needed(&policy, "DELETE", "/api/jsonx"), [""; 0]);
}

#[test]
fn where_nothing_tunnels_the_method_counts_though_the_path_cannot_be_told() {
    let rules = json!([
        {"hosts": [HOST], "methods": ["GET"], "path_prefixes": ["/a"], "scope": "a"},
        {"hosts": [HOST], "methods": ["POST"], "path_prefixes": ["/b"], "scope": "b"},
    ]);
    let policy = policy_with(json!({ "rules": rules, "tunnel_paths": [] }));
    assert_eq!(needed(&policy, "GET", "/x%2fy"), ["a"]);
    assert_eq!(needed(&policy, "GET", "/api/json"), [""; 0]);
}

#[test]
fn a_file_name_with_a_space_or_an_accent_is_judged_by_its_folder() {
    let policy = four_rules();
    for name in ["my%20file.pdf", "caf%C3%A9.pdf", "100%25.pdf", "a,b=c.pdf"] {
        assert_eq!(needed(&policy, "GET", &format!("/files/{name}")), ["read"], "{name}");
        assert_eq!(needed(&policy, "GET", &format!("/public/{name}")), [""; 0], "{name}");
    }
}

#[test]
fn a_path_in_the_configuration_is_one_that_can_be_compared() {
    for path in ["/", "/a", "/a/", "/api/3.0.0/", "/a+b/~c"] {
        assert!(PathPrefix::parse(path).is_ok(), "{path}");
    }
    for path in [
        "", "a", "//", "//a", "/a//", "/a//b", "/a/../b", "/.", "/%61", "/a;b", "/a?b", "/a b",
        "/é",
    ] {
        assert!(PathPrefix::parse(path).is_err(), "{path}");
    }
}

#[test]
fn a_scope_fits_a_quoted_string() {
    for scope in ["profile", "profile assets:read https://a/b"] {
        assert!(is_scope(scope), "{scope}");
    }
    for scope in ["", " ", "a ", " a", "a  b", "a\tb", "a\"b", "a\\b", "é", "a\u{7f}"] {
        assert!(!is_scope(scope), "{scope}");
    }
}

/// Ways to write a byte that servers read as the byte itself, or as the same letter.
fn spelling() -> impl Strategy<Value = fn(u8) -> String> {
    prop_oneof![
        Just((|byte| char::from(byte).to_string()) as fn(u8) -> String),
        Just((|byte| char::from(byte).to_ascii_uppercase().to_string()) as fn(u8) -> String),
        Just((|byte| format!("%{byte:02x}")) as fn(u8) -> String),
        Just((|byte| format!("%25{byte:02X}")) as fn(u8) -> String),
        Just((|byte| format!("%u00{byte:02x}")) as fn(u8) -> String),
    ]
}

/// Ways to write a slash.
fn slash() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("/"),
        1 => Just("//"),
        1 => Just(";v=1/"),
        1 => Just("/;x/"),
        1 => Just(";/%20/"),
        1 => Just("%2f"),
        1 => Just("/%5c"),
        1 => Just(";a%2fb/"),
    ]
}

proptest! {
    #[test]
    fn a_path_spelled_in_any_way_never_needs_less(
        segments in prop::collection::vec(
            prop_oneof![
                Just("api".to_owned()), Just("3.0.0".to_owned()), Just("json".to_owned()),
                Just("files".to_owned()), Just("v1".to_owned()), "[a-z]{1,4}",
            ],
            0..5,
        ),
        spellings in prop::collection::vec(spelling(), 1..12),
        slashes in prop::collection::vec(slash(), 6),
        method in prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("DELETE")],
    ) {
        let policy = four_rules();
        let plain = format!("/{}", segments.join("/"));
        let mut spellings = spellings.iter().cycle();
        let mut spelled = String::new();
        for (segment, slash) in segments.iter().zip(&slashes) {
            spelled.push_str(slash);
            spelled.extend(segment.bytes().map(|byte| spellings.next().unwrap()(byte)));
        }
        let spelled = format!("/{spelled}{}", slashes[5]);
        let found = needed(&policy, method, &spelled);
        for scope in needed(&policy, method, &plain) {
            prop_assert!(found.contains(&scope), "{spelled} needs no {scope}");
        }
    }
}
