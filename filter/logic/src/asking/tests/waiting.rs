//! One callout a token however many streams wait, and the bounds of waiting.

use serde_json::json;

use crate::{
    Counter, Gauge, Histogram, StreamId,
    host::mock::{PATH, SID, World, active_answer, get_request, sid_of, token_named},
};

fn world_with(maximum_waiting: u32, maximum_callouts: u32) -> World {
    World::with(|policy| {
        policy.token_service.maximum_waiting = maximum_waiting;
        policy.token_service.maximum_callouts = maximum_callouts;
    })
}

#[test]
fn two_hundred_requests_with_one_token_cost_one_callout_and_get_two_hundred_answers() {
    let world = World::new();
    let streams: Vec<StreamId> = (0..200).map(|_| world.get("token")).collect();
    assert_eq!(world.sent().len(), 1);
    assert!(streams.iter().all(|stream| world.is_waiting(*stream)));
    assert_eq!(world.gauge(Gauge::WaitingStreams), 200);
    world.answer(world.last_callout().id, &active_answer(SID));
    for stream in streams {
        assert!(world.is_upstream(stream));
        assert_eq!(world.request_values(stream, "sid"), [SID]);
    }
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.count_of(Counter::CacheMiss), 1);
    assert_eq!(world.count_of(Counter::CacheJoined), 199);
    assert_eq!(world.count_of(Counter::RequestApproved), 200);
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
}

#[test]
fn everybody_who_waits_is_refused_by_one_answer_too() {
    for (answer, status) in [(json!({"active": false}), 401), (json!("nonsense"), 503)] {
        let world = World::new();
        let streams: Vec<StreamId> = (0..5).map(|_| world.get("token")).collect();
        world.answer(world.last_callout().id, &answer);
        assert!(streams.iter().all(|stream| world.status(*stream) == Some(status)));
        assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
    }
}

#[test]
fn streams_for_different_hosts_wait_for_one_answer_and_each_gets_its_own_decision() {
    let world = World::new();
    let ours = world.get("token");
    let other = world.open(get_request("/proxy/other.intelligencebank.com/", "token"), true);
    assert_eq!(world.sent().len(), 1);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(ours));
    assert_eq!(world.status(other), Some(403));
}

#[test]
fn two_tokens_are_asked_about_by_two_callouts_and_neither_gets_the_others_session() {
    let world = World::new();
    let (one, two) = (world.get("one"), world.get("two"));
    let callouts = world.sent();
    assert_eq!(callouts[0].body, format!("token={}", token_named("one")));
    assert_eq!(callouts[1].body, format!("token={}", token_named("two")));
    let mut other = active_answer(&sid_of(2));
    other["upstreams"][0]["session"] = json!("s2");
    world.answer(callouts[1].id, &other);
    assert!(world.is_waiting(one));
    world.answer(callouts[0].id, &active_answer(SID));
    assert_eq!(world.request_values(one, "sid"), [SID]);
    assert_eq!(world.request_values(two, "sid"), [sid_of(2)]);
}

#[test]
fn the_stream_that_asked_may_go_away_and_the_others_are_served() {
    let world = World::new();
    let streams: Vec<StreamId> = (0..4).map(|_| world.get("token")).collect();
    world.end(streams[0]);
    world.end(streams[2]);
    // Entering one that has ended would fail the test.
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(streams[1]) && world.is_upstream(streams[3]));
    assert!(world.is_untouched(streams[0]) && world.is_untouched(streams[2]));
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_serves_the_next_request() {
    let world = World::new();
    let stream = world.get("token");
    world.end(stream);
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(world.get("token")));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_request_joins_a_callout_whose_first_stream_has_gone() {
    let world = World::new();
    world.end(world.get("token"));
    let joined = world.get("token");
    assert_eq!(world.sent().len(), 1);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(joined));
}

#[test]
fn past_the_waiting_places_a_stream_gets_503_and_streams_that_went_away_hold_no_place() {
    let world = world_with(2, 256);
    let (first, second) = (world.get("a"), world.get("b"));
    let asked = world.sent();
    let third = world.get("c");
    assert_eq!(world.status(third), Some(503));
    assert_eq!(world.status(world.get("a")), Some(503), "joining takes a place too");
    assert_eq!(world.sent().len(), 2);
    world.end(second);
    assert!(world.is_waiting(world.get("d")));
    world.answer(asked[0].id, &active_answer(SID));
    assert!(world.is_upstream(first));
    assert!(world.is_waiting(world.get("e")));
    assert_eq!(world.status(world.get("f")), Some(503));
}

#[test]
fn past_the_callouts_a_new_token_gets_503_and_a_known_question_is_joined() {
    let world = world_with(100, 2);
    let first = world.get("a");
    let asked = world.last_callout();
    world.get("b");
    let third = world.get("c");
    assert_eq!(world.status(third), Some(503));
    assert_eq!(world.count_of(Counter::IntrospectionUnsent), 1);
    let joined = world.get("a");
    assert!(world.is_waiting(joined));
    assert_eq!(world.gauge(Gauge::WaitingStreams), 3);
    world.answer(asked.id, &active_answer(SID));
    assert!(world.is_upstream(first) && world.is_upstream(joined));
    assert!(world.is_waiting(world.get("c")), "room again");
}

#[test]
fn streams_that_come_and_go_cannot_raise_more_callouts_than_the_bound() {
    let world = world_with(100, 3);
    for number in 0..50 {
        world.end(world.get(&format!("t{number}")));
    }
    assert_eq!(world.sent().len(), 3);
    assert_eq!(world.gauge(Gauge::Callouts), 3);
    for callout in world.under_way() {
        world.no_answer(callout.id);
    }
    assert_eq!(world.gauge(Gauge::Callouts), 0);
    assert!(world.is_waiting(world.get("token")));
}

#[test]
fn a_callout_that_cannot_be_sent_is_a_503_and_takes_no_waiting_place() {
    let world = world_with(1, 256);
    world.failing.set("dispatch");
    for count in 1..=3 {
        assert_eq!(world.status(world.get("token")), Some(503));
        assert_eq!(world.count_of(Counter::IntrospectionUnsent), count);
    }
    world.failing.set("");
    assert!(world.is_waiting(world.get("token")));
}

#[test]
fn a_callout_that_ends_without_an_answer_is_a_503_and_no_crash() {
    let world = World::new();
    let streams = [world.get("token"), world.get("token")];
    world.pass_milliseconds(2_000);
    world.no_answer(world.last_callout().id);
    assert!(streams.iter().all(|stream| world.status(*stream) == Some(503)));
    assert_eq!(world.count_of(Counter::IntrospectionFailed), 1);
    assert_eq!(world.count_of(Counter::RequestTemporarilyUnavailable), 2);
    assert_eq!(world.observed(Histogram::IntrospectionMilliseconds), [2_000]);
}

#[test]
fn a_request_with_a_body_waits_like_any_other() {
    let world = World::new();
    let stream = world.open(get_request(PATH, "token"), false);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(stream));
    world.send_body(stream, b"piece", true);
}
