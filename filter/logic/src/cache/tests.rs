//! Bounds and lives of cached decisions.

use std::rc::Rc;

use ib_contract::{InactiveReason, Introspection};

use super::{Decision, DecisionCache};
use crate::{Timestamp, host::mock::active_answer, policy::CacheLimits, session::Grant};

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

fn granted() -> Decision {
    let answer = active_answer("0123456789abcdef").to_string();
    match Introspection::from_json(answer.as_bytes()).unwrap() {
        Introspection::Active(token) => {
            Decision::Granted(Rc::new(Grant::from_answer(*token, at(0)).unwrap()))
        }
        Introspection::Inactive(_) => panic!("active"),
    }
}

fn refused() -> Decision {
    Decision::Refused(InactiveReason::InvalidToken)
}

#[test]
fn a_busy_token_expires_like_any_other() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted(), at(0), 60);
    for second in 0..60 {
        assert!(cache.get("token", at(second)).is_some(), "{second}");
    }
    assert!(cache.get("token", at(60)).is_none());
    assert!(cache.get("token", at(1)).is_none(), "what has expired is gone");
}

#[test]
fn a_clock_that_goes_back_prolongs_no_life() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted(), at(50), 60);
    assert!(cache.get("token", at(49)).is_none());
    assert!(cache.get("token", at(51)).is_none());
}

#[test]
fn a_life_that_has_no_seconds_is_not_begun() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted(), at(0), 0);
    assert!(cache.get("token", at(0)).is_none());
}

#[test]
fn a_life_longer_than_time_itself_does_not_wrap_around() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted(), at(0), u64::MAX);
    assert!(cache.get("token", at(1_000_000)).is_some());
}

#[test]
fn tokens_are_told_apart_by_every_byte() {
    let mut cache = DecisionCache::new(limits());
    let shorter = "a".repeat(4095);
    let token = format!("{shorter}a");
    cache.keep(&token, granted(), at(0), 60);
    assert!(cache.get(&format!("{shorter}b"), at(0)).is_none());
    assert!(cache.get(&shorter, at(0)).is_none());
    assert!(cache.get(&token, at(0)).is_some());
}

#[test]
fn past_the_bound_the_least_recently_used_goes() {
    let mut cache = DecisionCache::new(limits());
    for token in ["a", "b", "c"] {
        cache.keep(token, granted(), at(0), 60);
    }
    assert!(cache.get("a", at(1)).is_some());
    cache.keep("d", granted(), at(1), 60);
    assert!(cache.get("b", at(1)).is_none());
    for token in ["a", "c", "d"] {
        assert!(cache.get(token, at(1)).is_some(), "{token}");
    }
}

#[test]
fn a_flood_of_bad_tokens_cannot_push_a_good_one_out() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("good", granted(), at(0), 60);
    for number in 0..1000 {
        cache.keep(&format!("bad-{number}"), refused(), at(0), 5);
    }
    assert!(matches!(cache.get("good", at(1)), Some(Decision::Granted(_))));
    assert!(cache.get("bad-999", at(1)).is_some());
    assert!(cache.get("bad-997", at(1)).is_none());
    assert_eq!(cache.refused.entries.len(), 2);
}

#[test]
fn memory_is_bounded_in_bytes_too() {
    let bounded = CacheLimits { maximum_entries: 1000, maximum_bytes: 65_536, ..limits() };
    let mut cache = DecisionCache::new(bounded);
    for number in 0..1000 {
        cache.keep(&format!("{number:04000}"), granted(), at(0), 60);
        assert!(cache.granted.bytes <= 65_536);
    }
    let sizes: usize = cache.granted.entries.iter().map(|(_, entry)| entry.size).sum();
    assert_eq!(cache.granted.bytes, sizes);
    assert!(cache.granted.entries.len() >= 10);
    cache.keep(&"x".repeat(65_536), granted(), at(0), 60);
    assert!(cache.get(&"x".repeat(65_536), at(0)).is_none(), "larger than the whole cache");
}

#[test]
fn a_newer_decision_takes_the_place_of_the_older_one() {
    let mut cache = DecisionCache::new(limits());
    cache.keep("token", granted(), at(0), 60);
    cache.keep("token", refused(), at(1), 5);
    assert!(matches!(cache.get("token", at(1)), Some(Decision::Refused(_))));
    cache.keep("token", granted(), at(2), 60);
    assert!(matches!(cache.get("token", at(2)), Some(Decision::Granted(_))));
    assert_eq!((cache.granted.entries.len(), cache.refused.entries.len()), (1, 0));
    assert_eq!(cache.refused.bytes, 0);
}
