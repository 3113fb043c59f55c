//! The life of a login and of its session.

use super::{Accounts, CompleteError, LoginPhase, ReadError};
use crate::settings::{Renewal, Settings};
use crate::tenants::{COMPANY, OTHER};

const NOW: i64 = 1_700_000_000;

fn logged_in(accounts: &mut Accounts) -> (String, String) {
    let content = accounts.begin(&COMPANY).unwrap().content;
    let sid = accounts.complete(&content, "ada", None, &Settings::default(), NOW).unwrap();
    (content, sid)
}

#[test]
fn a_login_is_pending_until_somebody_logs_in_and_then_gives_one_session() {
    let mut accounts = Accounts::new();
    let content = accounts.begin(&COMPANY).unwrap().content;
    let read = |accounts: &mut Accounts| accounts.read(&content, &COMPANY, Renewal::Same, NOW);
    assert_eq!(read(&mut accounts).err(), Some(ReadError::Pending));
    let sid = accounts.complete(&content, "grace", None, &Settings::default(), NOW).unwrap();
    for _ in 0..3 {
        let view = read(&mut accounts).ok().unwrap();
        assert_eq!((view.sid.as_str(), view.login_time), (sid.as_str(), NOW));
        assert_eq!(view.user.last_name, "Hopper");
    }
    assert_eq!(sid.len(), 32);
}

#[test]
fn a_token_logs_in_once_and_only_at_its_own_platform() {
    let mut accounts = Accounts::new();
    let settings = Settings::default();
    let content = accounts.begin(&COMPANY).unwrap().content;
    let elsewhere = accounts.complete(&content, "ada", Some(&OTHER), &settings, NOW);
    assert_eq!(elsewhere, Err(CompleteError::Expired));
    assert_eq!(accounts.phase(&content, &OTHER), LoginPhase::Over);
    let stranger = accounts.complete(&content, "mallory", None, &settings, NOW);
    assert_eq!(stranger, Err(CompleteError::UnknownUser));
    assert_eq!(accounts.phase(&content, &COMPANY), LoginPhase::Pending);
    assert!(accounts.complete(&content, "ada", Some(&COMPANY), &settings, NOW).is_ok());
    let again = accounts.complete(&content, "ada", None, &settings, NOW);
    assert_eq!(again, Err(CompleteError::Spent));
    let other_reader = accounts.read(&content, &OTHER, Renewal::Same, NOW);
    assert_eq!(other_reader.err(), Some(ReadError::Expired));
}

#[test]
fn a_first_reading_is_not_affected_by_the_renewal_and_a_later_one_is() {
    for renewal in [Renewal::Extends, Renewal::Touches, Renewal::Same, Renewal::Gone] {
        let mut accounts = Accounts::new();
        let (content, sid) = logged_in(&mut accounts);
        let first = accounts.read(&content, &COMPANY, renewal, NOW).ok().unwrap();
        assert_eq!((first.sid.as_str(), first.login_time), (sid.as_str(), NOW));
        let second = accounts.read(&content, &COMPANY, renewal, NOW + 50);
        match renewal {
            Renewal::Gone => assert_eq!(second.err(), Some(ReadError::Expired)),
            Renewal::Same => {
                let second = second.ok().unwrap();
                assert_eq!((second.sid, second.login_time), (sid.clone(), NOW));
            }
            Renewal::Touches => {
                let second = second.ok().unwrap();
                assert_eq!((second.sid, second.login_time), (sid.clone(), NOW + 50));
            }
            Renewal::Extends => {
                let second = second.ok().unwrap();
                assert_ne!(second.sid, sid);
                assert_eq!(second.login_time, NOW + 50);
                assert!(accounts.identity(&second.sid, NOW + 50).is_some());
            }
        }
        assert!(accounts.identity(&sid, NOW + 50).is_some(), "the first session lives on");
    }
}

#[test]
fn a_renewal_within_the_same_second_still_gives_a_later_login_time() {
    for renewal in [Renewal::Extends, Renewal::Touches] {
        let mut accounts = Accounts::new();
        let (content, _) = logged_in(&mut accounts);
        let times: Vec<i64> = (0..3)
            .map(|_| accounts.read(&content, &COMPANY, renewal, NOW).ok().unwrap().login_time)
            .collect();
        assert_eq!(times, [NOW, NOW + 1, NOW + 2]);
    }
}

#[test]
fn a_session_ends_with_its_period_and_at_once_when_killed() {
    let mut accounts = Accounts::new();
    let (_, sid) = logged_in(&mut accounts);
    assert!(accounts.identity(&sid, NOW + 24 * 3600 - 1).is_some());
    assert!(accounts.identity(&sid, NOW + 24 * 3600).is_none());
    assert!(accounts.kill(&sid));
    assert!(accounts.identity(&sid, NOW).is_none());
    assert!(!accounts.kill("unknown"));
}

#[test]
fn the_period_and_the_offset_of_the_settings_go_into_the_session() {
    let mut accounts = Accounts::new();
    let settings = Settings {
        login_timeout_hours: Some(2),
        login_time_offset_seconds: -7000,
        ..Settings::default()
    };
    let content = accounts.begin(&COMPANY).unwrap().content;
    let sid = accounts.complete(&content, "ada", None, &settings, NOW).unwrap();
    let view = accounts.read(&content, &COMPANY, Renewal::Same, NOW).ok().unwrap();
    assert_eq!((view.login_time, view.login_timeout_hours), (NOW - 7000, Some(2)));
    assert!(accounts.identity(&sid, NOW + 199).is_some());
    assert!(accounts.identity(&sid, NOW + 200).is_none());
}

#[test]
fn an_expired_token_reads_nothing_while_its_session_lives_on() {
    let mut accounts = Accounts::new();
    let (content, sid) = logged_in(&mut accounts);
    assert!(accounts.expire(&content));
    let read = accounts.read(&content, &COMPANY, Renewal::Same, NOW);
    assert_eq!(read.err(), Some(ReadError::Expired));
    assert!(accounts.identity(&sid, NOW).is_some());
    assert!(!accounts.expire("unknown"));
}
