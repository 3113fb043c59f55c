//! Requests that are refused for what they are, before anybody is asked.

use serde_json::{Value, json};

use crate::{
    Counter, HeaderMap, Note,
    host::mock::{
        ClientAnswer, PATH, World, extended, get_request, replaced, request, token_named,
    },
    policy::TokenFormat,
};

/// The immediate refusal of a request.
fn refused_by(world: &World, headers: HeaderMap) -> ClientAnswer {
    let callouts = world.sent().len();
    let stream = world.open(headers, true);
    assert_eq!(world.sent().len(), callouts, "refused without a callout");
    assert!(!world.is_upstream(stream) && world.is_untouched(stream));
    let notes = world.notes(stream, Note::Decision);
    assert!(
        matches!(notes.as_slice(), [note] if note.starts_with("refused outcome=")),
        "{notes:?}"
    );
    world.client(stream).expect("a refusal")
}

fn refused(headers: HeaderMap) -> (u16, Value) {
    let answer = refused_by(&World::new(), headers);
    (answer.status, answer.json())
}

fn with(header: (&str, &[u8])) -> HeaderMap {
    extended(&get_request(PATH, "token"), &[header])
}

fn without_token(path: &str) -> HeaderMap {
    crate::host::mock::map(&[
        (":method", b"GET"),
        (":scheme", b"http"),
        (":authority", b"gateway.example"),
        (":path", path.as_bytes()),
    ])
}

#[test]
fn a_host_off_the_allow_list_is_refused_before_the_callout_by_its_name() {
    let (status, body) = refused(get_request("/proxy/evil.example/x", "token"));
    assert_eq!((status, &body["error"]), (403, &json!("access_denied")));
    assert!(body["error_description"].as_str().unwrap().contains("evil.example"));
}

#[test]
fn only_plain_methods_go_upstream_and_trace_does_not() {
    for method in ["TRACE", "CONNECT", "get", "PROPFIND", ""] {
        let answer = refused_by(&World::new(), request(method, PATH, &token_named("token")));
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("allow").unwrap().starts_with("GET, "));
    }
}

#[test]
fn upgrades_and_grpc_are_refused() {
    for header in [
        ("upgrade", b"websocket".as_slice()),
        ("connection", b"keep-alive, Upgrade"),
        (":protocol", b"websocket"),
        ("content-type", b"application/grpc"),
        ("content-type", b"Application/gRPC-web+proto"),
    ] {
        let (status, body) = refused(with(header));
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{}", header.0);
    }
}

#[test]
fn a_request_without_a_usable_token_is_refused_with_a_challenge() {
    for value in [b"".as_slice(), b"Bearer", b"Basic YTpi", b"Bearer \xff", b"Bearer a b"] {
        let headers = replaced(&get_request(PATH, "token"), "authorization", value);
        let answer = refused_by(&World::new(), headers);
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer resource_metadata=\"https://gateway.example/"));
        assert!(!challenge.contains("error"), "{challenge}");
    }
}

#[test]
fn two_authorization_headers_are_a_bad_request() {
    assert_eq!(refused(with(("authorization", b"Bearer other"))).0, 400);
}

#[test]
fn a_token_in_the_query_is_no_token() {
    let path = "/proxy/company.intelligencebank.com/?access_token=x";
    assert_eq!(refused(without_token(path)).0, 401);
}

#[test]
fn a_bad_target_is_named_before_the_token_is_looked_at() {
    for path in ["/proxy", "/proxy/", "/proxy/127.0.0.1/", "/proxy/a.example/../", PATH] {
        assert_eq!(refused(without_token(path)).0, if path == PATH { 401 } else { 400 }, "{path}");
    }
}

#[test]
fn a_token_that_cannot_be_ours_costs_no_callout_no_waiting_place_and_no_memory() {
    let world = World::with(|policy| policy.token_service.maximum_waiting = 1);
    assert!(world.is_waiting(world.get("token")));
    let long = "a".repeat(5000);
    let refresh_token = token_named("x").replace("_at_", "_rt_");
    let mut refusals = 0;
    for token in ["token", "a.b.c", "a+b/c==", &refresh_token, &long] {
        for _ in 0..2 {
            let answer = refused_by(&world, request("GET", PATH, token));
            assert_eq!(
                (answer.status, answer.json()["error"].as_str()),
                (401, Some("invalid_token"))
            );
            refusals += 1;
        }
    }
    assert_eq!(world.count_of(Counter::RequestInvalidToken), refusals);
    // The one that is too long is not even looked at.
    assert_eq!(world.count_of(Counter::CacheForeign), refusals - 2);
    assert_eq!(world.count_of(Counter::CacheMiss), 1);
    assert_eq!(world.count_of(Counter::CacheRefused), 0);
}

#[test]
fn a_gateway_for_signed_tokens_asks_about_three_parts_and_opaque_tokens_and_about_nothing_else() {
    let world = World::with(|policy| policy.token_format = TokenFormat::Jwt);
    for token in ["a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "abc"] {
        let answer = refused_by(&world, request("GET", PATH, token));
        assert_eq!(answer.status, 401, "{token}");
    }
    let stream = world.open(request("GET", PATH, "e30.e30.c2ln"), true);
    assert!(world.is_waiting(stream));
    assert_eq!(world.last_callout().body, "token=e30.e30.c2ln");
    // From before the service issued JWTs, or after.
    let opaque = token_named("x");
    let stream = world.open(request("GET", PATH, &opaque), true);
    assert!(world.is_waiting(stream));
    assert_eq!(world.last_callout().body, format!("token={opaque}"));
}
