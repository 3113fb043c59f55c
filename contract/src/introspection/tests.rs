use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{ActiveToken, InactiveReason, Introspection, MalformedIntrospection, Upstream};
use crate::Secret;

fn active() -> ActiveToken {
    ActiveToken {
        as_of: 7,
        client_id: "test-client".to_owned(),
        scope: "profile".to_owned(),
        sub: "user".to_owned(),
        aud: vec!["https://gateway.example/proxy".to_owned()],
        iss: "https://gateway.example".to_owned(),
        exp: 2_000,
        iat: 1_000,
        expires_in: 1_000,
        upstreams: vec![Upstream {
            session: "opaque".to_owned(),
            hosts: vec!["company.intelligencebank.com".to_owned()],
            headers: BTreeMap::from([("sid".to_owned(), Secret::new("s3cret"))]),
            generation: 3,
            refresh_in: 10,
            expires_in: 20,
            refresh_limit_exceeded: false,
            previous_headers: BTreeMap::new(),
        }],
    }
}

#[test]
fn the_gateway_reads_what_the_service_writes() {
    let written = Introspection::Active(Box::new(active()));
    let json = serde_json::to_vec(&written).unwrap();
    assert_eq!(Introspection::from_json(&json).unwrap(), written);

    for reason in [
        InactiveReason::InvalidToken,
        InactiveReason::SessionExpired,
        InactiveReason::RefreshLimitExceeded,
    ] {
        let json = serde_json::to_vec(&Introspection::Inactive(reason)).unwrap();
        assert_eq!(Introspection::from_json(&json).unwrap(), Introspection::Inactive(reason));
    }
}

#[test]
fn a_newer_service_with_more_fields_and_reasons_does_not_break_this_gateway() {
    let mut newer = serde_json::to_value(Introspection::Active(Box::new(active()))).unwrap();
    newer["version"] = json!(99);
    newer["colour"] = json!({"of": "the future"});
    newer["upstreams"][0]["region"] = json!("eu");
    let read = Introspection::from_json(newer.to_string().as_bytes()).unwrap();
    assert_eq!(read, Introspection::Active(Box::new(active())));

    let read = Introspection::from_json(br#"{"active":false,"reason":"eclipse"}"#).unwrap();
    assert_eq!(read, Introspection::Inactive(InactiveReason::InvalidToken));
    let read = Introspection::from_json(br#"{"active":false}"#).unwrap();
    assert_eq!(read, Introspection::Inactive(InactiveReason::InvalidToken));
}

#[test]
fn an_older_service_without_the_refresh_limit_field_is_understood() {
    let mut older = serde_json::to_value(Introspection::Active(Box::new(active()))).unwrap();
    older["upstreams"][0].as_object_mut().unwrap().remove("refresh_limit_exceeded");
    assert!(Introspection::from_json(older.to_string().as_bytes()).is_ok());
}

#[test]
fn an_audience_may_be_one_value_or_a_list() {
    let mut value = serde_json::to_value(Introspection::Active(Box::new(active()))).unwrap();
    assert!(value["aud"].is_string(), "one audience is written as a string: {value}");
    value["aud"] = json!(["a", "b"]);
    let Introspection::Active(read) =
        Introspection::from_json(value.to_string().as_bytes()).unwrap()
    else {
        panic!("an active answer was read as inactive");
    };
    assert_eq!(read.aud, ["a", "b"]);
}

#[test]
fn an_active_answer_without_a_required_field_is_the_services_fault_and_names_the_field() {
    for field in ["client_id", "sub", "expires_in", "upstreams"] {
        let mut value = serde_json::to_value(Introspection::Active(Box::new(active()))).unwrap();
        value.as_object_mut().unwrap().remove(field);
        let error = Introspection::from_json(value.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, MalformedIntrospection::Missing { field });
    }
}

#[test]
fn an_error_does_not_quote_an_answer_that_holds_a_session_id() {
    let error = Introspection::from_json(br#"{"active":true,"sub":"0123456789abcdef"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("0123456789abcdef"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Introspection::from_json(&bytes);
    }
}
