//! Which tokens are refused by their tags alone, and when nobody can say.

use serde_json::{Value, json};

use crate::{
    Counter, StreamId,
    host::mock::{PATH, World, request, tag_key, token_of},
};

/// The feed's answer with tag keys, each an id and what the key is made of.
fn keys(keys: &[(&str, u8)]) -> Value {
    let texts: Vec<_> = keys.iter().map(|(id, byte)| tag_key(id, *byte).1).collect();
    json!({"as_of": 7, "tag_keys": texts})
}

/// A world whose feed has handed these keys over.
fn world(known: &[(&str, u8)]) -> World {
    let world = World::with_feed();
    world.tick();
    world.feed_says(&keys(known));
    world
}

/// A request with a token of a key.
fn get(world: &World, (id, byte): (&str, u8)) -> StreamId {
    world.open(request("GET", PATH, &token_of(&tag_key(id, byte).0, "token")), true)
}

fn is_refused_at_once(world: &World, key: (&str, u8)) -> bool {
    let stream = get(world, key);
    let is_refused = world.status(stream) == Some(401);
    assert!(is_refused || world.is_waiting(stream));
    world.end(stream);
    is_refused
}

#[test]
fn a_guessed_token_costs_no_callout() {
    let world = world(&[("k1", 1)]);
    assert!(is_refused_at_once(&world, ("k1", 2)), "the tag of another key");
    assert!(is_refused_at_once(&world, ("k2", 1)), "a key that does not exist");
    assert!(world.sent_to("/introspect").is_empty());
    assert_eq!(world.count_of(Counter::CacheForeign), 2);
    assert!(!is_refused_at_once(&world, ("k1", 1)), "a token of the service is asked about");
    assert_eq!(world.sent_to("/introspect").len(), 1);
}

#[test]
fn before_any_key_is_known_every_token_of_the_right_shape_is_asked_about() {
    let without_feed = World::new();
    assert!(!is_refused_at_once(&without_feed, ("k1", 9)));
    let silent = World::with_feed();
    assert!(!is_refused_at_once(&silent, ("k1", 9)));
    let without_keys = world(&[]);
    assert!(!is_refused_at_once(&without_keys, ("k1", 9)));
}

#[test]
fn a_key_that_came_into_use_while_the_feed_was_silent_is_asked_about() {
    let world = world(&[("k1", 1)]);
    world.no_answer(world.poll().unwrap().id);
    assert!(!is_refused_at_once(&world, ("k2", 2)));
    assert!(is_refused_at_once(&world, ("k1", 2)), "a known key's tags are checked all the same");
    world.pass_milliseconds(500);
    world.tick();
    world.feed_says(&keys(&[("k1", 1)]));
    assert!(is_refused_at_once(&world, ("k3", 2)));
}

#[test]
fn keys_are_rotated_without_a_moment_in_which_a_good_token_is_refused() {
    let world = world(&[("k1", 1)]);
    world.pass(1);
    world.feed_says(&keys(&[("k1", 1), ("k2", 2)]));
    assert!(!is_refused_at_once(&world, ("k1", 1)) && !is_refused_at_once(&world, ("k2", 2)));
    world.pass(20);
    world.feed_says(&keys(&[("k2", 2)]));
    assert!(is_refused_at_once(&world, ("k1", 7)), "the old key has gone");
    assert!(is_refused_at_once(&world, ("k1", 1)));
    assert!(!is_refused_at_once(&world, ("k2", 2)));
}

#[test]
fn two_keys_of_one_name_are_both_tried() {
    let world = world(&[("k1", 1), ("k1", 2)]);
    assert!(!is_refused_at_once(&world, ("k1", 1)) && !is_refused_at_once(&world, ("k1", 2)));
    assert!(is_refused_at_once(&world, ("k1", 3)));
}

#[test]
fn an_answer_without_usable_keys_takes_none_away() {
    let world = world(&[("k1", 1)]);
    world.feed_says(&json!({"as_of": 7}));
    world.pass(1);
    world.tick();
    world.feed_says(&json!({"as_of": 7, "tag_keys": [{"id": "", "key": "AAAA"}]}));
    assert!(!is_refused_at_once(&world, ("k1", 1)));
    assert!(is_refused_at_once(&world, ("k1", 2)));
}

#[test]
fn keys_without_end_are_not_taken_over() {
    let names: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
    let all: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let world = world(&all);
    assert!(!is_refused_at_once(&world, ("k15", 1)));
    assert!(is_refused_at_once(&world, ("k16", 1)));
}
