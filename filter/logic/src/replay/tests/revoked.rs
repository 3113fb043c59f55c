//! What was revoked, or has ended, after the upstream rejected a request and before it was sent again.

use serde_json::{Value, json};

use super::{rejected, renewal, replay_answer, replays};
use crate::host::mock::{World, active_with, generation};

/// A world with a feed that sends one request again at a time, and knows `token`.
fn world() -> World {
    let world = World::with_feed_and(|policy| policy.replay.maximum_in_progress = 1);
    world.tick();
    world.feed_says(&json!({"as_of": 10}));
    let stream = world.get("token");
    let callout = world.under_way().into_iter().find(|sent| sent.path == "/introspect");
    world.answer(callout.unwrap().id, &active_with(json!({"as_of": 10})));
    world.end(stream);
    world
}

#[test]
fn nothing_is_sent_again_for_a_token_or_a_session_that_has_ended_meanwhile() {
    let events: [(Value, u16); 3] = [
        (json!({"session": "s1"}), 401),
        (json!({"sub": "user-1"}), 503),
        (json!({"client": "test-client"}), 503),
    ];
    for (mut event, status) in events {
        let world = world();
        let (first, queued) = (rejected(&world), rejected(&world));
        let mut newer = generation(2);
        newer["as_of"] = json!(10);
        world.answer(renewal(&world), &newer);
        assert_eq!(replays(&world).len(), 1);
        event["number"] = json!(11);
        world.feed_says(&json!({"as_of": 11, "events": [event]}));
        replay_answer(&world, "200", b"{}");
        assert_eq!(world.status(first), Some(200), "it went before");
        assert_eq!(replays(&world).len(), 1, "nothing goes after {event}");
        assert_eq!(world.status(queued), Some(status), "{event}");
    }
}

#[test]
fn a_new_session_goes_to_no_host_that_it_does_not_name() {
    let world = world();
    let stream = rejected(&world);
    let mut moved = active_with(json!({
        "as_of": 10, "upstream.generation": 2, "upstream.hosts": ["other.intelligencebank.com"],
    }));
    moved["upstreams"][0]["headers"]["sid"] = json!("a-newer-session-id");
    world.answer(renewal(&world), &moved);
    assert!(replays(&world).is_empty());
    assert_eq!(world.status(stream), Some(403));
}

#[test]
fn what_the_renewal_says_of_a_token_counts_where_the_feed_began_anew_meanwhile() {
    let world = world();
    let stream = rejected(&world);
    world.feed_says(&json!({"as_of": 20, "reset": true}));
    let mut newer = generation(2);
    newer["as_of"] = json!(20);
    world.answer(renewal(&world), &newer);
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
    assert!(world.is_upstream(world.get("token")));
}
