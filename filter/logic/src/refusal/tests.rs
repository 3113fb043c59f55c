//! Every row of the error table.

use ib_contract::InactiveReason;
use serde_json::{Value, json};

use super::{Refusal, Reply};
use crate::{bearer::BearerError, host::mock::policy_with, target::TargetError};

const METADATA: &str =
    "resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource/proxy\"";

fn reply(refusal: &Refusal) -> Reply {
    refusal.reply(&policy_with(json!({})))
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

/// The table of design.md, as far as the filter answers itself: refusal, status, error, description.
fn table() -> Vec<(Refusal, u16, &'static str, &'static str)> {
    vec![
        (
            BearerError::Missing.into(),
            401,
            "invalid_request",
            "Missing or invalid Authorization header",
        ),
        (BearerError::TooLong.into(), 401, "invalid_token", "Invalid or expired access token"),
        (
            InactiveReason::InvalidToken.into(),
            401,
            "invalid_token",
            "Invalid or expired access token",
        ),
        (InactiveReason::SessionExpired.into(), 401, "invalid_token", "Session has expired"),
        (
            InactiveReason::RefreshLimitExceeded.into(),
            401,
            "invalid_token",
            "Session refresh limit exceeded",
        ),
        (BearerError::Several.into(), 400, "invalid_request", "More than one Authorization header"),
        (
            Refusal::HostNotAllowed { host: "evil.example".to_owned() },
            403,
            "access_denied",
            "Access to the host evil.example is not allowed",
        ),
        (TargetError::Missing.into(), 400, "invalid_request", "Missing proxy path"),
        (TargetError::Port.into(), 400, "invalid_request", "The port is not allowed"),
        (
            Refusal::UnreadableAnswer { host: "company.example".to_owned() },
            502,
            "bad_gateway",
            "The answer of company.example is encoded and cannot be checked for session ids",
        ),
        (
            Refusal::PartOfJson,
            416,
            "invalid_request",
            "Ranges of JSON documents are not served: ask for the whole document",
        ),
        (Refusal::MethodNotAllowed, 405, "invalid_request", "The method is not allowed"),
        (Refusal::KindNotSupported, 400, "invalid_request", "Upgrades and gRPC are not supported"),
        (
            Refusal::Unavailable,
            503,
            "temporarily_unavailable",
            "The authorization service is temporarily unavailable",
        ),
    ]
}

#[test]
fn every_refusal_is_json_that_no_cache_keeps() {
    for (refusal, status, error, description) in table() {
        let reply = reply(&refusal);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, status, "{refusal:?}");
        assert_eq!(body, json!({"error": error, "error_description": description}));
        assert_eq!(header(&reply, "content-type"), Some("application/json"));
        assert_eq!(header(&reply, "cache-control"), Some("no-store"));
        assert_eq!(header(&reply, "pragma"), Some("no-cache"));
    }
}

#[test]
fn a_client_without_a_token_is_told_the_scheme_and_where_to_learn_more_but_of_no_error() {
    let reply = reply(&Refusal::MissingToken);
    assert_eq!(header(&reply, "www-authenticate"), Some(format!("Bearer {METADATA}").as_str()));
}

#[test]
fn a_client_with_a_bad_token_is_told_what_is_wrong_in_the_challenge_too() {
    for (refusal, _, error, description) in table().into_iter().skip(1).take(5) {
        let expected =
            format!("Bearer error=\"{error}\", error_description=\"{description}\", {METADATA}");
        assert_eq!(header(&reply(&refusal), "www-authenticate"), Some(expected.as_str()));
    }
}

#[test]
fn only_refusals_about_tokens_challenge_the_client() {
    for (refusal, ..) in table().into_iter().skip(6) {
        assert_eq!(header(&reply(&refusal), "www-authenticate"), None, "{refusal:?}");
    }
}

#[test]
fn a_client_learns_the_methods_there_are_and_when_to_try_again() {
    let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    assert_eq!(header(&reply(&Refusal::MethodNotAllowed), "allow"), Some(allow));
    assert_eq!(super::METHODS.join(", "), allow);
    assert_eq!(header(&reply(&Refusal::Unavailable), "retry-after"), Some("1"));
}

#[test]
fn a_client_whose_token_has_too_little_scope_is_told_what_to_ask_for() {
    let reply = reply(&Refusal::InsufficientScope { scope: "profile assets".to_owned() });
    let description = "The access token lacks a scope that the request needs";
    assert_eq!(reply.status, 403);
    assert_eq!(
        serde_json::from_slice::<Value>(&reply.body).unwrap(),
        json!({
            "error": "insufficient_scope", "error_description": description,
            "scope": "profile assets",
        })
    );
    let expected = format!(
        "Bearer error=\"insufficient_scope\", error_description=\"{description}\", \
         scope=\"profile assets\", {METADATA}"
    );
    assert_eq!(header(&reply, "www-authenticate"), Some(expected.as_str()));
    assert_eq!(header(&reply, "cache-control"), Some("no-store"));
}

#[test]
fn the_outcome_in_logs_is_the_word_of_the_counter() {
    let scope = Refusal::InsufficientScope { scope: "profile".to_owned() };
    for (refusal, outcome) in [
        (&Refusal::InvalidToken, "invalid_token"),
        (&Refusal::PartOfJson, "range_not_served"),
        (&Refusal::Unavailable, "temporarily_unavailable"),
        (&scope, "insufficient_scope"),
    ] {
        assert_eq!(refusal.outcome(), outcome);
        assert!(refusal.counter().name().ends_with(&format!(".outcome.{outcome}")));
    }
}

#[test]
fn descriptions_fit_the_quoted_strings_of_a_challenge() {
    for (refusal, ..) in table() {
        let body: Value = serde_json::from_slice(&reply(&refusal).body).unwrap();
        let description = body["error_description"].as_str().unwrap();
        let fits = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(description.bytes().all(fits), "{description}");
    }
}
