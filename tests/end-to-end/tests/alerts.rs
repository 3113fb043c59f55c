//! A real Prometheus scrapes a running gateway, with the rules of `deploy/observability`. Then things break, and
//! 19 of the 47 alerts fire for their cause on what the gateway really exports, and are quiet before and after it.
//! Of the others this sees that their metrics are there; that they fire is left to made-up series
//! (`deploy/observability/tests`). `make test-observability` runs this: it wants Prometheus, and takes some minutes.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    AZURA, Deadline, Deployment, LOOPBACK_REDIRECT, Machines, PUBLIC_CLIENT, Part, Prometheus,
    Request, StackOptions, built, eventually, observability_folder, production_bootstrap,
    rule_files,
};
use serde_json::{Value, json};

const FILTERS: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
/// Metrics of filters that envoy.yaml may have or not, and how such a filter is written there.
const OF_FILTERS: [(&str, &str); 1] =
    [("envoy_http_local_rate_limit_rate_limited", "http.local_ratelimit")];
/// For an alert to come. (The longest window that it may have to fill is half a minute here.)
const TO_FIRE: Duration = Duration::from_secs(60);
/// For it to go: the longest window is a minute and a half.
const TO_CALM: Duration = Duration::from_secs(150);
/// As long as the windows of most rules, and a little more.
const A_WHILE: Duration = Duration::from_secs(35);
/// How far back queries of the dashboard look.
const WHOLE_RUN_SECONDS: u64 = 900;
const INTERVAL: &str = "20s";
/// Metrics that only a listener with TLS has; the last test is about them.
const CERTIFICATES: [&str; 2] = [
    "envoy_listener_ssl_certificate_expiration_unix_time_seconds",
    "envoy_cluster_ssl_certificate_expiration_unix_time_seconds",
];

/// A gateway under some load, and the Prometheus that watches it.
struct Watched<'a> {
    gateway: &'a Deployment,
    prometheus: Prometheus,
}

impl Watched<'_> {
    /// Asserts that alerts are quiet, breaks something, sees them fire, mends it, and sees them calm.
    #[track_caller]
    fn each_fires(&self, names: &[&str], breaking: impl FnOnce(), mending: impl FnOnce()) {
        let firing = self.prometheus.firing();
        assert!(names.iter().all(|name| !firing.contains(*name)), "{names:?}: {firing:?}");
        breaking();
        self.prometheus.await_alerts(names, true, TO_FIRE);
        mending();
        self.prometheus.await_alerts(names, false, TO_CALM);
        eprintln!("fired for their cause, and calm after it: {names:?}");
    }
}

#[test]
#[ignore = "wants Prometheus and some minutes: make test-observability"]
fn alerts_fire_for_what_breaks_here_and_every_query_of_the_dashboard_has_data() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let options = StackOptions {
        envoy_patch: vec![json!({
            "op": "replace", "path": module(), "value": built("plugin-crash-on-demand.wasm"),
        })],
        service_settings: json!({
            "audit": { "to": "file", "file": audit },
            // A circuit that closes soon, so that the test need not wait.
            "intelligencebank": { "circuit_open_seconds": 2 },
            "limits": { "revoke": { "address": { "per_minute": 60, "burst": 10 } } },
        }),
        ..StackOptions::default()
    };
    let Some(machines) = Machines::start(&json!({}), options) else { return };
    let gateway = &machines.gateway;
    // A machine credential has metrics once it is used.
    gateway.send(&machines.properties(&machines.token(AZURA))).with_status(200);
    let addresses = gateway.stack().addresses();
    let prometheus = Prometheus::start(addresses.envoy_stats, addresses.service_internal);
    let watched = Watched { gateway, prometheus };
    let prometheus = &watched.prometheus;
    let token = gateway.log_in().access_token;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Whatever fails, the load ends.
        let _end = Ended(&over);
        scope.spawn(|| load(gateway, &token, &over));
        // All is well, and stays quiet. (Envoy shows a histogram from its first value on, which a rate does not
        // see: so everything happens twice.)
        ordinary_events(gateway);
        let histogram = "ib_gateway_replay_milliseconds_bucket";
        eventually("the first replay to be scraped", TO_FIRE, || {
            prometheus.names().contains(histogram).then_some(())
        });
        ordinary_events(gateway);
        let deadline = Deadline::after(A_WHILE);
        while deadline.remaining().is_ok() {
            assert_eq!(prometheus.firing(), BTreeSet::new());
            thread::sleep(Duration::from_millis(500));
        }
        what_is_seen_for_long(&watched, &audit, &token);
        intelligencebank_is_slow(&watched, &token);
        renewals_fail(&watched);
        the_service_is_down(&watched);
        the_gateway_is_down(&watched);
        prometheus.await_alerts(&SEEN_FOR_LONG, false, TO_CALM);
    });
    every_query_has_data(prometheus);
    every_metric_of_the_rules_is_there(prometheus);
}

