//! Renewals near a session's end, while the session is in use.

use serde_json::{Value, json};

use crate::{
    CalloutId, Counter, Histogram,
    host::mock::{SID, SentCallout, World, active_with, generation, sid_of, token_named},
};

/// A world that knows `token`, whose session is to be renewed after 10 s and ends after 40.
fn world() -> World {
    World::knowing("token", &due_in(1, 10))
}

/// An answer of a generation whose renewal is due after so many seconds.
fn due_in(number: u64, refresh_in: u64) -> Value {
    let mut answer = generation(number);
    answer["upstreams"][0]["refresh_in"] = json!(refresh_in);
    answer["upstreams"][0]["expires_in"] = json!(40);
    answer
}

fn renewals(world: &World) -> Vec<SentCallout> {
    world.sent_to("/sessions/renew")
}

/// A world in which the renewal is under way.
fn renewing() -> (World, CalloutId) {
    let world = world();
    world.pass(10);
    assert!(world.is_upstream(world.get("token")));
    let renewal = renewals(&world).remove(0);
    (world, renewal.id)
}

#[test]
fn a_session_near_its_end_is_renewed_once_while_requests_go_on_with_it() {
    let world = world();
    world.pass_milliseconds(9_999);
    assert!(world.is_upstream(world.get("token")));
    assert!(renewals(&world).is_empty());
    world.pass_milliseconds(1);
    for _ in 0..100 {
        let stream = world.get("token");
        assert!(world.is_upstream(stream));
        assert_eq!(world.request_values(stream, "sid"), [SID]);
    }
    let renewals = renewals(&world);
    let [renewal] = renewals.as_slice() else { panic!("one renewal: {}", renewals.len()) };
    assert_eq!(renewal.field("token"), Some(token_named("token").as_str()));
    assert_eq!(renewal.field("session"), Some("s1"));
    assert_eq!(renewal.field("generation"), Some("1"));
    assert_eq!(renewal.field("cause"), Some("near_expiry"));
    world.pass_milliseconds(300);
    world.answer(renewal.id, &due_in(2, 30));
    assert_eq!(world.request_values(world.get("token"), "sid"), [sid_of(2)]);
    assert_eq!(world.count_of(Counter::RenewalNearExpiryRenewed), 1);
    assert_eq!(world.observed(Histogram::RenewalMilliseconds), [300]);
}

#[test]
fn a_renewal_through_one_token_serves_all_tokens_of_the_session() {
    let world = world();
    world.learn("other", &due_in(1, 10));
    world.pass(10);
    world.get("token");
    world.get("other");
    assert_eq!(renewals(&world).len(), 1);
    world.answer(world.last_callout().id, &due_in(2, 30));
    for name in ["token", "other"] {
        assert_eq!(world.request_values(world.get(name), "sid"), [sid_of(2)], "{name}");
    }
    assert_eq!(renewals(&world).len(), 1);
}

#[test]
fn two_sessions_are_renewed_by_two_renewals() {
    let world = world();
    let mut other = due_in(1, 10);
    other["upstreams"][0]["session"] = json!("s2");
    world.learn("other", &other);
    world.pass(10);
    world.get("token");
    world.get("other");
    let sessions: Vec<_> =
        renewals(&world).iter().map(|sent| sent.field("session").unwrap().to_owned()).collect();
    assert_eq!(sessions, ["s1", "s2"]);
}

#[test]
fn a_renewal_without_an_answer_is_tried_again_after_five_seconds_and_not_before() {
    for answer in [None, Some(json!("nonsense")), Some(json!({"active": true}))] {
        let (world, renewal) = renewing();
        match &answer {
            None => world.no_answer(renewal),
            Some(answer) => world.answer(renewal, answer),
        }
        assert_eq!(world.count_of(Counter::RenewalNearExpiryFailed), 1);
        world.pass_milliseconds(4_999);
        assert!(world.is_upstream(world.get("token")));
        assert_eq!(renewals(&world).len(), 1);
        world.pass_milliseconds(1);
        assert!(world.is_upstream(world.get("token")));
        assert_eq!(renewals(&world).len(), 2);
    }
}

#[test]
fn a_renewal_that_cannot_be_sent_is_tried_again_after_five_seconds() {
    let world = world();
    world.pass(10);
    world.failing.set("dispatch");
    for _ in 0..3 {
        assert!(world.is_upstream(world.get("token")));
    }
    assert_eq!(world.count_of(Counter::RenewalNearExpiryFailed), 1);
    world.failing.set("");
    world.pass(5);
    world.get("token");
    assert_eq!(renewals(&world).len(), 1);
}

