//! JWT access tokens that the service never issued: Envoy's own jwt_authn (`envoy/jwt.yaml`) refuses what is
//! forged or expired, and the filter asks the service about the rest. Those that it issues are in
//! `jwt_tokens.rs`.
#![cfg(test)]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ib_end_to_end::{
    Challenge, Deployment, Es256Key, PATIENCE, Part, Response, Snippet, StackOptions,
    assert_error_body, assert_refusal, eventually, unique, unique_hex,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://gateway.example.com";
const AUDIENCE: &str = "https://gateway.example.com/proxy/";
const DESCRIPTION: &str = "Invalid or expired access token";

static KEY: LazyLock<Es256Key> = LazyLock::new(Es256Key::generate);
/// The service's questions are counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());
static GATEWAY: LazyLock<Option<Deployment>> = LazyLock::new(|| Deployment::own(options()));

/// The snippet as it stands, with the test's own key.
fn options() -> StackOptions {
    let mut options = Snippet::read("jwt.yaml").options();
    let keys = json!({ "keys": [KEY.jwk("test")] });
    let mut changed = false;
    for operation in &mut options.envoy_patch {
        if let Some(own) = operation.pointer_mut("/value/typed_config/providers/oauth_service") {
            own.as_object_mut().expect("a provider").remove("remote_jwks");
            own["local_jwks"] = json!({ "inline_string": keys.to_string() });
            changed = true;
        }
    }
    assert!(changed, "the snippet names its provider otherwise");
    options
}

#[test]
fn row_18_rfc_9068_4_a_token_that_is_not_signed_by_the_service_or_has_expired_is_refused_without_a_question()
 {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let good = claims();
    let unsigned = {
        let header = encoded(br#"{"alg":"none","typ":"at+jwt"}"#);
        format!("{header}.{}.", encoded(good.to_string().as_bytes()))
    };
    let stranger = Es256Key::generate();
    let changed = {
        let token = signed(&good, &KEY);
        let mut parts: Vec<&str> = token.split('.').collect();
        let payload = encoded(with(&good, "sub", json!("somebody-else")).to_string().as_bytes());
        parts[1] = &payload;
        parts.join(".")
    };
    for (what, token) in [
        ("signed by another key", signed(&good, &stranger)),
        ("changed after signing", changed),
        ("not signed", unsigned),
        ("expired", signed(&with(&good, "exp", json!(now() - 120)), &KEY)),
        ("not valid yet", signed(&with(&good, "nbf", json!(now() + 600)), &KEY)),
        ("of another issuer", signed(&with(&good, "iss", json!("https://evil.example")), &KEY)),
        ("for another resource", signed(&with(&good, "aud", json!("https://a.example/")), &KEY)),
        ("no JWT", "no-such-token".to_owned()),
        ("random parts", format!("{}.{}.{}", unique_hex(9), unique_hex(9), unique_hex(9))),
    ] {
        let before = gateway.introspections();
        let mark = unique("forged");
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let request = gateway
                .proxied("GET", &format!("/{mark}?echo"))
                .header("authorization", format!("{scheme} {token}"))
                .header("origin", "https://app.example.com");
            let answer = gateway.send(&request);
            assert_refused(gateway, &answer);
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed.as_deref(), Some("https://app.example.com"), "{what}");
        }
        assert_eq!(gateway.introspections(), before, "{what}: the service was asked");
        gateway.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn a_token_with_a_good_signature_is_asked_about_and_the_service_has_the_last_word() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let token = signed(&claims(), &KEY);
    let before = gateway.introspections();
    let mark = unique("unknown");
    let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&token);
    assert_refused(gateway, &gateway.send(&request));
    assert_eq!(gateway.introspections() - before, 1);
    gateway.simulator().assert_nothing_marked(&mark);
    eventually("the filter's count", PATIENCE, || {
        (gateway.filter_count("introspections.result.inactive") > 0).then_some(())
    });
}

#[test]
fn a_client_without_a_token_learns_from_the_filter_where_to_get_one() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let mut requests = vec![gateway.proxied("GET", "/x")];
    // Only the header counts: a good token in the query is none.
    let token = signed(&claims(), &KEY);
    requests.push(gateway.proxied("GET", &format!("/x?access_token={token}")));
    for request in requests {
        let answer = gateway.send(&request);
        assert_refusal(&answer, 401, "invalid_request", "Missing or invalid Authorization header");
        let expected = Challenge::bearer(&[("resource_metadata", &gateway.resource_metadata())]);
        assert_eq!(Challenge::of(&answer), expected);
    }
}

#[test]
fn an_outage_of_the_service_is_an_outage_for_a_good_signature_and_a_refusal_for_a_bad_one() {
    let Some(gateway) = Deployment::own(options()) else { return };
    gateway.kill(Part::Service);
    let request = gateway.proxied("GET", "/x?echo").bearer(&signed(&claims(), &KEY));
    assert_error_body(&gateway.send(&request), 503, "temporarily_unavailable");
    let request = gateway.proxied("GET", "/x?echo").bearer("no-such-token");
    assert_refused(&gateway, &gateway.send(&request));
}

/// Claims of a token that the service could have issued (RFC 9068).
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": unique("person"), "client_id": "mcp-public-client",
        "iat": now(), "exp": now() + 600, "jti": unique_hex(16), "scope": "profile",
    })
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn signed(claims: &Value, key: &Es256Key) -> String {
    key.token(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "test" }), claims)
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[allow(clippy::disallowed_methods, reason = "Envoy compares a token's times with the real clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[track_caller]
fn assert_refused(gateway: &Deployment, answer: &Response) {
    assert_refusal(answer, 401, "invalid_token", DESCRIPTION);
    let challenge = Challenge::of(answer);
    assert_eq!(challenge.scheme, "Bearer");
    assert_eq!(challenge.parameters["error"], "invalid_token");
    assert_eq!(challenge.parameters["error_description"], DESCRIPTION);
    let metadata = &challenge.parameters["resource_metadata"];
    assert!(metadata.ends_with("/.well-known/oauth-protected-resource/proxy/"), "{metadata}");
    assert!(gateway.resource_metadata().ends_with("/.well-known/oauth-protected-resource/proxy/"));
}