/// Where the bootstrap names the plugin's file.
fn module() -> String {
    let bootstrap = production_bootstrap();
    let filters = bootstrap.pointer(FILTERS).and_then(Value::as_array).unwrap();
    let place = filters.iter().position(|filter| filter["name"] == "ib_gateway").unwrap();
    format!("{FILTERS}/{place}/typed_config/config/vm_config/code/local/filename")
}

/// Ends the load when it goes, also in a panic.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Ten requests a second, and a login now and then. What fails, fails: things break here.
fn load(gateway: &Deployment, token: &str, over: &AtomicBool) {
    for number in 0_u32.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let request = gateway.proxied("GET", "/api/3.0.0/x/user?echo").bearer(token);
        let _ = gateway.try_send(&request);
        if number % 10 == 0 {
            let _ = gateway.try_send(&Request::get(gateway.path("/healthz")));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// What a dashboard shows of a day on which all is well.
fn ordinary_events(gateway: &Deployment) {
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    for _ in 0..3 {
        let grant = client.log_in("ada");
        // Renewed because it was rejected, and sent again.
        gateway.simulator().kill_session(&gateway.sid_of(&grant.access_token));
        let request = gateway.proxied("GET", "/api/3.0.0/x/user").bearer(&grant.access_token);
        gateway.send(&request).with_status(200);
        let next = client.refresh(&grant.refresh_token).with_status(200).json();
        client.revoke(next["refresh_token"].as_str().unwrap()).with_status(200);
    }
}

/// Alerts whose window is the longest: the others go on meanwhile.
const SEEN_FOR_LONG: [&str; 2] = ["CredentialReplayed", "KeyReloadFailed"];

fn what_is_seen_for_long(watched: &Watched<'_>, audit: &Path, token: &str) {
    let (gateway, prometheus) = (watched.gateway, &watched.prometheus);
    // A spent refresh token comes again, after its grace: it is its family's third.
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let first = client.log_in("ada").refresh_token;
    let second = client.refresh(&first).with_status(200).json();
    client.refresh(second["refresh_token"].as_str().unwrap()).with_status(200);
    client.refresh(&first).with_status(400);
    // A key that is none, and the good one again.
    let secrets = gateway.reach().gateway_credential_file.parent().unwrap();
    let key = secrets.join("token-tag-key");
    let good = fs::read(&key).unwrap();
    fs::write(&key, "no key").unwrap();
    let reloaded = |result: &str| {
        gateway.service_metric("oauth_key_reloads_total", &[("result", result)]) >= 1.0
    };
    hang_up(gateway);
    eventually("the failed reload", TO_FIRE, || reloaded("failure").then_some(()));
    fs::write(&key, good).unwrap();
    hang_up(gateway);
    eventually("the reload", TO_FIRE, || reloaded("success").then_some(()));
    prometheus.await_alerts(&SEEN_FOR_LONG, true, TO_FIRE);

    let aside = audit.with_extension("aside");
    watched.each_fires(
        &["AuditLogFailing", "PluginCrashed", "GatewayCredentialRefused", "LimitsRefusing"],
        || {
            // A folder is in the place of the audit log, and something happens.
            fs::rename(audit, &aside).unwrap();
            fs::create_dir(audit).unwrap();
            let _ = client.log_in("grace");
            // A request that the plugin does not survive; and one for its next VM.
            let crash = gateway.proxied("GET", "/x?echo").bearer(token);
            let crash = crash.header("x-ib-gateway-crash", "headers");
            gateway.send(&crash).with_status(503);
            // Somebody on the internal port, with another credential.
            let address = gateway.reach().service_internal;
            for _ in 0..3 {
                let wrong = Request::post_form("/introspect", &[("token", "t")]).bearer("wrong");
                let mut connection = ib_end_to_end::Connection::open(address).unwrap();
                let answer = connection.exchange(&wrong, &address.to_string()).unwrap();
                answer.with_status(401);
            }
            // An address that asks too often.
            for _ in 0..60 {
                client.revoke("unknown");
            }
        },
        || {
            fs::remove_dir(audit).unwrap();
        },
    );
}

fn intelligencebank_is_slow(watched: &Watched<'_>, token: &str) {
    let gateway = &watched.gateway;
    let (over, paths) = (AtomicBool::new(false), ["/slow", "/v1/auth/app/token"]);
    thread::scope(|scope| {
        let _end = Ended(&over);
        watched.each_fires(
            &["IntelligenceBankSlow", "LatencyHigh"],
            || {
                let slow = |path: &str| json!({ "path_prefix": path, "delay_ms": 6_000 });
                gateway.simulator().set_faults(&paths.map(slow));
                for _ in 0..4 {
                    scope.spawn(|| {
                        while !over.load(Ordering::SeqCst) {
                            let slow = gateway.proxied("GET", "/slow?echo").bearer(token);
                            let _ = gateway.try_send(&slow);
                        }
                    });
                }
            },
            || {
                over.store(true, Ordering::SeqCst);
                gateway.simulator().set_faults(&[]);
            },
        );
    });
}

fn renewals_fail(watched: &Watched<'_>) {
    let gateway = &watched.gateway;
    let near_the_end = json!({ "login_timeout_hours": 1, "login_time_offset_seconds": 200 - 3600 });
    gateway.simulator().set(&near_the_end);
    let over = AtomicBool::new(false);
    let tokens: Vec<String> = {
        // Begun while all is well, but so that their renewal is due at once.
        gateway.simulator().set_faults(&[]);
        (0..8).map(|_| gateway.log_in().access_token).collect()
    };
    thread::scope(|scope| {
        let _end = Ended(&over);
        watched.each_fires(
            &["RenewalsFailing", "PlatformCircuitOpen", "IntelligenceBankUnreachable"],
            || {
                let fault = json!({ "path_prefix": "/v1/auth/app/info", "status": 500 });
                gateway.simulator().set_faults(&[fault]);
                scope.spawn(|| {
                    for token in tokens.iter().cycle() {
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                        let request = gateway.proxied("GET", "/due?echo").bearer(token);
                        let _ = gateway.try_send(&request);
                        thread::sleep(Duration::from_millis(50));
                    }
                });
            },
            || gateway.simulator().set_faults(&[]),
        );
    });
    gateway.simulator().set(&json!({ "login_timeout_hours": 24, "login_time_offset_seconds": 0 }));
}

fn the_service_is_down(watched: &Watched<'_>) {
    let gateway = &watched.gateway;
    let unknown: Vec<_> = (0..20).map(|_| gateway.unknown_token()).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = Ended(&over);
        watched.each_fires(
            &[
                "ServiceDown",
                "ServiceInstanceDown",
                "RevocationFeedStale",
                "TokenServiceFailing",
                "ServerErrorRatioHigh",
                "ErrorRatioHigh",
            ],
            || {
                gateway.kill(Part::Service);
                scope.spawn(|| {
                    for token in unknown.iter().cycle() {
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                        let request = gateway.proxied("GET", "/x?echo").bearer(token);
                        let _ = gateway.try_send(&request);
                        thread::sleep(Duration::from_millis(100));
                    }
                });
            },
            || {
                over.store(true, Ordering::SeqCst);
                gateway.start_part(Part::Service);
            },
        );
    });
}

