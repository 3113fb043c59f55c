//! The defects that filters of this kind have had, each with the test that would see it come back:
//!
//! | defect | test |
//! |---|---|
//! | introspection in the response phase, so that it protects nothing | here: `nothing_goes_upstream_before_the_service_has_answered` |
//! | an outage of the token service reported as 401 | `outage`: `defect_18_when_the_service_is_down_known_tokens_go_on_and_others_are_told_to_wait` |
//! | `Bearer` missing in a challenge | `errors`: each refusal's challenge is compared whole; here: `defect_18_every_401_has_a_bearer_challenge` |
//! | a panic on bad configuration | `envoy_config`: `a_mistake_in_the_plugins_configuration_is_refused_by_the_fields_name`; here: `a_bad_configuration_is_refused_and_is_no_panic` |
//! | codes and token bodies logged at debug | `secrets_in_logs`: `defect_10_no_secret_of_any_login_or_call_stands_in_a_log_a_metric_or_a_dump` |
//! | a form body built by concatenation | here: `a_token_cannot_add_parameters_to_the_question_about_it` |
//! | a cache keyed by a short hash | here: `a_token_that_resembles_a_cached_one_is_not_taken_for_it` |
//! | a cache whose lifetime restarts at every hit | `merging`: `a_busy_token_is_asked_about_again_when_its_time_in_the_cache_is_over` |
//! | a waiting queue that keeps dead streams | `merging`: `whoever_asked_first_may_leave_and_the_others_are_served_all_the_same`; here: `clients_that_left_leave_nothing_behind` |
#![cfg(test)]

use std::fs;

use ib_end_to_end::{
    Challenge, Deployment, PATIENCE, Part, Recorder, StackOptions, assert_error_body, eventually,
    forged_token, production_bootstrap, production_folder, unique, validate,
};
use serde_json::{Value, json};

const REST: &str = "/defects?echo";
/// Where production's file has the plugin's configuration, JSON in a string.
const CONFIGURATION: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/\
    http_filters/3/typed_config/config/configuration/value";

#[test]
fn nothing_goes_upstream_before_the_service_has_answered() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let mark = unique("early");
    for token in [forged_token(), gateway.unknown_token(), "no-such-token".to_owned()] {
        let request = gateway.proxied("POST", &format!("/{mark}?echo")).bearer(&token).body("x");
        assert_error_body(&gateway.send(&request), 401, "invalid_token");
    }
    let token = gateway.log_in().access_token;
    gateway.stack().pause(Part::Service).unwrap();
    let request = gateway.proxied("POST", &format!("/{mark}?echo")).bearer(&token).body("x");
    let answer = gateway.send(&request);
    gateway.stack().resume(Part::Service).unwrap();
    assert_error_body(&answer, 503, "temporarily_unavailable");
    gateway.simulator().assert_nothing_marked(&mark);
}

#[test]
fn defect_18_every_401_has_a_bearer_challenge() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.simulator().set(&json!({ "renewal": "gone" }));
    let dead = gateway.log_in().access_token;
    gateway.simulator().kill_session(&gateway.sid_of(&dead));
    let api = "/api/3.0.0/x/user?echo";
    for request in [
        gateway.proxied("GET", REST),
        gateway.proxied("GET", REST).bearer("no-such-token"),
        gateway.proxied("GET", REST).bearer(&forged_token()),
        gateway.proxied("GET", REST).bearer(&gateway.unknown_token()),
        gateway.proxied("GET", api).bearer(&dead),
        gateway.proxied("HEAD", api).bearer(&dead),
    ] {
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 401, "{answer:?}");
        let challenge = Challenge::of(&answer);
        assert_eq!(challenge.scheme, "Bearer");
        assert_eq!(challenge.parameters["resource_metadata"], gateway.resource_metadata());
    }
}

