//! When polls begin, and what they ask.

use serde_json::json;

use crate::{Counter, Gauge, host::mock::World, policy::RevocationFeed};

/// A world with waits of so many seconds, stale after so many.
fn world(wait_seconds: u64, stale_seconds: u64) -> World {
    World::with(|policy| {
        let maximum_stale_milliseconds = stale_seconds * 1000;
        policy.revocations = Some(RevocationFeed { maximum_stale_milliseconds, wait_seconds });
    })
}

#[test]
fn the_first_poll_asks_where_the_feed_is_and_the_next_what_happened_since() {
    let world = world(25, 600);
    world.tick();
    assert_eq!(world.poll().unwrap().path, "/revocations");
    world.pass(1);
    world.feed_says(&json!({"as_of": 7}));
    // At once: no event is to wait for the next tick.
    let poll = world.poll().unwrap();
    assert_eq!(poll.path, "/revocations?after=7&wait=25");
    assert_eq!(poll.timeout_milliseconds, 30_000);
    world.pass(20);
    world.feed_says(&json!({"as_of": 9, "events": [{"number": 9, "sub": "x"}]}));
    assert_eq!(world.poll().unwrap().path, "/revocations?after=9&wait=25");
}

#[test]
fn one_poll_is_under_way_at_a_time_however_many_ticks_there_are() {
    let world = world(25, 60);
    for _ in 0..50 {
        world.tick();
        world.pass_milliseconds(250);
    }
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_poll_that_fails_is_repeated_after_half_a_second_and_not_sooner() {
    let world = world(25, 60);
    world.tick();
    for count in 1..=3 {
        let poll = world.poll().unwrap();
        match count {
            1 => world.no_answer(poll.id),
            2 => world.answer_with(poll.id, &[(":status", "503")], b"no healthy upstream"),
            _ => world.answer(poll.id, &json!({"events": []})),
        }
        assert_eq!(world.count_of(Counter::FeedFailed), count);
        world.pass_milliseconds(499);
        world.tick();
        assert!(world.poll().is_none(), "{count}");
        world.pass_milliseconds(1);
        world.tick();
        assert!(world.poll().is_some(), "{count}");
    }
}

#[test]
fn a_poll_that_cannot_be_sent_is_tried_again() {
    let world = world(25, 60);
    world.failing.set("dispatch");
    world.tick();
    assert_eq!(world.count_of(Counter::FeedFailed), 1);
    world.failing.set("");
    world.tick();
    assert!(world.poll().is_none());
    world.pass_milliseconds(500);
    world.tick();
    assert!(world.poll().is_some());
}

#[test]
fn a_service_that_does_not_let_polls_wait_is_not_asked_all_the_time() {
    let world = world(25, 60);
    world.tick();
    world.feed_says(&json!({"as_of": 7}));
    assert!(
        world.poll().is_some(),
        "the first answer says where the feed is: the next follows at once"
    );
    world.pass_milliseconds(10);
    world.feed_says(&json!({"as_of": 7}));
    assert!(world.poll().is_none());
    world.pass_milliseconds(500);
    world.tick();
    assert!(world.poll().is_some());
    // An event is another matter: more may follow.
    world.feed_says(&json!({"as_of": 8, "events": [{"number": 8, "sub": "x"}]}));
    assert!(world.poll().is_some());
}

#[test]
fn polls_wait_so_short_that_their_answers_alone_keep_the_feed_trusted() {
    for (wait_seconds, stale_seconds, asked) in
        [(25, 60, 20), (25, 600, 25), (25, 30, 10), (25, 3, 1), (25, 1, 1), (5, 60, 5)]
    {
        let world = world(wait_seconds, stale_seconds);
        world.tick();
        world.feed_says(&json!({"as_of": 7}));
        let poll = world.poll().unwrap();
        assert_eq!(poll.path, format!("/revocations?after=7&wait={asked}"));
        assert_eq!(poll.timeout_milliseconds, (asked + 5) * 1000);
    }
}

#[test]
fn an_operator_sees_whether_the_feed_is_current() {
    let world = world(25, 60);
    world.tick();
    assert_eq!(world.gauge(Gauge::CurrentFeeds), 0);
    world.feed_says(&json!({"as_of": 7}));
    assert_eq!(world.gauge(Gauge::CurrentFeeds), 1);
    assert_eq!(world.count_of(Counter::FeedAnswered), 1);
    world.no_answer(world.poll().unwrap().id);
    assert_eq!(world.gauge(Gauge::CurrentFeeds), 0);
}