fn the_gateway_is_down(watched: &Watched<'_>) {
    watched.each_fires(
        &["GatewayDown", "GatewayInstanceDown"],
        || watched.gateway.kill(Part::Envoy),
        || watched.gateway.start_part(Part::Envoy),
    );
}

/// Every query of the dashboard had a number at some time of this run.
#[track_caller]
fn every_query_has_data(prometheus: &Prometheus) {
    let file = observability_folder().join("grafana/dashboards/ib-gateway.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut without = vec![];
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap().replace("$__rate_interval", INTERVAL);
            // There is no TLS in this run.
            if CERTIFICATES.iter().any(|name| query.contains(name)) {
                continue;
            }
            let found = prometheus.over(&query, WHOLE_RUN_SECONDS);
            asked += 1;
            if !found.iter().any(|series| series.values.iter().any(|value| value.is_finite())) {
                without.push(format!("{}: {query}", panel["title"]));
            }
        }
    }
    assert!(asked > 50, "only {asked} queries");
    assert!(without.is_empty(), "without data: {without:#?}");
    eprintln!("{asked} queries of the dashboard had data");
}

/// A rule on a name that nobody exports would never fire.
#[track_caller]
fn every_metric_of_the_rules_is_there(prometheus: &Prometheus) {
    let there = prometheus.names();
    let named = named_in_rules();
    assert!(named.len() > 40, "{named:?}");
    let bootstrap = production_bootstrap().to_string();
    let has_no_filter = |name: &str| {
        OF_FILTERS.iter().any(|(metric, filter)| *metric == name && !bootstrap.contains(filter))
    };
    // A name that ends so is the beginning of several (`{__name__=~"..."}`).
    let is_there = |name: &String| {
        let begins = || there.iter().any(|exported| exported.starts_with(name.as_str()));
        there.contains(name) || (name.ends_with('_') && begins())
    };
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !is_there(name) && !CERTIFICATES.contains(&name.as_str()))
        .filter(|name| !has_no_filter(name))
        .collect();
    assert!(missing.is_empty(), "nobody exports {missing:?}");
}

