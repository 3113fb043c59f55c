//! What of a client's request reaches an upstream.

use serde_json::json;

use super::for_upstream;
use crate::{
    HeaderMap,
    head::Head,
    host::mock::{active_with, grant_of, map, text},
    session::SessionTable,
    target::Target,
};

/// The names and values that go upstream, with a session that injects `sid` and `x-api-key`.
fn upstream(headers: &[(&str, &[u8])]) -> Vec<(String, String)> {
    text(&upstream_asking(false, headers))
}

fn upstream_asking(asks: bool, headers: &[(&str, &[u8])]) -> HeaderMap {
    let injected = json!({"sid": "live-session-id", "x-api-key": "live-key"});
    let answer = active_with(json!({"upstream.headers": injected}));
    let grant = grant_of("token", &answer, &mut SessionTable::default());
    let session = grant.session_for("company.intelligencebank.com").unwrap();
    let target = Target::parse(b"company.intelligencebank.com/a?b", &[443]).unwrap();
    let headers = map(headers);
    let credentials = session.credentials();
    let leaving = Head::of(&headers).leaving;
    let edits = for_upstream(&headers, &leaving, &target, &target.host, &credentials, asks);
    HeaderMap::from_pairs(&edits.result().collect::<Vec<_>>())
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
        ("sid", b"live-session-id"),
        ("x-api-key", b"live-key"),
        (":method", b"POST"),
    ]);
    assert_eq!(headers, text(&expected));
}

#[test]
fn nothing_that_speaks_for_the_gateway_or_for_the_client_as_another_leaves() {
    let baseline = upstream(&[]);
    for name in [
        "authorization",
        "client-ip",
        "cookie",
        "forwarded",
        "host",
        "proxy",
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
        "x-ib-gateway",
        "x-ib-gateway-client",
        "x-ib-gateway-user",
        "x_ib_gateway_user",
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
    let headers = upstream_asking(false, &kept);
    assert_eq!(headers.iter().skip(5).collect::<Vec<_>>(), {
        kept.map(|(name, value)| (name.as_bytes(), value))
    });
}

#[test]
fn a_body_that_is_searched_is_asked_for_without_an_encoding() {
    for sent in [vec![], vec![("accept-encoding", b"gzip, br".as_slice())]] {
        let headers = text(&upstream_asking(true, &sent));
        let values: Vec<_> = headers.iter().filter(|(name, _)| name == "accept-encoding").collect();
        assert_eq!(values, [&("accept-encoding".to_owned(), "identity".to_owned())]);
    }
}

#[test]
fn a_body_that_is_not_searched_comes_in_whatever_encoding_the_client_likes() {
    let headers = upstream(&[("accept-encoding", b"gzip, br")]);
    assert!(headers.contains(&("accept-encoding".to_owned(), "gzip, br".to_owned())));
    assert!(upstream(&[]).iter().all(|(name, _)| name != "accept-encoding"));
}
