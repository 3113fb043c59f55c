//! Bounds and lives of cached decisions.

use std::rc::Rc;

use ib_contract::{InactiveReason, token_sha256};
use serde_json::json;

use super::{Decision, DecisionCache, Known};
use crate::{
    Timestamp,
    host::mock::{active_with, grant_of},
    policy::CacheLimits,
    session::SessionTable,
};

fn limits() -> CacheLimits {
    CacheLimits {
        maximum_entries: 3,
        maximum_bytes: 1 << 20,
        maximum_seconds: 60,
        maximum_refused_entries: 2,
        maximum_refused_bytes: 1 << 20,
        refused_seconds: 5,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_milliseconds(100_000).plus_seconds(seconds)
}

/// An approval of `token` for a subject of its name.
fn granted(token: &str) -> Decision {
    let name: String = token.chars().take(8).collect();
    let answer = active_with(json!({"sub": name, "client_id": format!("client-{name}")}));
    Decision::Granted(Rc::new(grant_of(token, &answer, &mut SessionTable::default())))
}

fn decision(cache: &mut DecisionCache, token: &str, now: Timestamp) -> Option<Decision> {
    cache.get(token, now).map(|Known { decision, .. }| decision)
}

fn refused() -> Decision {
    Decision::Refused(InactiveReason::InvalidToken)
}

#[test]
fn a_busy_token_expires_like_any_other() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(0), 60);
    for second in 0..60 {
        assert!(cache.get("token", at(second)).is_some(), "{second}");
    }
    assert!(cache.get("token", at(60)).is_none());
    assert!(cache.get("token", at(1)).is_none(), "what has expired is gone");
}

#[test]
fn a_clock_that_goes_back_prolongs_no_life() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(50), 60);
    assert!(cache.get("token", at(49)).is_none());
    assert!(cache.get("token", at(51)).is_none());
}

#[test]
fn a_life_that_has_no_seconds_is_not_begun() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(0), 0);
    assert!(cache.get("token", at(0)).is_none());
}

#[test]
fn a_life_longer_than_time_itself_does_not_wrap_around() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(0), u64::MAX);
    assert!(cache.get("token", at(1_000_000)).is_some());
}

#[test]
fn tokens_are_told_apart_by_every_byte() {
    let mut cache = DecisionCache::new(limits());
    let shorter = "a".repeat(4095);
    let token = format!("{shorter}a");
    cache.keep(&token, granted(&token), at(0), 60);
    assert!(cache.get(&format!("{shorter}b"), at(0)).is_none());
    assert!(cache.get(&shorter, at(0)).is_none());
    assert!(cache.get(&token, at(0)).is_some());
}

#[test]
fn past_the_bound_the_least_recently_used_goes() {
    let mut cache = DecisionCache::new(limits());
    for token in ["a", "b", "c"] {
        cache.keep(token, granted(token), at(0), 60);
    }
    assert!(cache.get("a", at(1)).is_some());
    cache.keep("d", granted("d"), at(1), 60);
    assert!(cache.get("b", at(1)).is_none());
    for token in ["a", "c", "d"] {
        assert!(cache.get(token, at(1)).is_some(), "{token}");
    }
}

#[test]
fn a_flood_of_bad_tokens_cannot_push_a_good_one_out() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("good", granted("good"), at(0), 60);
    for number in 0..1000 {
        cache.keep(&format!("bad-{number}"), refused(), at(0), 5);
    }
    assert!(matches!(decision(&mut cache, "good", at(1)), Some(Decision::Granted(_))));
    assert!(cache.get("bad-999", at(1)).is_some());
    assert!(cache.get("bad-997", at(1)).is_none());
    assert_eq!(cache.refused.len(), 2);
}

#[test]
fn memory_is_bounded_in_bytes_too() {
    let bounded = CacheLimits { maximum_entries: 1000, maximum_bytes: 65_536, ..limits() };
    let mut cache = DecisionCache::new(bounded);
    for number in 0..1000 {
        cache.keep(&format!("{number:04000}"), granted(&format!("{number:04000}")), at(0), 60);
        assert!(cache.granted.bytes() <= 65_536);
    }
    let sizes: usize = cache.granted.iter().map(|entry| entry.size).sum();
    assert_eq!(cache.granted.bytes(), sizes);
    assert!(cache.granted.len() >= 5);
    cache.keep(&"x".repeat(65_536), granted(&"x".repeat(65_536)), at(0), 60);
    assert!(cache.get(&"x".repeat(65_536), at(0)).is_none(), "larger than the whole cache");
}

