//! REI API CCA behind the gateway: clients call with their own tokens, and the gateway puts in one that
//! the service has obtained with keys.
#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    AZURA, BLUE_OCEAN, LOOPBACK_REDIRECT, LoggedRequest, Machines, PATIENCE, PLATFORM_HOST, Pace,
    Part, REI_HOST, REI_TOKEN_PATH, Request, StackOptions, TEST_CLIENT, WORKERS, assert_error_body,
    eventually, sha256_hex, unique,
};
use serde_json::{Value, json};

const LIST: &str = "/api/v1/GetProperties";

fn start(more: &Value) -> Option<Machines> {
    Machines::start(more, StackOptions::default())
}

/// Calls on so many connections reach both of Envoy's workers, but for one time in half a million.
const CONNECTIONS: usize = 20;

/// What calls get, each on a connection of its own.
fn all_workers(machines: &Machines, token: &str) -> [u16; CONNECTIONS] {
    [(); CONNECTIONS].map(|()| machines.gateway.send(&machines.properties(token)).status)
}

/// What the token endpoint does instead of its business.
fn endpoint_fault(fault: &Value) -> Value {
    let mut whole = json!({ "host": REI_HOST, "path_prefix": REI_TOKEN_PATH });
    for (name, value) in fault.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
}

#[test]
fn a_token_is_acquired_with_the_first_call_and_serves_those_that_follow() {
    let Some(machines) = start(&json!({})) else { return };
    let token = machines.token(AZURA);
    assert!(machines.token_requests().is_empty(), "nobody has called yet");
    for _ in 0..50 {
        let answer = machines.gateway.send(&machines.properties(&token)).with_status(200);
        let result = answer.json()["result"].clone();
        assert_eq!(result[0]["reference"], "remax-azura-0001");
        assert_eq!(result.as_array().unwrap().len(), 2);
    }
    // Each worker of Envoy has asked once what the client's token is.
    let introspections = machines.gateway.introspections();
    assert!(introspections <= WORKERS, "{introspections} introspections of one token");
    let asked = machines.token_requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "POST");
    assert_eq!(asked[0].header("content-type"), "application/x-www-form-urlencoded");
    let upstream = machines.upstream_tokens();
    assert_eq!(upstream.len(), 1);
    for request in machines.gateway.simulator().requests_since(0) {
        assert!(!request.mentions(&token), "the client's token went upstream: {request:?}");
    }
    // The other brand has keys and a token of its own.
    let other = machines.token(BLUE_OCEAN);
    let answer = machines.gateway.send(&machines.properties(&other)).with_status(200);
    assert_eq!(answer.json()["result"][0]["reference"], "remax-blue-ocean-0001");
    assert_eq!(machines.token_requests().len(), 2);
}

