//! What a token grants, and what the proxy is told about whom it speaks for.

use std::rc::Rc;

use ib_contract::{Introspection, token_sha256};
use serde_json::{Value, json};

use super::Grant;
use crate::{
    Timestamp,
    credentials::MalformedGrant,
    host::mock::{SID, active_with, grant_of, token_named},
    session::SessionTable,
};

fn from_answer(answer: &Value) -> Result<Grant, MalformedGrant> {
    let answer = Introspection::from_json(answer.to_string().as_bytes()).unwrap();
    let Introspection::Active(answer) = answer else { panic!("active") };
    let now = Timestamp::from_milliseconds(1_000);
    Grant::from_answer("token", &answer, &mut SessionTable::default(), now)
}

fn grant(upstreams: Value) -> Result<Grant, MalformedGrant> {
    from_answer(&active_with(json!({"upstreams": upstreams})))
}

fn upstream(session: &str, hosts: &[&str], headers: Value) -> Value {
    json!({
        "session": session, "hosts": hosts, "headers": headers, "generation": 1, "refresh_in": 1,
        "expires_in": 10,
    })
}

fn note(fields: Value) -> String {
    String::from_utf8(from_answer(&active_with(fields)).unwrap().note().to_vec()).unwrap()
}

#[test]
fn each_host_gets_its_own_session_and_no_other() {
    let grant = grant(json!([
        upstream("one", &["company.intelligencebank.com"], json!({"sid": "one"})),
        upstream("two", &["remax-cca.com"], json!({"authorization": "bearer two"})),
    ]))
    .unwrap();
    let injected = |host: &str| {
        grant.session_for(host).map(|session| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let credentials = session.credentials();
            let headers = credentials.headers();
            headers.map(|(name, value)| (text(name), text(value))).collect::<Vec<_>>()
        })
    };
    let pair = |name: &str, value: &str| Some(vec![(name.to_owned(), value.to_owned())]);
    assert_eq!(injected("company.intelligencebank.com"), pair("sid", "one"));
    assert_eq!(injected("remax-cca.com"), pair("authorization", "bearer two"));
    assert_eq!(injected("other.intelligencebank.com"), None);
}

#[test]
fn two_sessions_for_one_host_are_a_fault_and_not_a_choice() {
    let both = json!([
        upstream("one", &["a.example", "b.example"], json!({})),
        upstream("two", &["c.example", "b.example"], json!({})),
    ]);
    assert_eq!(grant(both).err(), Some(MalformedGrant::OverlappingHosts));
}

#[test]
fn an_answer_without_end_is_refused() {
    let sessions = |count: u32| -> Value {
        let one = |n| upstream(&format!("s{n}"), &[&format!("h{n}.example")], json!({}));
        (0..count).map(one).collect()
    };
    assert_eq!(grant(sessions(17)).err(), Some(MalformedGrant::TooMany));
    assert!(grant(sessions(16)).is_ok());
    for field in ["client_id", "sub", "scope"] {
        let long = from_answer(&active_with(json!({field: "x".repeat(4097)})));
        assert_eq!(long.err(), Some(MalformedGrant::TooMany), "{field}");
    }
}

#[test]
fn an_operator_reads_who_was_approved_and_no_secret_and_no_person() {
    let token = token_named("token");
    let answer = active_with(json!({"sub": "ada@example.com", "client_id": "desk-app"}));
    let grant = grant_of(&token, &answer, &mut SessionTable::default());
    let note = String::from_utf8(grant.note().to_vec()).unwrap();
    let hash: String = token_sha256("ada@example.com").chars().take(16).collect();
    assert_eq!(note, format!("approved client=desk-app subject={hash}"));
    for secret in [SID, "ada", &token, grant.token_sha256()] {
        assert!(!note.contains(secret), "{secret}");
    }
}

#[test]
fn a_clients_id_cannot_forge_a_part_of_the_note() {
    for (client_id, written) in [
        ("a b", "a%20b"),
        ("a subject=x", "a%20subject%3Dx"),
        ("a\"\\%\n", "a%22%5C%25%0A"),
        ("https://app.example/id", "https://app.example/id"),
        ("\u{e9}", "%C3%A9"),
    ] {
        let note = note(json!({"client_id": client_id}));
        let expected = format!("approved client={written} subject=");
        assert!(note.starts_with(&expected), "{note}");
        assert_eq!(note.split(' ').count(), 3, "{note}");
    }
}

#[test]
fn the_note_is_the_same_for_every_answer_about_one_token_so_that_rate_limits_can_count_by_it() {
    let renewed = json!({"upstream.generation": 2, "upstream.headers": {"sid": "another-sid"}});
    let later = json!({"as_of": 9, "expires_in": 7});
    assert_eq!(note(json!({})), note(renewed));
    assert_eq!(note(json!({})), note(later));
    assert_ne!(note(json!({})), note(json!({"sub": "user-2"})));
}

#[test]
fn a_user_has_one_key_whatever_the_token_and_the_session_and_no_two_users_share_one() {
    let keys = |fields: Value| {
        let grant = from_answer(&active_with(fields)).unwrap();
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        (text(grant.client_key()), text(grant.user_key()))
    };
    let (client, user) = keys(json!({}));
    let another =
        json!({"upstream.session": "another", "upstream.headers": {"sid": "another-sid"}});
    assert_eq!(keys(another), (client.clone(), user.clone()));
    let (other_client, same_user) = keys(json!({"client_id": "a b\r\nx: y"}));
    assert_eq!((other_client.as_str(), &same_user), ("a%20b%0D%0Ax:%20y", &user));
    // Another customer's user of the same id.
    let elsewhere = json!({"upstream.hosts": ["other.intelligencebank.com"]});
    assert_ne!(keys(elsewhere).1, user);
    let (same_client, other_user) = keys(json!({"sub": "ada@example.com"}));
    assert_eq!(same_client, client);
    assert_ne!(other_user, user);
    assert!(!other_user.contains("ada"), "a person: {other_user}");
}

#[test]
fn the_longest_client_id_makes_a_short_key_of_its_own() {
    let key = |id: String| {
        from_answer(&active_with(json!({"client_id": id}))).unwrap().client_key().to_vec()
    };
    assert_eq!(key("c".repeat(256)), "c".repeat(256).into_bytes());
    let long = key("c".repeat(4096));
    assert_eq!(long, token_sha256(&"c".repeat(4096)).into_bytes());
    assert_ne!(long, key("c".repeat(4095)));
}

#[test]
fn tokens_of_one_session_share_it() {
    let mut sessions = SessionTable::default();
    let one = grant_of("one", &active_with(json!({})), &mut sessions);
    let two = grant_of("two", &active_with(json!({"upstream.generation": 2})), &mut sessions);
    let host = "company.intelligencebank.com";
    let (one, two) = (one.session_for(host).unwrap(), two.session_for(host).unwrap());
    assert!(Rc::ptr_eq(one, two));
    assert_eq!(one.credentials().generation(), 2);
}

#[test]
fn the_estimate_of_memory_counts_what_an_answer_can_make_long() {
    let size = |fields: Value| from_answer(&active_with(fields)).unwrap().size();
    let least = size(json!({}));
    for (field, text) in [("scope", "s"), ("sub", "u"), ("client_id", "c")] {
        assert!(size(json!({field: text.repeat(4000)})) >= least + 3900, "{field}");
    }
    assert!(size(json!({"upstream.headers": {"sid": "s".repeat(4000)}})) >= least + 3900);
}