#[test]
fn a_service_that_says_nothing_newer_and_to_ask_at_once_is_not_asked_in_a_loop() {
    let (world, renewal) = renewing();
    world.answer(renewal, &due_in(1, 0));
    assert_eq!(world.count_of(Counter::RenewalNearExpiryUnchanged), 1);
    for _ in 0..10 {
        assert!(world.is_upstream(world.get("token")));
    }
    assert_eq!(renewals(&world).len(), 1);
    world.pass(5);
    world.get("token");
    assert_eq!(renewals(&world).len(), 2);
}

#[test]
fn a_failed_attempt_is_repeated_when_the_service_says() {
    let (world, renewal) = renewing();
    world.answer(renewal, &due_in(1, 20));
    world.pass_milliseconds(19_999);
    assert!(world.is_upstream(world.get("token")));
    assert_eq!(renewals(&world).len(), 1);
    world.pass_milliseconds(1);
    world.get("token");
    assert_eq!(renewals(&world).len(), 2);
}

#[test]
fn a_refused_renewal_does_not_end_a_session_that_has_time_left() {
    for reason in ["session_expired", "refresh_limit_exceeded", "invalid_token"] {
        let (world, renewal) = renewing();
        world.answer(renewal, &json!({"active": false, "reason": reason}));
        assert!(world.is_upstream(world.get("token")), "{reason}");
    }
}

#[test]
fn a_session_whose_attempts_ran_out_serves_to_its_end_and_then_says_so() {
    let (world, renewal) = renewing();
    let mut exceeded = due_in(1, 100);
    exceeded["upstreams"][0]["refresh_limit_exceeded"] = json!(true);
    exceeded["upstreams"][0]["expires_in"] = json!(20);
    world.answer(renewal, &exceeded);
    world.pass_milliseconds(19_999);
    assert!(world.is_upstream(world.get("token")));
    world.pass_milliseconds(1);
    let refusal = (401, "Session refresh limit exceeded".to_owned());
    assert_eq!(world.refusal(world.get("token")), refusal);
}

#[test]
fn an_answer_about_another_session_renews_nothing() {
    let (world, renewal) = renewing();
    world
        .answer(renewal, &active_with(json!({"upstream.session": "s9", "upstream.generation": 9})));
    assert_eq!(world.request_values(world.get("token"), "sid"), [SID]);
    assert_eq!(world.count_of(Counter::RenewalNearExpiryFailed), 1);
}

#[test]
fn an_answer_that_injects_what_it_may_not_renews_nothing() {
    let (world, renewal) = renewing();
    let mut answer = due_in(2, 30);
    answer["upstreams"][0]["headers"] = json!({"host": "evil.example"});
    world.answer(renewal, &answer);
    assert_eq!(world.request_values(world.get("token"), "sid"), [SID]);
    assert_eq!(world.count_of(Counter::RenewalNearExpiryFailed), 1);
}

#[test]
fn a_late_answer_with_an_older_generation_takes_nothing_back() {
    let (world, renewal) = renewing();
    world.learn("other", &due_in(3, 30));
    world.answer(renewal, &due_in(2, 30));
    assert_eq!(world.request_values(world.get("token"), "sid"), [sid_of(3)]);
}

#[test]
fn a_renewal_that_a_revocation_has_overtaken_revives_nothing() {
    let world = World::with_feed();
    world.tick();
    world.feed_says(&json!({"as_of": 1}));
    let stream = world.get("token");
    let introspection = world.sent_to("/introspect").remove(0);
    world.answer(introspection.id, &due_in(1, 10));
    world.end(stream);
    world.pass(10);
    world.get("token");
    world.feed_says(&json!({"as_of": 2, "events": [{"number": 2, "session": "s1"}]}));
    world.answer(renewals(&world)[0].id, &due_in(2, 30));
    let stream = world.get("token");
    assert!(world.is_waiting(stream), "the service is asked whether there is a session at all");
}

#[test]
fn the_bound_of_callouts_holds_for_renewals_too() {
    let world = World::with(|policy| policy.token_service.maximum_callouts = 1);
    world.learn("token", &due_in(1, 10));
    world.pass(10);
    assert!(world.is_waiting(world.get("unknown")));
    assert!(world.is_upstream(world.get("token")), "it goes on unrenewed");
    assert!(renewals(&world).is_empty());
    assert_eq!(world.count_of(Counter::RenewalNearExpiryFailed), 1);
}

#[test]
fn the_stream_that_began_a_renewal_may_end_before_its_answer() {
    let world = world();
    world.pass(10);
    let stream = world.get("token");
    world.end(stream);
    world.answer(world.last_callout().id, &due_in(2, 30));
    assert_eq!(world.request_values(world.get("token"), "sid"), [sid_of(2)]);
}
