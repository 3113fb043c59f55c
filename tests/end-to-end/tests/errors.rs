//! The error table, row by row, as a client sees it.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Challenge, Deployment, PLATFORM_HOST, Request, Response, assert_error_body, assert_refusal,
    unique,
};
use serde_json::json;

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

const REST: &str = "/api/3.0.0/errors/resource";

#[test]
fn row_11_rfc_6750_3_1_a_client_without_a_token_learns_where_to_get_one_and_gets_no_error_code_in_the_challenge()
 {
    for request in [
        GATEWAY.proxied("GET", REST),
        GATEWAY.proxied("GET", REST).header("authorization", ""),
        GATEWAY.proxied("GET", REST).header("authorization", "Basic dXNlcjpwYXNz"),
        GATEWAY.proxied("GET", REST).header("authorization", "Bearer"),
        GATEWAY.proxied("GET", REST).header("authorization", "Bearer "),
        GATEWAY.proxied("GET", REST).header("authorization", "Bearertoken"),
        GATEWAY.proxied("GET", REST).header("cookie", "access_token=x"),
        GATEWAY.proxied("POST", REST).body("access_token=x"),
        GATEWAY.proxied("GET", "/api/3.0.0/errors/resource?access_token=x"),
    ] {
        let answer = GATEWAY.send(&request);
        assert_refusal(&answer, 401, "invalid_request", "Missing or invalid Authorization header");
        let expected = Challenge::bearer(&[("resource_metadata", &GATEWAY.resource_metadata())]);
        assert_eq!(Challenge::of(&answer), expected);
    }
}

#[test]
fn row_16_rfc_9728_3_3_the_metadata_that_a_challenge_names_is_there_and_is_about_the_proxy() {
    let answer = GATEWAY.send(&GATEWAY.proxied("GET", REST));
    let url = Challenge::of(&answer).parameters["resource_metadata"].clone();
    let path = url.strip_prefix(&format!("http://{}", GATEWAY.host())).expect("on the gateway");
    let metadata = GATEWAY.send(&Request::get(path)).with_status(200).json();
    assert_eq!(metadata["resource"], json!(format!("{}/proxy/", GATEWAY.base_url())));
    assert_eq!(metadata["authorization_servers"], json!([GATEWAY.base_url()]));
}

#[test]
fn row_12_rfc_6750_2_3_a_token_in_the_query_is_not_accepted_even_when_it_is_good() {
    let grant = GATEWAY.log_in();
    let rest = format!("{REST}?access_token={}", grant.access_token);
    let answer = GATEWAY.send(&GATEWAY.proxied("GET", &rest));
    assert_refusal(&answer, 401, "invalid_request", "Missing or invalid Authorization header");
}

#[test]
fn row_11_rfc_6750_3_1_a_client_with_an_unknown_token_is_told_to_get_another() {
    let refresh_token = GATEWAY.log_in().refresh_token;
    let similar = {
        let mut token = GATEWAY.log_in().access_token;
        let last = token.pop().unwrap();
        token.push(if last == 'A' { 'B' } else { 'A' });
        token
    };
    let long = "x".repeat(5000);
    for token in ["no-such-token", "a.b.c", "a+b/c~d==", &refresh_token, &similar, &long] {
        let answer = GATEWAY.send(&GATEWAY.proxied("GET", REST).bearer(token));
        assert_invalid_token(&answer, "Invalid or expired access token");
    }
}

