//! What differs between the versions of Envoy that are supported, pinned: the retry of callouts is there
//! from 1.37 on, and an older Envoy says that it does not know it.
#![cfg(test)]

use std::fs;

use ib_end_to_end::{
    Deployment, Snippet, StackOptions, assert_error_body, envoy_program, envoys_at_hand,
    minor_version, production_bootstrap, production_folder, validate_with,
};
use serde_json::{Value, json};

const SNIPPET: &str = "callout-retry.yaml";
/// The first Envoy 1.x that repeats callouts.
const REPEATS_SINCE: u32 = 37;

#[test]
fn the_retry_of_callouts_is_taken_by_the_envoys_that_know_it_and_refused_by_the_others() {
    let folder = production_folder();
    let mut bootstrap = production_bootstrap();
    let operations = Value::Array(Snippet::read(SNIPPET).bootstrap);
    let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut bootstrap, &patch).unwrap();
    fs::write(folder.path().join("retrying.json"), bootstrap.to_string()).unwrap();
    let envoys = envoys_at_hand();
    for envoy in &envoys {
        let minor = minor_version(envoy);
        let output = validate_with(envoy, folder.path(), "retrying.json");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), minor >= REPEATS_SINCE, "1.{minor}: {said}");
        assert!(output.status.success() || said.contains("retry_policy"), "1.{minor}: {said}");
        // Without the snippet, each of them takes the file.
        let plain = validate_with(envoy, folder.path(), "envoy.yaml");
        assert!(plain.status.success(), "1.{minor}: {}", String::from_utf8_lossy(&plain.stderr));
    }
    for (wanted, what) in [(true, "a newer"), (false, "an older")] {
        let is_there = envoys.iter().any(|envoy| (minor_version(envoy) >= REPEATS_SINCE) == wanted);
        if !is_there {
            eprintln!("skipped: there is no {what} Envoy than 1.{REPEATS_SINCE} at hand");
        }
    }
}

#[test]
fn with_one_of_two_instances_dead_no_client_notices_where_callouts_are_repeated() {
    if minor_version(&envoy_program()) < REPEATS_SINCE {
        eprintln!("skipped: this Envoy does not repeat callouts");
        return;
    }
    let mut options = Snippet::read(SNIPPET).options();
    options.envoy_patch.extend(dead_instance());
    let Some(gateway) = Deployment::own(options) else { return };
    for _ in 0..24 {
        let token = gateway.log_in().access_token;
        let request = gateway.proxied("GET", "/retried?echo").bearer(&token);
        gateway.send(&request).with_status(200);
    }
}

#[test]
fn without_the_retry_a_client_that_meets_the_dead_instance_is_told_to_come_again() {
    let options = StackOptions { envoy_patch: dead_instance(), ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    let mut refused = 0;
    for _ in 0..24 {
        let token = gateway.log_in().access_token;
        let request = gateway.proxied("GET", "/not-retried?echo").bearer(&token);
        let answer = gateway.send(&request);
        if answer.status != 200 {
            assert_error_body(&answer, 503, "temporarily_unavailable");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            refused += 1;
        }
    }
    assert!(refused > 0, "the snippet is not needed any more");
}

/// A second instance of the service that nobody answers for, as it is until Envoy's health checks notice.
fn dead_instance() -> Vec<Value> {
    let cluster = "/static_resources/clusters/1";
    vec![
        json!({ "op": "remove", "path": format!("{cluster}/health_checks") }),
        json!({ "op": "remove", "path": format!("{cluster}/outlier_detection") }),
        json!({
            "op": "add",
            "path": format!("{cluster}/load_assignment/endpoints/0/lb_endpoints/-"),
            "value": { "endpoint": { "address": {
                "socket_address": { "address": "127.0.0.1", "port_value": 9 },
            } } },
        }),
    ]
}
