use ib_contract::Secret;

use super::{CredentialRecord, Step, Want};
use crate::{
    error::Error,
    sessions::Leases,
    settings::{MachineCredential, MachineCredentialSettings},
};

const NOW: u64 = 1_800_000_000;
const LEASES: Leases = Leases { longest: 15, opening: Some(1) };

fn settings(buffer_minutes: u64) -> MachineCredentialSettings {
    MachineCredentialSettings {
        refresh_buffer_seconds: buffer_minutes * 60,
        refresh_buffer_field: "TOKEN_REFRESH_BUFFER_MINUTES",
        rejection_pause_seconds: 30,
        credentials: Vec::new(),
    }
}

fn credential() -> MachineCredential {
    MachineCredential {
        name: "remax-azura".to_owned(),
        scope: "upstream:remax-azura".to_owned(),
        api_url: "https://remax-cca.com/api/v1".to_owned(),
        host: "remax-cca.com".to_owned(),
        api_key: Secret::new("key"),
        integrator_id: Secret::new("id"),
        secret_key: Secret::new("secret"),
        record: "remax-azura.x".to_owned(),
    }
}

fn acquired(
    record: &CredentialRecord,
    want: Want,
    token: &str,
    expires_in: u64,
    buffer_minutes: u64,
    now: u64,
) -> CredentialRecord {
    let settings = settings(buffer_minutes);
    record.with_token(want, Secret::new(token), expires_in, &settings, now, now)
}

fn first(expires_in: u64, buffer_minutes: u64) -> CredentialRecord {
    let record = CredentialRecord::new("series".to_owned());
    acquired(&record, Want::Use, "first-token", expires_in, buffer_minutes, NOW)
}

fn step(record: &CredentialRecord, want: Want, now: u64) -> Step {
    record.step(want, &settings(30), LEASES, now)
}

#[test]
fn a_token_is_due_by_the_buffer_before_its_end_and_used_to_its_end() {
    let record = first(86_399, 30);
    let due = NOW + 86_399 - 30 * 60;
    assert_eq!(step(&record, Want::Refresh, due - 1), Step::Known);
    assert_eq!(step(&record, Want::Refresh, due), Step::Ask);
    assert_eq!(step(&record, Want::Use, NOW + 86_398), Step::Known);
    assert_eq!(step(&record, Want::Use, NOW + 86_399), Step::Ask);
    let told = record.upstream(&credential(), NOW).unwrap();
    assert_eq!((told.refresh_in, told.expires_in), (86_399 - 1_800, 86_399));
    assert_eq!(told.hosts, ["remax-cca.com"]);
    assert_eq!(told.headers["authorization"].expose(), "bearer first-token");
    assert!(record.upstream(&credential(), NOW + 86_399).is_none());
}

#[test]
fn a_life_is_counted_from_the_question_and_not_from_a_late_answer() {
    let record = CredentialRecord::new("series".to_owned());
    let (asked, answered) = (NOW, NOW + 9);
    let token = Secret::new("first-token");
    let record = record.with_token(Want::Use, token, 100, &settings(0), asked, answered);
    assert_eq!(record.upstream(&credential(), answered).unwrap().expires_in, 91);
}

#[test]
fn a_buffer_longer_than_the_life_makes_no_storm_of_refreshes() {
    for expires_in in [1, 2, 59, 60, 1_800] {
        let record = first(expires_in, 30);
        assert!(record.usable(NOW).unwrap().is_buffer_cut, "{expires_in}");
        let half = expires_in - expires_in.div_ceil(2);
        let told = record.upstream(&credential(), NOW).unwrap();
        assert_eq!(told.refresh_in, half, "{expires_in}");
    }
    let record = first(1_801, 30);
    assert!(!record.usable(NOW).unwrap().is_buffer_cut);
    assert_eq!(record.upstream(&credential(), NOW).unwrap().refresh_in, 1);
}

#[test]
fn the_same_token_with_the_rest_of_its_life_is_no_buffer_that_is_too_long() {
    let record = first(86_399, 30);
    let due = NOW + 86_399 - 30 * 60;
    let again = acquired(&record, Want::Refresh, "first-token", 1_800, 30, due);
    assert!(again.has_token_of(&record));
    assert!(!again.usable(due).unwrap().is_buffer_cut);
    assert_eq!(again.upstream(&credential(), due).unwrap().refresh_in, 900, "no storm either");
    // One that lives no longer than the buffer stays what it was.
    let record = first(600, 30);
    let again = acquired(&record, Want::Refresh, "first-token", 300, 30, NOW + 300);
    assert!(again.usable(NOW + 300).unwrap().is_buffer_cut);
    let other = acquired(&again, Want::Refresh, "second-token", 600, 30, NOW + 450);
    assert!(other.usable(NOW + 450).unwrap().is_buffer_cut && !other.has_token_of(&again));
}