#[test]
fn a_thousand_first_calls_at_once_acquire_one_token() {
    let Some(machines) = start(&json!({})) else { return };
    let tokens: Vec<_> = (0..20).map(|_| machines.token(AZURA)).collect();
    let calls: Vec<_> =
        tokens.iter().cycle().take(1_000).map(|token| machines.properties(token)).collect();
    for answer in machines.gateway.send_all_at_once(&calls) {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(machines.token_requests().len(), 1);
}

#[test]
fn a_token_near_its_end_is_refreshed_while_calls_go_on() {
    // Due two seconds after it was acquired.
    let Some(machines) = start(&json!({ "refresh_buffer_minutes": 1 })) else { return };
    machines.gateway.simulator().set(&json!({ "rei_cca_token_seconds": 62 }));
    let token = machines.token(AZURA);
    let pace = Pace { connections: 10, per_second: 50, total: 400 };
    machines.gateway.load(
        pace,
        |_| machines.properties(&token),
        |number, _, answer| assert_eq!(answer.status, 200, "call {number}: {answer:?}"),
    );
    let refreshed = machines.acquisitions("near_expiry", "acquired");
    assert!((2.0..=5.0).contains(&refreshed), "{refreshed} refreshes in eight seconds");
    assert_eq!(machines.acquisitions("first_use", "acquired"), 1.0);
    assert_eq!(machines.acquisitions("rejected", "acquired"), 0.0);
    // Both workers of Envoy change over, each in its own moment.
    let tokens = machines.upstream_tokens();
    assert!(tokens.len() >= 3, "calls went with {} tokens", tokens.len());
}

#[test]
fn of_all_who_see_a_token_rejected_one_has_it_replaced_and_each_call_is_sent_again() {
    let Some(machines) = start(&json!({})) else { return };
    let token = machines.token(AZURA);
    machines.gateway.send(&machines.properties(&token)).with_status(200);
    let upstream = machines.upstream_tokens().remove(0);
    let killed_at = 100;
    let after = AtomicU32::new(0);
    let body = |number: u32| format!("property {number} ").repeat(100);
    machines.gateway.load(
        Pace { connections: 20, per_second: 100, total: 400 },
        |number| {
            let target = format!("/api/v1/load/{number}?echo");
            let method = if number % 2 == 0 { "GET" } else { "POST" };
            let request = machines.gateway.proxied_to(REI_HOST, method, &target).bearer(&token);
            if number % 2 == 0 { request } else { request.body(body(number)) }
        },
        |number, _, answer| {
            assert_eq!(answer.status, 200, "call {number}: {answer:?}");
            let arrived = LoggedRequest::echoed(answer);
            assert_eq!(arrived.raw_path, format!("/api/v1/load/{number}"), "another's answer");
            let sent = if number % 2 == 0 { String::new() } else { body(number) };
            assert_eq!(arrived.body_sha256, sha256_hex(sent.as_bytes()), "another body");
            assert!(!answer.text().contains(&upstream), "the answer shows the upstream's token");
            if number == killed_at {
                machines.kill_upstream_token(&upstream);
            } else if number > killed_at {
                after.fetch_add(1, Ordering::Relaxed);
            }
        },
    );
    assert!(after.into_inner() > 200, "the token died too late for this to show anything");
    assert_eq!(machines.acquisitions("rejected", "acquired"), 1.0);
    assert_eq!(machines.token_requests().len(), 2);
}

#[test]
fn an_operator_forces_a_refresh_and_calls_go_with_the_new_token_soon() {
    let Some(machines) = start(&json!({})) else { return };
    let token = machines.token(AZURA);
    assert_eq!(all_workers(&machines, &token), [200; CONNECTIONS]);
    let before = machines.upstream_tokens();
    let forced = Request::post_form("/admin/credentials/refresh", &[("name", "remax-azura")]);
    let overview = machines.as_operator(forced).with_status(200).json();
    assert_eq!((&overview["generation"], &overview["state"]), (&json!(2), &json!("valid")));
    eventually("calls with the new token, by every worker", Duration::from_secs(2), || {
        let since = machines.gateway.simulator().last_number();
        assert_eq!(all_workers(&machines, &token), [200; CONNECTIONS]);
        let calls = machines.gateway.simulator().requests_since(since);
        let is_old = |call: &LoggedRequest| before.iter().any(|token| call.mentions(token));
        (!calls.iter().any(is_old)).then_some(())
    });
    assert_eq!(machines.token_requests().len(), 2);
    assert_eq!(machines.acquisitions("operator", "acquired"), 1.0);
}

#[test]
fn an_endpoint_that_is_down_fails_no_call_while_the_token_lives() {
    let Some(machines) = start(&json!({ "refresh_buffer_minutes": 1 })) else { return };
    machines.gateway.simulator().set(&json!({ "rei_cca_token_seconds": 61 }));
    let token = machines.token(AZURA);
    machines.gateway.send(&machines.properties(&token)).with_status(200);
    for fault in [json!({ "status": 503 }), json!({ "reset": true })] {
        machines.gateway.simulator().set_faults(&[endpoint_fault(&fault)]);
        machines.gateway.load(
            Pace { connections: 4, per_second: 40, total: 160 },
            |_| machines.properties(&token),
            |number, _, answer| assert_eq!(answer.status, 200, "call {number}: {answer:?}"),
        );
    }
    let failed = machines.acquisitions("near_expiry", "unreachable");
    assert!((2.0..=8.0).contains(&failed), "{failed} questions in eight seconds");
    assert_eq!(machines.upstream_tokens().len(), 1);
    // When the endpoint is back, so is the refresh.
    machines.gateway.simulator().set_faults(&[]);
    eventually("a refresh", PATIENCE, || {
        machines.gateway.send(&machines.properties(&token)).with_status(200);
        (machines.acquisitions("near_expiry", "acquired") > 0.0).then_some(())
    });
}

#[test]
fn an_outage_past_the_tokens_end_is_told_as_one_and_ends_with_the_endpoint() {
    let Some(machines) = start(&json!({})) else { return };
    machines.gateway.simulator().set(&json!({ "rei_cca_token_seconds": 3 }));
    let token = machines.token(AZURA);
    machines.gateway.send(&machines.properties(&token)).with_status(200);
    machines.gateway.simulator().set_faults(&[endpoint_fault(&json!({ "status": 500 }))]);
    let refused = eventually("the end of the token", PATIENCE, || {
        let answer = machines.gateway.send(&machines.properties(&token));
        (answer.status != 200).then_some(answer)
    });
    // Never a 401: the client's own token is good, and a new one would not help.
    assert_error_body(&refused, 503, "temporarily_unavailable");
    assert!(refused.header("retry-after").is_some());
    machines.gateway.simulator().set_faults(&[]);
    eventually("a token again", PATIENCE, || {
        let answer = machines.gateway.send(&machines.properties(&token));
        thread::sleep(Duration::from_millis(50));
        (answer.status == 200).then_some(())
    });
}

#[test]
fn an_upstream_that_always_answers_401_costs_a_call_one_renewal_and_one_replay_at_most() {
    let Some(machines) = start(&json!({})) else { return };
    let token = machines.token(AZURA);
    let fault = json!({ "host": REI_HOST, "path_prefix": LIST, "status": 401 });
    machines.gateway.simulator().set_faults(&[fault]);
    for number in 1..=20 {
        let answer = machines.gateway.send(&machines.properties(&token));
        assert_error_body(&answer, 503, "temporarily_unavailable");
        let mut arrived = machines.gateway.simulator().requests_since(0);
        arrived.retain(|one| one.host == REI_HOST && one.raw_path.starts_with(LIST));
        assert!(arrived.len() <= 2 * number, "{} requests of {number} calls", arrived.len());
    }
    // The first token and one replacement: the pause holds the others back.
    assert_eq!(machines.token_requests().len(), 2);
    machines.gateway.simulator().set_faults(&[]);
    machines.gateway.send(&machines.properties(&token)).with_status(200);
}

#[test]
fn keys_that_are_refused_are_told_to_the_operator_and_not_shown_with_every_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, "wrong-keys-of-no-brand").unwrap();
        path
    };
    let Some(machines) = start(&json!({ "credentials": [
        { "name": "remax-azura", "api_url": format!("https://{REI_HOST}/api/v1"),
          "api_key_file": file("a"), "integrator_id_file": file("b"), "secret_key_file": file("c") },
        { "name": "remax-blue-ocean", "api_url": format!("https://{REI_HOST}/other"),
          "api_key_file": file("a"), "integrator_id_file": file("b"), "secret_key_file": file("c") },
    ] })) else {
        return;
    };
    let token = machines.token(AZURA);
    for _ in 0..10 {
        let answer = machines.gateway.send(&machines.properties(&token));
        assert_error_body(&answer, 503, "temporarily_unavailable");
    }
    assert_eq!(machines.token_requests().len(), 1);
    let shown = machines.as_operator(Request::get("/admin/credentials")).with_status(200).json();
    assert_eq!(shown["credentials"][0]["state"], "unavailable");
    assert_eq!(shown["credentials"][0]["last_error"]["reason"], "unauthorized_client");
    assert_eq!(shown["credentials"][1]["state"], "unused");
}

