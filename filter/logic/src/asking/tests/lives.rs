//! How long an answer is used, and which answers are refusals.

use serde_json::{Value, json};

use crate::{
    Counter, Gauge,
    host::mock::{SID, World, active_answer, active_with},
};

/// Whether the token is known without another callout.
fn is_known(world: &World) -> bool {
    let stream = world.get("token");
    let is_known = !world.is_waiting(stream);
    world.end(stream);
    is_known
}

/// The whole seconds for which an answer is used without another callout.
fn life_of(answer: &Value) -> u64 {
    let world = World::new();
    world.learn("token", answer);
    for seconds in 1..120 {
        world.pass_milliseconds(999);
        assert!(is_known(&world), "a life ends at a whole second");
        world.pass_milliseconds(1);
        if !is_known(&world) {
            return seconds;
        }
    }
    panic!("a life without end");
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
        assert_eq!(life_of(&active_with(fields.clone())), seconds, "{fields}");
    }
}

#[test]
fn a_refusal_lives_shorter_than_an_approval() {
    assert_eq!(life_of(&json!({"active": false, "reason": "session_expired"})), 5);
    assert_eq!(life_of(&active_with(json!({"aud": "https://other.example/"}))), 5);
}

#[test]
fn a_token_that_has_expired_or_is_meant_for_another_resource_is_refused() {
    for fields in [
        json!({"expires_in": 0}),
        json!({"aud": "https://other.example/"}),
        json!({"aud": []}),
        json!({"aud": null}),
    ] {
        let world = World::new();
        let stream = world.get("token");
        world.answer(world.last_callout().id, &active_with(fields.clone()));
        let invalid = (401, "Invalid or expired access token".to_owned());
        assert_eq!(world.refusal(stream), invalid, "{fields}");
        assert_eq!(world.count_of(Counter::IntrospectionInactive), 1);
    }
    let several = json!({"aud": ["https://a.example", "https://gateway.example/proxy/"]});
    let world = World::knowing("token", &active_with(several));
    assert!(world.is_upstream(world.get("token")));
}

#[test]
fn an_answer_that_injects_what_it_may_not_is_an_outage_and_not_a_refusal() {
    for fields in [
        json!({"upstream.headers": {"host": "evil.example"}}),
        json!({"upstream.hosts": ["Company.example"]}),
        json!({"upstream.session": ""}),
    ] {
        let world = World::new();
        let stream = world.get("token");
        world.answer(world.last_callout().id, &active_with(fields.clone()));
        assert_eq!(world.status(stream), Some(503), "{fields}");
        assert_eq!(world.count_of(Counter::IntrospectionMalformed), 1);
    }
}

#[test]
fn a_flood_of_bad_tokens_does_not_push_good_ones_out() {
    let world = World::with(|policy| {
        policy.cache.maximum_entries = 2;
        policy.cache.maximum_refused_entries = 3;
    });
    world.learn("good", &active_answer(SID));
    for number in 0..50 {
        world.learn(&format!("bad{number}"), &json!({"active": false}));
    }
    assert!(world.is_upstream(world.get("good")));
    assert_eq!((world.gauge(Gauge::CachedGrants), world.gauge(Gauge::CachedRefusals)), (1, 3));
    assert_eq!(world.count_of(Counter::CacheEvicted), 47);
}

#[test]
fn sessions_that_no_approval_uses_any_more_are_swept() {
    let world = World::new();
    for number in 0..600 {
        let fields = json!({"upstream.session": format!("s{number}"), "expires_in": 1});
        world.learn(&format!("t{number}"), &active_with(fields));
        world.pass(2);
        // A look-up drops what has expired.
        world.end(world.get(&format!("t{number}")));
        world.no_answer(world.last_callout().id);
        world.tick();
        assert!(world.gauge(Gauge::Sessions) <= 260, "{number}");
    }
}
