//! What one address, one client and one user may send: a flood at ten times a limit is stopped, and nobody
//! who does not flood notices.
#![cfg(test)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Deadline, Deployment, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, Pace, Request,
    Response, StackOptions, TEST_CLIENT, WORKERS, assert_refusal, forged_token,
    production_bootstrap, unique,
};
use serde_json::{Value, json};

const FILTERS: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
/// Where `address_limit`, `client_limit` and `user_limit` stand.
const ADDRESS: &str = "1/typed_config/descriptors/0/token_bucket";
const CLIENT: &str = "5/typed_config/descriptors/0/token_bucket";
const USER: &str = "6/typed_config/descriptors/0/token_bucket";
const ALLOWED_ORIGIN: &str = "https://app.example.com";
const TOO_MANY: &str = "Too many requests; try again later";

const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
const FLOODING: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));

/// The limit of these tests: so many at once, and so many a second.
const BURST: u32 = 10;
const PER_SECOND: u32 = 20;
/// A flood at ten times that, for three seconds.
const FLOOD: Pace = Pace { connections: 4, per_second: 10 * PER_SECOND, total: 30 * PER_SECOND };
/// Somebody who stays within it, for longer.
const CALM: Pace = Pace { connections: 1, per_second: PER_SECOND / 4, total: PER_SECOND };

#[test]
fn a_flood_from_one_address_costs_no_filter_and_another_address_does_not_notice_it() {
    let Some(gateway) = limited(&[(ADDRESS, BURST, PER_SECOND)]) else { return };
    let grant = gateway.log_in();
    let seen_before = refused_by_the_filter(&gateway);
    let forged = forged_token();
    // Proxied requests and public paths, all of them from one address.
    let flood = |number: u32| match number % 4 {
        0 | 1 => gateway.proxied("GET", "/api/3.0.0/flood/resource").bearer(&forged),
        2 => Request::get(gateway.path("/.well-known/oauth-authorization-server")),
        _ => Request::get(gateway.path("/token")),
    };
    let (passed, elapsed) = under_flood(&gateway, FLOOD, flood, || {
        let calm = |_| gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&grant.access_token);
        gateway.load_from(HONEST, CALM, calm, |number, _, answer| {
            assert_eq!(answer.status, 200, "honest request {number}: {answer:?}");
        });
    });
    assert_within_limit(passed, elapsed);
    // Half of what passed went to /proxy. The rest of the flood never got to the filter.
    let seen = refused_by_the_filter(&gateway) - seen_before;
    assert!(
        seen > 0 && seen <= u64::from(passed),
        "the filter refused {seen}, and {passed} passed"
    );
}

#[test]
fn a_user_has_one_limit_over_all_sessions_and_clients_and_no_other_user_has_a_part_in_it() {
    let Some(gateway) = limited(&[(USER, BURST, PER_SECOND)]) else { return };
    let tokens: Vec<_> = [PUBLIC_CLIENT, PUBLIC_CLIENT, TEST_CLIENT]
        .map(|client| log_in(&gateway, client, "ada").access_token)
        .into();
    let grace = log_in(&gateway, PUBLIC_CLIENT, "grace");
    let mark = unique("flood");
    let rest = format!("/api/3.0.0/{mark}/resource?echo");
    let flood =
        |number: u32| gateway.proxied("GET", &rest).bearer(&tokens[number as usize % tokens.len()]);
    let (passed, elapsed) = under_flood(&gateway, FLOOD, flood, || {
        let calm = |_| gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&grace.access_token);
        gateway.load_from(HONEST, CALM, calm, |number, _, answer| {
            assert_eq!(answer.status, 200, "honest request {number}: {answer:?}");
        });
    });
    assert_within_limit(passed, elapsed);
    let arrived = gateway.simulator().requests_marked(&mark).len();
    assert_eq!(arrived, passed as usize, "IntelligenceBank sees what passed and nothing else");
}

