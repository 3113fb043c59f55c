//! A session that dies at IntelligenceBank while clients use it: renewed once, however many see it, and
//! told in the right words where nothing newer is to be had.
#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};

use ib_end_to_end::{
    Challenge, Deployment, LoggedRequest, PATIENCE, PLATFORM_HOST, Pace, Request, Response,
    StackOptions, assert_refusal, eventually, sha256_hex, unique,
};
use serde_json::json;

/// The origin that the example configuration allows.
const ALLOWED: &str = "https://app.example.com";
const EXPIRED: &str = "Session has expired";

#[test]
fn under_two_hundred_requests_a_second_no_client_notices_and_there_is_one_renewal() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    let token = gateway.log_in().access_token;
    let sid = gateway.sid_of(&token);
    let killed_at = 300;
    let after = AtomicU32::new(0);
    let pace = Pace { connections: 20, per_second: 200, total: 1_000 };
    gateway.load(
        pace,
        |number| {
            let rest = format!("/api/3.0.0/load/{number}?echo");
            match number % 2 {
                0 => gateway.proxied("GET", &rest).bearer(&token),
                _ => gateway.proxied("POST", &rest).bearer(&token).body(body_of(number)),
            }
        },
        |number, _, answer| {
            assert_eq!(answer.status, 200, "request {number}: {answer:?}");
            let arrived = LoggedRequest::echoed(answer);
            assert_eq!(arrived.raw_path, format!("/api/3.0.0/load/{number}"), "another's answer");
            let body = if number % 2 == 0 { String::new() } else { body_of(number) };
            assert_eq!(arrived.body_sha256, sha256_hex(body.as_bytes()), "another body");
            if number == killed_at {
                gateway.simulator().kill_session(&sid);
            } else if number > killed_at {
                after.fetch_add(1, Ordering::Relaxed);
            }
        },
    );
    assert!(after.into_inner() > 500, "the session died too late for this to show anything");
    assert_eq!(gateway.renewals("rejected", "renewed"), 1);
    assert_eq!(gateway.renewals("rejected", "nothing_newer"), 0);
    let replayed = gateway.simulator().requests_marked(&sid);
    let met = eventually("the filter to report", PATIENCE, || {
        let answered = gateway.filter_count("replays.result.answered");
        (answered > 0).then_some(answered)
    });
    assert!(met <= 40, "{met} requests met the dead session, of {} with its id", replayed.len());
    assert_ne!(gateway.sid_of(&token), sid);
}

#[test]
fn a_hundred_streams_that_see_the_same_dead_session_cause_one_renewal() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    let token = gateway.log_in().access_token;
    let sid = gateway.sid_of(&token);
    gateway.simulator().kill_session(&sid);
    // The renewal takes a while, so that all of them are there before it is over.
    gateway.simulator().set_faults(&[json!({
        "host": PLATFORM_HOST, "path_prefix": "/v1/auth/app/info", "count": 1, "delay_ms": 700,
    })]);
    let mark = unique("hundred");
    let requests: Vec<Request> = (0..100)
        .map(|number| {
            let rest = format!("/api/3.0.0/{mark}/{number}?echo");
            let method = if number % 2 == 0 { "GET" } else { "PUT" };
            let request = gateway.proxied(method, &rest).bearer(&token);
            if number % 2 == 0 { request } else { request.body(body_of(number)) }
        })
        .collect();
    for (number, answer) in gateway.send_all_at_once(&requests).iter().enumerate() {
        let arrived = LoggedRequest::echoed(answer);
        assert_eq!(arrived.raw_path, format!("/api/3.0.0/{mark}/{number}"), "another's answer");
    }
    assert_eq!(gateway.renewals("rejected", "renewed"), 1);
    let arrived = gateway.simulator().requests_marked(&mark);
    let (old, new): (Vec<_>, Vec<_>) =
        arrived.iter().partition(|request| request.header("sid") == sid);
    assert_eq!(new.len(), 100, "each was answered by the renewed session once");
    assert!(old.len() > 50, "only {} met the dead session: this was no crowd", old.len());
    gateway.await_filter_count("waiting_streams", 0);
}

#[test]
fn defect_24_a_client_whose_session_is_over_for_good_is_told_so_in_json_with_challenge_and_cors() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    for renewal in ["same", "gone"] {
        gateway.simulator().set(&json!({ "renewal": renewal }));
        let token = gateway.log_in().access_token;
        gateway.simulator().kill_session(&gateway.sid_of(&token));
        let mark = unique("over");
        let rest = format!("/api/3.0.0/{mark}/user?echo");
        // One connection, and so one worker: the other one hears of it by the feed.
        let mut connection = gateway.connect();
        let mut call = |method: &str| {
            let request = gateway.proxied(method, &rest).bearer(&token).header("origin", ALLOWED);
            connection.exchange(&request, &gateway.host()).expect("an answer")
        };
        let answer = call("GET");
        assert_over(&gateway, &answer, EXPIRED);
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ALLOWED));
        let exposed = answer.list("access-control-expose-headers");
        assert!(exposed.contains(&"www-authenticate".to_owned()), "{answer:?}");
        assert_eq!(answer.headers("content-type").len(), 1, "{answer:?}");
        assert_eq!(answer.headers("content-length").len(), 1, "{answer:?}");
        // From here on nothing goes upstream any more.
        for method in ["GET", "POST", "DELETE"] {
            assert_over(&gateway, &call(method), EXPIRED);
        }
        let arrived = gateway.simulator().requests_marked(&mark);
        assert_eq!(arrived.len(), 1, "a dead session goes on to be used: {arrived:?}");
    }
    assert_eq!(gateway.renewals("rejected", "renewed"), 0);
}

