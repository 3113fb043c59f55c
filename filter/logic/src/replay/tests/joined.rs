//! A rejection while a renewal of the same session is under way already.

use serde_json::json;

use super::{reject, rejected, renewal, replay, replay_answer, replays, send};
use crate::{
    CalloutId, StreamId,
    host::mock::{
        PATH, SID, World, active_answer, active_with, generation, request, sid_of, token_named,
    },
};

/// A stream whose session was rejected while a renewal near its end is under way.
fn joined() -> (World, StreamId, CalloutId) {
    let world = World::knowing("token", &active_with(json!({"upstream.refresh_in": 10})));
    world.pass(10);
    let stream = send(&world, "GET", b"");
    let near_expiry = renewal(&world);
    reject(&world, stream);
    assert_eq!(world.sent_to("/sessions/renew").len(), 1, "the one under way is joined");
    (world, stream, near_expiry)
}

#[test]
fn a_renewal_near_the_end_serves_a_rejected_stream_too() {
    let (world, stream, near_expiry) = joined();
    world.answer(near_expiry, &generation(2));
    assert_eq!(replay(&world).header("sid"), Some(sid_of(2).as_str()));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn a_renewal_near_the_end_that_brought_nothing_is_followed_by_one_that_says_rejected() {
    for answer in [Some(generation(1)), None, Some(json!({"active": false}))] {
        let (world, stream, near_expiry) = joined();
        let late = rejected(&world);
        match &answer {
            Some(answer) => world.answer(near_expiry, answer),
            None => world.no_answer(near_expiry),
        }
        assert!(world.is_waiting(stream) && world.is_waiting(late));
        let asked = world.last_callout();
        assert_eq!(asked.field("cause"), Some("rejected"));
        assert_eq!(world.sent_to("/sessions/renew").len(), 2);
        world.answer(asked.id, &generation(2));
        assert_eq!(replays(&world).len(), 2);
        for again in replays(&world) {
            world.answer_with(again.id, &[(":status", "200")], b"{}");
        }
        assert_eq!((world.status(stream), world.status(late)), (Some(200), Some(200)));
    }
}

#[test]
fn where_that_brings_nothing_either_the_session_is_over() {
    let (world, stream, near_expiry) = joined();
    world.answer(near_expiry, &generation(1));
    world.answer(renewal(&world), &generation(1));
    assert_eq!(world.refusal(stream), (401, "Session has expired".to_owned()));
    assert_eq!(world.sent_to("/sessions/renew").len(), 2);
}

#[test]
fn where_it_cannot_be_asked_again_the_client_gets_503() {
    let (world, stream, near_expiry) = joined();
    world.failing.set("dispatch");
    world.no_answer(near_expiry);
    assert_eq!(world.status(stream), Some(503));
}

#[test]
fn a_stream_that_went_away_is_not_asked_for_again() {
    let (world, stream, near_expiry) = joined();
    world.end(stream);
    world.answer(near_expiry, &generation(1));
    assert_eq!(world.sent_to("/sessions/renew").len(), 1);
}

#[test]
fn a_stream_that_goes_away_while_it_is_asked_again_is_left_alone() {
    let (world, stream, near_expiry) = joined();
    world.answer(near_expiry, &generation(1));
    world.end(stream);
    world.answer(renewal(&world), &generation(2));
    assert!(replays(&world).is_empty());
}

#[test]
fn a_stream_rejected_with_a_newer_session_than_was_asked_about_is_never_sent_again_with_it() {
    let (world, stream, near_expiry) = joined();
    world.learn("other", &generation(2));
    // This one went with generation 2, and waits for the answer to a question about generation 1.
    let newer = rejected(&world);
    world.answer(near_expiry, &generation(2));
    let sids: Vec<_> =
        replays(&world).iter().map(|again| again.header("sid").unwrap().to_owned()).collect();
    assert_eq!(sids, [sid_of(2)], "only the stream that went with generation 1");
    assert_eq!(world.status(newer), Some(503));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn a_token_that_has_ended_tells_nothing_of_the_session_to_another_token_that_waits_with_it() {
    let world = World::knowing("token", &active_answer(SID));
    world.learn("other", &active_answer(SID));
    let leader = rejected(&world);
    let other = world.open(request("GET", PATH, &token_named("other")), true);
    reject(&world, other);
    assert_eq!(world.sent_to("/sessions/renew").len(), 1);
    world.answer(renewal(&world), &json!({"active": false, "reason": "invalid_token"}));
    assert_eq!(world.refusal(leader), (401, "Invalid or expired access token".to_owned()));
    assert_eq!(world.status(other), Some(503), "it may try again, and then asks itself");
    assert!(world.is_upstream(world.open(request("GET", PATH, &token_named("other")), true)));
}