#[test]
fn a_flood_of_one_client_stops_no_other_client_not_even_of_the_same_user() {
    let Some(gateway) = limited(&[(CLIENT, BURST, PER_SECOND)]) else { return };
    let tokens = ["ada", "grace"].map(|user| log_in(&gateway, PUBLIC_CLIENT, user).access_token);
    let other = log_in(&gateway, TEST_CLIENT, "ada");
    let flood = |number: u32| {
        gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&tokens[number as usize % 2])
    };
    let (passed, elapsed) = under_flood(&gateway, FLOOD, flood, || {
        let calm = |_| gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&other.access_token);
        gateway.load_from(HONEST, CALM, calm, |number, _, answer| {
            assert_eq!(answer.status, 200, "honest request {number}: {answer:?}");
        });
    });
    assert_within_limit(passed, elapsed);
}

#[test]
fn what_a_clients_limit_refuses_costs_its_users_nothing_in_other_clients() {
    // Nothing comes back into either bucket within this test.
    let no_refill = |place: &str, burst: u32| bucket(place, burst, 1, "600s");
    let Some(gateway) = limited_and(&[], vec![no_refill(CLIENT, 3), no_refill(USER, 6)]) else {
        return;
    };
    let token = |client| log_in(&gateway, client, "ada").access_token;
    let (wild, other) = (token(PUBLIC_CLIENT), token(TEST_CLIENT));
    let send = |token: &str| {
        let request = gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(token);
        gateway.send(&request.header("origin", ALLOWED_ORIGIN))
    };
    let left = |answer: &Response| answer.header("x-ratelimit-remaining");
    let passed: Vec<_> = (0..3).map(|_| left(&send(&wild).with_status(200))).collect();
    assert_eq!(passed, ["5", "4", "3"].map(|left| Some(left.to_owned())), "what the user has left");
    for _ in 0..20 {
        let refused = send(&wild);
        assert_limited(&refused, "2000");
        assert_eq!(left(&refused).as_deref(), Some("0"), "{refused:?}");
    }
    let answer = send(&other).with_status(200);
    assert_eq!(
        left(&answer).as_deref(),
        Some("2"),
        "the refused ones have spent the user's budget"
    );
}

#[test]
fn whoever_is_limited_can_read_so_from_a_page_too_and_retry_after_is_true() {
    let Some(gateway) = limited(&[(USER, 3, 1)]) else { return };
    let grant = gateway.log_in();
    let send = || {
        let request = gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&grant.access_token);
        gateway.send(&request.header("origin", ALLOWED_ORIGIN))
    };
    let first = send().with_status(200);
    assert_eq!(first.header("x-ratelimit-limit").as_deref(), Some("3"));
    assert_eq!(first.header("x-ratelimit-remaining").as_deref(), Some("2"));
    let limited = first_limited(send);
    assert_eq!(limited.header("x-ratelimit-remaining").as_deref(), Some("0"));
    assert!(limited.header("x-ratelimit-reset").is_some(), "{limited:?}");
    assert_limited(&limited, "3");
    wait_as_told(&limited);
    send().with_status(200);
}

#[test]
fn an_address_that_is_limited_can_read_so_from_a_page_too_and_retry_after_is_true() {
    let Some(gateway) = limited(&[(ADDRESS, 3, 1)]) else { return };
    for path in ["/proxy/company.intelligencebank.com/x", "/token", "/jwks.json"] {
        let send = || {
            let request = Request::get(gateway.path(path)).header("origin", ALLOWED_ORIGIN);
            gateway.send_from(FLOODING, &request)
        };
        let limited = first_limited(send);
        assert_eq!(limited.header("x-ratelimit-remaining").as_deref(), Some("0"), "{path}");
        assert_limited(&limited, "1000");
        wait_as_told(&limited);
        assert_ne!(send().status, 429, "{path}");
    }
}

