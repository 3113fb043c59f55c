//! What an operator sees: every metric under its documented name, the access log's fields, and one trace
//! from the client to the service.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;

use ib_end_to_end::{
    Deployment, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, Part, Recorder, Request, Sample,
    StackOptions, eventually, forged_token, parse_prometheus, sum_of, unique, unique_hex,
};
use serde_json::{Value, json};

type Labels = &'static [(&'static str, &'static str)];

/// Every counter without its prefix, with its labels; `true` where the scenario below moves it.
const COUNTERS: &[(&str, Labels, bool)] = &[
    ("requests", &[("outcome", "approved")], true),
    ("requests", &[("outcome", "invalid_request")], true),
    ("requests", &[("outcome", "method_not_allowed")], true),
    ("requests", &[("outcome", "missing_token")], true),
    ("requests", &[("outcome", "invalid_token")], true),
    ("requests", &[("outcome", "session_expired")], true),
    ("requests", &[("outcome", "refresh_limit_exceeded")], false),
    ("requests", &[("outcome", "access_denied")], true),
    ("requests", &[("outcome", "insufficient_scope")], false),
    ("requests", &[("outcome", "unreadable_answer")], true),
    ("requests", &[("outcome", "range_not_served")], true),
    ("requests", &[("outcome", "temporarily_unavailable")], true),
    ("cache", &[("result", "hit")], true),
    ("cache", &[("result", "refused")], true),
    ("cache", &[("result", "miss")], true),
    ("cache", &[("result", "joined")], true),
    ("cache", &[("result", "stale")], false),
    ("cache", &[("result", "foreign")], true),
    ("cache_evictions", &[], false),
    ("introspections", &[("result", "active")], true),
    ("introspections", &[("result", "inactive")], true),
    ("introspections", &[("result", "unsent")], false),
    ("introspections", &[("result", "failed")], true),
    ("introspections", &[("result", "malformed")], false),
    ("introspections", &[("result", "outdated")], false),
    ("renewals", &[("cause", "near_expiry"), ("result", "renewed")], true),
    ("renewals", &[("cause", "near_expiry"), ("result", "unchanged")], false),
    ("renewals", &[("cause", "near_expiry"), ("result", "failed")], false),
    ("renewals", &[("cause", "rejected"), ("result", "renewed")], true),
    ("renewals", &[("cause", "rejected"), ("result", "unchanged")], true),
    ("renewals", &[("cause", "rejected"), ("result", "failed")], false),
    ("replays", &[("result", "answered")], true),
    ("replays", &[("result", "failed")], false),
    ("replays", &[("result", "too_large")], false),
    ("replays", &[("result", "impossible")], true),
    ("revocation_polls", &[("result", "answered")], true),
    ("revocation_polls", &[("result", "failed")], true),
    ("revocations", &[], true),
    ("revocation_resets", &[], false),
    ("bodies", &[("result", "searched")], true),
    ("bodies", &[("result", "masked")], true),
];
/// Gauges, all without labels.
const GAUGES: &[&str] = &[
    "cached_grants",
    "cached_refusals",
    "sessions",
    "waiting_streams",
    "callouts_under_way",
    "current_revocation_feeds",
];
/// Histograms, in milliseconds, without labels. The scenario moves each.
const HISTOGRAMS: &[&str] =
    &["introspection_milliseconds", "renewal_milliseconds", "replay_milliseconds"];

