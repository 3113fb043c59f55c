//! What is asked of the token service, and what its answers come to.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{NoAnswer, Verdict, ask, read_answer};
use crate::{
    AnswerSize, Counter, Host,
    cache::Decision,
    host::mock::{MockHost, active_answer, map, policy_with},
};

fn read(status: &str, body: &[u8]) -> Result<Verdict, NoAnswer> {
    let host = MockHost::default();
    host.answer.replace(Some((status.to_owned(), body.to_vec())));
    let size = AnswerSize { headers: 3, body: body.len() };
    read_answer(&host, &policy_with(json!({})), size, host.now())
}

fn read_json(answer: &Value) -> Result<Verdict, NoAnswer> {
    read("200", answer.to_string().as_bytes())
}

/// The active answer with some of its fields replaced; a key with a dot is one of the upstream.
fn changed(fields: Value) -> Value {
    let mut answer = active_answer("live-session-id");
    for (name, value) in fields.as_object().unwrap() {
        match name.strip_prefix("upstream.") {
            Some(name) => answer["upstreams"][0][name] = value.clone(),
            None => answer[name] = value.clone(),
        }
    }
    answer
}

fn is_refused(verdict: &Verdict) -> bool {
    matches!(verdict.decision, Decision::Refused(_))
        && verdict.counter() == Counter::IntrospectionInactive
}

#[test]
fn a_callout_is_a_form_post_to_the_introspection_endpoint() {
    let host = MockHost::default();
    let request =
        map(&[("x-request-id", b"id-1"), ("traceparent", b"00-a-b-01"), ("cookie", b"c")]);
    ask(&host, &policy_with(json!({})), "abc", &request).unwrap();
    let callouts = host.callouts.borrow();
    let [callout] = callouts.as_slice() else { panic!("one callout") };
    assert_eq!(callout.cluster, "token_service");
    assert_eq!(callout.body, "token=abc");
    assert_eq!(callout.timeout_milliseconds, 2000);
    let pairs: Vec<_> = callout.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        pairs,
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "token-service.internal"),
            (":path", "/introspect"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("x-request-id", "id-1"),
            ("traceparent", "00-a-b-01"),
        ]
    );
}

#[test]
fn a_token_cannot_add_parameters_to_the_callout() {
    let host = MockHost::default();
    ask(&host, &policy_with(json!({})), "a&client_id=b+c/d==%", &Vec::new()).unwrap();
    assert_eq!(host.callouts.borrow()[0].body, "token=a%26client_id%3Db%2Bc%2Fd%3D%3D%25");
}

#[test]
fn a_request_id_that_could_split_a_header_is_not_passed_on() {
    for value in [b"a\r\nb: c".as_slice(), b"\xff", b"a b", &[b'x'; 257]] {
        let host = MockHost::default();
        ask(&host, &policy_with(json!({})), "t", &map(&[("x-request-id", value)])).unwrap();
        assert_eq!(host.callouts.borrow()[0].headers.len(), 6);
    }
}

#[test]
fn an_outage_of_the_service_is_never_taken_for_a_refusal() {
    let active = active_answer("x").to_string().into_bytes();
    for status in ["401", "403", "404", "429", "500", "503", "504", "204", "302", ""] {
        assert_eq!(read(status, &active).err(), Some(NoAnswer::Failed), "{status}");
    }
    let host = MockHost::default();
    let size = AnswerSize { headers: 0, body: 0 };
    let no_answer = read_answer(&host, &policy_with(json!({})), size, host.now()).err();
    assert_eq!(no_answer, Some(NoAnswer::Failed));
}

#[test]
fn nonsense_is_never_taken_for_a_refusal() {
    let mut lacking = active_answer("x");
    lacking.as_object_mut().unwrap().remove("upstreams");
    for body in ["", "{}", "null", "<html>", "{\"active\":\"no\"}", "{\"active\":true}"] {
        assert_eq!(read("200", body.as_bytes()).err(), Some(NoAnswer::Malformed), "{body}");
    }
    assert_eq!(read("200", b"\xff").err(), Some(NoAnswer::Malformed));
    assert_eq!(read_json(&lacking).err(), Some(NoAnswer::Malformed));
    let injecting = changed(json!({"upstream.headers": {"host": "evil.example"}}));
    assert_eq!(read_json(&injecting).err(), Some(NoAnswer::Malformed));
}

#[test]
fn an_answer_without_end_is_not_read() {
    let host = MockHost::default();
    let size = AnswerSize { headers: 1, body: 64 * 1024 + 1 };
    let no_answer = read_answer(&host, &policy_with(json!({})), size, host.now()).err();
    assert_eq!(no_answer, Some(NoAnswer::Malformed));
}

#[test]
fn an_approval_lives_no_longer_than_token_session_or_cache_allow() {
    for (fields, seconds) in [
        (json!({}), 60),
        (json!({"expires_in": 7}), 7),
        (json!({"upstream.expires_in": 8}), 8),
        (json!({"expires_in": u64::MAX, "upstream.expires_in": u64::MAX}), 60),
        // Over already: the refusal is kept like a refusal.
        (json!({"upstream.expires_in": 0}), 5),
        (json!({"upstreams": []}), 60),
    ] {
        let verdict = read_json(&changed(fields.clone())).unwrap();
        assert!(matches!(verdict.decision, Decision::Granted(_)));
        assert_eq!(verdict.seconds, seconds, "{fields}");
        assert_eq!(verdict.counter(), Counter::IntrospectionActive);
    }
}

#[test]
fn a_refusal_lives_shorter_than_an_approval() {
    let verdict = read_json(&json!({"active": false, "reason": "session_expired"})).unwrap();
    assert!(is_refused(&verdict));
    assert_eq!(verdict.seconds, 5);
}

#[test]
fn a_token_that_has_expired_or_is_meant_for_another_resource_is_refused() {
    for fields in [
        json!({"expires_in": 0}),
        json!({"aud": "https://other.example/"}),
        json!({"aud": []}),
        json!({"aud": null}),
    ] {
        assert!(is_refused(&read_json(&changed(fields.clone())).unwrap()), "{fields}");
    }
    let several = changed(json!({"aud": ["https://a.example", "https://gateway.example/proxy/"]}));
    assert!(!is_refused(&read_json(&several).unwrap()));
}

#[test]
fn a_newer_service_that_says_more_is_understood() {
    let answer = changed(json!({"new_field": {"x": 1}, "upstream.new_field": [1]}));
    let verdict = read_json(&answer).unwrap();
    let Decision::Granted(grant) = verdict.decision else { panic!("granted") };
    let session = grant.session_for("apiv3.intelligencebank.com").unwrap();
    assert_eq!(Rc::strong_count(session), 1);
}
