//! A session near its end: renewed while requests go on, spaced where nothing newer is to be had, and
//! refused by the right words when it is over.
#![cfg(test)]

use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Challenge, Connection, Deadline, Deployment, LOOPBACK_REDIRECT, PATIENCE, PLATFORM_HOST,
    PUBLIC_CLIENT, Request, Response, StackOptions, assert_refusal, eventually, unique,
};
use serde_json::{Value, json};

/// Outside `/api/` the simulator answers whatever the sid, so that every 401 is the gateway's own.
const REST: &str = "/renewal/user?echo";
const INFORMATION: &str = "/v1/auth/app/info";

#[test]
fn defect_24_a_session_that_intelligencebank_extends_outlives_its_end_by_one_renewal_in_the_background()
 {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let lifetime = Duration::from_secs(8);
    let clock = sessions_end_after(&gateway, lifetime, "extends");
    let token = gateway.log_in().access_token;
    let first_sid = gateway.sid_of(&token);
    let mut workers = gateway.connection_to_each_worker();
    eventually("a moment past the first end", PATIENCE, || {
        for worker in &mut workers {
            call(&gateway, worker, &token).with_status(200);
        }
        thread::sleep(Duration::from_millis(30));
        (clock.elapsed() > lifetime + Duration::from_secs(2)).then_some(())
    });
    assert_eq!(gateway.renewals("near_expiry", "renewed"), 1);
    assert_eq!(gateway.renewals("rejected", "renewed"), 0, "a client has met the dead session");
    assert_eq!(information_reads(&gateway), 2, "the login's own reading, and one renewal");

    // The new sid goes up from each worker, and nothing asks again.
    let mut sids = Vec::new();
    for worker in &mut workers {
        let mark = unique("after");
        let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&token);
        worker.exchange(&request, &gateway.host()).unwrap().with_status(200);
        sids.push(gateway.simulator().requests_marked(&mark)[0].header("sid"));
    }
    assert_ne!(sids[0], first_sid);
    assert_eq!(sids[0], sids[1]);
    assert_eq!(information_reads(&gateway), 2);
    let renewed = gateway.filter_count("renewals.cause.near_expiry.result.renewed");
    assert!((1..=2).contains(&renewed), "{renewed} by the filter's count");
}

#[test]
fn a_session_whose_login_time_alone_moves_is_renewed_too() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let lifetime = Duration::from_secs(6);
    let clock = sessions_end_after(&gateway, lifetime, "touches");
    let token = gateway.log_in().access_token;
    let sid = gateway.sid_of(&token);
    let mut connection = gateway.connect();
    eventually("a moment past the first end", PATIENCE, || {
        call(&gateway, &mut connection, &token).with_status(200);
        thread::sleep(Duration::from_millis(30));
        (clock.elapsed() > lifetime + Duration::from_secs(2)).then_some(())
    });
    assert_eq!(gateway.sid_of(&token), sid);
    assert_eq!(gateway.renewals("near_expiry", "renewed"), 1);
}

#[test]
fn where_nothing_newer_is_to_be_had_requests_go_on_and_attempts_are_spaced() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    for (round, renewal) in ["same", "gone"].into_iter().enumerate() {
        let clock = sessions_end_after(&gateway, Duration::from_secs(120), renewal);
        let token = gateway.log_in().access_token;
        let before = information_reads(&gateway);
        let mut workers = gateway.connection_to_each_worker();
        // The least spacing is half a minute: in three seconds there is one attempt.
        while clock.elapsed() < Duration::from_secs(3) {
            for worker in &mut workers {
                call(&gateway, worker, &token).with_status(200);
            }
            // The simulator remembers so many requests and no more: a flood would push the reads out.
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(information_reads(&gateway) - before, 1, "{renewal}");
        assert_eq!(gateway.renewals("near_expiry", "nothing_newer"), round as u64 + 1);
    }
    assert_eq!(gateway.renewals("near_expiry", "renewed"), 0);
}

