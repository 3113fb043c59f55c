//! What an answer may inject, and what is recognised of it later.

use ib_contract::Upstream;
use serde_json::{Value, json};

use super::{Credentials, MalformedGrant};

fn upstream(fields: Value) -> Upstream {
    let mut upstream = json!({
        "session": "s", "hosts": ["a.example"], "headers": {}, "generation": 1, "refresh_in": 1,
        "expires_in": 10,
    });
    for (name, value) in fields.as_object().unwrap() {
        upstream[name] = value.clone();
    }
    serde_json::from_value(upstream).unwrap()
}

fn credentials(fields: Value) -> Result<Credentials, MalformedGrant> {
    Credentials::from_answer(&upstream(fields), None)
}

fn fault(fields: Value) -> Option<MalformedGrant> {
    credentials(fields).err()
}

#[test]
fn a_session_cannot_name_a_place_that_is_not_a_host_in_lower_case() {
    for host in ["", "A.example", "a.example.", "127.0.0.1", "a.example:443", "*.example", "a b"] {
        assert_eq!(fault(json!({"hosts": [host]})), Some(MalformedGrant::Host), "{host}");
    }
}

#[test]
fn a_session_cannot_inject_a_header_that_frames_or_routes_the_request() {
    for name in [
        "",
        ":path",
        ":authority",
        "host",
        "Sid",
        "content-length",
        "transfer-encoding",
        "te",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "trailer",
        "upgrade",
        "x-envoy-retry-on",
        "x-forwarded-for",
        "a b",
        "a\nb",
        "\u{e9}",
    ] {
        let headers = json!({"headers": {name: "v"}});
        assert_eq!(fault(headers), Some(MalformedGrant::HeaderName), "{name}");
    }
}

#[test]
fn a_session_cannot_inject_a_value_that_splits_the_request() {
    for value in ["", " ", "a\r\nb: c", "a\nb", "a\0b", "\u{e9}", " a", "a ", "a  b", "a\tb"] {
        let headers = json!({"headers": {"sid": value}});
        assert_eq!(fault(headers), Some(MalformedGrant::HeaderValue), "{value:?}");
    }
    let long = |length| json!({"headers": {"sid": "x".repeat(length)}});
    assert_eq!(fault(long(8193)), Some(MalformedGrant::HeaderValue));
    assert_eq!(fault(long(8192)), None);
}

#[test]
fn an_answer_without_end_is_refused() {
    let hosts: Vec<String> = (0..65).map(|n| format!("h{n}.example")).collect();
    assert_eq!(fault(json!({"hosts": hosts})), Some(MalformedGrant::TooMany));
    assert_eq!(fault(json!({"hosts": hosts[..64]})), None);
    let headers: serde_json::Map<_, _> = (0..17).map(|n| (format!("x-{n}"), json!("v"))).collect();
    assert_eq!(fault(json!({"headers": headers})), Some(MalformedGrant::TooMany));
}

#[test]
fn a_session_without_a_usable_id_is_refused() {
    assert_eq!(fault(json!({"session": ""})), Some(MalformedGrant::Id));
    assert_eq!(fault(json!({"session": "s".repeat(257)})), Some(MalformedGrant::Id));
    assert_eq!(fault(json!({"session": "s".repeat(256)})), None);
}

#[test]
fn a_client_cannot_send_a_header_that_a_server_takes_for_an_injected_one() {
    let credentials = credentials(json!({"headers": {"x-api-key": "v"}})).unwrap();
    for name in ["x-api-key", "x_api_key", "x-api_key"] {
        assert!(credentials.injects(name.as_bytes()), "{name}");
    }
    for name in ["x-api-keys", "api-key", "", "x.api.key"] {
        assert!(!credentials.injects(name.as_bytes()), "{name}");
    }
}

#[test]
fn a_session_id_is_recognised_in_what_an_upstream_says() {
    let sid = "0123456789abcdef0123456789abcdef";
    let headers = json!({"sid": sid, "authorization": "bearer se.cr-et~token"});
    let credentials = credentials(json!({"headers": headers})).unwrap();
    for text in [
        sid.to_owned(),
        format!("https://x/?a={sid}&b"),
        "%30123456789abcdef0123456789abcdef".to_owned(),
        "x=%2530123456789abcdef0123456789abcdef".to_owned(),
        "token se.cr-et~token;".to_owned(),
        format!("x={}", sid.to_uppercase()),
        format!("%30{}", sid.to_uppercase().trim_start_matches('0')),
        "bearer SE.cr-ET~token".to_owned(),
        "se%2Ecr-et~token".to_owned(),
    ] {
        assert!(credentials.shows_in(text.as_bytes()), "{text}");
    }
    for text in ["", "0123456789abcdef", "bearer", "100%", "text/html"] {
        assert!(!credentials.shows_in(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_very_short_value_does_not_make_every_header_suspect() {
    let credentials = credentials(json!({"headers": {"sid": "e"}})).unwrap();
    assert!(credentials.shows_in(b"e"));
    assert!(!credentials.shows_in(b"text/html"));
}

#[test]
fn the_session_id_of_the_generation_before_is_recognised_and_an_older_one_forgotten() {
    let of = |generation: u64, sid: &str, previous: Option<&Credentials>| {
        let fields = json!({"generation": generation, "headers": {"sid": sid}});
        Credentials::from_answer(&upstream(fields), previous).unwrap()
    };
    let first = of(1, "first-session-id", None);
    let second = of(2, "second-session-id", Some(&first));
    let third = of(3, "third-session-id", Some(&second));
    assert!(second.shows_in(b"first-session-id") && second.shows_in(b"second-session-id"));
    assert!(third.shows_in(b"second-session-id") && third.shows_in(b"third-session-id"));
    assert!(!third.shows_in(b"first-session-id"), "memory does not grow with renewals");
    let injected: Vec<_> = third.headers().collect();
    assert_eq!(injected, [(b"sid".as_slice(), b"third-session-id".as_slice())]);
}

#[test]
fn a_fault_quotes_nothing_of_the_answer() {
    let fault = fault(json!({"headers": {"sid": "hunter2\n"}})).unwrap();
    assert!(!format!("{fault} {fault:?}").contains("hunter2"));
}
