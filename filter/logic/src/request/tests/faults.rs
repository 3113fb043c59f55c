//! What happens when the host does not do as it is asked, or does it too late: nothing gets through.

use serde_json::json;

use crate::{
    HeadersFlow, Note, TrailersFlow,
    host::mock::{PATH, SID, World, active_answer, get_request},
};

#[test]
fn a_host_that_does_not_do_as_asked_lets_nothing_through() {
    for call in ["request_headers", "edit_request_headers"] {
        let world = World::knowing("token", &active_answer(SID));
        world.failing.set(call);
        let stream = world.get("token");
        assert_eq!(world.status(stream), Some(503), "{call}");
        assert!(!world.is_upstream(stream), "{call}");
    }
    let calls = ["request_headers", "edit_request_headers", "callout_headers"];
    for call in calls.into_iter().chain(["callout_body"]) {
        let world = World::new();
        let stream = world.get("token");
        world.failing.set(call);
        world.answer(world.last_callout().id, &active_answer(SID));
        assert_eq!(world.status(stream), Some(503), "{call}");
        assert!(!world.is_upstream(stream), "{call}");
    }
}

#[test]
fn a_stream_whose_resumption_fails_stays_closed() {
    for call in ["resume_request", "enter", "reply"] {
        let world = World::new();
        let stream = world.get("token");
        world.failing.set(call);
        let answer = if call == "reply" { json!({"active": false}) } else { active_answer(SID) };
        world.answer(world.last_callout().id, &answer);
        assert!(world.is_waiting(stream), "{call}");
        world.failing.set("");
        world.end(stream);
    }
}

#[test]
fn what_was_not_answered_is_not_counted_as_answered() {
    let world = World::new();
    world.failing.set("reply");
    let stream = world.open(get_request("/proxy/", "token"), true);
    assert!(world.is_waiting(stream), "the stream stays closed");
    for counter in crate::Counter::ALL {
        assert_eq!(world.count_of(counter), 0, "{}", counter.name());
    }
}

#[test]
fn trailers_that_cannot_be_dropped_stop_the_request() {
    let world = World::knowing("token", &active_answer(SID));
    let stream = world.open(get_request(PATH, "token"), false);
    world.failing.set("drop_request_trailers");
    assert_eq!(world.send_trailers(stream), TrailersFlow::Pause);
}

#[test]
fn an_answer_that_comes_after_the_proxy_has_answered_does_nothing() {
    let world = World::new();
    let stream = world.get("token");
    let flow = world.respond(stream, &[(":status", b"504")], true);
    assert_eq!(flow, HeadersFlow::Continue);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(!world.is_upstream(stream) && world.is_untouched(stream));
    assert_eq!(world.status(stream), Some(504));
    assert!(world.notes(stream, Note::Decision).is_empty());
    assert!(world.is_upstream(world.get("token")), "the answer is kept all the same");
}

#[test]
fn a_callout_of_a_stranger_changes_nothing() {
    let world = World::new();
    let stream = world.get("token");
    world.answer(crate::CalloutId(99), &active_answer(SID));
    assert!(world.is_waiting(stream));
}

#[test]
fn an_outage_is_a_503_with_retry_after_and_nothing_is_remembered_of_it() {
    for (status, body) in [("500", "{}"), ("401", "{}"), ("200", "<html>"), ("504", "timeout")] {
        let world = World::new();
        let stream = world.get("token");
        world.answer_with(world.last_callout().id, &[(":status", status)], body.as_bytes());
        let answer = world.client(stream).unwrap();
        assert_eq!(answer.status, 503, "{status} {body}");
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        let again = world.get("token");
        world.answer(world.last_callout().id, &active_answer(SID));
        assert!(world.is_upstream(again), "recovers with the next request");
    }
}

#[test]
fn an_answer_is_never_used_for_another_token_than_it_is_about() {
    let world = World::new();
    let stream = world.get("token");
    world.tamper(stream, get_request(PATH, "other"));
    world.answer(world.last_callout().id, &active_answer(SID));
    assert_eq!(world.status(stream), Some(503));
    assert!(!world.is_upstream(stream));
}

#[test]
fn a_second_answer_to_one_callout_neither_resumes_nor_replies_again() {
    let world = World::new();
    let stream = world.get("token");
    let callout = world.last_callout().id;
    world.answer(callout, &active_answer(SID));
    let refusal = json!({"active": false}).to_string();
    world.in_answer("200", refusal.as_bytes(), |host, size| {
        host.gateway.on_callout_answer(host, callout, size);
    });
    assert!(world.is_upstream(stream) && world.client(stream).is_none());
    assert!(world.is_upstream(world.get("token")), "nor does it change what is known");
}