#[test]
fn a_client_can_give_itself_neither_another_address_nor_another_users_limit() {
    let Some(gateway) = limited(&[(ADDRESS, 40, 1), (USER, BURST, 1)]) else { return };
    let grant = gateway.log_in();
    let mut number = 0;
    let mut forged = |from: IpAddr, request: Request| {
        number += 1;
        let address = format!("192.0.2.{number}");
        let names = ["x-forwarded-for", "x-real-ip", "x-envoy-external-address", "forwarded"];
        let request = names.iter().fold(request, |request, name| request.header(name, &address));
        let user = format!("{number:016x}");
        let names = ["x-ib-gateway-user", "x-ib-gateway-client"];
        let request = names.iter().fold(request, |request, name| request.header(name, &user));
        gateway.send_from(from, &request)
    };
    let open = || Request::get(gateway.path("/jwks.json"));
    assert_refusal(
        &first_limited(|| forged(FLOODING, open())),
        429,
        "rate_limit_exceeded",
        TOO_MANY,
    );
    // Another address each time: what stops this one is the user's limit.
    let mut last = 10;
    let limited = first_limited(|| {
        last += 1;
        let request = gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&grant.access_token);
        forged(IpAddr::V4(Ipv4Addr::new(127, 0, 1, last)), request)
    });
    assert_eq!(limited.header("x-ratelimit-limit"), Some(BURST.to_string()), "{limited:?}");
}

#[test]
fn intelligencebank_learns_neither_the_client_nor_the_user_that_is_counted() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    let mark = unique("mark");
    let request = gateway.proxied("GET", &format!("/api/3.0.0/{mark}/resource?echo"));
    gateway.send(&request.bearer(&grant.access_token)).with_status(200);
    let arrived = gateway.simulator().requests_marked(&mark);
    assert_eq!(arrived.len(), 1);
    assert!(!arrived[0].mentions("x-ib-gateway"), "{:?}", arrived[0]);
}

#[test]
fn beyond_the_number_of_addresses_that_are_told_apart_the_quietest_is_forgotten_and_nobody_refused()
{
    let bound = json!({
        "op": "replace",
        "path": format!("{FILTERS}/1/typed_config/max_dynamic_descriptors"),
        "value": 2,
    });
    let no_refill = bucket(ADDRESS, 3, 1, "600s");
    let Some(gateway) = limited_and(&[], vec![bound, no_refill]) else { return };
    let send = |last: u8| {
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 2, last));
        gateway.send_from(source, &Request::get(gateway.path("/jwks.json")))
    };
    first_limited(|| send(1));
    let send = |last: u8| send(last).status;
    assert_eq!(send(2), 200);
    assert_eq!(send(1), 429, "two are told apart");
    assert_eq!([send(3), send(4)], [200, 200], "others take their places");
    assert_eq!(send(1), 200, "and the first begins anew");
}

#[test]
fn the_figures_that_are_shipped_keep_what_they_promise() {
    let bootstrap = production_bootstrap();
    let filters = bootstrap.pointer(FILTERS).and_then(Value::as_array).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let mut limits = 0;
    for filter in filters {
        let settings = &filter["typed_config"];
        for descriptor in settings["descriptors"].as_array().into_iter().flatten() {
            let bucket = &descriptor["token_bucket"];
            assert_eq!(bucket["fill_interval"], "1s");
            let (burst, rate) = (number(&bucket["max_tokens"]), number(&bucket["tokens_per_fill"]));
            let told = |name: &str| {
                let headers = settings["response_headers_to_add"].as_array().unwrap();
                let found = headers.iter().find(|entry| entry["header"]["key"] == name);
                found.map(|entry| entry["header"]["value"].as_str().unwrap().to_owned())
            };
            assert!(rate >= 1, "no token comes back within the second that Retry-After says");
            assert_eq!(told("retry-after").as_deref(), Some("1"));
            if settings.get("enable_x_ratelimit_headers").is_none() {
                assert_eq!(told("x-ratelimit-limit"), Some(burst.to_string()));
            }
            if descriptor["entries"][0]["key"] == "user" {
                assert_eq!(burst + 60 * rate, 600, "IntelligenceBank's limit of a user's minute");
            }
            limits += 1;
        }
    }
    assert_eq!(limits, 3, "address, user and client");
}

/// A gateway with these buckets: the place of each, how many at once, how many a second.
fn limited(buckets: &[(&str, u32, u32)]) -> Option<Deployment> {
    limited_and(buckets, Vec::new())
}

