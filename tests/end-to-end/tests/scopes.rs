//! What a token's scope and audience allow: rules by host, method and path, the tunnel that hides a
//! request's method, and tokens that are meant for somebody else.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    API_HOST, Challenge, Deployment, LOOPBACK_REDIRECT, LoggedRequest, PLATFORM_HOST, Request,
    StackOptions, TEST_CLIENT, assert_error_body, assert_refusal, unique,
};
use serde_json::json;

const WRITE: &str = "profile assets.write";
const OTHER_RESOURCE: &str = "https://other.example/api/";

static GATEWAY: LazyLock<Option<Deployment>> = LazyLock::new(|| {
    Deployment::own(StackOptions {
        service_settings: json!({
            "additional_resources": [OTHER_RESOURCE],
            "clients": [{
                "id": TEST_CLIENT, "name": "Test client", "type": "public",
                "redirect_uris": ["http://127.0.0.1/callback"],
                "scopes": ["profile", "assets.write", "unrelated"],
            }],
        }),
        plugin_configuration: json!({ "rules": [
            { "hosts": ["*.intelligencebank.com"], "scope": "profile" },
            {
                "hosts": [PLATFORM_HOST, API_HOST],
                "methods": ["POST", "PUT", "PATCH", "DELETE"],
                "path_prefixes": ["/api/3.0.0/"],
                "scope": "assets.write",
            },
        ] }),
        ..StackOptions::default()
    })
});

/// An access token with this scope.
#[track_caller]
fn token(gateway: &Deployment, scope: &str) -> String {
    let client = gateway.client(TEST_CLIENT, LOOPBACK_REDIRECT).asking("scope", scope);
    let grant = client.log_in("ada");
    assert_eq!(grant.body["scope"], json!(scope));
    grant.access_token
}

#[test]
fn row_11_rfc_6750_3_1_a_token_that_may_read_reads_and_is_told_what_it_lacks_to_write() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let reader = token(gateway, "profile");
    for method in ["GET", "HEAD", "OPTIONS"] {
        let request = gateway.proxied(method, "/api/3.0.0/x/resource?echo").bearer(&reader);
        gateway.send(&request).with_status(200);
    }
    // Elsewhere than under the rule's path it may do what it likes.
    gateway.send(&gateway.proxied("POST", "/elsewhere?echo").bearer(&reader)).with_status(200);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let mark = unique("write");
        let rest = format!("/api/3.0.0/{mark}/resource?echo");
        assert_lacking(gateway, &gateway.proxied(method, &rest).bearer(&reader), WRITE, &mark);
    }
}

#[test]
fn a_token_with_all_the_scope_writes_and_one_with_another_does_not_even_read() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let writer = token(gateway, WRITE);
    for host in [PLATFORM_HOST, API_HOST] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let rest = "/api/3.0.0/x/resource?echo";
            let answer = gateway.send(&gateway.proxied_to(host, method, rest).bearer(&writer));
            assert_eq!(LoggedRequest::echoed(&answer).method, method);
        }
    }
    let unrelated = token(gateway, "unrelated");
    for (method, scope) in [("GET", "profile"), ("POST", WRITE)] {
        let mark = unique("unrelated");
        let rest = format!("/api/3.0.0/{mark}/resource?echo");
        assert_lacking(gateway, &gateway.proxied(method, &rest).bearer(&unrelated), scope, &mark);
    }
}

#[test]
fn a_rule_holds_however_the_path_is_written() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let reader = token(gateway, "profile");
    for path in [
        "/api/3.0.0/{}/x",
        "//api//3.0.0//{}",
        "/API/3.0.0/{}/x",
        "/%61pi/3%2e0.0/{}",
        "/%2561pi/3.0.0/{}",
        "/api;a=b/3.0.0;c/{}",
        "/elsewhere%3b/{}",
        "/elsewhere%3f/{}",
        "/api/3.0.0/{}?a=/other",
    ] {
        let mark = unique("spelt");
        let rest = path.replace("{}", &mark);
        let answer = gateway.send(&gateway.proxied("POST", &rest).bearer(&reader));
        // A path that no upstream should see at all is 400.
        if answer.status != 400 {
            assert_error_body(&answer, 403, "insufficient_scope");
        }
        gateway.simulator().assert_nothing_marked(&mark);
    }
    for path in ["/api/3.0.01/x?echo", "/apis/3.0.0/x?echo", "/x/api/3.0.0/?echo"] {
        let answer = gateway.send(&gateway.proxied("POST", path).bearer(&reader));
        assert_ne!(answer.status, 403, "{path}: {answer:?}");
    }
}

#[test]
fn the_tunnel_needs_all_that_any_request_to_its_host_needs() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let body = json!({
        "method": "GET", "version": "3.0.0", "client": "x", "table": "resource", "query_params": {},
    });
    let tunnel = |path: &str, token: &str, mark: &str| {
        let request = gateway.proxied_to(API_HOST, "POST", path).bearer(token);
        request.header("x-mark", mark).body(body.to_string())
    };
    let (reader, writer) = (token(gateway, "profile"), token(gateway, WRITE));
    for path in ["/api/json?echo", "/api/json/?echo", "/API/JSON?echo", "/api/%6ason?echo"] {
        let mark = unique("tunnel");
        assert_lacking(gateway, &tunnel(path, &reader, &mark), WRITE, &mark);
    }
    let answer = gateway.send(&tunnel("/api/json?echo", &writer, &unique("tunnel")));
    assert_eq!(LoggedRequest::echoed(&answer).raw_path, "/api/json");
}

#[test]
fn row_17_rfc_8707_2_2_a_token_for_another_resource_is_no_token_here() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = gateway.client(TEST_CLIENT, LOOPBACK_REDIRECT).asking("resource", OTHER_RESOURCE);
    let elsewhere = client.log_in("ada").access_token;
    let mark = unique("audience");
    for _ in 0..2 {
        let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&elsewhere);
        let answer = gateway.send(&request);
        assert_refusal(&answer, 401, "invalid_token", "Invalid or expired access token");
    }
    gateway.simulator().assert_nothing_marked(&mark);
    let named = format!("{}/proxy/", gateway.base_url());
    let client = gateway.client(TEST_CLIENT, LOOPBACK_REDIRECT).asking("resource", &named);
    let here = client.log_in("ada").access_token;
    gateway.send(&gateway.proxied("GET", "/x?echo").bearer(&here)).with_status(200);
}

#[track_caller]
fn assert_lacking(gateway: &Deployment, request: &Request, scope: &str, mark: &str) {
    let answer = gateway.send(request);
    assert_eq!(answer.status, 403, "{answer:?}");
    let challenge = Challenge::of(&answer);
    assert_eq!(challenge.scheme, "Bearer");
    assert_eq!(challenge.parameters["error"], "insufficient_scope");
    assert_eq!(challenge.parameters["scope"], scope, "{answer:?}");
    assert_eq!(challenge.parameters["resource_metadata"], gateway.resource_metadata());
    if request.method() != "HEAD" {
        assert_error_body(&answer, 403, "insufficient_scope");
    }
    gateway.simulator().assert_nothing_marked(mark);
}
