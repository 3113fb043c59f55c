//! Answers of the token service, good and bad.

use ib_contract::Introspection;
use serde_json::{Value, json};

use super::{Grant, MalformedGrant};
use crate::{Timestamp, host::mock::active_answer};

const NOW: Timestamp = Timestamp::from_milliseconds(1_000);

fn grant(upstreams: Value) -> Result<Grant, MalformedGrant> {
    let mut answer = active_answer("x");
    answer["upstreams"] = upstreams;
    match Introspection::from_json(answer.to_string().as_bytes()).unwrap() {
        Introspection::Active(token) => Grant::from_answer(*token, NOW),
        Introspection::Inactive(_) => panic!("active"),
    }
}

fn upstream(hosts: &[&str], headers: Value) -> Value {
    json!({
        "session": "s", "hosts": hosts, "headers": headers, "generation": 1, "refresh_in": 1,
        "expires_in": 10,
    })
}

#[test]
fn each_host_gets_its_own_session_and_no_other() {
    let grant = grant(json!([
        upstream(&["company.intelligencebank.com"], json!({"sid": "one"})),
        upstream(&["remax-cca.com"], json!({"authorization": "bearer two"})),
    ]))
    .unwrap();
    let injected = |host: &str| {
        grant.session_for(host).map(|session| {
            let headers = session.headers();
            headers
                .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
                .collect::<Vec<_>>()
        })
    };
    let pair = |name: &str, value: &str| Some(vec![(name.to_owned(), value.to_owned())]);
    assert_eq!(injected("company.intelligencebank.com"), pair("sid", "one"));
    assert_eq!(injected("remax-cca.com"), pair("authorization", "bearer two"));
    assert_eq!(injected("other.intelligencebank.com"), None);
}

#[test]
fn two_sessions_for_one_host_are_a_fault_and_not_a_choice() {
    let both = json!([
        upstream(&["a.example", "b.example"], json!({})),
        upstream(&["c.example", "b.example"], json!({})),
    ]);
    assert_eq!(grant(both).err(), Some(MalformedGrant::OverlappingHosts));
}

#[test]
fn a_session_cannot_name_a_place_that_is_not_a_host_in_lower_case() {
    for host in ["", "A.example", "a.example.", "127.0.0.1", "a.example:443", "*.example", "a b"] {
        let answer = json!([upstream(&[host], json!({}))]);
        assert_eq!(grant(answer).err(), Some(MalformedGrant::Host), "{host}");
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
        "upgrade",
        "x-envoy-retry-on",
        "x-forwarded-for",
        "a b",
        "a\nb",
        "\u{e9}",
    ] {
        let answer = json!([upstream(&["a.example"], json!({name: "v"}))]);
        assert_eq!(grant(answer).err(), Some(MalformedGrant::HeaderName), "{name}");
    }
}

#[test]
fn a_session_cannot_inject_a_value_that_splits_the_request() {
    for value in ["", " ", "a\r\nb: c", "a\nb", "a\0b", "\u{e9}", " a", "a ", "a  b", "a\tb"] {
        let answer = json!([upstream(&["a.example"], json!({"sid": value}))]);
        assert_eq!(grant(answer).err(), Some(MalformedGrant::HeaderValue), "{value:?}");
    }
    let answer = json!([upstream(&["a.example"], json!({"sid": "x".repeat(8193)}))]);
    assert_eq!(grant(answer).err(), Some(MalformedGrant::HeaderValue));
}

#[test]
fn an_answer_without_end_is_refused() {
    let sessions: Vec<Value> =
        (0..17).map(|n| upstream(&[&format!("h{n}.example")], json!({}))).collect();
    assert_eq!(grant(json!(sessions)).err(), Some(MalformedGrant::TooMany));
    let hosts: Vec<String> = (0..65).map(|n| format!("h{n}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    assert_eq!(grant(json!([upstream(&hosts, json!({}))])).err(), Some(MalformedGrant::TooMany));
}

#[test]
fn a_session_ends_when_its_seconds_from_the_answer_have_passed() {
    let grant = grant(json!([upstream(&["a.example"], json!({}))])).unwrap();
    let session = grant.session_for("a.example").unwrap();
    assert!(!session.is_over(Timestamp::from_milliseconds(10_999)));
    assert!(session.is_over(Timestamp::from_milliseconds(11_000)));
}

#[test]
fn a_session_id_is_recognised_in_what_an_upstream_says() {
    let sid = "0123456789abcdef0123456789abcdef";
    let grant = grant(json!([upstream(
        &["a.example"],
        json!({"sid": sid, "authorization": "bearer se.cr-et~token"}),
    )]))
    .unwrap();
    let session = grant.session_for("a.example").unwrap();
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
        assert!(session.shows_in(text.as_bytes()), "{text}");
    }
    for text in ["", "0123456789abcdef", "bearer", "100%", "text/html"] {
        assert!(!session.shows_in(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_very_short_value_does_not_make_every_header_suspect() {
    let grant = grant(json!([upstream(&["a.example"], json!({"sid": "e"}))])).unwrap();
    let session = grant.session_for("a.example").unwrap();
    assert!(session.shows_in(b"e"));
    assert!(!session.shows_in(b"text/html"));
}
