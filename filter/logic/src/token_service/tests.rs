//! What is asked of the token service, and how its answers are read.

use ib_contract::{InactiveReason, Introspection, RenewalCause, RenewalRequest};
use serde_json::{Value, json};

use super::{NoAnswer, introspect, poll, read_introspection, read_revocations, renew};
use crate::{
    AnswerSize, HeaderMap,
    host::mock::{SID, SentCallout, World, active_answer, active_with, map},
};

fn asked(token: &str, request: &HeaderMap) -> SentCallout {
    let world = World::new();
    world.in_tick(|host| introspect(host, &host.gateway.policy, token, request)).unwrap();
    world.last_callout()
}

fn pairs(callout: &SentCallout) -> Vec<(&str, &str)> {
    callout.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn read(status: &str, body: &[u8]) -> Result<Introspection, NoAnswer> {
    World::new().in_answer(status, body, read_introspection)
}

fn read_json(answer: &Value) -> Result<Introspection, NoAnswer> {
    read("200", answer.to_string().as_bytes())
}

#[test]
fn a_callout_is_a_form_post_to_the_introspection_endpoint() {
    let request =
        map(&[("x-request-id", b"id-1"), ("traceparent", b"00-a-b-01"), ("cookie", b"c")]);
    let callout = asked("abc", &request);
    assert_eq!(callout.cluster, "token_service");
    assert_eq!(callout.body, "token=abc");
    assert_eq!(callout.timeout_milliseconds, 2000);
    let expected = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "token-service.internal"),
        (":path", "/introspect"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
        ("x-request-id", "id-1"),
        ("traceparent", "00-a-b-01"),
    ];
    assert_eq!(pairs(&callout), expected);
}

#[test]
fn a_token_cannot_add_parameters_to_the_callout() {
    let callout = asked("a&client_id=b+c/d==%", &HeaderMap::default());
    assert_eq!(callout.body, "token=a%26client_id%3Db%2Bc%2Fd%3D%3D%25");
}

#[test]
fn a_request_id_that_could_split_a_header_is_not_passed_on() {
    for value in [b"a\r\nb: c".as_slice(), b"\xff", b"a b", &[b'x'; 513]] {
        assert_eq!(asked("t", &map(&[("x-request-id", value)])).headers.len(), 6);
    }
}

#[test]
fn a_renewal_names_token_session_generation_and_cause_and_nothing_can_be_added() {
    let world = World::new();
    let renewal = RenewalRequest {
        token: "t&cause=x",
        session: "s=1&generation=9",
        generation: 7,
        cause: RenewalCause::Rejected,
    };
    let request = map(&[("x-request-id", b"id-1")]);
    world.in_tick(|host| renew(host, &host.gateway.policy, &renewal, &request)).unwrap();
    let callout = world.last_callout();
    assert_eq!(
        (callout.path.as_str(), callout.cluster.as_str()),
        ("/sessions/renew", "token_service")
    );
    assert_eq!(
        callout.body,
        "token=t%26cause%3Dx&session=s%3D1%26generation%3D9&generation=7&cause=rejected"
    );
    assert_eq!(callout.header("x-request-id"), Some("id-1"));
    assert_eq!(callout.header(":method"), Some("POST"));
}

#[test]
fn a_poll_waits_longer_than_the_service_may_so_that_silence_is_no_failure() {
    let world = World::new();
    world.in_tick(|host| poll(host, &host.gateway.policy, "?after=7&wait=20", 20)).unwrap();
    let callout = world.last_callout();
    assert_eq!(callout.path, "/revocations?after=7&wait=20");
    assert_eq!((callout.header(":method"), callout.body.as_str()), (Some("GET"), ""));
    assert_eq!(callout.timeout_milliseconds, 25_000);
}

#[test]
fn an_outage_of_the_service_is_never_taken_for_a_refusal() {
    let active = active_answer(SID).to_string().into_bytes();
    for status in ["401", "403", "404", "429", "500", "503", "504", "204", "302", ""] {
        assert_eq!(read(status, &active).err(), Some(NoAnswer::Failed), "{status}");
    }
    let none = AnswerSize { headers: 0, body: 0 };
    let read = World::new().in_tick(|host| read_introspection(host, none));
    assert_eq!(read.err(), Some(NoAnswer::Failed));
    for call in ["callout_headers", "callout_body"] {
        let world = World::new();
        world.failing.set(call);
        let read = world.in_answer("200", &active, read_introspection);
        assert_eq!(read.err(), Some(NoAnswer::Failed), "{call}");
    }
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
}

#[test]
fn an_answer_without_end_is_not_read() {
    let too_long = |longest: usize| vec![b' '; longest + 1];
    let world = World::new();
    let read = world.in_answer("200", &too_long(64 * 1024), read_introspection);
    assert_eq!(read.err(), Some(NoAnswer::Malformed));
    let read = world.in_answer("200", &too_long(1 << 20), read_revocations);
    assert_eq!(read.err(), Some(NoAnswer::Malformed));
}

#[test]
fn a_refusal_keeps_the_reason_that_the_service_gave() {
    for (reason, read_as) in [
        ("session_expired", InactiveReason::SessionExpired),
        ("refresh_limit_exceeded", InactiveReason::RefreshLimitExceeded),
        ("invalid_token", InactiveReason::InvalidToken),
        ("a_newer_reason", InactiveReason::InvalidToken),
    ] {
        let answer = json!({"active": false, "reason": reason});
        assert_eq!(read_json(&answer).unwrap(), Introspection::Inactive(read_as));
    }
}

#[test]
fn a_newer_service_that_says_more_is_understood() {
    let answer = active_with(json!({"new_field": {"x": 1}, "upstream.new_field": [1]}));
    assert!(matches!(read_json(&answer), Ok(Introspection::Active(_))));
}

#[test]
fn the_feeds_answers_are_read_and_an_outage_is_told_from_them() {
    let read = |status: &str, body: &str| {
        World::new().in_answer(status, body.as_bytes(), read_revocations)
    };
    assert_eq!(read("200", r#"{"as_of":5}"#).unwrap().as_of, 5);
    assert_eq!(read("503", r#"{"as_of":5}"#).err(), Some(NoAnswer::Failed));
    assert_eq!(read("200", "upstream connect error").err(), Some(NoAnswer::Malformed));
}