#[test]
fn a_session_that_dies_after_its_renewals_have_run_out_is_refused_with_that_reason() {
    let options = StackOptions {
        service_settings: json!({ "sessions": { "maximum_refresh_attempts": 1 } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    gateway.simulator().set(&json!({
        "renewal": "same", "login_timeout_hours": 1, "login_time_offset_seconds": 120 - 3600,
    }));
    let token = gateway.log_in().access_token;
    let sid = gateway.sid_of(&token);
    let request = gateway.proxied("GET", "/api/3.0.0/limit/user?echo").bearer(&token);
    eventually("the one attempt", PATIENCE, || {
        gateway.send(&request).with_status(200);
        (gateway.renewals("near_expiry", "nothing_newer") == 1).then_some(())
    });
    gateway.simulator().kill_session(&sid);
    assert_over(&gateway, &gateway.send(&request), "Session refresh limit exceeded");
    assert_over(&gateway, &gateway.send(&request), "Session refresh limit exceeded");
}

#[test]
fn a_plain_403_or_404_passes_untouched_and_is_sent_once() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    let token = gateway.log_in().access_token;
    let sid = gateway.sid_of(&token);
    for (path, status, error) in [
        ("resource/x/forbidden", 403, "error.no_permission"),
        ("resource/missing", 404, "error.resource.not_found"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let mark = unique("plain");
            let rest = format!("/api/3.0.0/{mark}/{path}");
            let answer = gateway.send(&gateway.proxied(method, &rest).bearer(&token));
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.json(), json!({ "error": error }));
            assert!(answer.header("www-authenticate").is_none(), "{answer:?}");
            let arrived = gateway.simulator().requests_marked(&mark);
            assert_eq!(arrived.len(), 1, "{method} {path} was sent again");
        }
    }
    // Longer than any of IntelligenceBank's errors, in pieces, and of another type.
    let long = "x".repeat(20_000);
    for (kind, body) in [
        ("application/json", json!({ "error": long }).to_string()),
        ("text/html", "<p>resource has expired</p>".to_owned()),
        ("image/png", "resource has expired".to_owned()),
    ] {
        let mark = unique("plain");
        gateway.simulator().set(&json!({ "answers": [{
            "path_prefix": format!("/{mark}"), "count": 1, "status": 404,
            "headers": [["content-type", kind], ["x-own", "stays"]], "body": body,
            "piece_bytes": 3_000, "pause_ms": 5,
        }] }));
        let answer = gateway.send(&gateway.proxied("GET", &format!("/{mark}")).bearer(&token));
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.text(), body);
        assert_eq!(answer.header("x-own").as_deref(), Some("stays"));
        assert_eq!(gateway.simulator().requests_marked(&mark).len(), 1);
    }
    assert_eq!(gateway.sid_of(&token), sid, "the session was taken for dead");
    for cause in ["rejected", "near_expiry"] {
        assert_eq!(gateway.renewals(cause, "renewed"), 0);
    }
}

#[test]
fn a_404_that_says_that_the_session_is_gone_is_repeated_for_get_and_handed_on_for_post() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    let token = gateway.log_in().access_token;
    let gone = r#"{"message":"The resource has expired."}"#;
    // One connection, and so one worker: the other one is a renewal behind until it meets it.
    let mut connection = gateway.connect();
    let mut send =
        |request: Request| connection.exchange(&request, &gateway.host()).expect("an answer");
    for (method, status, arrives) in
        [("GET", 200, 2), ("HEAD", 404, 1), ("DELETE", 200, 2), ("POST", 404, 1), ("PATCH", 404, 1)]
    {
        let mark = unique("gone");
        let whose = unique("whose");
        send(gateway.proxied("GET", &format!("/{whose}?echo")).bearer(&token)).with_status(200);
        let before = gateway.simulator().requests_marked(&whose)[0].header("sid");
        gateway.simulator().set(&json!({ "answers": [{
            "path_prefix": format!("/{mark}"), "count": 1, "status": 404,
            "headers": [["content-type", "application/json"]], "body": gone,
        }] }));
        let request = gateway.proxied(method, &format!("/{mark}?echo")).bearer(&token);
        let answer = send(request);
        assert_eq!(answer.status, status, "{method}: {answer:?}");
        // An answer to HEAD has no body that could say anything: a plain 404.
        if status == 404 && method != "HEAD" {
            assert_eq!(answer.text(), gone, "{method}: {answer:?}");
        }
        let arrived = gateway.simulator().requests_marked(&mark);
        assert_eq!(arrived.len(), arrives, "{method}: {arrived:?}");
        if arrives == 2 {
            assert_eq!(arrived[0].header("sid"), before);
            assert_ne!(arrived[1].header("sid"), before, "{method}: the dead session once more");
        }
    }
}

fn body_of(number: u32) -> String {
    format!("body {number} {}", "x".repeat(number as usize % 900))
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
}
