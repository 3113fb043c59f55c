//! Configurations, good and bad.

mod examples;
mod generated;
mod limits;
mod schema;

use serde_json::{Value, json};

use super::read;
use crate::{
    host::mock::{configuration, policy_with},
    policy::{BodyMode, IdentityAskedBy, NoteMode, RevocationFeed, TokenFormat},
};

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
    assert_eq!(policy.token_service.maximum_callouts, 256);
    assert_eq!(policy.cache.maximum_seconds, 600);
    assert_eq!(policy.cache.maximum_refused_entries, 2_000);
    assert_eq!(policy.cache.refused_seconds, 5);
    assert_eq!(policy.token_format, TokenFormat::Opaque);
    assert_eq!(policy.bodies, BodyMode::Redact);
    assert_eq!(policy.identity, IdentityAskedBy::Plugin);
    assert_eq!(policy.notes, NoteMode::Refused);
    assert!(!policy.names_callers, "upstreams would learn it where no route takes the headers off");
    let feed = RevocationFeed { maximum_stale_milliseconds: 60_000, wait_seconds: 25 };
    assert_eq!(policy.revocations, Some(feed));
    assert_eq!(policy.replay.cluster, "intelligencebank_again");
    assert_eq!(policy.replay.timeout.as_millis(), 30_000);
    assert_eq!(policy.replay.maximum_request_bytes, 65_536);
    assert_eq!(policy.replay.maximum_response_bytes, 4_194_304);
    assert_eq!(policy.replay.maximum_in_progress, 16);
}

#[test]
fn what_an_operator_chooses_is_what_the_policy_says() {
    let policy = policy_with(json!({
        "tokens": {"format": "jwt"},
        "revocations": {"maximum_stale_seconds": 86_400, "wait_seconds": 1},
        "session_ids_in_bodies": "pass",
        "identity_asked_by": "route",
        "stream_notes": "all",
        "caller_headers": "set",
        "replay": {"cluster": "upstreams", "maximum_in_progress": 0},
    }));
    assert_eq!(policy.token_format, TokenFormat::Jwt);
    assert_eq!(policy.bodies, BodyMode::Pass);
    assert_eq!(policy.identity, IdentityAskedBy::Route);
    assert_eq!(policy.notes, NoteMode::All);
    assert!(policy.names_callers);
    let feed = RevocationFeed { maximum_stale_milliseconds: 86_400_000, wait_seconds: 1 };
    assert_eq!(policy.revocations, Some(feed));
    assert_eq!(policy.replay.cluster, "upstreams");
    assert_eq!(policy.replay.maximum_in_progress, 0);
}

#[test]
fn without_the_feed_a_token_that_has_ended_is_served_for_a_minute_at_most() {
    let without = |seconds: u64| {
        let mut configuration = configuration();
        configuration["revocations"] = json!({"enabled": false});
        configuration["cache"] = json!({"maximum_seconds": seconds});
        read(configuration.to_string().as_bytes())
    };
    assert_eq!(without(60).unwrap_or_else(|error| panic!("{error}")).revocations, None);
    let message = without(61).err().unwrap().to_string();
    assert!(message.contains("`cache.maximum_seconds`"), "{message}");
    assert!(message.contains("`revocations.enabled`"), "{message}");
    // The default is too long without the feed, and is not shortened silently.
    let message = refusal("revocations", json!({"enabled": false}));
    assert!(message.contains("`cache.maximum_seconds`"), "{message}");
}

#[test]
fn a_rule_that_could_not_protect_what_it_names_is_refused_by_its_place() {
    let good = json!({"hosts": ["a.intelligencebank.com"], "scope": "profile"});
    for (field, value) in [
        ("hosts[1]", json!({"hosts": ["a.intelligencebank.com", "b.example"]})),
        ("hosts[0]", json!({"hosts": ["a.b.intelligencebank.com"]})),
        ("hosts[0]", json!({"hosts": ["*.remax-cca.com"]})),
        ("methods[1]", json!({"methods": ["GET", "get"]})),
        ("methods[0]", json!({"methods": ["TRACE"]})),
        ("path_prefixes[1]", json!({"path_prefixes": ["/a", "/%61"]})),
        ("scope", json!({"scope": "a  b"})),
        ("scope", json!({"scope": "a\"b"})),
    ] {
        let mut rule = good.clone();
        for (name, value) in value.as_object().unwrap() {
            rule[name] = value.clone();
        }
        let message = refusal("rules", json!([good, rule]));
        assert!(message.contains(&format!("`rules[1].{field}`")), "{message}");
    }
    for rule in [json!({"scope": "a"}), json!({"hosts": ["remax-cca.com"]}), json!("profile")] {
        assert!(refusal("rules", json!([rule])).contains("rules[0]"));
    }
    let message = refusal("tunnel_paths", json!(["/api/json", "api/json"]));
    assert!(message.contains("`tunnel_paths[1]`"), "{message}");
}

#[test]
fn a_rule_may_be_for_one_of_many_allowed_hosts_or_for_all_of_them() {
    for host in ["a.intelligencebank.com", "*.IntelligenceBank.com", "remax-cca.com."] {
        let policy = policy_with(json!({"rules": [{"hosts": [host], "scope": "profile"}]}));
        let host = host.trim_end_matches('.').replace('*', "a").to_lowercase();
        assert_eq!(policy.missing_scope(&host, b"GET", b"/", "").as_deref(), Some("profile"));
    }
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
fn a_value_that_cannot_be_worked_with_is_refused_by_its_name() {
    for (path, value) in [
        ("resource_metadata", json!("/relative")),
        ("resource_metadata", json!("ftp://gateway.example/")),
        ("resource_metadata", json!("https://gateway.example/\"x")),
        ("resource", json!("https://gateway.example/#fragment")),
        ("resource", json!("https://")),
        ("token_service.cluster", json!("with space")),
        ("token_service.authority", json!("a b")),
        ("token_service.authority", json!("host:port")),
        ("cache.refused_seconds", json!(601)),
        ("replay.cluster", json!("a b")),
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
    for path in ["prefix", "token_service.timeout", "cache.ttl", "tokens.kind", "revocations.on"] {
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