#[test]
fn a_bad_configuration_is_refused_and_is_no_panic() {
    let folder = production_folder();
    for patch in [
        json!({ "cache": { "maximum_seconds": "600" } }),
        json!({ "replay": 5 }),
        json!({ "session_ids_in_bodies": "perhaps" }),
        json!({ "revocations": { "maximum_stale_seconds": -1 } }),
        json!({ "prefixes": null }),
        json!({ "resource": "\u{0}" }),
    ] {
        let mut bootstrap = production_bootstrap();
        let text = bootstrap.pointer_mut(CONFIGURATION).expect("the plugin's configuration");
        let mut configuration: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        json_patch::merge(&mut configuration, &patch);
        *text = json!(configuration.to_string());
        fs::write(folder.path().join("bad.json"), bootstrap.to_string()).unwrap();
        let output = validate(folder.path(), "bad.json");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{patch} is taken");
        let reason = said.lines().find(|line| line.contains("configuration refused"));
        let reason = reason.unwrap_or_else(|| panic!("{patch}: no reason: {said}"));
        let field = patch.as_object().unwrap().keys().next().unwrap();
        assert!(reason.contains(field.as_str()), "it does not name {field}: {reason}");
        assert!(!said.contains("panic"), "{patch}: {said}");
    }
}

#[test]
fn a_token_cannot_add_parameters_to_the_question_about_it() {
    let recorder = Recorder::listen();
    // Tokens of this format have no tag, so that the characters of RFC 6750 reach the question.
    let options = StackOptions {
        envoy_patch: recorder.envoy_patch(),
        plugin_configuration: json!({ "tokens": { "format": "jwt" } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    recorder.forward_to(gateway.reach().service_internal);
    gateway.await_feeds();
    let request = gateway.proxied("GET", REST).bearer("a+b.c/d~.e-_==");
    assert_error_body(&gateway.send(&request), 401, "invalid_token");
    let asked = recorder.requests_with("/introspect");
    assert_eq!(asked.len(), 1, "{asked:?}");
    let (_, body) = asked[0].split_once("\r\n\r\n").expect("a head and a body");
    let fields: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(fields, [("token", "a+b.c/d~.e-_==")], "{body}");
    for token in ["a.b.c&token=x", "a.b.c%26active=true", "a.b.c token=x", "a.b.c;x=y"] {
        let value = format!("Bearer {token}");
        let answer = gateway.send(&gateway.proxied("GET", REST).header("authorization", value));
        assert!(matches!(answer.status, 400 | 401), "{token}: {answer:?}");
    }
    assert_eq!(
        recorder.requests_with("/introspect").len(),
        1,
        "no token of RFC 6750 was asked about"
    );
}

#[test]
fn a_token_that_resembles_a_cached_one_is_not_taken_for_it() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let token = gateway.log_in().access_token;
    let mut workers = gateway.connection_to_each_worker();
    for worker in &mut workers {
        let request = gateway.proxied("GET", REST).bearer(&token);
        worker.exchange(&request, &gateway.host()).unwrap().with_status(200);
    }
    let mark = unique("resembling");
    let swapped = |position: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut others: Vec<String> = (0..token.len()).map(swapped).collect();
    others.extend([token.get(1..).unwrap().to_owned(), format!("{token}A"), token.to_uppercase()]);
    for other in others.iter().filter(|other| **other != token) {
        for worker in &mut workers {
            let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(other);
            let answer = worker.exchange(&request, &gateway.host()).unwrap();
            assert_error_body(&answer, 401, "invalid_token");
        }
    }
    gateway.simulator().assert_nothing_marked(&mark);
}

#[test]
fn clients_that_left_leave_nothing_behind() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let token = gateway.log_in().access_token;
    gateway.stack().pause(Part::Service).unwrap();
    let request = gateway.proxied("GET", REST).bearer(&token);
    let connections = gateway.begin_all(&vec![request.clone(); 50]);
    let waiting = || gateway.filter_count("waiting_streams");
    eventually("the clients to wait", PATIENCE, || (waiting() == 50).then_some(()));
    drop(connections);
    // While the question is still open.
    eventually("the clients to be forgotten", PATIENCE, || (waiting() == 0).then_some(()));
    gateway.stack().resume(Part::Service).unwrap();
    eventually("the token to be served", PATIENCE, || {
        (gateway.send(&request).status == 200).then_some(())
    });
    let envoy = fs::read_to_string(gateway.stack().log_file(Part::Envoy)).unwrap();
    assert!(!envoy.contains("panicked"), "the plugin has crashed");
}