/// The metrics that the rules read.
fn named_in_rules() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in rule_files(&observability_folder()) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
            let is_metric = |word: &&str| {
                ["envoy_", "oauth_", "ib_gateway_", "process_"].iter().any(|p| word.starts_with(p))
                    && !LABELS.contains(word)
            };
            if !line.trim_start().starts_with(['#', 'd']) {
                names.extend(words.filter(is_metric).map(str::to_owned));
            }
        }
    }
    names
}

/// Labels, and a cluster, whose names begin as metrics do.
const LABELS: [&str; 11] = [
    "envoy_local_http_ratelimit_prefix",
    "oauth_public",
    "envoy_http_conn_manager_prefix",
    "envoy_response_code_class",
    "envoy_cluster_name",
    "envoy_xds_resource_name",
    "envoy_tls_certificate",
    "envoy_rbac_http_prefix",
    "ib_gateway_outcome",
    "ib_gateway_result",
    "ib_gateway_cause",
];

/// Asks the service to read its keys again.
fn hang_up(gateway: &Deployment) {
    let id = gateway.process_id(Part::Service).to_string();
    let status = Command::new("kill").args(["-HUP", &id]).status().unwrap();
    assert!(status.success());
}

#[test]
fn envoy_tells_when_the_gateways_own_certificate_ends_as_the_alert_reads_it() {
    let options = StackOptions { gateway_tls: true, ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    let stats = gateway.stack().addresses().envoy_stats;
    let text = gateway.ask(stats, "/stats/prometheus").with_status(200).text();
    let mut told = text.lines().filter(|line| line.starts_with(CERTIFICATES[0]));
    assert!(told.any(|line| !line.contains("_ca_cert_")), "{CERTIFICATES:?} in {text}");
}