#[test]
fn every_metric_that_is_documented_is_scraped_under_its_name_with_its_labels() {
    // Who waits does so for as long as a scrape on a slow machine may take.
    let options = StackOptions {
        plugin_configuration: json!({ "token_service": { "timeout_milliseconds": 30_000 } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    cause_everything(&gateway);
    let samples = eventually("every metric of the scenario", PATIENCE, || {
        let samples = scrape(&gateway);
        missing(&samples).is_empty().then_some(samples)
    });
    // Nothing else is there: what is there is documented.
    let documented: BTreeSet<String> = COUNTERS
        .iter()
        .map(|(name, _, _)| (*name).to_owned())
        .chain(GAUGES.iter().map(|name| (*name).to_owned()))
        .chain(
            HISTOGRAMS
                .iter()
                .flat_map(|name| ["bucket", "sum", "count"].map(|part| format!("{name}_{part}"))),
        )
        .collect();
    let shown: BTreeSet<String> = samples
        .iter()
        .filter_map(|sample| Some(sample.name.strip_prefix("ib_gateway_")?.to_owned()))
        .collect();
    assert_eq!(shown, documented);
    for sample in samples.iter().filter(|sample| sample.name.starts_with("ib_gateway_")) {
        for (label, value) in &sample.labels {
            let known = ["ib_gateway_outcome", "ib_gateway_cause", "ib_gateway_result", "le"];
            assert!(known.contains(&label.as_str()), "{label}={value} in {}", sample.name);
        }
    }
    assert!(!samples.iter().any(|sample| sample.name.contains("wasmcustom")));
    let documentation =
        fs::read_to_string(ib_end_to_end::envoy_folder().join("../docs/observability.md")).unwrap();
    for name in documented.iter().filter(|name| !name.contains("milliseconds_")) {
        assert!(documentation.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

#[test]
fn the_access_log_says_what_was_decided_for_whom_and_nothing_that_opens_anything() {
    let options = StackOptions {
        plugin_configuration: json!({ "stream_notes": "all" }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    let sid = gateway.sid_of(&grant.access_token);
    let other = gateway.log_in();
    let last = unique("last");
    let fresh = unique("fresh");
    let known = unique("known");
    let forged = unique("forged");
    let denied = unique("denied");
    let send = |host: &str, mark: &str, token: &str| {
        gateway.send(&gateway.proxied_to(host, "GET", &format!("/{mark}?echo")).bearer(token));
    };
    let platform = ib_end_to_end::PLATFORM_HOST;
    send(platform, &fresh, &other.access_token);
    // Each worker has a cache of its own: often enough meets both.
    for _ in 0..30 {
        send(platform, &known, &grant.access_token);
    }
    send(platform, &forged, &forged_token());
    send(ib_end_to_end::FOREIGN_HOST, &denied, &grant.access_token);
    send(platform, &last, &grant.access_token);

    let log = eventually("the access log", PATIENCE, || {
        let text = fs::read_to_string(gateway.stack().access_log()).ok()?;
        text.contains(&last).then_some(text)
    });
    let entries: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |mark: &str| -> Vec<&Value> {
        let mine = |entry: &&Value| entry["path"].as_str().is_some_and(|path| path.contains(mark));
        entries.iter().filter(mine).collect()
    };
    let fresh = of(&fresh)[0];
    assert_eq!(fresh["gateway_cache"], json!("miss"), "{fresh}");
    let approved = format!("approved client={PUBLIC_CLIENT} subject=");
    let note = fresh["gateway"].as_str().unwrap_or_default();
    let subject = note.strip_prefix(&approved).unwrap_or_else(|| panic!("{fresh}"));
    assert_eq!(subject.len(), 16, "{fresh}");
    assert!(!subject.contains(grant.body["clientid"].as_str().unwrap()));
    let hits = of(&known);
    assert!(hits.iter().all(|entry| entry["gateway"] == fresh["gateway"]), "{hits:?}");
    assert!(hits.iter().filter(|entry| entry["gateway_cache"] != json!("miss")).count() >= 28);
    assert_eq!(of(&forged)[0]["gateway"], json!("refused outcome=invalid_token"));
    assert_eq!(of(&denied)[0]["gateway"], json!("refused outcome=access_denied"));
    for entry in &entries {
        for field in ["time", "request_id", "client", "method", "status", "route", "details"] {
            assert!(entry.get(field).is_some(), "{field} is missing: {entry}");
        }
    }
    for secret in [&sid, &grant.access_token, &grant.refresh_token, &other.access_token] {
        assert!(!log.contains(secret.as_str()), "the access log shows a secret");
    }
}

#[test]
fn the_trace_of_a_request_reaches_the_service_with_its_question_and_the_upstream() {
    let recorder = Recorder::listen();
    let options = StackOptions { envoy_patch: recorder.envoy_patch(), ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    recorder.forward_to(gateway.reach().service_internal);
    gateway.await_feeds();
    let grant = gateway.log_in();
    let trace = format!("00-{}-{}-01", unique_hex(16), unique_hex(8));
    let state = format!("vendor={}", unique_hex(8));
    let request = gateway
        .proxied("GET", "/traced?echo")
        .bearer(&grant.access_token)
        .header("traceparent", &trace)
        .header("tracestate", &state)
        .header("cookie", "a=secret-of-the-browser")
        .header("x-forwarded-for", "192.0.2.1");
    let answer = gateway.send(&request).with_status(200);
    let id = answer.header("x-request-id").expect("a request id for the client to name");

    let asked = recorder.requests_with("/introspect");
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in [
        format!("traceparent: {trace}"),
        format!("tracestate: {state}"),
        format!("x-request-id: {id}"),
    ] {
        assert!(asked[0].to_ascii_lowercase().contains(&part), "{part} in {}", asked[0]);
    }
    for part in ["cookie", "secret-of-the-browser", "192.0.2.1", "sid:"] {
        assert!(!asked[0].contains(part), "{part} went to the service: {}", asked[0]);
    }
    let arrived = gateway.simulator().requests_marked(&trace);
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].header("x-request-id"), id);
    let log = eventually("the service's log", PATIENCE, || {
        let text = fs::read_to_string(gateway.stack().log_file(Part::Service)).ok()?;
        text.contains(&id).then_some(text)
    });
    assert!(!log.contains(&grant.access_token));
}

/// Has everything happen that the table above says that it does.
fn cause_everything(gateway: &Deployment) {
    let simulator = gateway.simulator();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    gateway.await_feeds();
    let grant = client.log_in("ada");
    let token = grant.access_token.as_str();
    let get = |rest: &str| gateway.proxied("GET", rest).bearer(token);
    let prepare = |path: &str, status: u16, headers: Value| {
        simulator.set(&json!({ "answers": [{
            "path_prefix": path, "count": 1, "status": status, "headers": headers, "body": "{sid}",
        }] }));
    };
    // Refusals.
    gateway.send(&Request::get(gateway.path("/proxy/")).bearer(token)).with_status(400);
    gateway.send(&gateway.proxied("TRACE", "/x")).with_status(405);
    gateway.send(&gateway.proxied("GET", "/x")).with_status(401);
    gateway.send(&gateway.proxied("GET", "/x").bearer(&forged_token())).with_status(401);
    gateway.send(&gateway.proxied_to("example.com", "GET", "/x").bearer(token)).with_status(403);
    let unknown = gateway.unknown_token();
    for _ in 0..12 {
        gateway.send(&gateway.proxied("GET", "/x").bearer(&unknown)).with_status(401);
    }
    // Bodies.
    for _ in 0..12 {
        gateway.send(&get("/api/3.0.0/x/resource.limit(0,10)")).with_status(200);
    }
    let json = json!([["content-type", "application/json"], ["content-encoding", "br"]]);
    prepare("/encoded", 200, json);
    gateway.send(&get("/encoded")).with_status(502);
    prepare("/part", 206, json!([["content-type", "application/json"]]));
    gateway.send(&get("/part")).with_status(416);
    // A dead session: renewed, then an upload that cannot be repeated, then one that nothing renews.
    // On each worker, since each has its own newest session.
    let on_each_worker = |status: u16| {
        for connection in &mut gateway.connection_to_each_worker() {
            let request = get("/api/3.0.0/x/user");
            connection.exchange(&request, &gateway.host()).unwrap().with_status(status);
        }
    };
    simulator.set(&json!({ "renewal": "extends" }));
    simulator.kill_session(&gateway.sid_of(token));
    on_each_worker(200);
    simulator.kill_session(&gateway.sid_of(token));
    let upload = gateway.proxied("POST", "/api/3.0.0/x/file").bearer(token);
    gateway.send(&upload.body("x".repeat(1 << 20))).with_status(503);
    on_each_worker(200);
    simulator.set(&json!({ "renewal": "same" }));
    simulator.kill_session(&gateway.sid_of(token));
    on_each_worker(401);
    // A session near its end.
    simulator.set(&json!({
        "renewal": "extends", "login_timeout_hours": 1, "login_time_offset_seconds": 120 - 3600,
    }));
    let due = client.log_in("ada");
    eventually("the renewal", PATIENCE, || {
        gateway.send(&gateway.proxied("GET", "/x?echo").bearer(&due.access_token)).with_status(200);
        (gateway.renewals("near_expiry", "renewed") > 0).then_some(())
    });
    // Something ends, a crowd comes, and the service goes.
    client.revoke(&due.refresh_token).with_status(200);
    let crowd = client.log_in("grace").access_token;
    gateway.stack().pause(Part::Service).unwrap();
    let requests = vec![gateway.proxied("GET", "/x?echo").bearer(&crowd); 8];
    let mut connections = gateway.begin_all(&requests);
    eventually("the crowd to wait", PATIENCE, || {
        (gateway.filter_count("waiting_streams") >= 8).then_some(())
    });
    gateway.stack().resume(Part::Service).unwrap();
    for connection in &mut connections {
        connection.read_response("GET").unwrap().with_status(200);
    }
    let fresh = client.log_in("grace").access_token;
    gateway.kill(Part::Service);
    gateway.send(&gateway.proxied("GET", "/x?echo").bearer(&fresh)).with_status(503);
    gateway.await_filter_count("current_revocation_feeds", 0);
}

fn scrape(gateway: &Deployment) -> Vec<Sample> {
    let address = gateway.stack().addresses().envoy_stats;
    parse_prometheus(&gateway.ask(address, "/stats/prometheus").with_status(200).text())
}

/// What the table promises and the scrape does not show.
fn missing(samples: &[Sample]) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, labels, moves) in COUNTERS {
        let name = format!("ib_gateway_{name}");
        let keys: Vec<_> =
            labels.iter().map(|(key, value)| (format!("ib_gateway_{key}"), *value)).collect();
        let labels: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let is_there = samples.iter().any(|sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|given| given == value))
        });
        if !is_there || (*moves && sum_of(samples, &name, &labels) == 0.0) {
            missing.push(format!("{name} {labels:?}"));
        }
    }
    for name in GAUGES {
        let name = format!("ib_gateway_{name}");
        if !samples.iter().any(|sample| sample.name == name) {
            missing.push(name);
        }
    }
    for name in HISTOGRAMS {
        let name = format!("ib_gateway_{name}_count");
        if sum_of(samples, &name, &[]) == 0.0 {
            missing.push(name);
        }
    }
    missing
}