#[test]
fn a_newer_decision_takes_the_place_of_the_older_one() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(0), 60);
    cache.keep("token", refused(), at(1), 5);
    assert!(matches!(decision(&mut cache, "token", at(1)), Some(Decision::Refused(_))));
    cache.keep("token", granted("token"), at(2), 60);
    assert!(matches!(decision(&mut cache, "token", at(2)), Some(Decision::Granted(_))));
    assert_eq!((cache.granted.len(), cache.refused.len()), (1, 0));
    assert_eq!(cache.refused.bytes(), 0);
}

#[test]
fn a_hit_says_when_the_decision_was_made_so_that_the_feed_can_judge_its_age() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted("token"), at(3), 60);
    for second in [3, 20, 62] {
        assert_eq!(cache.get("token", at(second)).unwrap().kept_at, at(3));
    }
}

#[test]
fn a_revoked_token_is_forgotten_by_its_name_and_no_other_is() {
    let mut cache = DecisionCache::new(limits());
    for token in ["a", "b", "c"] {
        cache.keep(token, granted(token), at(0), 60);
    }
    cache.forget_named(&token_sha256("b"));
    assert!(cache.get("b", at(0)).is_none());
    assert!(cache.get("a", at(0)).is_some() && cache.get("c", at(0)).is_some());
    assert_eq!((cache.counts(), cache.by_name.len()), ((2, 0), 2));
    cache.forget_named(&token_sha256("b"));
    cache.forget_named("no name");
    assert_eq!(cache.counts(), (2, 0));
}

#[test]
fn revoking_a_token_that_made_way_for_others_does_nothing() {
    let mut cache = DecisionCache::new(limits());
    let mut evicted = 0;
    for token in ["a", "b", "c", "d"] {
        evicted += cache.keep(token, granted(token), at(0), 60);
    }
    assert_eq!(evicted, 1);
    cache.forget_named(&token_sha256("a"));
    assert_eq!((cache.counts(), cache.by_name.len()), ((3, 0), 3));
    for token in ["b", "c", "d"] {
        assert!(cache.get(token, at(1)).is_some(), "{token}");
    }
}

#[test]
fn the_names_of_tokens_take_no_memory_once_their_approvals_are_gone() {
    let mut cache = DecisionCache::new(limits());
    for number in 0..100 {
        let token = number.to_string();
        cache.keep(&token, granted(&token), at(number), 1);
        if number % 3 == 0 {
            cache.keep(&token, refused(), at(number), 5);
        }
        if number % 5 == 0 {
            cache.forget(&token);
        }
        let _expired = cache.get(&token, at(number + 1)).is_some();
        assert_eq!(cache.by_name.len(), cache.counts().0, "{number}");
    }
    let small = CacheLimits { maximum_bytes: 1, ..limits() };
    let mut cache = DecisionCache::new(small);
    assert_eq!(cache.keep("a", granted("a"), at(0), 60), 1);
    assert_eq!((cache.counts(), cache.by_name.len()), ((0, 0), 0));
}

#[test]
fn whoever_is_revoked_loses_all_tokens_and_the_others_none() {
    let mut cache = DecisionCache::new(limits());
    for token in ["a", "b", "c"] {
        cache.keep(token, granted(token), at(0), 60);
    }
    cache.forget_where(|grant| grant.subject() == "a" || grant.client_id() == "client-c");
    assert!(cache.get("a", at(0)).is_none() && cache.get("c", at(0)).is_none());
    assert!(cache.get("b", at(0)).is_some());
    assert_eq!(cache.by_name.len(), 1);
}

#[test]
fn after_a_reset_of_the_feed_nothing_is_known_of_anybody() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("good", granted("good"), at(0), 60);
    cache.keep("bad", refused(), at(0), 5);
    cache.clear();
    assert_eq!((cache.counts(), cache.by_name.len()), ((0, 0), 0));
    assert_eq!((cache.granted.bytes(), cache.refused.bytes()), (0, 0));
    assert!(cache.get("good", at(0)).is_none() && cache.get("bad", at(0)).is_none());
}
