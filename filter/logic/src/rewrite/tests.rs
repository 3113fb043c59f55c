//! What of a client's request reaches an upstream.

use ib_contract::Introspection;
use serde_json::json;

use super::for_upstream;
use crate::{
    HeaderMap, Timestamp,
    host::mock::{active_answer, map},
    session::Grant,
    target::Target,
};

/// The names and values that go upstream, with a session that injects `sid` and `x-api-key`.
fn upstream(headers: &[(&str, &[u8])]) -> HeaderMap {
    let mut answer = active_answer("live-session-id");
    answer["upstreams"][0]["headers"]["x-api-key"] = json!("live-key");
    let Introspection::Active(token) =
        Introspection::from_json(answer.to_string().as_bytes()).unwrap()
    else {
        panic!("active")
    };
    let grant = Grant::from_answer(*token, Timestamp::from_milliseconds(0)).unwrap();
    let session = grant.session_for("company.intelligencebank.com").unwrap();
    let target = Target::parse(b"company.intelligencebank.com/a?b", &[443]).unwrap();
    let headers = map(headers);
    let rewritten = for_upstream(&headers, &target, &target.host, session);
    rewritten.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

#[test]
fn the_upstream_sees_its_own_target_and_the_session() {
    let headers = upstream(&[
        (":method", b"POST"),
        (":scheme", b"http"),
        (":authority", b"gateway.example"),
        (":path", b"/proxy/company.intelligencebank.com/a?b"),
    ]);
    let expected = map(&[
        (":authority", b"company.intelligencebank.com"),
        (":path", b"/a?b"),
        (":scheme", b"https"),
        (":method", b"POST"),
        ("sid", b"live-session-id"),
        ("x-api-key", b"live-key"),
    ]);
    assert_eq!(headers, expected);
}

#[test]
fn nothing_that_speaks_for_the_gateway_or_for_the_client_as_another_leaves() {
    let baseline = upstream(&[]);
    for name in [
        "authorization",
        "cookie",
        "forwarded",
        "host",
        "proxy-authorization",
        "sid",
        "x-api-key",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-client-cert",
        "x-envoy-max-retries",
        "x-envoy-attempt-count",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-client-ip",
        "true-client-ip",
        "x-cluster-client-ip",
        "cf-connecting-ip",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "referer",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "trailer",
        "http2-settings",
        "x_forwarded_for",
        "x_forwarded_proto",
        "x_envoy_max_retries",
        "x_api_key",
        "x-api_key",
        "proxy_authorization",
        "x_original_url",
    ] {
        assert_eq!(upstream(&[(name, b"forged")]), baseline, "{name}");
    }
}

#[test]
fn what_an_application_sends_arrives_in_order_and_byte_for_byte() {
    let kept: [(&str, &[u8]); 10] = [
        ("content-type", b"multipart/form-data; boundary=x"),
        ("content-length", b"12"),
        ("range", b"bytes=0-1"),
        ("if-none-match", b"\"etag\""),
        ("expect", b"100-continue"),
        ("te", b"trailers"),
        ("origin", b"https://app.example"),
        ("x-custom", b"\xff\xfe"),
        ("x-custom", b"again"),
        ("x-forwarded-proto", b"https"),
    ];
    let headers = upstream(&kept);
    assert_eq!(headers[3..13], map(&kept));
}
