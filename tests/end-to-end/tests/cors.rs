//! Browsers of the allowed origins, and of no others, may read what the gateway answers.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{Deployment, Request, Response, unique};

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

/// The origin that the example configuration allows.
const ALLOWED: &str = "https://app.example.com";
const FOREIGN: &str = "https://evil.example";

#[test]
fn a_preflight_needs_no_token_and_reaches_no_upstream() {
    let mark = unique("preflight");
    let answer = preflight(&format!("/api/3.0.0/{mark}/resource"), ALLOWED);
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ALLOWED));
    assert!(answer.list("access-control-allow-headers").contains(&"authorization".to_owned()));
    let methods = answer.list("access-control-allow-methods");
    for method in ["get", "post", "put", "patch", "delete", "head"] {
        assert!(methods.contains(&method.to_owned()), "{method} is not allowed: {answer:?}");
    }
    GATEWAY.simulator().assert_nothing_marked(&mark);
}

#[test]
fn a_foreign_origin_is_not_allowed_by_the_preflight() {
    let mark = unique("preflight");
    let answer = preflight(&format!("/api/3.0.0/{mark}/resource"), FOREIGN);
    assert_not_allowed(&answer);
    GATEWAY.simulator().assert_nothing_marked(&mark);
}

#[test]
fn a_page_of_an_allowed_origin_may_read_a_refusal() {
    let rest = "/api/3.0.0/refused/resource";
    for (request, status) in [
        (GATEWAY.proxied("GET", rest), 401),
        (GATEWAY.proxied("GET", rest).bearer("no-such-token"), 401),
        (GATEWAY.proxied_to("127.0.0.1", "GET", rest).bearer("no-such-token"), 400),
        (GATEWAY.proxied_to("example.com", "GET", rest).bearer("no-such-token"), 403),
        (GATEWAY.proxied("TRACE", rest), 405),
    ] {
        let answer = GATEWAY.send(&request.header("origin", ALLOWED));
        assert_eq!(answer.status, status, "{answer:?}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.as_deref(), Some(ALLOWED), "{answer:?}");
    }
}

#[test]
fn a_page_can_read_the_challenge_of_a_refusal() {
    let request = GATEWAY.proxied("GET", "/api/3.0.0/refused/resource").header("origin", ALLOWED);
    let answer = GATEWAY.send(&request);
    let exposed = answer.list("access-control-expose-headers");
    assert!(exposed.contains(&"www-authenticate".to_owned()), "{answer:?}");
}

#[test]
fn an_allowed_page_reads_answers_and_a_foreign_page_does_not_whatever_the_upstream_says() {
    let grant = GATEWAY.log_in();
    let rest = format!("/api/3.0.0/{}/resource", grant.body["clientid"].as_str().unwrap());
    let send = |origin: &str| {
        let request = GATEWAY.proxied("GET", &rest).bearer(&grant.access_token);
        GATEWAY.send(&request.header("origin", origin)).with_status(200)
    };
    let answer = send(ALLOWED);
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ALLOWED));
    assert!(answer.list("vary").contains(&"origin".to_owned()), "{answer:?}");
    assert_not_allowed(&send(FOREIGN));
    assert_not_allowed(&send("null"));
}

#[test]
fn the_token_endpoint_can_be_used_from_an_allowed_page() {
    let preflight = Request::new("OPTIONS", GATEWAY.path("/token"))
        .header("origin", ALLOWED)
        .header("access-control-request-method", "POST");
    let answer = GATEWAY.send(&preflight);
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ALLOWED));
    let request = Request::post_form(GATEWAY.path("/token"), &[("grant_type", "nonsense")]);
    let answer = GATEWAY.send(&request.header("origin", ALLOWED));
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ALLOWED));
}

#[test]
fn defect_7_row_20_rfc_9700_2_6_no_page_of_another_origin_may_read_the_authorization_endpoint() {
    for path in ["/authorize", "/authorize?response_type=code&client_id=mcp-public-client"] {
        let request = Request::get(GATEWAY.path(path)).header("origin", ALLOWED);
        assert_not_allowed(&GATEWAY.send(&request));
    }
}

fn preflight(rest: &str, origin: &str) -> Response {
    let request = GATEWAY
        .proxied("OPTIONS", rest)
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type");
    GATEWAY.send(&request)
}

#[track_caller]
fn assert_not_allowed(answer: &Response) {
    let allowed = answer.headers("access-control-allow-origin");
    assert!(allowed.is_empty(), "a page may read this: {answer:?}");
}