#[test]
fn tokens_of_machines_and_of_persons_open_nothing_of_each_other() {
    let Some(machines) = start(&json!({})) else { return };
    let gateway = &machines.gateway;
    let machine = machines.token(AZURA);
    let person = gateway.client(TEST_CLIENT, LOOPBACK_REDIRECT).log_in("ada").access_token;
    gateway.send(&machines.properties(&machine)).with_status(200);
    let mark = unique("crossed");
    for (host, token) in [(PLATFORM_HOST, &machine), (REI_HOST, &person)] {
        let request = gateway.proxied_to(host, "GET", &format!("/{mark}?echo")).bearer(token);
        assert_error_body(&gateway.send(&request), 403, "access_denied");
    }
    gateway.simulator().assert_nothing_marked(&mark);
    // A client's own credential for the upstream has no part in it.
    let request = gateway.proxied_to(REI_HOST, "GET", "/api/v1/x?echo").bearer(&machine);
    let arrived = LoggedRequest::echoed(&gateway.send(&request.header("sid", "mine")));
    assert!(arrived.headers("sid").is_empty());
    assert!(arrived.headers("x-ib-gateway").is_empty());
    // Two brands of one host: nobody guesses which is meant.
    let both = machines.ask_for_token(&format!("{AZURA} {BLUE_OCEAN}"));
    assert_error_body(&both, 400, "invalid_scope");
}

#[test]
fn a_revoked_machine_token_opens_nothing_within_two_seconds() {
    let Some(machines) = start(&json!({})) else { return };
    let (token, other) = (machines.token(AZURA), machines.token(AZURA));
    for token in [&token, &other] {
        assert_eq!(all_workers(&machines, token), [200; CONNECTIONS]);
    }
    let grants = machines.as_operator(Request::get("/admin/grants?client_id=property-sync"));
    let grants = grants.with_status(200).json();
    assert_eq!(grants["grants"].as_array().unwrap().len(), 2);
    let form = [("client_id", "property-sync")];
    machines.as_operator(Request::post_form("/admin/grants/revoke", &form)).with_status(200);
    for token in [&token, &other] {
        eventually("the refusal, by every worker", Duration::from_secs(2), || {
            all_workers(&machines, token).into_iter().all(|status| status == 401).then_some(())
        });
    }
    // The upstream's token is no client's, and stays.
    machines.gateway.send(&machines.properties(&machines.token(AZURA))).with_status(200);
    assert_eq!(machines.token_requests().len(), 1);
}

#[test]
fn another_process_of_the_service_goes_on_with_the_token_that_is_stored() {
    let Some(machines) = start(&json!({})) else { return };
    let token = machines.token(AZURA);
    machines.gateway.send(&machines.properties(&token)).with_status(200);
    machines.gateway.kill(Part::Service);
    machines.gateway.start_part(Part::Service);
    let after = machines.token(AZURA);
    machines.gateway.send(&machines.properties(&after)).with_status(200);
    assert_eq!(machines.token_requests().len(), 1);
}