#[test]
fn defect_23_attempts_that_ran_out_leave_the_session_until_its_end_and_a_token_refresh_brings_none_back()
 {
    let options = StackOptions {
        service_settings: json!({ "sessions": { "maximum_refresh_attempts": 1 } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let lifetime = Duration::from_secs(9);
    let clock = sessions_end_after(&gateway, lifetime, "same");
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let first = client.log_in("ada");
    let mut workers = gateway.connection_to_each_worker();
    eventually("the one attempt", PATIENCE, || {
        for worker in &mut workers {
            call(&gateway, worker, &first.access_token).with_status(200);
        }
        (gateway.renewals("near_expiry", "nothing_newer") == 1).then_some(())
    });

    let second = ib_end_to_end::Grant::of(&client.refresh(&first.refresh_token));
    for field in ["sidCreatedAt", "sidExpiry"] {
        assert_eq!(second.body[field], first.body[field], "a refresh changed {field}");
    }
    // Until just before the end, which the service rounds to a second.
    while clock.elapsed() < lifetime - Duration::from_secs(2) {
        for worker in &mut workers {
            call(&gateway, worker, &second.access_token).with_status(200);
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Each worker counts from its own introspection, so one may be a moment later than the other.
    for worker in &mut workers {
        let over = eventually("the end of the session", PATIENCE, || {
            let answer = call(&gateway, worker, &second.access_token);
            (answer.status != 200).then_some(answer)
        });
        assert_over(&gateway, &over, "Session refresh limit exceeded");
    }
    assert_eq!(information_reads(&gateway), 2, "the login's own reading, and one attempt");
}

#[test]
fn intelligencebank_out_of_reach_is_no_attempt_and_is_tried_again_behind_the_clients_backs() {
    let options = StackOptions {
        service_settings: json!({ "sessions": { "maximum_refresh_attempts": 1 } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let _clock = sessions_end_after(&gateway, Duration::from_secs(120), "extends");
    let token = gateway.log_in().access_token;
    gateway.simulator().set_faults(&[json!({
        "host": PLATFORM_HOST, "path_prefix": INFORMATION, "count": 2, "status": 503,
    })]);
    let mut connection = gateway.connect();
    eventually("the renewal after two outages", PATIENCE, || {
        call(&gateway, &mut connection, &token).with_status(200);
        thread::sleep(Duration::from_millis(30));
        (gateway.renewals("near_expiry", "renewed") == 1).then_some(())
    });
    assert_eq!(gateway.renewals("near_expiry", "unreachable"), 2);
}

/// Has sessions that begin from now on end after `lifetime`, which is within the refresh window, so that
/// a renewal is due at once. Gives a clock that counts from now.
fn sessions_end_after(gateway: &Deployment, lifetime: Duration, renewal: &str) -> Deadline {
    let offset = i64::try_from(lifetime.as_secs()).unwrap() - 3600;
    gateway.simulator().set(&json!({
        "renewal": renewal, "login_timeout_hours": 1, "login_time_offset_seconds": offset,
    }));
    Deadline::after(PATIENCE)
}

/// How often the service has read a session from IntelligenceBank.
fn information_reads(gateway: &Deployment) -> usize {
    let mut requests = gateway.simulator().requests_since(0);
    // While nobody has logged in the same address is polled.
    requests.retain(|request| request.raw_path.starts_with(INFORMATION));
    let pending = gateway.service_metric(
        "oauth_requests_total",
        &[("endpoint", "/authorize/poll"), ("status", "404")],
    );
    requests.len() - format!("{pending:.0}").parse::<usize>().unwrap()
}

#[track_caller]
fn call(gateway: &Deployment, connection: &mut Connection, token: &str) -> Response {
    let request: Request = gateway.proxied("GET", REST).bearer(token);
    connection.exchange(&request, &gateway.host()).expect("an answer")
}

#[track_caller]
fn assert_over(gateway: &Deployment, answer: &Response, description: &str) {
    assert_refusal(answer, 401, "invalid_token", description);
    let expected = Challenge::bearer(&[
        ("error", "invalid_token"),
        ("error_description", description),
        ("resource_metadata", &gateway.resource_metadata()),
    ]);
    assert_eq!(Challenge::of(answer), expected);
    let body: Value = answer.json();
    assert!(body.get("sid").is_none(), "{body}");
}
