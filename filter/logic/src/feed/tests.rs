//! One worker's end of the revocation feed: its polls, its memory of events, and the tags of tokens.

mod polls;
mod tags;

use ib_contract::{ActiveToken, Introspection, RevocationEvent, Revocations, Revoked};
use serde_json::json;

use super::{Feed, MOST_RECENT_EVENTS, News};
use crate::{Timestamp, host::mock::active_with, policy::RevocationFeed};

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_milliseconds(1_000_000 + milliseconds)
}

fn feed() -> Feed {
    Feed::new(RevocationFeed { maximum_stale_milliseconds: 60_000, wait_seconds: 25 }, at(0))
}

fn answer(as_of: u64, events: impl IntoIterator<Item = (u64, Revoked)>) -> Revocations {
    let events = events.into_iter().map(|(number, revoked)| RevocationEvent { number, revoked });
    Revocations { as_of, events: events.collect(), ..Revocations::default() }
}

/// What an introspection says that was true at an event.
fn active(as_of: u64) -> ActiveToken {
    let json = active_with(json!({"as_of": as_of})).to_string();
    match Introspection::from_json(json.as_bytes()).unwrap() {
        Introspection::Active(active) => *active,
        Introspection::Inactive(_) => panic!("active"),
    }
}

fn subject(name: &str) -> Revoked {
    Revoked::Subject(name.to_owned())
}

#[test]
fn an_answer_is_vouched_for_until_exactly_the_bound_after_the_feed_or_its_own_introspection() {
    let mut feed = feed();
    let _reset = feed.take_in(answer(1, []), at(10_000));
    // Kept before the feed's last answer: the feed vouches.
    assert!(feed.vouches_for(at(0), at(69_999)));
    assert!(!feed.vouches_for(at(0), at(70_000)));
    // Kept after it: the introspection vouches for itself.
    assert!(feed.vouches_for(at(20_000), at(79_999)));
    assert!(!feed.vouches_for(at(20_000), at(80_000)));
}

#[test]
fn a_worker_whose_feed_never_answered_trusts_introspections_no_longer() {
    let feed = feed();
    assert!(feed.vouches_for(at(5_000), at(64_999)));
    assert!(!feed.vouches_for(at(5_000), at(65_000)));
    assert!(!feed.is_current());
}

#[test]
fn a_failed_poll_does_not_make_the_feed_answered() {
    let mut feed = feed();
    let _reset = feed.take_in(answer(1, []), at(0));
    assert!(feed.is_current());
    feed.poll_failed(at(30_000));
    assert!(!feed.is_current());
    assert!(!feed.vouches_for(at(0), at(60_000)));
    let _events = feed.take_in(answer(1, []), at(60_000));
    assert!(feed.is_current() && feed.vouches_for(at(0), at(119_999)));
}

#[test]
fn events_are_applied_once_though_they_are_told_twice() {
    let mut feed = feed();
    let _reset = feed.take_in(answer(5, []), at(0));
    let told = [(4, subject("a")), (5, subject("b")), (6, subject("c")), (7, subject("d"))];
    let News::Events(events) = feed.take_in(answer(7, told.clone()), at(0)) else {
        panic!("no reset")
    };
    assert_eq!(events, [subject("c"), subject("d")]);
    let News::Events(events) = feed.take_in(answer(7, told), at(0)) else { panic!("no reset") };
    assert!(events.is_empty());
}

#[test]
fn an_event_overtakes_answers_that_are_older_than_it_and_no_others() {
    let mut feed = feed();
    let _reset = feed.take_in(answer(5, []), at(0));
    let _events = feed.take_in(answer(9, [(7, subject("user-1")), (9, subject("user-2"))]), at(0));
    for (as_of, is_overtaken) in [(5, true), (6, true), (7, false), (8, false), (20, false)] {
        assert_eq!(feed.has_overtaken("token", &active(as_of)), is_overtaken, "{as_of}");
    }
    assert!(feed.has_overtaken("token", &active(4)), "older than what the feed began with");
}

#[test]
fn an_answer_older_than_all_remembered_events_is_asked_for_again() {
    let mut feed = feed();
    let _reset = feed.take_in(answer(0, []), at(0));
    let most = u64::try_from(MOST_RECENT_EVENTS).unwrap();
    let all: Vec<_> = (1..=most).map(|number| (number, subject("somebody"))).collect();
    let _events = feed.take_in(answer(most, all), at(0));
    assert!(!feed.has_overtaken("token", &active(0)), "every event since is remembered");
    let _events =
        feed.take_in(answer(most + 2, [(most + 1, subject("x")), (most + 2, subject("x"))]), at(0));
    assert_eq!(feed.recent.len(), MOST_RECENT_EVENTS);
    assert!(feed.has_overtaken("token", &active(1)), "what event 2 said nobody knows any more");
    assert!(!feed.has_overtaken("token", &active(2)));
}

#[test]
fn the_first_answer_a_reset_and_a_feed_that_went_back_clear_everything() {
    let mut feed = feed();
    assert!(matches!(feed.take_in(answer(5, []), at(0)), News::Reset));
    assert!(matches!(feed.take_in(answer(5, []), at(0)), News::Events(_)));
    let reset = Revocations { reset: true, ..answer(9, []) };
    assert!(matches!(feed.take_in(reset, at(0)), News::Reset));
    assert!(feed.has_overtaken("token", &active(8)));
    // Another store, whose numbers begin anew.
    assert!(matches!(feed.take_in(answer(3, []), at(0)), News::Reset));
    assert!(!feed.has_overtaken("token", &active(3)), "numbers are those of the new store");
    assert_eq!(feed.query(), "?after=3&wait=20");
}
