//! What the revocation feed does to what is known and to what is being asked.

use serde_json::{Value, json};

use crate::{
    Counter, StreamId,
    host::mock::{SID, World, active_answer, active_with, token_named},
};

/// A world whose feed stands at event 10.
fn world() -> World {
    let world = World::with_feed();
    world.tick();
    world.feed_says(&json!({"as_of": 10}));
    world
}

/// An active answer that was true at an event.
fn as_of(number: u64) -> Value {
    active_with(json!({"as_of": number}))
}

/// The feed's answer with one event.
fn event(number: u64, revoked: Value) -> Value {
    let mut event = revoked;
    event["number"] = json!(number);
    json!({"as_of": number, "events": [event]})
}

fn hash_of(name: &str) -> String {
    ib_contract::token_sha256(&token_named(name))
}

/// Answers the introspection that is under way.
fn answer_introspection(world: &World, answer: &Value) {
    let callout = world.under_way().into_iter().find(|callout| callout.path == "/introspect");
    world.answer(callout.expect("an introspection").id, answer);
}

fn learn(world: &World, name: &str, answer: &Value) {
    let stream = world.get(name);
    answer_introspection(world, answer);
    world.end(stream);
}

fn is_known(world: &World, name: &str) -> bool {
    let stream = world.get(name);
    let is_known = world.is_upstream(stream);
    if world.is_waiting(stream) {
        answer_introspection(world, &json!("no answer"));
    }
    is_known
}

#[test]
fn whoever_logs_out_is_forgotten_whichever_name_the_event_calls_them_by() {
    for revoked in [
        json!({"session": "s1"}),
        json!({"token_sha256": hash_of("token")}),
        json!({"sub": "user-1"}),
        json!({"client_id": "test-client"}),
        json!({"tenant": "something of a newer service"}),
    ] {
        let world = world();
        learn(&world, "token", &as_of(10));
        assert!(is_known(&world, "token"));
        world.feed_says(&event(11, revoked.clone()));
        let stream = world.get("token");
        assert!(world.is_waiting(stream), "{revoked}");
        answer_introspection(&world, &json!({"active": false, "reason": "session_expired"}));
        assert_eq!(world.refusal(stream), (401, "Session has expired".to_owned()));
        assert_eq!(world.count_of(Counter::FeedEvents), 1);
    }
}

#[test]
fn whoever_is_not_named_by_an_event_goes_on_without_a_callout() {
    for revoked in [
        json!({"session": "s2"}),
        json!({"token_sha256": hash_of("other")}),
        json!({"sub": "user-2"}),
        json!({"client_id": "other-client"}),
    ] {
        let world = world();
        learn(&world, "token", &as_of(10));
        world.feed_says(&event(11, revoked.clone()));
        assert!(is_known(&world, "token"), "{revoked}");
    }
}

#[test]
fn the_end_of_a_session_ends_it_for_every_token_and_the_end_of_a_token_for_that_one_alone() {
    let world = world();
    learn(&world, "one", &as_of(10));
    learn(&world, "two", &as_of(10));
    world.feed_says(&event(11, json!({"token_sha256": hash_of("one")})));
    assert!(!is_known(&world, "one") && is_known(&world, "two"));
    learn(&world, "one", &as_of(11));
    world.feed_says(&event(12, json!({"session": "s1"})));
    assert!(!is_known(&world, "one") && !is_known(&world, "two"));
}

#[test]
fn an_answer_that_a_revocation_has_overtaken_is_asked_for_again() {
    for revoked in [
        json!({"session": "s1"}),
        json!({"token_sha256": hash_of("token")}),
        json!({"sub": "user-1"}),
        json!({"client_id": "test-client"}),
        json!({"tenant": "something of a newer service"}),
    ] {
        let world = world();
        let streams: Vec<StreamId> = (0..3).map(|_| world.get("token")).collect();
        world.feed_says(&event(11, revoked.clone()));
        answer_introspection(&world, &as_of(10));
        assert!(streams.iter().all(|stream| world.is_waiting(*stream)), "{revoked}");
        assert_eq!(world.sent_to("/introspect").len(), 2);
        answer_introspection(&world, &json!({"active": false}));
        assert!(streams.iter().all(|stream| world.status(*stream) == Some(401)), "{revoked}");
        assert_eq!(world.count_of(Counter::IntrospectionOutdated), 1);
    }
}

#[test]
fn an_event_that_the_answer_knew_of_does_not_hold_it_up() {
    let world = world();
    let stream = world.get("token");
    world.feed_says(&event(11, json!({"sub": "user-1"})));
    // The user has logged in again since.
    answer_introspection(&world, &as_of(11));
    assert!(world.is_upstream(stream));
    assert!(is_known(&world, "token"));
}

#[test]
fn an_event_about_somebody_else_does_not_hold_an_answer_up() {
    let world = world();
    let stream = world.get("token");
    world.feed_says(&event(11, json!({"sub": "user-2"})));
    answer_introspection(&world, &as_of(10));
    assert!(world.is_upstream(stream));
}

