use ib_contract::{RenewalCause, Secret};

use super::{Leases, Question, Session, SessionRefused};
use crate::{
    hosts::{HostList, HostPattern},
    settings::SessionSettings,
    upstreams::{Person, UpstreamSession},
};

const SETTINGS: SessionSettings = SessionSettings {
    refresh_window_seconds: 300,
    default_period_hours: 24,
    maximum_refresh_attempts: 5,
    renewal_spacing_seconds: 30,
};
const NOW: u64 = 1_800_000_000;

fn upstream() -> UpstreamSession {
    UpstreamSession {
        sid: Secret::new("0123456789abcdef"),
        login_time: Some(NOW - 10),
        period_hours: Some(2),
        api_url: Some("https://apiv3.intelligencebank.com".to_owned()),
        ib_client_id: None,
        person: Person {
            uuid: "user".to_owned(),
            given_name: None,
            family_name: None,
            email: None,
        },
    }
}

fn begin(upstream: UpstreamSession) -> Result<Session, SessionRefused> {
    let hosts = HostList::new(vec![HostPattern::parse("*.intelligencebank.com").unwrap()]);
    let login = Some(Secret::new("login"));
    Session::begin("company.intelligencebank.com", login, upstream, &hosts, SETTINGS, NOW)
}

#[test]
fn defect_22_a_session_lives_for_the_period_that_intelligencebank_gives_within_its_bounds() {
    for (given, hours) in [(Some(2), 2), (Some(0), 1), (Some(-5), 1), (Some(121), 120), (None, 24)]
    {
        let session = begin(UpstreamSession { period_hours: given, ..upstream() }).unwrap();
        assert_eq!(session.period_hours, hours);
        assert_eq!(session.expires_at, NOW - 10 + hours * 3_600);
    }
}

#[test]
fn a_session_is_over_in_the_very_second_of_its_end() {
    let session = begin(upstream()).unwrap();
    assert!(!session.is_over(session.expires_at - 1));
    assert!(session.is_over(session.expires_at));
    assert_eq!(session.expires_in(session.expires_at + 5), 0);
}

#[test]
fn a_login_time_in_the_future_or_none_does_not_make_a_session_longer() {
    for login_time in [Some(NOW + 1_000_000), Some(u64::MAX), Some(0), None] {
        let session = begin(UpstreamSession { login_time, ..upstream() }).unwrap();
        assert_eq!(session.expires_at, NOW + 2 * 3_600);
    }
}

#[test]
fn a_session_whose_period_has_passed_is_not_taken_over() {
    let begin_at =
        |login_time| begin(UpstreamSession { login_time: Some(login_time), ..upstream() });
    assert_eq!(begin_at(NOW - 7_199).unwrap().expires_in(NOW), 1);
    assert_eq!(begin_at(NOW - 7_200).unwrap_err(), SessionRefused::AlreadyOver);
    assert_eq!(begin_at(1).unwrap_err(), SessionRefused::AlreadyOver);
}

#[test]
fn defect_2_the_session_id_is_for_the_platform_and_its_api_host_alone() {
    let hosts = begin(upstream()).unwrap().hosts();
    assert_eq!(hosts, ["company.intelligencebank.com", "apiv3.intelligencebank.com"]);
    let own = Some("https://company.intelligencebank.com/".to_owned());
    let hosts = begin(UpstreamSession { api_url: own, ..upstream() }).unwrap().hosts();
    assert_eq!(hosts, ["company.intelligencebank.com"]);
    let hosts = begin(UpstreamSession { api_url: None, ..upstream() }).unwrap().hosts();
    assert_eq!(hosts, ["company.intelligencebank.com"]);
    let evil = Some("https://evil.example".to_owned());
    let refused = begin(UpstreamSession { api_url: evil, ..upstream() });
    assert_eq!(refused.unwrap_err(), SessionRefused::ApiHostNotAllowed);
}

#[test]
fn the_gateway_is_told_when_to_renew_before_the_end_and_never_a_negative_time() {
    let session = begin(upstream()).unwrap();
    let told = session.upstream("id", SETTINGS, NOW);
    assert_eq!((told.refresh_in, told.expires_in), (7_190 - 300, 7_190));
    let told = session.upstream("id", SETTINGS, session.expires_at - 100);
    assert_eq!((told.refresh_in, told.expires_in), (0, 100));
}

#[test]
fn an_instance_whose_clock_is_behind_believes_the_lease_of_another_and_one_alone_does_not() {
    let session = begin(upstream()).unwrap();
    let shared = Leases { longest: 15, opening: None };
    let asked = |leased: &Session, leases, now| {
        leased.question(1, RenewalCause::Rejected, SETTINGS, leases, now)
    };
    let leased = session.leased(shared, NOW + 3);
    assert_eq!(asked(&leased, shared, NOW), Question::Leased);
    assert_eq!(asked(&leased, shared, NOW + 18), Question::Ask, "it has run out");
    let far = session.leased(shared, NOW + 3_600);
    assert_eq!(asked(&far, shared, NOW), Question::Ask, "a clock has been set back");
    let alone = Leases { longest: 15, opening: Some(7) };
    let leased = session.leased(alone, NOW + 3);
    assert_eq!(asked(&leased, alone, NOW), Question::Ask, "a clock has been set back");
}
