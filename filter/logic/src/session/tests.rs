//! Sessions that several tokens share, their generations, and their times.

use ib_contract::{InactiveReason, Upstream};
use serde_json::{Value, json};

use super::{Session, SessionTable, Standing};
use crate::{Timestamp, host::mock::sid_of};

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_milliseconds(1_000_000 + milliseconds)
}

/// What an answer says of a session, with some fields replaced.
fn upstream(generation: u64, fields: Value) -> Upstream {
    let mut upstream = json!({
        "session": "s", "hosts": ["a.example"], "headers": {"sid": sid_of(generation)},
        "generation": generation, "refresh_in": 5, "expires_in": 10,
    });
    for (name, value) in fields.as_object().unwrap() {
        upstream[name] = value.clone();
    }
    serde_json::from_value(upstream).unwrap()
}

fn session(fields: Value) -> Session {
    Session::new(&upstream(2, fields), at(0)).unwrap()
}

#[test]
fn a_session_is_due_and_over_when_its_seconds_from_the_answer_have_passed() {
    let session = session(json!({}));
    for (milliseconds, standing) in [
        (0, Standing::Good),
        (4_999, Standing::Good),
        (5_000, Standing::Due),
        (9_999, Standing::Due),
        (10_000, Standing::Over(InactiveReason::SessionExpired)),
    ] {
        assert_eq!(session.standing(at(milliseconds)), standing, "{milliseconds}");
    }
}

#[test]
fn a_session_that_is_over_after_its_attempts_ran_out_says_so() {
    let session = session(json!({"refresh_limit_exceeded": true}));
    assert_eq!(session.standing(at(9_999)), Standing::Due, "it serves until its end");
    let over = Standing::Over(InactiveReason::RefreshLimitExceeded);
    assert_eq!(session.standing(at(10_000)), over);
}

#[test]
fn a_session_that_was_ended_is_not_used_until_the_service_speaks_of_it_again() {
    let session = session(json!({}));
    session.end();
    assert_eq!(session.standing(at(0)), Standing::Ended);
    assert_eq!(session.standing(at(20_000)), Standing::Ended);
    assert_eq!(session.update(&upstream(2, json!({})), at(1)), Ok(false));
    assert_eq!(session.standing(at(1)), Standing::Good);
}

#[test]
fn an_older_generation_never_replaces_a_newer_one_whichever_comes_first() {
    let session = session(json!({}));
    let older = upstream(1, json!({"expires_in": 9_999, "refresh_in": 9_999}));
    session.end();
    assert_eq!(session.update(&older, at(0)), Ok(false));
    assert_eq!(session.credentials().generation(), 2);
    assert_eq!(session.standing(at(0)), Standing::Ended, "an older answer revives nothing");
    assert_eq!(session.update(&upstream(3, json!({})), at(0)), Ok(true));
    assert_eq!(session.update(&upstream(2, json!({"expires_in": 9_999})), at(0)), Ok(false));
    assert_eq!(session.credentials().generation(), 3);
    assert!(session.credentials().shows_in(sid_of(3).as_bytes()));
    assert_eq!(session.standing(at(10_000)), Standing::Over(InactiveReason::SessionExpired));
}

#[test]
fn an_answer_of_the_same_generation_moves_the_times_and_keeps_the_credentials() {
    let session = session(json!({}));
    let before = session.credentials();
    let later = upstream(2, json!({"refresh_in": 50, "refresh_limit_exceeded": true}));
    assert_eq!(session.update(&later, at(8_000)), Ok(false));
    assert!(std::rc::Rc::ptr_eq(&before, &session.credentials()));
    assert_eq!(session.standing(at(17_999)), Standing::Good);
    let over = Standing::Over(InactiveReason::RefreshLimitExceeded);
    assert_eq!(session.standing(at(18_000)), over);
}

#[test]
fn an_answer_that_cannot_be_used_changes_nothing() {
    let session = session(json!({}));
    for generation in [2, 3] {
        let injecting = upstream(generation, json!({"headers": {"host": "evil.example"}}));
        assert!(session.update(&injecting, at(5_000)).is_err());
        assert_eq!(session.credentials().generation(), 2);
        assert_eq!(session.standing(at(5_000)), Standing::Due);
    }
}

#[test]
fn a_renewal_without_an_answer_is_left_alone_for_five_seconds() {
    let session = session(json!({}));
    session.postpone_renewal(at(6_000));
    assert_eq!(session.standing(at(6_000)), Standing::Good);
    // Its end is past by then: postponing prolongs no session.
    assert_eq!(session.standing(at(10_999)), Standing::Over(InactiveReason::SessionExpired));
    let longer = self::session(json!({"expires_in": 100}));
    longer.postpone_renewal(at(6_000));
    assert_eq!(longer.standing(at(10_999)), Standing::Good);
    assert_eq!(longer.standing(at(11_000)), Standing::Due);
}

#[test]
fn times_without_end_do_not_wrap_around() {
    let forever = json!({"expires_in": u64::MAX, "refresh_in": u64::MAX});
    assert_eq!(session(forever).standing(at(1 << 60)), Standing::Good);
}

#[test]
fn two_answers_about_one_session_share_it_and_two_sessions_are_two() {
    let mut table = SessionTable::default();
    let one = table.take_in(&upstream(1, json!({})), at(0)).unwrap();
    let same = table.take_in(&upstream(2, json!({})), at(0)).unwrap();
    assert!(std::rc::Rc::ptr_eq(&one, &same));
    assert_eq!(one.credentials().generation(), 2);
    let other = table.take_in(&upstream(1, json!({"session": "t"})), at(0)).unwrap();
    assert_eq!(other.credentials().generation(), 1);
    assert_eq!(table.len(), 2);
}

#[test]
fn a_session_that_nothing_uses_takes_no_memory_after_a_sweep_and_is_not_found() {
    let mut table = SessionTable::default();
    let used = table.take_in(&upstream(1, json!({})), at(0)).unwrap();
    let unused = upstream(7, json!({"session": "unused"}));
    drop(table.take_in(&unused, at(0)).unwrap());
    assert!(table.get("unused").is_none());
    assert_eq!(table.len(), 2);
    table.sweep();
    assert_eq!(table.len(), 1);
    assert!(std::rc::Rc::ptr_eq(&table.get("s").unwrap(), &used));
    // A new one begins anew, at whatever generation its answer has.
    let again = table.take_in(&upstream(1, json!({"session": "unused"})), at(0)).unwrap();
    assert_eq!(again.credentials().generation(), 1);
}