#[test]
fn a_service_that_stays_behind_its_own_feed_is_asked_a_bounded_number_of_times() {
    let world = world();
    let streams = [world.get("token"), world.get("token")];
    world.feed_says(&event(11, json!({"session": "s1"})));
    for count in 2..=4 {
        answer_introspection(&world, &as_of(10));
        assert_eq!(world.sent_to("/introspect").len(), count);
        assert!(world.is_waiting(streams[0]));
    }
    answer_introspection(&world, &as_of(10));
    assert_eq!(world.sent_to("/introspect").len(), 4);
    assert!(streams.iter().all(|stream| world.status(*stream) == Some(503)));
    assert!(!is_known(&world, "token"), "an outdated answer is not kept");
}

#[test]
fn who_joins_or_leaves_while_it_is_asked_again_is_served_or_left_alone() {
    let world = world();
    let (first, second) = (world.get("token"), world.get("token"));
    world.feed_says(&event(11, json!({"session": "s1"})));
    answer_introspection(&world, &as_of(10));
    world.end(first);
    let third = world.get("token");
    answer_introspection(&world, &as_of(11));
    assert!(world.is_untouched(first));
    assert!(world.is_upstream(second) && world.is_upstream(third));
}

#[test]
fn where_it_cannot_be_asked_again_everybody_gets_503() {
    let world = world();
    let streams = [world.get("token"), world.get("token")];
    world.feed_says(&event(11, json!({"session": "s1"})));
    world.failing.set("dispatch");
    answer_introspection(&world, &as_of(10));
    assert!(streams.iter().all(|stream| world.status(*stream) == Some(503)));
}

#[test]
fn a_refusal_that_a_revocation_has_overtaken_is_a_refusal_all_the_same() {
    let world = world();
    let stream = world.get("token");
    world.feed_says(&event(11, json!({"sub": "user-1"})));
    answer_introspection(&world, &json!({"active": false}));
    assert_eq!(world.status(stream), Some(401));
}

#[test]
fn after_a_reset_everybody_is_asked_about_again() {
    for answer in [json!({"as_of": 11, "reset": true}), json!({"as_of": 9})] {
        let world = world();
        learn(&world, "token", &as_of(10));
        world.feed_says(&answer);
        assert!(!is_known(&world, "token"), "{answer}");
        // Once for the feed's first answer, once now.
        assert_eq!(world.count_of(Counter::FeedReset), 2);
    }
}

#[test]
fn what_was_learnt_before_the_feed_spoke_is_forgotten_when_it_speaks() {
    let world = World::with_feed();
    learn(&world, "token", &as_of(10));
    assert!(is_known(&world, "token"));
    world.tick();
    world.feed_says(&json!({"as_of": 10}));
    assert!(!is_known(&world, "token"), "nobody knows what it said before");
    learn(&world, "token", &as_of(10));
    assert!(is_known(&world, "token"));
}

#[test]
fn an_answer_older_than_a_reset_is_asked_for_again() {
    let world = world();
    let stream = world.get("token");
    world.feed_says(&json!({"as_of": 20, "reset": true}));
    answer_introspection(&world, &as_of(19));
    assert!(world.is_waiting(stream));
    answer_introspection(&world, &as_of(20));
    assert!(world.is_upstream(stream));
}

#[test]
fn revoking_a_token_that_is_not_known_here_does_nothing() {
    let world = world();
    learn(&world, "token", &as_of(10));
    world.feed_says(&event(11, json!({"token_sha256": "no token's name"})));
    world.feed_says(&event(12, json!({"session": "no session's id"})));
    assert!(is_known(&world, "token"));
}

#[test]
fn an_approval_is_used_until_exactly_sixty_seconds_after_the_feed_fell_silent() {
    let world = World::with(|policy| {
        policy.cache.maximum_seconds = 3_600;
        policy.revocations = Some(crate::policy::RevocationFeed {
            maximum_stale_milliseconds: 60_000,
            wait_seconds: 25,
        });
    });
    world.tick();
    world.feed_says(&json!({"as_of": 10}));
    world.pass(1);
    world.tick();
    learn(&world, "token", &as_of(10));
    world.pass(30);
    world.feed_says(&json!({"as_of": 10}));
    world.pass_milliseconds(59_999);
    assert!(is_known(&world, "token"));
    world.pass_milliseconds(1);
    assert!(!is_known(&world, "token"));
    assert_eq!(world.count_of(Counter::CacheStale), 1);
    // The feed is silent still, and the service answers: that vouches for as long again.
    learn(&world, "token", &as_of(10));
    world.pass_milliseconds(59_999);
    assert!(is_known(&world, "token"));
    world.pass_milliseconds(1);
    assert!(!is_known(&world, "token"));
}

#[test]
fn a_refusal_is_used_though_the_feed_is_silent() {
    let world = World::with(|policy| {
        policy.cache.refused_seconds = 100;
        policy.revocations = Some(crate::policy::RevocationFeed {
            maximum_stale_milliseconds: 5_000,
            wait_seconds: 25,
        });
    });
    learn(&world, "bad", &json!({"active": false}));
    world.pass(99);
    assert_eq!(world.status(world.get("bad")), Some(401));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_gateway_without_a_feed_uses_approvals_for_their_whole_lives() {
    let world = World::knowing("token", &active_answer(SID));
    world.tick();
    assert!(world.poll().is_none());
    world.pass(59);
    assert!(is_known(&world, "token"));
}
