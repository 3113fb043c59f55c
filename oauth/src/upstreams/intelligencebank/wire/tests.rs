use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LoginProgress, UpstreamError, UpstreamSession, login_token, progress};

fn answer() -> Value {
    json!({
        "SID": "not-the-session",
        "content": {
            "session": {
                "sid": "0123456789abcdef0123456789abcdef",
                "userUuid": "user-1",
                "originalUserUuid": null,
                "loginTime": 1_609_227_014,
            },
            "info": {
                "clientid": "AbC1",
                "sid": "0123456789abcdef0123456789abcdef",
                "apiV3url": "https://apiv3.intelligencebank.com",
                "logintimeoutperiod": 120,
                "adminemail": "admin@company.example",
                "firstname": "Ada",
                "lastname": "Lovelace",
                "useruuid": "user-1",
            },
        },
    })
}

fn read(value: &Value) -> LoginProgress {
    progress(200, value.to_string().as_bytes()).unwrap()
}

fn session(value: &Value) -> UpstreamSession {
    match read(value) {
        LoginProgress::Complete(session) => *session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_session_is_the_inner_sid_and_never_the_outer_one() {
    let session = session(&answer());
    assert_eq!(session.sid.expose(), "0123456789abcdef0123456789abcdef");
    assert_eq!(session.login_time, Some(1_609_227_014));
    assert_eq!(session.api_url.as_deref(), Some("https://apiv3.intelligencebank.com"));
    assert_eq!(session.ib_client_id.as_deref(), Some("AbC1"));
    assert_eq!(session.person.uuid, "user-1");
    assert_eq!(session.person.given_name.as_deref(), Some("Ada"));
}

#[test]
fn the_administrators_address_is_never_taken_for_the_users() {
    assert_eq!(session(&answer()).person.email, None);
    let mut same = answer();
    same["content"]["info"]["email"] = json!("admin@company.example");
    assert_eq!(session(&same).person.email, None);
    same["content"]["info"]["email"] = json!(" Admin@Company.example ");
    assert_eq!(session(&same).person.email, None, "however it is written");
    let mut own = answer();
    own["content"]["info"]["email"] = json!("ada@company.example");
    assert_eq!(session(&own).person.email.as_deref(), Some("ada@company.example"));
}

#[test]
fn defect_22_the_login_period_is_read_in_either_place_and_either_form() {
    assert_eq!(session(&answer()).period_hours, Some(120));
    for (place, value) in [("/content", json!(48)), ("", json!("48"))] {
        let mut moved = answer();
        moved["content"]["info"].as_object_mut().unwrap().remove("logintimeoutperiod");
        moved.pointer_mut(place).unwrap()["logintimeoutperiod"] = value;
        assert_eq!(session(&moved).period_hours, Some(48), "{place}");
    }
    let mut none = answer();
    none["content"]["info"]["logintimeoutperiod"] = json!("soon");
    assert_eq!(session(&none).period_hours, None);
}

#[test]
fn defect_22_a_period_that_is_no_small_integer_is_still_understood() {
    for (text, hours) in [
        ("2.9", Some(2)),
        ("\"2.9\"", Some(2)),
        ("9223372036854775808", Some(i64::MAX)),
        ("100000000000000000000000000", Some(i64::MAX)),
        ("\"100000000000000000000000000\"", Some(i64::MAX)),
        ("-0.5", Some(-1)),
        ("\"infinity\"", None),
        ("\"NaN\"", None),
        ("true", None),
    ] {
        let body = answer().to_string();
        let body =
            body.replace("\"logintimeoutperiod\":120", &format!("\"logintimeoutperiod\":{text}"));
        let LoginProgress::Complete(session) = progress(200, body.as_bytes()).unwrap() else {
            panic!("{text}");
        };
        assert_eq!(session.period_hours, hours, "{text}");
    }
}

#[test]
fn a_name_that_turns_the_text_around_it_is_dropped() {
    for control in
        ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}']
    {
        let mut turned = answer();
        turned["content"]["info"]["lastname"] = json!(format!("{control}Lovelace"));
        assert_eq!(session(&turned).person.family_name, None, "{control:?}");
    }
    let mut accented = answer();
    accented["content"]["info"]["lastname"] = json!("Łuków \u{5d0}");
    assert_eq!(session(&accented).person.family_name.as_deref(), Some("Łuków \u{5d0}"));
}

#[test]
fn a_finished_login_without_a_usable_session_or_user_is_an_error_and_not_pending() {
    for (name, value) in
        [("sid", json!(5)), ("userUuid", json!(7)), ("userUuid", json!("u".repeat(513)))]
    {
        let mut bad = answer();
        bad["content"]["info"].as_object_mut().unwrap().remove("useruuid");
        bad["content"]["session"][name] = value;
        let read = progress(200, bad.to_string().as_bytes());
        assert!(matches!(read, Err(UpstreamError::Unusable(_))), "{name}");
    }
}

#[test]
fn a_login_that_nobody_has_finished_is_pending_by_the_platforms_own_words() {
    let pending = [
        (404, r#"{"message":"not found"}"#),
        (404, ""),
        (200, "{}"),
        (200, r#"{"content":null}"#),
        (200, r#"{"content":{"session":null}}"#),
        (200, r#"{"content":{"session":false}}"#),
        (200, r#"[]"#),
    ];
    for (status, body) in pending {
        let read = progress(status, body.as_bytes()).unwrap();
        assert!(matches!(read, LoginProgress::Pending), "{status} {body}");
    }
}

#[test]
fn a_page_of_somebody_in_between_says_nothing_about_a_login() {
    for (status, body) in [
        (200, "<html>We will be back soon</html>"),
        (200, ""),
        (302, ""),
        (307, r#"{"content":{"session":null}}"#),
        (400, "{}"),
        (401, r#"{"message":"log in"}"#),
        (403, "<html>resource has expired</html>"),
        (204, ""),
    ] {
        let read = progress(status, body.as_bytes()).unwrap();
        assert!(
            matches!(read, LoginProgress::Unclear { status: told } if told == status),
            "{body}"
        );
    }
}

#[test]
fn an_expired_login_is_told_from_a_pending_one_by_its_body() {
    let read = progress(404, br#"{"message":"The Resource has Expired"}"#).unwrap();
    assert!(matches!(read, LoginProgress::Expired));
}

#[test]
fn an_outage_is_an_error_and_no_end_of_the_login() {
    for status in [408, 429, 500, 502] {
        let read = progress(status, b"resource has expired");
        assert!(matches!(read, Err(UpstreamError::Unreachable(_))), "{status}");
    }
}

#[test]
fn a_session_id_that_could_break_a_header_is_refused() {
    for sid in ["", "a b", "a\r\nx: y", "a;b", "a\u{e9}", "a=b", &"a".repeat(257)] {
        let mut bad = answer();
        bad["content"]["session"]["sid"] = json!(sid);
        let read = progress(200, bad.to_string().as_bytes());
        assert_eq!(read.unwrap_err(), UpstreamError::Unusable("session id"));
    }
    for sid in ["0123456789abcdefghijklmnop", "A_b,c-9"] {
        let mut good = answer();
        good["content"]["session"]["sid"] = json!(sid);
        assert_eq!(session(&good).sid.expose(), sid);
    }
}

#[test]
fn the_login_token_is_read_and_a_host_that_is_no_platform_is_told() {
    let token = login_token(200, br#"{"SID":"x","content":"abc123"}"#).unwrap();
    assert_eq!(token.expose(), "abc123");
    for (status, body) in [
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"message":"no such platform"}"#),
        (200, r#"{"content":{"a":1}}"#),
        (404, r#"{"content":"abc"}"#),
        (301, ""),
    ] {
        let error = login_token(status, body.as_bytes()).unwrap_err();
        assert_eq!(error, UpstreamError::NotAPlatform { status }, "{body}");
    }
    for token in ["", "a b", "a\n", &"a".repeat(513)] {
        let body = json!({ "content": token }).to_string();
        let error = login_token(200, body.as_bytes()).unwrap_err();
        assert_eq!(error, UpstreamError::Unusable("login token"));
    }
}

proptest! {
    #[test]
    fn no_answer_whatever_makes_the_reader_panic(
        status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = progress(status, &body);
        let _ = login_token(status, &body);
    }
}