#[test]
fn a_token_that_has_just_run_out_is_a_503_and_no_answer_without_a_host_for_gateways_to_keep() {
    let record = first(100, 0);
    assert_eq!(record.told(&credential(), NOW + 99).unwrap().hosts, ["remax-cca.com"]);
    let refused = record.told(&credential(), NOW + 100);
    assert!(matches!(refused, Err(Error::CredentialUnavailable { retry_after: 1 })), "{refused:?}");
}

#[test]
fn a_rejected_token_is_replaced_once_however_many_saw_it_and_its_successor_not_at_once() {
    let record = first(86_399, 30);
    let rejected = Want::Replace { generation: 1 };
    assert_eq!(step(&record, rejected, NOW + 60), Step::Ask);
    let second = acquired(&record, rejected, "second-token", 86_399, 30, NOW + 60);
    assert_eq!(
        step(&second, rejected, NOW + 60),
        Step::Known,
        "it is the answer for who was behind"
    );
    let again = Want::Replace { generation: 2 };
    assert_eq!(step(&second, again, NOW + 61), Step::Paused { seconds: 29 });
    assert_eq!(step(&second, again, NOW + 90), Step::Ask);
    // One that came by itself may be replaced at once.
    let refreshed = acquired(&record, Want::Refresh, "second-token", 86_399, 30, NOW + 60);
    assert_eq!(step(&refreshed, again, NOW + 61), Step::Ask);
    // A clock that was set back holds nobody up.
    assert_eq!(step(&second, again, NOW), Step::Ask);
}

#[test]
fn a_failure_pauses_everybody_but_an_operator_and_the_token_is_used_meanwhile() {
    let record = first(3_600, 30);
    let failed = record.with_failure("unreachable", false, Some(20), 0, NOW + 1_800);
    let at = NOW + 1_810;
    assert_eq!(step(&failed, Want::Use, at), Step::Known);
    assert_eq!(step(&failed, Want::Refresh, at), Step::Known, "it is due later now");
    assert_eq!(step(&failed, Want::Replace { generation: 1 }, at), Step::Paused { seconds: 10 });
    assert_eq!(step(&failed, Want::Force { generation: 1 }, at), Step::Ask);
    assert_eq!(failed.upstream(&credential(), at).unwrap().refresh_in, 10);
    assert_eq!(step(&failed, Want::Refresh, NOW + 1_820), Step::Ask);
    let without = CredentialRecord::new("series".to_owned());
    let failed = without.with_failure("unreachable", false, Some(20), 0, NOW);
    assert_eq!(step(&failed, Want::Use, NOW + 5), Step::Paused { seconds: 15 });
    assert_eq!(step(&failed, Want::Use, NOW - 1_000), Step::Ask, "a clock was set back");
    // What comes then forgives it.
    let record = acquired(&failed, Want::Use, "a-token-at-last", 3_600, 30, NOW + 20);
    assert_eq!((record.failures, record.not_before), (0, 0));
}

#[test]
fn whoever_died_while_asking_holds_nobody_up_for_long() {
    let record = CredentialRecord::new("series".to_owned()).leased(LEASES, NOW);
    assert_eq!(step(&record, Want::Use, NOW + 14), Step::Leased);
    assert_eq!(step(&record, Want::Use, NOW + 15), Step::Ask);
    let reopened = Leases { opening: Some(2), ..LEASES };
    assert_eq!(record.step(Want::Use, &settings(30), reopened, NOW), Step::Ask);
}

#[test]
fn no_answer_may_show_the_token_before_either() {
    let record = first(3_600, 30);
    let second = acquired(&record, Want::Refresh, "second-token", 3_600, 30, NOW + 1);
    let told = second.upstream(&credential(), NOW + 1).unwrap();
    assert_eq!(told.previous_headers["authorization"].expose(), "bearer first-token");
    assert_eq!(told.generation, 2);
    // The same one again leaves what was before.
    let third = acquired(&second, Want::Refresh, "second-token", 3_600, 30, NOW + 2);
    let told = third.upstream(&credential(), NOW + 2).unwrap();
    assert_eq!(told.previous_headers["authorization"].expose(), "bearer first-token");
}

#[test]
fn no_debug_output_shows_a_token_or_a_key() {
    let shown = format!("{:?} {:?}", first(3_600, 30), credential());
    for secret in ["first-token", "\"key\"", "\"secret\"", "\"id\""] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