fn limited_and(buckets: &[(&str, u32, u32)], more: Vec<Value>) -> Option<Deployment> {
    let each_second = |(place, burst, rate): &(&str, u32, u32)| bucket(place, *burst, *rate, "1s");
    let mut envoy_patch: Vec<_> = buckets.iter().map(each_second).collect();
    envoy_patch.extend(more);
    Deployment::own(StackOptions { envoy_patch, ..StackOptions::default() })
}

/// The change that makes a bucket this one.
fn bucket(place: &str, burst: u32, rate: u32, interval: &str) -> Value {
    let value = json!({ "max_tokens": burst, "tokens_per_fill": rate, "fill_interval": interval });
    json!({ "op": "replace", "path": format!("{FILTERS}/{place}"), "value": value })
}

fn log_in(gateway: &Deployment, client: &str, user: &str) -> Grant {
    gateway.client(client, LOOPBACK_REDIRECT).log_in(user)
}

/// Floods from an address of its own while `meanwhile` runs. Gives how many requests were not limited, and
/// how long it took.
fn under_flood(
    gateway: &Deployment,
    pace: Pace,
    request: impl Fn(u32) -> Request + Send + Sync,
    meanwhile: impl FnOnce() + Send,
) -> (u32, Duration) {
    let passed = AtomicU32::new(0);
    let start = Deadline::after(PATIENCE);
    let elapsed = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            gateway.load_from(FLOODING, pace, request, |_, _, answer| {
                if answer.status == 429 {
                    assert_refusal(answer, 429, "rate_limit_exceeded", TOO_MANY);
                } else {
                    passed.fetch_add(1, Relaxed);
                }
            });
            start.elapsed()
        });
        meanwhile();
        flood.join().expect("every request of the flood was answered")
    });
    (passed.into_inner(), elapsed)
}

/// A flood got all that the limit gives in its time, and no more.
#[track_caller]
fn assert_within_limit(passed: u32, elapsed: Duration) {
    let given = f64::from(BURST) + f64::from(PER_SECOND) * elapsed.as_secs_f64();
    assert!(f64::from(passed) <= given + 1.0, "{passed} passed, and the limit gives {given}");
    // Where the machine is busy, the flood itself may be slower than it means to be.
    let least = f64::from(BURST) + f64::from(PER_SECOND) * 1.0;
    assert!(f64::from(passed) >= least, "{passed} passed, and the limit gives {given}");
    assert!(passed < FLOOD.total / 2, "the flood was not stopped: {passed}");
}

/// The first answer that is 429, of a few dozen at most.
#[track_caller]
fn first_limited(mut send: impl FnMut() -> Response) -> Response {
    (0..64).map(|_| send()).find(|answer| answer.status == 429).expect("a limit")
}

#[track_caller]
fn assert_limited(answer: &Response, limit: &str) {
    assert_refusal(answer, 429, "rate_limit_exceeded", TOO_MANY);
    assert_eq!(answer.header("x-ratelimit-limit").as_deref(), Some(limit), "{answer:?}");
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed.as_deref(), Some(ALLOWED_ORIGIN), "{answer:?}");
    let exposed = answer.list("access-control-expose-headers");
    for name in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert_eq!(answer.headers(name).len(), 1, "{name}: {answer:?}");
        assert!(exposed.contains(&name.to_owned()), "a page cannot read {name}: {answer:?}");
    }
}

/// Waits for as long as the answer says.
#[track_caller]
fn wait_as_told(answer: &Response) {
    let seconds: u64 = answer.header("retry-after").expect("retry-after").parse().expect("seconds");
    assert!((1..=5).contains(&seconds), "{seconds}");
    thread::sleep(Duration::from_secs(seconds));
}

/// How many requests with a bad token the filter has refused, once each worker has reported.
fn refused_by_the_filter(gateway: &Deployment) -> u64 {
    const MISSING: &str = "requests.outcome.missing_token";
    let before = gateway.filter_count(MISSING);
    for mut connection in gateway.connection_to_each_worker() {
        let request = gateway.proxied("GET", "/api/3.0.0/c/resource");
        connection.exchange(&request, &gateway.host()).expect("an answer").with_status(401);
    }
    gateway.await_filter_count(MISSING, before + WORKERS);
    gateway.filter_count("requests.outcome.invalid_token")
}