#[test]
fn a_malformed_bearer_value_is_refused() {
    // Not one token of RFC 6750's alphabet: which of the two refusals it gets is left open.
    for value in [
        "Bearer a b",
        "Bearer ü",
        "Bearer a,b",
        "Bearer \"a\"",
        "Bearer a\tb",
        "Bearer a&token=b",
        "Bearer a%00",
    ] {
        let answer = GATEWAY.send(&GATEWAY.proxied("GET", REST).header("authorization", value));
        assert!(matches!(answer.status, 400 | 401), "{value}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(matches!(error.as_str(), "invalid_request" | "invalid_token"), "{answer:?}");
    }
}

#[test]
fn row_11_rfc_6750_3_1_two_authorization_headers_are_a_bad_request_even_when_one_is_good() {
    let grant = GATEWAY.log_in();
    for second in [grant.access_token.as_str(), "no-such-token"] {
        let mark = unique("doubled");
        let request = GATEWAY
            .proxied("GET", REST)
            .header("x-mark", &mark)
            .bearer(&grant.access_token)
            .bearer(second);
        assert_error_body(&GATEWAY.send(&request), 400, "invalid_request");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn row_21_a_host_that_is_not_the_sessions_is_named_in_the_refusal() {
    let grant = GATEWAY.log_in();
    for host in ["other.intelligencebank.com", "example.com"] {
        let answer =
            GATEWAY.send(&GATEWAY.proxied_to(host, "GET", REST).bearer(&grant.access_token));
        let description = assert_error_body(&answer, 403, "access_denied");
        assert!(description.contains(host), "{description}");
    }
}

#[test]
fn a_missing_target_is_explained() {
    let grant = GATEWAY.log_in();
    let request = Request::get(GATEWAY.path("/proxy/")).bearer(&grant.access_token);
    assert_refusal(&GATEWAY.send(&request), 400, "invalid_request", "Missing proxy path");
}

#[test]
fn a_method_that_is_not_served_is_refused_with_those_that_are() {
    let grant = GATEWAY.log_in();
    for method in ["TRACE", "PROPFIND", "LOCK", "SEARCH"] {
        let mark = unique("method");
        let request =
            GATEWAY.proxied(method, REST).bearer(&grant.access_token).header("x-mark", &mark);
        let answer = GATEWAY.send(&request);
        assert_error_body(&answer, 405, "invalid_request");
        let mut allowed = answer.list("allow");
        allowed.sort_unstable();
        let expected = ["delete", "get", "head", "options", "patch", "post", "put"];
        assert_eq!(allowed, expected, "{answer:?}");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn a_path_that_is_not_served_is_a_404_in_json() {
    for path in [
        "/",
        "/nothing",
        "/proxies/x",
        "/proxyx",
        "/proxy%2fx",
        "/authorize/x",
        "/token/",
        "/.well-known/x",
    ] {
        let answer = GATEWAY.send(&Request::get(GATEWAY.path(path)));
        assert_refusal(&answer, 404, "not_found", "There is nothing at this path");
    }
}

#[test]
fn a_foreign_authority_is_misdirected_and_reaches_nobody() {
    let grant = GATEWAY.log_in();
    for host in [PLATFORM_HOST, "evil.example", "127.0.0.2"] {
        for path in ["/token", "/healthz", "/proxy/company.intelligencebank.com/api/3.0.0/x"] {
            let mark = unique("authority");
            let request = Request::get(path)
                .header("host", host)
                .header("x-mark", &mark)
                .bearer(&grant.access_token);
            let answer = GATEWAY.send(&request);
            assert_error_body(&answer, 421, "invalid_request");
            GATEWAY.simulator().assert_nothing_marked(&mark);
        }
    }
}

#[test]
fn a_head_request_is_refused_without_a_body() {
    let answer = GATEWAY.send(&GATEWAY.proxied("HEAD", REST));
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.body.is_empty());
    let expected = Challenge::bearer(&[("resource_metadata", &GATEWAY.resource_metadata())]);
    assert_eq!(Challenge::of(&answer), expected);
}

#[test]
fn the_health_of_the_gateway_and_its_description_are_public() {
    for path in ["/healthz", "/openapi.json"] {
        assert_eq!(GATEWAY.send(&Request::get(GATEWAY.path(path))).status, 200, "{path}");
    }
}

#[track_caller]
fn assert_invalid_token(answer: &Response, description: &str) {
    assert_refusal(answer, 401, "invalid_token", description);
    let expected = Challenge::bearer(&[
        ("error", "invalid_token"),
        ("error_description", description),
        ("resource_metadata", &GATEWAY.resource_metadata()),
    ]);
    assert_eq!(Challenge::of(answer), expected);
}
